"""A pack damaged in the store: named, taken out by the hub itself, and sent again with the same files."""

from pathlib import Path

import pytest

from relive.cli.data_diff import verify_stored
from relive.client.hub import HubClient
from relive.client.laying import lay
from relive.client.packed import PackedVersion
from relive.core.dataset import DatasetVersion
from relive.core.digest import Digest
from relive.errors import BlobCorrupt, HubRefused
from relive.formats import packs
from relive.formats.manifest_io import list_tree, read_manifest
from relive.wire.datasets import AddVersion
from tests.support.bench import Bench
from tests.unit.data.conftest import add_it, age


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs for a folder of 9 MB."""
    monkeypatch.setattr(packs, "PACK_BYTES", 3_000_000)


def flip(bench: Bench, pack: Digest, at: int = 2_000_000) -> None:
    """Change one byte of a stored pack."""
    path = bench.services.blobs.path_of(pack)  # type: ignore[attr-defined]
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def packs_of(hub: HubClient, version: DatasetVersion) -> list[Digest]:
    return [pack.digest for pack in hub.dataset_layout(version).packs]


def assert_whole(hub: HubClient, version: DatasetVersion, folder: Path, target: Path) -> None:
    """Make sure that a version has every byte of a folder."""
    assert verify_stored(hub, version) == []
    source = PackedVersion(hub, version)
    lay(source, source.manifest, target)
    assert read_manifest(target, list_tree(target)) == read_manifest(folder, list_tree(folder))


def test_a_flipped_byte_is_named_taken_out_and_brought_back(
    hub: HubClient, folder: Path, tmp_path: Path, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    version = add_it(hub, folder).version
    hurt = packs_of(hub, version)[1]
    flip(bench, hurt)
    source = PackedVersion(hub, version)
    with pytest.raises(BlobCorrupt):
        lay(source, source.manifest, tmp_path / "refused")
    # As it was before anybody verified: the hub has a blob of this name and size, and asks for none.
    assert not add_it(hub, folder).is_new
    assert [path for path, _ in verify_stored(hub, version)] == ["big.bin"]
    assert bench.services.blobs.find(hurt) is None
    root = Path(bench.services.blobs.root)  # type: ignore[attr-defined]
    assert [it.name for it in (root / "damaged").iterdir()] == [hurt.removeprefix("blake3:")]
    assert hub.check_packs(version).lost == (hurt,)
    (event,) = [it for it in bench.services.store.list_events(limit=50) if it.kind == "dataset.damaged"]
    assert event.facts == {"version": 1, "packs": [hurt]}
    again = add_it(hub, folder)
    assert (again.is_new, again.version.number) == (False, 1)
    assert 3_000_000 <= again.stored_bytes < 6_000_000
    assert hub.check_packs(version).lost == ()
    assert_whole(hub, again.version, folder, tmp_path / "out")
    said = capsys.readouterr().err
    assert "1 pack will be stored again with the same files: relive data add PATH --name d" in said


def test_what_several_versions_share_comes_back_with_the_newest(
    hub: HubClient, folder: Path, tmp_path: Path, bench: Bench
) -> None:
    first = add_it(hub, folder).version
    (folder / "rows.csv").write_text("id\n1\n")
    age()
    second = add_it(hub, folder).version
    shared = [pack for pack in packs_of(hub, second) if pack in packs_of(hub, first)]
    flip(bench, shared[0])
    assert verify_stored(hub, second)
    healed = add_it(hub, folder).version
    assert (healed.id, healed.digest) == (second.id, second.digest)
    assert_whole(hub, healed, folder, tmp_path / "out")
    third = add_it(hub, folder)
    assert not third.is_new


def test_the_new_layout_is_kept_where_the_packs_are_others(
    hub: HubClient, folder: Path, tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = add_it(hub, folder).version
    flip(bench, packs_of(hub, version)[0])
    verify_stored(hub, version)
    monkeypatch.setattr(packs, "PACK_BYTES", 2_000_000)
    healed = add_it(hub, folder).version
    assert healed.id == version.id
    assert healed.layout != version.layout
    assert hub.get_dataset_version("d@v1").version == healed
    assert_whole(hub, healed, folder, tmp_path / "out")


def test_a_layout_stays_while_its_packs_are_there(hub: HubClient, folder: Path, bench: Bench) -> None:
    version = add_it(hub, folder).version
    layout = hub.dataset_layout(version)
    layout.pieces = dict(sorted(layout.pieces.items()))
    other = hub.blobs.put_bytes(layout.to_bytes())
    assert other != version.layout
    message = AddVersion(name=version.name, project="demo", digest=version.digest, layout=other)
    assert hub.add_dataset_version(message) == version


def test_the_hub_believes_its_own_eyes(hub: HubClient, folder: Path, bench: Bench) -> None:
    version = add_it(hub, folder).version
    named = packs_of(hub, version)
    found = hub.check_packs(version, named)  # "all of them are damaged"
    assert (found.damaged, found.lost) == ((), ())
    assert all(bench.services.blobs.find(pack) is not None for pack in named)
    other = hub.blobs.put_bytes(b"no pack of this version")
    with pytest.raises(HubRefused, match="pack"):
        hub.check_packs(version, [other])
    assert not [it for it in bench.services.store.list_events(limit=50) if it.kind == "dataset.damaged"]


def test_what_came_damaged_from_a_whole_pack_is_told_apart(
    hub: HubClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = add_it(hub, folder).version
    real = HubClient.read_pack

    def damaged(self: HubClient, *args: object) -> bytes:
        data = bytearray(real(self, *args))  # type: ignore[arg-type]
        data[len(data) // 2] ^= 1
        return bytes(data)

    monkeypatch.setattr(HubClient, "read_pack", damaged)
    problems = verify_stored(hub, version)
    assert any("the hub has it whole" in problem for _, problem in problems)
    assert hub.check_packs(version).lost == ()
