"""Versions and what is signed about them: read by others' tools, refused when tampered with."""

import base64
import hashlib
from typing import Any

import msgspec
import pytest

from relive.core.model import ModelVersion
from relive.core.recipe import Code, DataInput, Declared, Recipe
from relive.errors import BlobCorrupt, Conflict, InvalidName, NotFound, SignatureInvalid
from relive.formats.dsse import KeyPair
from relive.services import registry
from relive.services.registry import NewVersion, create_version, move_alias, verify_version
from tests.support.bench import Bench


def statement_of(bench: Bench, version: ModelVersion) -> dict[str, Any]:
    """Read what is signed, without asking who signed it."""
    envelope = msgspec.json.decode(bench.services.blobs.read(version.provenance))
    said: dict[str, Any] = msgspec.json.decode(base64.b64decode(envelope["payload"]))
    return said


def test_versions_count_from_one_in_each_model(bench: Bench) -> None:
    made = [bench.version(), bench.version(), bench.version("other")]
    assert [(v.model, v.version) for v in made] == [("digits", 1), ("digits", 2), ("other", 1)]
    assert [v.status for v in made] == ["candidate"] * 3


def test_the_folder_is_named_by_the_digest_that_sha256sum_gives(bench: Bench) -> None:
    version = bench.version(b=b"two", a=b"one")
    listed = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in (("a", b"one"), ("b", b"two"))
    )
    assert version.sha256 == hashlib.sha256(listed.encode()).hexdigest()


def test_the_statement_names_every_file_and_every_input(bench: Bench) -> None:
    code, rows = bench.keep({"train.py": b"1"}), bench.keep({"rows.csv": b"2"})
    recipe = Recipe(
        declared=Declared(
            command="python train.py",
            code=Code(manifest=code, commit="c" * 40),
            params={"lr": 0.1},
            data=(DataInput(path="rows.csv", manifest=rows, size_bytes=1, origin="stage:prepare"),),
        )
    )
    run = bench.finished_by_hand(commit="c" * 40)
    kept = bench.services.blobs.put(msgspec.json.encode(recipe)).digest
    bench.services.store.set_run(run.id, recipe=kept)
    new = NewVersion(
        project=bench.project, model="m", run_id=run.id, manifest=bench.keep({"w": b"w"}), loader="auto"
    )
    version = create_version(bench.services, new)

    said = statement_of(bench, version)
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    assert said["subject"] == [
        {"name": "m@1", "digest": {"sha256": version.sha256}},
        {"name": "w", "digest": {"sha256": hashlib.sha256(b"w").hexdigest()}},
    ]
    definition = said["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["command"] == "python train.py"
    assert definition["externalParameters"]["params"] == {"lr": 0.1}
    found = {item.get("name") or item["uri"]: item["digest"] for item in definition["resolvedDependencies"]}
    assert found["git+relive"] == {"gitCommit": "c" * 40}
    assert found["code"] == {"blake3": code.removeprefix("blake3:")}
    assert found["rows.csv"] == {"blake3": rows.removeprefix("blake3:")}
    details = said["predicate"]["runDetails"]
    assert details["metadata"]["invocationId"] == run.id
    assert details["byproducts"][0]["digest"] == {"blake3": kept.removeprefix("blake3:")}


def test_a_version_verifies_and_says_with_which_key(bench: Bench) -> None:
    version = bench.version(a=b"1", b=b"2")
    found = verify_version(bench.services, version)
    assert found == {"model": "digits", "version": 1, "files": 2, "key_id": bench.services.signer.key_id}


def test_after_a_rotation_old_statements_verify_and_name_the_old_key(bench: Bench) -> None:
    version = bench.version()
    old = bench.services.signer.key_id
    bench.services.signer.rotate()
    later = bench.version()
    new = bench.services.signer.key_id
    assert new != old
    assert verify_version(bench.services, version)["key_id"] == old
    assert verify_version(bench.services, later)["key_id"] == new


def test_a_statement_that_was_changed_is_refused(bench: Bench) -> None:
    version = bench.version()
    envelope = msgspec.json.decode(bench.services.blobs.read(version.provenance))
    said = statement_of(bench, version) | {"predicateType": "https://example.org/other"}
    envelope["payload"] = base64.b64encode(msgspec.json.encode(said)).decode()
    forged = bench.services.blobs.put(msgspec.json.encode(envelope)).digest
    changed = bench.services.store.set_version(version.id, provenance=forged)
    with pytest.raises(SignatureInvalid, match="does not fit the payload"):
        verify_version(bench.services, changed)


def test_a_statement_signed_by_a_stranger_is_refused(bench: Bench) -> None:
    version = bench.version()
    payload = msgspec.json.encode(statement_of(bench, version))
    envelope = KeyPair.generate().sign("application/vnd.in-toto+json", payload)
    forged = bench.services.blobs.put(envelope).digest
    changed = bench.services.store.set_version(version.id, provenance=forged)
    with pytest.raises(SignatureInvalid, match="no key of this hub"):
        verify_version(bench.services, changed)


def test_what_is_no_envelope_at_all_is_refused(bench: Bench) -> None:
    version = bench.version()
    rubbish = bench.services.blobs.put(b"rubbish").digest
    with pytest.raises(SignatureInvalid, match="cannot be read"):
        verify_version(bench.services, bench.services.store.set_version(version.id, provenance=rubbish))


def test_the_statement_of_another_version_is_refused(bench: Bench) -> None:
    first, second = bench.version(a=b"1"), bench.version(a=b"1")
    borrowed = bench.services.store.set_version(second.id, provenance=first.provenance)
    with pytest.raises(Conflict, match="not those that were signed"):
        verify_version(bench.services, borrowed)


@pytest.mark.parametrize(
    "files", [{"a": b"2"}, {}, {"a": b"1", "b": b"1"}, {"b": b"1"}], ids=["changed", "gone", "more", "moved"]
)
def test_other_files_than_those_signed_are_refused(bench: Bench, files: dict[str, bytes]) -> None:
    version = msgspec.structs.replace(bench.version(a=b"1"), manifest=bench.keep(files))
    with pytest.raises(Conflict, match="not those that were signed"):
        verify_version(bench.services, version)


def test_a_file_damaged_on_disk_is_found(bench: Bench) -> None:
    version = bench.version(weights=b"x" * 100)
    (entry,) = bench.manifest(version.manifest).entries
    path = bench.services.blobs.path_of(entry.digest)  # type: ignore[attr-defined]
    path.chmod(0o600)
    path.write_bytes(b"y" * 100)
    with pytest.raises((Conflict, BlobCorrupt)):
        verify_version(bench.services, version)


def test_a_version_whose_registration_was_cut_off_says_so(bench: Bench) -> None:
    version = msgspec.structs.replace(bench.version(), provenance="")
    with pytest.raises(NotFound, match="digits@1"):
        verify_version(bench.services, version)
    with pytest.raises(NotFound, match="digits@1"):
        registry.read_provenance(bench.services, version)


def test_a_stage_that_registers_again_after_a_crash_finds_its_version(bench: Bench) -> None:
    run = bench.finished_by_hand()
    new = NewVersion(
        project=bench.project,
        model="m",
        run_id=run.id,
        manifest=bench.keep({"w": b"w"}),
        loader="auto",
        stage_id="5" * 32,
    )
    first = create_version(bench.services, new)
    assert create_version(bench.services, new) == first
    assert len(bench.services.store.list_versions("m")) == 1


def test_a_version_that_was_written_but_not_signed_is_signed_later(bench: Bench) -> None:
    run = bench.finished_by_hand()
    new = NewVersion(
        project=bench.project,
        model="m",
        run_id=run.id,
        manifest=bench.keep({"w": b"w"}),
        loader="auto",
        stage_id="5" * 32,
    )
    first = create_version(bench.services, new)
    bench.services.store.set_version(first.id, provenance="")
    again = create_version(bench.services, new)
    assert (again.id, again.version) == (first.id, 1)
    assert verify_version(bench.services, again)["files"] == 1


def test_a_run_without_a_recipe_registers_nothing(bench: Bench) -> None:
    run_id = bench.by_hand().run_id
    new = NewVersion(
        project=bench.project, model="m", run_id=run_id, manifest=bench.keep({"w": b"w"}), loader="auto"
    )
    with pytest.raises(NotFound, match="recipe"):
        create_version(bench.services, new)
    assert bench.services.store.list_models() == []


def test_a_models_name_belongs_to_one_project(bench: Bench) -> None:
    bench.version()
    other = bench.services.store.create_project("other")
    new = NewVersion(
        project=other,
        model="digits",
        run_id=bench.finished_by_hand().id,
        manifest=bench.keep({"w": b"w"}),
        loader="auto",
    )
    with pytest.raises(Conflict, match="another project"):
        create_version(bench.services, new)


def test_an_alias_moves_and_remembers_where_it_was(bench: Bench) -> None:
    for _ in range(2):
        bench.version()
    assert move_alias(bench.services, "digits", "champion", 1, by="ada").previous is None
    moved = move_alias(bench.services, "digits", "champion", 2, by="ben")
    assert (moved.version, moved.previous, moved.moved_by) == (2, 1, "ben")
    assert bench.services.store.get_version("digits", "champion").version == 2
    (_, first), (_, second) = bench.events("alias.moved")
    assert (first["version"], second["version"], second["previous"]) == (1, 2, 1)


@pytest.mark.parametrize("alias", ["", "a b", "../up", "x@y", "a/b", "x" * 64, "-x"])
def test_a_word_that_is_no_name_is_no_alias(bench: Bench, alias: str) -> None:
    bench.version()
    with pytest.raises(InvalidName):
        move_alias(bench.services, "digits", alias, 1, by="ada")


@pytest.mark.parametrize("alias", ["3", "v3", "v12"])
def test_what_reads_like_a_version_is_no_alias(bench: Bench, alias: str) -> None:
    bench.version()
    with pytest.raises(InvalidName, match="number"):
        move_alias(bench.services, "digits", alias, 1, by="ada")


def test_an_alias_points_only_at_what_exists(bench: Bench) -> None:
    bench.version()
    with pytest.raises(NotFound, match="digits@7"):
        move_alias(bench.services, "digits", "champion", 7, by="ada")
    assert bench.services.store.list_aliases("digits") == []
