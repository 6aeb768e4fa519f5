"""The blob contract on a local folder; and what only a folder has."""

import os
import stat
import threading
import time
from pathlib import Path

import pytest

from relive.core.digest import Digest
from relive.errors import StoreUnavailable
from relive.formats.hashing import blake3_digest
from relive.stores.blobs.local import LocalBlobStore
from relive.testing.blobs import BlobStoreContract
from tests.conftest import require
from tests.contract.disks import CannotMount, mounted

DAY_S = 24 * 3600


class TestLocalBlobStore(BlobStoreContract):
    """A folder of this machine's disk."""

    kills = 40

    @pytest.fixture
    def store_url(self, tmp_path) -> str:
        return f"file://{tmp_path}/blobs"

    def damage(self, store_url: str, digest: Digest, data: bytes) -> None:
        path = LocalBlobStore(store_url.removeprefix("file://")).path_of(digest)
        path.chmod(0o644)
        path.write_bytes(data)


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


def test_blobs_are_read_only_files_by_the_first_two_digits(store):
    digest = store.put(b"abc").digest
    name = digest.removeprefix("blake3:")
    path = store.root / "blake3" / name[:2] / name
    assert path.read_bytes() == b"abc"
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_a_new_store_is_its_owners_alone(tmp_path):
    LocalBlobStore(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_nothing_of_a_finished_writer_is_left(store):
    store.put(b"abc")
    store.put(b"abc")
    with store.writer() as writer:
        writer.write(b"left")
        assert len(list(store.parts.iterdir())) == 1
    assert list(store.parts.iterdir()) == []


def test_opening_a_store_removes_parts_older_than_a_day(store):
    old, young, other = (store.parts / name for name in ("old.part", "young.part", "other"))
    for path, age_s in ((old, DAY_S + 3600), (young, DAY_S - 3600), (other, 10 * DAY_S)):
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age_s,) * 2)
    LocalBlobStore(store.root)
    assert sorted(path.name for path in store.parts.iterdir()) == ["other", "young.part"]


def test_what_is_no_blob_is_not_listed(store):
    digest = store.put(b"abc").digest
    (store.path_of(digest).parent / "README").write_bytes(b"")
    assert [info.digest for info in store.list()] == [digest]


def test_committing_again_makes_a_blob_young(store):
    digest = store.put(b"abc").digest
    os.utime(store.path_of(digest), (1000.0, 1000.0))
    assert store.get(digest).stored_at == 1000.0
    again = store.put(b"abc")
    assert again.stored_at == store.get(digest).stored_at > time.time() - 600
    assert store.delete(digest, stored_before=time.time() - 600) is False


def test_a_blob_is_as_old_as_its_commit_not_as_its_bytes(store):
    with store.writer() as writer:
        writer.write(b"abc")
        (part,) = store.parts.iterdir()
        os.utime(part, (1000.0, 1000.0))
        assert writer.commit().stored_at > time.time() - 600


def test_committing_again_does_not_write_again(store):
    digest = store.put(b"abc").digest
    before = store.path_of(digest).stat()
    store.put(b"abc")
    assert store.path_of(digest).stat().st_ino == before.st_ino


def test_a_reader_keeps_what_is_deleted_or_replaced_under_it(store):
    digest = store.put(b"abc").digest
    with store.open(digest) as file:
        store.delete(digest)
        store.put(b"abc")
        assert file.read() == b"abc"


def test_a_blob_committed_again_while_it_is_deleted_for_its_age_stays(store, monkeypatch):
    """The lock: a commit cannot come between looking at the age and deleting."""
    digest = store.put(b"abc").digest
    os.utime(store.path_of(digest), (1000.0, 1000.0))
    committed = threading.Event()
    came_between: list[bool] = []
    unlink = Path.unlink

    def commit() -> None:
        store.put(b"abc")
        committed.set()

    def unlink_late(path: Path, missing_ok: bool = False) -> None:
        if path == store.path_of(digest):
            thread.start()
            came_between.append(committed.wait(0.5))
        unlink(path, missing_ok=missing_ok)

    thread = threading.Thread(target=commit)
    monkeypatch.setattr(Path, "unlink", unlink_late)
    assert store.delete(digest, stored_before=time.time() - 600) is True
    thread.join(240)
    assert came_between == [False]
    assert committed.is_set()
    store.verify(digest)


def test_a_store_mounted_read_only_can_be_read_and_says_so(store, tmp_path):
    digest = store.put(b"abc").digest
    try:
        with mounted(["--bind", "-o", "ro", str(store.root)], tmp_path / "view") as view:
            seen = LocalBlobStore(view)
            assert seen.read(digest) == b"abc"
            with pytest.raises(StoreUnavailable, match="cannot be written"):
                seen.check()
            with pytest.raises(StoreUnavailable, match="Read-only file system"):
                seen.put(b"def")
            with pytest.raises(StoreUnavailable, match="Read-only file system"):
                seen.delete(digest)
    except CannotMount as error:
        require(False, f"no folder can be mounted: {error}")


def test_a_store_that_cannot_be_a_folder_is_said_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "blobs"):
        with pytest.raises(StoreUnavailable) as caught:
            LocalBlobStore(root)
        assert caught.value.store == str(root)


def test_a_store_whose_folder_is_gone_is_said_so(store):
    store.check()
    (store.root / "blake3").rename(store.root / "away")
    with pytest.raises(StoreUnavailable, match="No such file"):
        store.check()
    with pytest.raises(StoreUnavailable, match="No such file"):
        store.put(b"abc")
    assert store.find(blake3_digest(b"abc")) is None


def test_a_relative_path_is_meant_from_where_it_was_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = LocalBlobStore("blobs")
    monkeypatch.chdir("/")
    store.put(b"abc")
    assert (tmp_path / "blobs" / "blake3").is_dir()
