"""Bills of materials, judged by CycloneDX's own schema and read back by its own library."""

import json
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from relive.core.model import ModelVersion, Signature, TensorSpec
from relive.core.recipe import (
    Code,
    DataInput,
    Declared,
    Distribution,
    EnvironmentLock,
    Hardware,
    Interpreter,
    LockedPackage,
    Observed,
    Recipe,
)
from relive.formats.cyclonedx import bom_of

DIGEST = "blake3:" + "a" * 64
SHA256 = "b" * 64
HARDWARE = Hardware(
    cpu_model="x", cpu_vendor="y", cpu_flags_digest="z", cores=2, cores_allowed=2, memory_bytes=1
)
VERSION = ModelVersion(
    id="v",
    model_id="m",
    model="digits",
    version=3,
    run_id="r",
    manifest=DIGEST,
    sha256=SHA256,
    signature=Signature(
        inputs=(TensorSpec(name="x", datatype="FP64", shape=(-1, 2)),),
        outputs=(TensorSpec(name="y", datatype="INT64", shape=(-1,)),),
    ),
    facts={"metrics": {"accuracy": 0.875}, "commit": "c0ffee", "recipe": DIGEST},
    created_at=1_790_000_000.5,
)
LOCK = EnvironmentLock(
    python="3.11.7",
    implementation="cpython",
    platform="linux_x86_64",
    source="uv.lock",
    packages=(
        LockedPackage(
            name="torch",
            version="2.3.1+cu121",
            filename="torch.whl",
            sha256=SHA256,
            size_bytes=1,
            origin="index",
        ),
        LockedPackage(
            name="own", version="1.0", filename="own.whl", sha256=SHA256, size_bytes=1, origin="path"
        ),
    ),
)


def recipe(*, hermetic: bool = False, distributions: tuple[Distribution, ...] = ()) -> Recipe:
    return Recipe(
        declared=Declared(
            command="python train.py",
            code=Code(manifest=DIGEST, commit="c0ffee", remote="https://example.org/a.git"),
            params={"lr": 0.1},
            data=(DataInput(path="data/train.csv", manifest=DIGEST, size_bytes=5, origin="dataset:sales@3"),),
        ),
        observed=Observed(
            hardware=HARDWARE,
            hermetic=hermetic,
            distributions=distributions,
            interpreter=Interpreter(version="3.12.1", implementation="cpython"),
        ),
    )


def valid(document: dict[str, Any]) -> Bom:
    text = json.dumps(document)
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert error is None, error
    return Bom.from_json(json.loads(text))  # type: ignore[attr-defined, no-any-return]


def named(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(it for it in document["components"] if it["name"] == name)
    return found


def test_everything_a_model_is_made_of_is_named_with_its_digest() -> None:
    document = bom_of(VERSION, {"model.pkl": SHA256}, recipe(), LOCK)
    bom = valid(document)
    assert bom.metadata.component is not None
    assert (bom.metadata.component.name, bom.metadata.component.version) == ("digits", "3")
    assert {it.name for it in bom.components} == {"python", "torch", "own", "data/train.csv", "code"}
    model = document["metadata"]["component"]
    assert [(it["name"], it["hashes"][0]["content"]) for it in model["components"]] == [("model.pkl", SHA256)]
    assert named(document, "torch")["hashes"] == [{"alg": "SHA-256", "content": SHA256}]
    assert named(document, "data/train.csv")["hashes"] == [{"alg": "BLAKE3", "content": "a" * 64}]
    assert document["compositions"][0]["aggregate"] == "incomplete"


def test_package_urls_are_those_that_the_specification_reads() -> None:
    document = bom_of(VERSION, {}, recipe(), LOCK)
    urls = {it["name"]: PackageURL.from_string(it["purl"]) for it in document["components"] if "purl" in it}
    assert (urls["torch"].type, urls["torch"].version) == ("pypi", "2.3.1+cu121")
    assert urls["own"].type == "generic", "a local wheel is no package of the index"
    assert urls["python"].version == "3.11.7"


def test_the_model_card_names_data_figures_and_what_goes_in_and_out() -> None:
    document = bom_of(VERSION, {}, recipe(), LOCK)
    card = document["metadata"]["component"]["modelCard"]
    assert card["modelParameters"]["datasets"] == [{"ref": "data:data/train.csv"}]
    assert card["modelParameters"]["inputs"] == [{"format": "x: FP64 [-1, 2]"}]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [{"type": "accuracy", "value": "0.875"}]
    assert {"name": "relive:param:lr", "value": "0.1"} in card["properties"]


@pytest.mark.parametrize(
    ("made", "lock", "aggregate"),
    [
        (None, None, "unknown"),
        (recipe(hermetic=True), LOCK, "complete"),
        (recipe(hermetic=True), None, "incomplete"),
    ],
)
def test_it_says_whether_all_is_named(
    made: Recipe | None, lock: EnvironmentLock | None, aggregate: str
) -> None:
    document = bom_of(VERSION, {"a": SHA256}, made, lock)
    valid(document)
    assert document["compositions"][0]["aggregate"] == aggregate


def test_without_a_lock_it_names_what_was_seen() -> None:
    seen = (
        Distribution(name="Some_Thing", version="1.0"),
        Distribution(name="mine", version="2", editable=True),
    )
    document = bom_of(VERSION, {}, recipe(distributions=seen), None)
    valid(document)
    assert named(document, "Some_Thing")["purl"] == "pkg:pypi/some-thing@1.0"
    assert named(document, "mine")["purl"] == "pkg:generic/mine@2"
    assert named(document, "python")["version"] == "3.12.1"


def test_the_same_version_gives_the_same_document() -> None:
    one, two = (bom_of(VERSION, {"a": SHA256}, recipe(), LOCK) for _ in range(2))
    assert one == two
    assert one["serialNumber"].startswith("urn:uuid:")


@given(
    path=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    version=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    value=st.floats(),
)
def test_whatever_things_are_called_the_document_is_valid(path: str, version: str, value: float) -> None:
    made = Recipe(
        declared=Declared(
            command=path,
            code=Code(manifest=DIGEST),
            params={path: value},
            data=(DataInput(path=path, manifest=DIGEST, size_bytes=1),),
        )
    )
    package = LockedPackage(name=path, version=version, filename="a.whl", sha256=SHA256, size_bytes=1)
    lock = EnvironmentLock(python="3", implementation="cpython", platform="", source="", packages=(package,))
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(
        json.dumps(bom_of(VERSION, {path: SHA256}, made, lock))
    )
    assert error is None, error
