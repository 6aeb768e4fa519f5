"""Data that a run's command adds by the run's own token: its project's, its own, and bytes that it has."""

import os
from pathlib import Path

import msgspec
import pytest

from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.data.add import Added, Wish, add
from relive.data.scan import place_of
from relive.errors import HubRefused
from relive.formats.possession import prove
from relive.wire.datasets import AddVersion
from relive.wire.runs import CreatedRun
from tests.support.bench import Bench
from tests.support.live import LiveHub


@pytest.fixture
def created(bench: Bench) -> CreatedRun:
    """A run of the project digits."""
    return bench.by_hand()


@pytest.fixture
def command(live: LiveHub, created: CreatedRun) -> HubClient:
    """The run's command."""
    return HubClient(Transport(live.url, created.token))


def added_by(client: HubClient, folder: Path, run_id: str, **wish: str) -> Added:
    """Add a folder as a run's."""
    wanted = Wish(**{"name": "made", "project": "digits", "run_id": run_id} | wish)
    return add(client, place_of(folder), wanted, profile=lambda manifest: {})


def test_a_command_adds_versions_of_its_run(
    live: LiveHub, command: HubClient, created: CreatedRun, folder: Path
) -> None:
    first = added_by(command, folder, created.run_id)
    assert (first.is_new, first.version.source_run_id) == (True, created.run_id)
    (folder / "rows.csv").write_text("id\n1\n")
    second = added_by(command, folder, created.run_id)  # packs of the first are taken over
    assert second.version.ref == "made@v2"
    assert second.stored_bytes < 10_000
    detail = command.get_dataset_version("made@v2")
    assert detail.made_by is not None
    assert detail.made_by.id == created.run_id
    assert [it.ref for it in command.get_run(created.run_id).datasets] == ["made@v2", "made@v1"]
    assert b'href="/d/made/v/2"' in live.ask("GET", f"/r/{created.run_id}", token=live.admin).body
    assert created.run_id.encode() in live.ask("GET", "/d/made/v/2", token=live.admin).body


def test_without_the_name_of_a_run_it_is_the_callers(
    bench: Bench, command: HubClient, hub: HubClient, created: CreatedRun, folder: Path
) -> None:
    added_by(hub, folder, "", name="theirs")
    asked = message_of(bench, hub, created.run_id)
    assert command.add_dataset_version(asked).source_run_id == created.run_id


def test_another_run_or_project_is_refused(
    bench: Bench, command: HubClient, created: CreatedRun, folder: Path
) -> None:
    with pytest.raises(HubRefused, match="as another run's"):
        added_by(command, folder, bench.by_hand().run_id)
    with pytest.raises(HubRefused, match="add data to project elsewhere"):
        added_by(command, folder, created.run_id, project="elsewhere")
    assert [it.name for it in bench.services.store.list_all_datasets()] == []
    assert "elsewhere" not in [it.name for it in bench.services.store.list_projects()]


def message_of(bench: Bench, hub: HubClient, run_id: str) -> AddVersion:
    """Name stored blobs as a version, with the proofs of somebody who has all of them."""
    version = hub.find_dataset_version("theirs")
    assert version is not None
    packs = [pack.digest for pack in hub.dataset_layout(version).packs]
    blobs = {
        each: b"".join(bench.services.blobs.iter_chunks(each))
        for each in (version.digest, version.layout, *packs)
    }
    proofs = {each: prove(run_id, [data]) for each, data in blobs.items()}
    return AddVersion(
        name="taken", project="digits", digest=version.digest, layout=version.layout, proofs=proofs
    )


def test_bytes_that_it_does_not_have_cannot_be_named(
    bench: Bench, command: HubClient, hub: HubClient, created: CreatedRun, folder: Path
) -> None:
    added_by(hub, folder, "", name="theirs", project="secret")
    right = message_of(bench, hub, created.run_id)
    for digest in right.proofs:
        without = {name: proof for name, proof in right.proofs.items() if name != digest}
        others = without | {digest: prove(bench.by_hand().run_id, [os.urandom(8)])}
        for proofs in (without, others):
            with pytest.raises(HubRefused, match=f"holds {digest}"):
                command.add_dataset_version(msgspec.structs.replace(right, proofs=proofs))
    assert hub.find_dataset_version("taken") is None
    assert command.add_dataset_version(right).ref == "taken@v1"


def test_a_proof_is_of_one_run_and_these_bytes() -> None:
    assert prove("a", [b"12", b"3"]) == prove("a", [b"123"])
    assert len({prove("a", [b"123"]), prove("b", [b"123"]), prove("a", [b"124"])}) == 3
