"""Signed statements, read and verified by verifiers that are not ours: DSSE, in-toto Statement, SLSA v1."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf.json_format import ParseDict, ParseError
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Key, SSlibKey  # type: ignore[attr-defined]  # its __all__ is a list

from relive.core.recipe import EnvironmentLock, LockedPackage
from relive.services.registry import NewVersion, create_version, read_provenance
from tests.support.bench import Bench, open_bench, quick_folder

SHA256 = "b" * 64


@pytest.fixture
def bench() -> Iterator[Bench]:
    with quick_folder() as folder, open_bench(folder) as made:
        yield made


def envelope_of(bench: Bench) -> dict[str, Any]:
    """Register a version and give its envelope."""
    found: dict[str, Any] = json.loads(read_provenance(bench.services, bench.version(weights=b"w")))
    return found


def keys_of(bench: Bench) -> list[Key]:
    """Give the hub's public keys as another program reads them, from what the hub publishes."""
    published = bench.services.signer.public_keys()
    return [SSlibKey.from_crypto(load_pem_public_key(it["pem"].encode()), it["key_id"]) for it in published]


def test_another_verifier_takes_the_signature(bench: Bench) -> None:
    envelope = Envelope.from_dict(envelope_of(bench))
    (key,) = keys_of(bench)
    assert set(envelope.verify([key], 1)) == {key.keyid}


def test_it_takes_no_payload_that_was_changed(bench: Bench) -> None:
    said = envelope_of(bench)
    payload = base64.b64decode(said["payload"]).replace(b'"weights"', b'"weighty"')
    assert payload != base64.b64decode(said["payload"])
    envelope = Envelope.from_dict({**said, "payload": base64.b64encode(payload).decode()})
    with pytest.raises(VerificationError):
        envelope.verify(keys_of(bench), 1)


def test_a_statement_that_was_signed_before_a_rotation_still_verifies(bench: Bench) -> None:
    envelope = Envelope.from_dict(envelope_of(bench))
    bench.services.signer.rotate()
    old, new = keys_of(bench)
    assert set(envelope.verify([old, new], 1)) == {old.keyid}
    with pytest.raises(VerificationError):
        envelope.verify([new], 1)


def statement_of(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(envelope_of(bench)["payload"]))
    return found


def test_the_payload_is_an_in_toto_statement(bench: Bench) -> None:
    # An unknown field is an error for this reader, so it knows all that is said.
    message = ParseDict(statement_of(bench), StatementMessage())
    Statement.copy_from_pb(message).validate()
    assert [it.name for it in message.subject] == ["digits@1", "weights"]


def test_the_predicate_is_slsa_provenance_with_every_input(bench: Bench) -> None:
    package = LockedPackage(name="numpy", version="2.4.6", filename="n.whl", sha256=SHA256, size_bytes=1)
    lock = EnvironmentLock(
        python="3.11.7", implementation="cpython", platform="linux_x86_64", source="", packages=(package,)
    )
    statement = registered_with(bench, lock)
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    provenance = ParseDict(statement["predicate"], Provenance())
    definition = provenance.build_definition
    assert definition.external_parameters["command"] == "train"
    assert [it.uri for it in definition.resolved_dependencies if it.uri] == ["pkg:pypi/numpy@2.4.6"]
    assert definition.resolved_dependencies[-1].digest["sha256"] == SHA256
    assert provenance.run_details.builder.id == bench.services.place.public_url
    assert provenance.run_details.metadata.invocation_id


def test_this_reader_would_refuse_what_is_no_provenance(bench: Bench) -> None:
    predicate = statement_of(bench)["predicate"]
    with pytest.raises(ParseError):
        ParseDict({**predicate, "buildDefinitions": {}}, Provenance())


def registered_with(bench: Bench, lock: EnvironmentLock) -> dict[str, Any]:
    """Register a version of a run with a locked environment, and give what was signed."""
    run = bench.finished_by_hand_with(lock)
    new = NewVersion(
        project=bench.project, model="locked", run_id=run.id, manifest=bench.keep({"w": b"w"}), loader="auto"
    )
    envelope = json.loads(read_provenance(bench.services, create_version(bench.services, new)))
    found: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return found
