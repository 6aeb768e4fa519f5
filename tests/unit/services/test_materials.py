"""Bills of materials as a hub gives them: over HTTP, on the page of a version, and typed."""

import json
from collections.abc import Iterator

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from relive.client.hub import connect
from relive.core.recipe import EnvironmentLock, LockedPackage
from relive.errors import HubRefused
from relive.services.materials import bill_of_materials
from relive.services.registry import NewVersion, create_version
from tests.support.bench import Bench, open_bench, quick_folder
from tests.support.live import LiveHub, served

LOCK = EnvironmentLock(
    python="3.11.7",
    implementation="cpython",
    platform="linux_x86_64",
    source="",
    packages=(LockedPackage(name="numpy", version="2.4.6", filename="n.whl", sha256="b" * 64, size_bytes=1),),
)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with quick_folder() as folder, open_bench(folder) as made:
        yield made


@pytest.fixture
def live(bench: Bench) -> Iterator[LiveHub]:
    with served(bench.services) as hub:
        yield hub


def test_it_names_the_files_that_were_signed_and_the_locked_packages(bench: Bench) -> None:
    run = bench.finished_by_hand_with(LOCK)
    new = NewVersion(
        project=bench.project, model="m", run_id=run.id, manifest=bench.keep({"w.bin": b"w"}), loader="auto"
    )
    text = bill_of_materials(bench.services, create_version(bench.services, new)).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    (file,) = document["metadata"]["component"]["components"]
    assert file["hashes"][0]["content"] == "50e721e49c013f00c62cf59f2163542a9d8df02464efeb615d31051b0fddc326"
    assert {it["name"] for it in document["components"]} == {"python", "numpy", "code"}


def test_it_is_read_over_http(bench: Bench, live: LiveHub) -> None:
    bench.version(weights=b"w")
    client = connect(live.url, live.admin)
    document = json.loads(client.get_sbom("digits", "1"))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    with pytest.raises(HubRefused):
        client.get_sbom("digits", "7")
