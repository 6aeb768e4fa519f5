"""Data goes in and comes out: the same bytes, nothing twice, and nothing half."""

import errno
import os
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from relive.client.blobs import BlobClient
from relive.client.hub import HubClient
from relive.client.laying import lay
from relive.client.packed import PackedVersion
from relive.core.artifact import Manifest
from relive.core.dataset import DatasetVersion
from relive.core.picking import pick_files
from relive.data import scan as scanning
from relive.data.add import manifest_of
from relive.data.scan import place_of
from relive.data.verify import verify_pieces
from relive.errors import BlobCorrupt, HubRefused, HubUnreachable, InvalidInput, NotFound, StoreFull
from relive.formats import hashing, packs
from relive.formats.layout import Layout
from relive.formats.manifest_io import PARTIAL, list_tree, read_manifest
from relive.formats.packs import hash_piece
from relive.services import collecting
from relive.stores.blobs.local import LocalWriter
from relive.wire.datasets import AddVersion
from relive.wire.housekeeping import GcReport
from tests.support.bench import Bench
from tests.unit.data.conftest import add_it, age


def tree_of(root: Path) -> Manifest:
    """Give what lies in a folder, read by the code that knows nothing of packs."""
    return read_manifest(root, list_tree(root))


def get(hub: HubClient, version: DatasetVersion, target: Path) -> Manifest:
    """Write a version into a folder."""
    source = PackedVersion(hub, version)
    lay(source, source.manifest, target)
    return source.manifest


class TestAdding:
    def test_what_goes_in_comes_out(self, hub: HubClient, folder: Path, tmp_path: Path) -> None:
        added = add_it(hub, folder, message="first")
        version = added.version
        assert added.is_new
        assert (version.ref, version.message, version.files) == ("d@v1", "first", 7)
        manifest = get(hub, version, tmp_path / "out")
        assert manifest == tree_of(tmp_path / "out") == tree_of(folder)
        assert version.digest == hashing.blake3_digest(tree_of(folder).to_bytes())
        assert not (tmp_path / "out" / PARTIAL).exists()

    def test_the_same_again_is_no_version(self, hub: HubClient, folder: Path, monkeypatch) -> None:
        first = add_it(hub, folder)
        monkeypatch.setattr("relive.data.add.os.open", refuse_files)  # nothing is read
        again = add_it(hub, folder)
        assert (again.is_new, again.version) == (False, first.version)

    def test_read_again_without_the_stamps_it_is_no_version_either(
        self, hub: HubClient, folder: Path, cache: Path
    ) -> None:
        first = add_it(hub, folder)
        for file in (cache / "datasets").iterdir():
            file.write_bytes(b"broken")
        assert add_it(hub, folder).version == first.version

    def test_an_edit_stores_little(self, hub: HubClient, folder: Path, tmp_path: Path) -> None:
        add_it(hub, folder)
        data = (folder / "big.bin").read_bytes()
        (folder / "big.bin").write_bytes(data[:4_000_000] + b"inserted" * 1000 + data[4_000_000:])
        (folder / "sub/small.txt").unlink()
        (folder / "link").unlink()
        version = add_it(hub, folder).version
        assert (version.number, version.files) == (2, 5)
        assert version.added_bytes < 2_500_000
        get(hub, version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == tree_of(folder)

    def test_a_file_alone(self, hub: HubClient, folder: Path, tmp_path: Path) -> None:
        version = add_it(hub, folder / "rows.csv", "rows").version
        assert [it.path for it in get(hub, version, tmp_path / "out").entries] == ["rows.csv"]
        assert version.added_bytes < version.size_bytes  # text is compressed
        assert not add_it(hub, folder / "rows.csv", "rows").is_new

    def test_nothing_at_all(self, hub: HubClient, tmp_path: Path) -> None:
        (tmp_path / "none").mkdir()
        version = add_it(hub, tmp_path / "none").version
        assert (version.files, version.size_bytes) == (0, 0)
        assert get(hub, version, tmp_path / "out").entries == ()
        with pytest.raises(NotFound):
            place_of(tmp_path / "absent")

    def test_what_cannot_be_kept_is_named(self, hub: HubClient, folder: Path) -> None:
        (folder / "key.pem").write_text("x")
        with pytest.raises(InvalidInput, match=r"key\.pem"):
            add_it(hub, folder)
        (folder / "key.pem").unlink()
        (folder / "lost").symlink_to("nowhere")
        with pytest.raises(InvalidInput, match="lost"):
            add_it(hub, folder)
        (folder / "lost").unlink()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "s"))
            with pytest.raises(InvalidInput, match="s is"):
                add_it(hub, folder)
        assert hub.list_datasets() == []

    def test_what_is_left_out(self, folder: Path) -> None:
        (folder / ".git").mkdir()
        (folder / ".git/config").touch()
        found = scanning.scan(place_of(folder, ["*.bin", "sub/", "link"]), scanning.Memory())
        assert [file.path for file in found.files] == ["empty", "rows.csv", "run.sh"]

    def test_a_link_that_leads_out_is_read(self, hub: HubClient, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "outside").write_text("from outside")
        (folder / "from").symlink_to(tmp_path / "outside")
        get(hub, add_it(hub, folder).version, tmp_path / "out")
        assert (tmp_path / "out/from").read_text() == "from outside"
        assert not (tmp_path / "out/from").is_symlink()

    def test_a_change_within_the_same_size_is_seen(self, hub: HubClient, folder: Path) -> None:
        add_it(hub, folder)
        before = os.stat(folder / "sub/small.txt")
        (folder / "sub/small.txt").write_text("HELLO\n")
        os.utime(folder / "sub/small.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert add_it(hub, folder).is_new  # its change time tells

    def test_a_fresh_file_is_not_believed_by_its_stamp(self, folder: Path) -> None:
        place = place_of(folder)
        (folder / "fresh").write_text("1")
        digest, _ = manifest_of(place)
        assert "fresh" not in scanning.recall(place).files
        assert not scanning.is_unchanged(place, digest)
        assert manifest_of(place)[0] == digest

    def test_a_file_that_never_rests_is_refused(self, hub: HubClient, folder: Path, monkeypatch) -> None:
        real = os.fstat

        def restless(descriptor: int) -> os.stat_result:
            (folder / "rows.csv").open("a").close()
            os.utime(folder / "rows.csv")
            return real(descriptor)

        monkeypatch.setattr("relive.data.add.os.fstat", restless)
        with pytest.raises(InvalidInput, match="does not change while it is read"):
            add_it(hub, folder)

    def test_a_name_of_another_project(self, hub: HubClient, folder: Path) -> None:
        add_it(hub, folder / "rows.csv")
        message = add_it(hub, folder / "rows.csv").version
        other = AddVersion(name="d", project="other", digest=message.digest, layout=message.layout)
        with pytest.raises(HubRefused, match="another project"):
            hub.add_dataset_version(other)

    def test_a_version_without_its_bytes_is_refused(self, hub: HubClient, folder: Path, bench: Bench) -> None:
        version = add_it(hub, folder).version
        nothing = hub.blobs.put_bytes(Layout().to_bytes())
        lies = AddVersion(name="e", project="demo", digest=version.digest, layout=nothing)
        with pytest.raises(HubRefused, match=r"big\.bin is missing"):
            hub.add_dataset_version(lies)
        for pack in hub.dataset_layout(version).packs:
            bench.services.blobs.delete(pack.digest)
        lost = AddVersion(name="e", project="demo", digest=version.digest, layout=version.layout)
        with pytest.raises(HubRefused, match="not in the store any more"):
            hub.add_dataset_version(lost)
        assert [it.dataset.name for it in hub.list_datasets()] == ["d"]


class TestTrouble:
    def test_a_full_store_names_nothing_and_goes_on(
        self, hub: HubClient, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(self: LocalWriter, data: bytes) -> int:
            raise StoreFull(where="the disk", needed_bytes=len(data), free_bytes=1)

        with monkeypatch.context() as patch:
            patch.setattr(LocalWriter, "write", full)
            with pytest.raises(StoreFull):
                add_it(hub, folder)
        assert hub.list_datasets() == []
        assert add_it(hub, folder).version.number == 1

    def test_a_full_disk_keeps_whole_files_alone(
        self, hub: HubClient, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        version = add_it(hub, folder).version
        source, out = PackedVersion(hub, version), tmp_path / "out"
        left = iter([True] * 4)

        def full(descriptor: int, data: memoryview) -> None:
            if not next(left, False):
                raise OSError(errno.ENOSPC, "No space left on device")
            os.write(descriptor, data)

        with monkeypatch.context() as patch:
            patch.setattr("relive.client.laying._write_all", full)
            with pytest.raises(OSError, match="No space"):
                lay(source, source.manifest, out)
        for path in list_tree(out):
            assert (out / path).read_bytes() == (folder / path).read_bytes()
        lay(source, source.manifest, out)
        assert tree_of(out) == tree_of(folder)

    def test_packs_that_are_there_are_not_sent_again(
        self, hub: HubClient, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[str] = []
        real = BlobClient._send

        def counted(self: BlobClient, digest: str, *args: Any) -> None:
            sent.append(digest)
            if len(sent) == 2 and not_again:
                raise HubUnreachable(url="x", reason="cut off")
            real(self, digest, *args)

        monkeypatch.setattr(packs, "PACK_BYTES", 2_000_000)
        monkeypatch.setattr(BlobClient, "_send", counted)
        not_again = True
        with pytest.raises(HubUnreachable):
            add_it(hub, folder)
        assert hub.list_datasets() == []
        not_again, first = False, sent[0]
        sent.clear()
        version = add_it(hub, folder).version
        assert first in {pack.digest for pack in hub.dataset_layout(version).packs}
        assert first not in sent


class TestGetting:
    def test_only_a_part(self, hub: HubClient, folder: Path, tmp_path: Path) -> None:
        source = PackedVersion(hub, add_it(hub, folder).version)
        part = pick_files(source.manifest, ["sub", "*.csv"], "d@v1")
        assert [it.path for it in part.entries] == ["rows.csv", "sub/same.txt", "sub/small.txt"]
        assert lay(source, part, tmp_path / "out").files == 3
        assert tree_of(tmp_path / "out") == part
        with pytest.raises(NotFound, match=r"no\.txt"):
            pick_files(source.manifest, ["no.txt"], "d@v1")

    def test_folders_within_folders(self, hub: HubClient, tmp_path: Path) -> None:
        root = tmp_path / "in"
        for name in ("a/1", "a/2", "a/b/1", "a/b/2", "a/c", "b/x/y/1", "b/x/y/2", "z"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        (root / "a/2").chmod(0o755)
        version = add_it(hub, root).version
        get(hub, version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == tree_of(root)
        assert stat.S_IMODE((tmp_path / "out/a").stat().st_mode) == stat.S_IMODE((root / "a").stat().st_mode)
        assert sorted(it.name for it in (tmp_path / "out").iterdir()) == ["a", "b", "z"]

    def test_a_folder_that_another_one_made_meanwhile_gets_the_files(
        self, hub: HubClient, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        version = add_it(hub, folder).version
        out = tmp_path / "out"

        def late(source: str, place: str) -> None:
            Path(place).mkdir()
            (Path(place) / "other").write_text("theirs")
            os.replace(source, place)  # refused: it is not empty

        monkeypatch.setattr("relive.client.laying.os.rename", late)
        get(hub, version, out)
        assert (out / "sub/other").read_text() == "theirs"
        (out / "sub/other").unlink()
        assert tree_of(out) == tree_of(folder)

    def test_a_damaged_file_leaves_the_others_of_its_folder(
        self, hub: HubClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = tmp_path / "in/sub"
        root.mkdir(parents=True)
        for number in range(4):
            (root / str(number)).write_text(f"text {number}")
        version = add_it(hub, root.parent).version
        wrong = b"x" * 32
        hashes = iter([None, None, wrong])
        real = hash_piece
        monkeypatch.setattr("relive.client.laying.hash_piece", lambda data: next(hashes, None) or real(data))
        with pytest.raises(BlobCorrupt):
            get(hub, version, tmp_path / "out")
        assert sorted(list_tree(tmp_path / "out")) == ["sub/0", "sub/1"]  # and nothing partial

    def test_what_is_there_stays_and_what_is_torn_is_mended(
        self, hub: HubClient, folder: Path, tmp_path: Path
    ) -> None:
        version = add_it(hub, folder).version
        out = tmp_path / "out"
        get(hub, version, out)
        (out / "rows.csv").write_text("torn")
        (out / "sub/same.txt").unlink()
        (out / "run.sh").chmod(0o644)
        (out / "own").write_text("mine")
        (out / PARTIAL / "999999999-x").mkdir(parents=True)
        (out / PARTIAL / "999999999-x/file").write_text("left by a killed one")
        source = PackedVersion(hub, version)
        laid = lay(source, source.manifest, out)
        assert (laid.files, laid.there) == (2, 4)
        (out / "own").unlink()
        assert tree_of(out) == tree_of(folder)

    def test_from_one_version_to_the_other_no_file_is_found_through_a_link(
        self, hub: HubClient, tmp_path: Path
    ) -> None:
        linked, plain = tmp_path / "linked", tmp_path / "plain"
        for root in (linked, plain):
            (root / "b/deep").mkdir(parents=True)
            (root / "b/deep/x").write_text("one")
        (linked / "a").symlink_to("b")
        (plain / "a/deep").mkdir(parents=True)
        (plain / "a/deep/x").write_text("one")  # what the link shows, until b/deep/x is written
        (plain / "b/deep/x").write_text("two")
        first, second = (add_it(hub, root).version for root in (linked, plain))
        for version, root in ((first, linked), (second, plain), (first, linked)):
            get(hub, version, tmp_path / "out")
            for path in ("a/deep/x", "b/deep/x"):
                assert (tmp_path / "out" / path).read_text() == (root / path).read_text()
        get(hub, second, tmp_path / "out")
        assert tree_of(tmp_path / "out") == tree_of(plain)

    def test_several_that_write_into_one_folder_at_once(
        self, hub: HubClient, folder: Path, tmp_path: Path
    ) -> None:
        for number in range(150):
            (folder / f"more{number}").write_text(str(number) * 100)
        version = add_it(hub, folder).version
        with ThreadPoolExecutor(4) as threads:
            results = [threads.submit(get, hub, version, tmp_path / "out") for _ in range(4)]
        assert {result.result() for result in results} == {tree_of(folder)}
        assert tree_of(tmp_path / "out") == tree_of(folder)
        assert not (tmp_path / "out" / PARTIAL).exists()

    def test_what_another_one_is_writing_stays(self, hub: HubClient, folder: Path, tmp_path: Path) -> None:
        version = add_it(hub, folder).version
        living, dead = (tmp_path / "out" / PARTIAL / name for name in (f"{os.getppid()}-x", "999999999-x"))
        for place in (living, dead):
            place.mkdir(parents=True)
            (place / "file").write_text("half")
        get(hub, version, tmp_path / "out")
        assert (living / "file").read_text() == "half"
        assert not dead.exists()

    def test_a_folder_in_the_place_of_a_file(self, hub: HubClient, folder: Path, tmp_path: Path) -> None:
        version = add_it(hub, folder).version
        (tmp_path / "out/rows.csv").mkdir(parents=True)
        (tmp_path / "out/sub").symlink_to(tmp_path)
        get(hub, version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == tree_of(folder)
        assert not (tmp_path / "small.txt").exists()  # nothing was written through a link

    def test_damage_is_seen_and_leaves_no_file(
        self, hub: HubClient, folder: Path, tmp_path: Path, bench: Bench
    ) -> None:
        version = add_it(hub, folder).version
        source = PackedVersion(hub, version)
        pack = bench.services.blobs.path_of(source.layout.packs[0].digest)  # type: ignore[attr-defined]
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.chmod(0o644)
        pack.write_bytes(data)
        with pytest.raises(BlobCorrupt):
            lay(source, source.manifest, tmp_path / "out")
        assert not (tmp_path / "out/big.bin").exists()
        with pytest.raises(BlobCorrupt):
            read_all(source)

    def test_damage_within_what_is_compressed_names_the_pack(
        self, hub: HubClient, tmp_path: Path, bench: Bench
    ) -> None:
        (tmp_path / "text").write_text("the same again and again\n" * 20_000)
        source = PackedVersion(hub, add_it(hub, tmp_path / "text").version)
        (named,) = source.layout.packs
        pack = bench.services.blobs.path_of(named.digest)  # type: ignore[attr-defined]
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:20] + b"\xff" * (named.size_bytes - 20))
        with pytest.raises(BlobCorrupt, match=f"{named.digest} is damaged"):
            lay(source, source.manifest, tmp_path / "out")
        with pytest.raises(BlobCorrupt, match=f"{named.digest} is damaged"):
            read_all(PackedVersion(hub, source.version))
        ((path, problem),) = verify_pieces(source, lambda files, done: None).problems
        assert path == "text"
        assert f"{named.digest} is damaged" in problem

    def test_what_the_hub_lost_is_stored_again_with_the_next_version(
        self, hub: HubClient, folder: Path, tmp_path: Path, bench: Bench, monkeypatch
    ) -> None:
        monkeypatch.setattr(packs, "PACK_BYTES", 3_000_000)
        first = add_it(hub, folder).version
        stored = hub.dataset_layout(first).packs
        bench.services.blobs.delete(stored[0].digest)
        problems = verify_pieces(PackedVersion(hub, first), lambda files, done: None).problems
        assert ("big.bin", "its pack is gone") in problems
        (folder / "new").write_text("new")
        age()
        second = add_it(hub, folder).version
        assert not verify_pieces(PackedVersion(hub, second), lambda files, done: None).problems
        get(hub, second, tmp_path / "out")
        assert tree_of(tmp_path / "out") == tree_of(folder)
        assert {pack.digest for pack in stored[1:]} & {it.digest for it in hub.dataset_layout(second).packs}


class TestGarbage:
    def collect(self, bench: Bench) -> GcReport:
        """Collect as if all were old."""
        lines = list(collecting.collect(bench.services, deleted_before=0.0))
        report = lines[-1]
        assert isinstance(report, GcReport)
        return report

    def age_blobs(self, bench: Bench) -> None:
        """Make every blob and pin two days old."""
        for info in bench.services.blobs.list():
            path = bench.services.blobs.path_of(info.digest)  # type: ignore[attr-defined]
            os.utime(path, (1.0, 1.0))

    def test_a_pack_goes_with_the_last_version_that_needs_it(
        self, hub: HubClient, folder: Path, bench: Bench, tmp_path: Path, monkeypatch
    ) -> None:
        monkeypatch.setattr(packs, "PACK_BYTES", 3_000_000)
        monkeypatch.setattr(collecting, "DAY_S", 0.0)
        first = add_it(hub, folder).version
        (folder / "big.bin").write_bytes((folder / "big.bin").read_bytes()[5_000_000:])
        age()
        second = add_it(hub, folder).version
        old, new = ({pack.digest for pack in hub.dataset_layout(it).packs} for it in (first, second))
        assert old & new
        assert old - new
        self.age_blobs(bench)
        bench.services.store.release_blobs(before=bench.services.store.now() + 10)
        self.collect(bench)
        get(hub, first, tmp_path / "one")
        hub.delete_dataset_version("d@v1")
        self.age_blobs(bench)
        bench.services.store.release_blobs(before=bench.services.store.now() + 10)
        self.collect(bench)
        left = {info.digest for info in bench.services.blobs.list()}
        assert new <= left
        assert not (old - new) & left
        get(hub, second, tmp_path / "two")
        assert tree_of(tmp_path / "two") == tree_of(folder)


def read_all(source: PackedVersion) -> list[bytes]:
    """Read every piece, each checked by itself."""
    return [bytes(source.read(piece)) for piece in source.layout.pieces]


_open = os.open


def refuse_files(path: str, flags: int, *args: int) -> int:
    """Stand for the opening of files, which must not come; folders are listed."""
    assert flags & os.O_DIRECTORY, f"opened {path}"
    return _open(path, flags, *args)
