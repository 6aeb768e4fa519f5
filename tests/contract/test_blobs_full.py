"""A blob store that runs out of room: refused early, nothing kept, and it recovers by itself.

The disk is a real tmpfs of 4 MiB, or a limit of the operating system on a file's size; quota and reserve
are settings.
"""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from relive.errors import Conflict, StoreFull
from relive.ports.blobs import OpenOptions
from relive.stores.blobs import budget
from relive.stores.blobs.local import LocalBlobStore
from relive.stores.blobs.registry import open_store
from tests.contract.conftest import DISK_BYTES, S3Url
from tests.contract.disks import small_disk

MIB = 2**20


def put(store: LocalBlobStore, n_bytes: int, *, size_hint: int | None = None) -> str:
    """Store random bytes in pieces of 64 KiB."""
    with store.writer(size_hint=size_hint) as writer:
        for start in range(0, n_bytes, 65_536):
            writer.write(os.urandom(min(65_536, n_bytes - start)))
        return writer.commit().digest


def parts(store: LocalBlobStore) -> list[Path]:
    """List what is being written, or was left behind."""
    return list(store.parts.iterdir())


def free_bytes(path: Path) -> int:
    """Say how many bytes a disk still takes."""
    told = os.statvfs(path)
    return told.f_bavail * told.f_frsize


def free_files(path: Path) -> int:
    """Say how many files and folders a disk still takes."""
    return os.statvfs(path).f_favail


@pytest.fixture
def filled(disk: Path) -> tuple[LocalBlobStore, Path]:
    """Give a store on the small disk with 1 MiB in it, and a file of 2 MiB that is not the store's."""
    store = LocalBlobStore(disk / "blobs")
    put(store, MIB)
    filler = disk / "filler"
    filler.write_bytes(bytes(2 * MIB))
    return store, filler


@pytest.mark.parametrize("size_hint", [None, 2 * MIB])
def test_a_blob_that_does_not_fit_is_refused_and_leaves_nothing(filled, size_hint):
    store, filler = filled
    before = free_bytes(filler)
    with pytest.raises(StoreFull) as caught:
        put(store, 2 * MIB, size_hint=size_hint)
    assert caught.value.limit == "disk"
    assert caught.value.free_bytes is not None
    assert caught.value.free_bytes <= MIB
    assert parts(store) == []
    assert free_bytes(filler) == before
    assert len(list(store.list())) == 1


def test_it_goes_on_by_itself_when_there_is_room_again(filled):
    store, filler = filled
    with pytest.raises(StoreFull):
        put(store, 2 * MIB)
    filler.unlink()
    store.verify(put(store, 2 * MIB))


def test_a_known_size_is_refused_before_the_first_byte(filled):
    store, _ = filled
    writer = store.writer(size_hint=2 * MIB)
    with pytest.raises(StoreFull) as caught:
        writer.__enter__()
    assert caught.value.needed_bytes == 2 * MIB
    assert parts(store) == []


def test_a_writer_that_was_refused_cannot_commit_what_it_has(filled):
    store, _ = filled
    with store.writer() as writer:
        writer.write(b"begun")
        with pytest.raises(StoreFull):
            writer.write(bytes(2 * MIB))
        with pytest.raises(Conflict):
            writer.write(b"and more")
        with pytest.raises(Conflict):
            writer.commit()
    assert len(list(store.list())) == 1


def test_a_disk_that_others_fill_in_the_middle_is_noticed(filled):
    """What was claimed is not asked for again, so it is the disk itself that refuses the write."""
    store, filler = filled
    with store.writer(size_hint=MIB // 2) as writer:
        filler.write_bytes(bytes(2 * MIB + free_bytes(filler)))
        with pytest.raises(StoreFull) as caught:
            writer.write(bytes(MIB // 2))
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert parts(store) == []


def test_a_disk_without_room_for_another_file_is_full(disk, tmp_path):
    with small_disk(tmp_path / "files", DISK_BYTES, n_files=12) as few:
        store = LocalBlobStore(few / "blobs")
        (few / "last").touch()
        while free_files(few):
            (few / f"{free_files(few)}").touch()
        with pytest.raises(StoreFull):
            put(store, 1)
        assert list(store.list()) == []
        (few / "last").unlink()
        with pytest.raises(StoreFull):
            put(store, 1)  # the part finds its place, the folder for the blob does not
        assert parts(store) == []


def test_two_large_claims_are_not_both_let_in(disk):
    store = LocalBlobStore(disk / "blobs")
    with store.writer(size_hint=3 * MIB) as first:
        with pytest.raises(StoreFull):
            put(store, 3 * MIB, size_hint=3 * MIB)
        put(store, MIB // 2)
        first.write(bytes(3 * MIB))
        first.commit()
    assert store.usage().size_bytes == 3 * MIB + MIB // 2


def test_a_claim_that_was_not_used_is_given_back(disk):
    store = LocalBlobStore(disk / "blobs")
    for _ in range(3):
        with store.writer(size_hint=3 * MIB):
            pass
        put(store, 10, size_hint=3 * MIB)
    put(store, 3 * MIB, size_hint=3 * MIB)


def test_the_reserve_is_left_free(disk):
    store = LocalBlobStore(disk / "blobs", reserve_bytes=2 * MIB)
    assert store.usage().free_bytes == pytest.approx(2 * MIB, abs=MIB // 4)
    put(store, MIB)
    with pytest.raises(StoreFull, match="above its reserve"):
        put(store, 3 * MIB // 2)
    assert free_bytes(disk) >= 2 * MIB


def test_a_quota_counts_what_is_stored_and_what_is_on_its_way(tmp_path):
    store = LocalBlobStore(tmp_path, quota_bytes=10_000)
    first = put(store, 6_000)
    assert store.usage().free_bytes == 4_000
    with store.writer(size_hint=3_000) as writer:
        with pytest.raises(StoreFull, match="quota of 10000 bytes") as caught:
            put(store, 2_000)
        assert (caught.value.needed_bytes, caught.value.free_bytes) == (2_000, 1_000)
        put(store, 1_000)
        writer.write(bytes(3_000))
        writer.commit()
    with pytest.raises(StoreFull):
        put(store, 1)
    assert store.delete(first)
    put(store, 6_000)


def test_storing_the_same_bytes_again_uses_no_quota(tmp_path):
    store = LocalBlobStore(tmp_path, quota_bytes=250)
    for _ in range(5):
        store.put(b"x" * 100)
    assert store.usage().free_bytes == 150


def test_a_quota_sees_what_was_there_before_and_what_others_delete(tmp_path, monkeypatch):
    other = LocalBlobStore(tmp_path)
    digest = put(other, 900)
    store = LocalBlobStore(tmp_path, quota_bytes=1_000)
    with pytest.raises(StoreFull):
        put(store, 200)
    other.delete(digest)
    monkeypatch.setattr(budget, "_COUNT_BEFORE_REFUSAL_S", 0.0)
    put(store, 200)


def test_many_threads_stay_within_the_quota(tmp_path):
    store = LocalBlobStore(tmp_path, quota_bytes=10_000)
    barrier = threading.Barrier(8)
    refused = []

    def write() -> None:
        barrier.wait(60)
        for _ in range(10):
            try:
                put(store, 700)
            except StoreFull:
                refused.append(1)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    usage = store.usage()
    assert usage.size_bytes <= 10_000
    assert usage.n_blobs + len(refused) == 80
    # Whatever else was refused meanwhile, afterwards every claim is given back.
    assert usage.free_bytes == 10_000 - usage.size_bytes


def test_a_limit_on_the_size_of_files_is_a_full_store(tmp_path):
    """RLIMIT_FSIZE stands for a file system that takes no larger file; it needs no rights."""
    script = """
import resource, sys
from relive.errors import Conflict, StoreFull
from relive.stores.blobs.local import LocalBlobStore
store = LocalBlobStore(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store.put(bytes(100_000))
try:
    store.put(bytes(200_000))
except StoreFull as error:
    print(error.limit, len(list(store.parts.iterdir())), len(list(store.list())))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=240
    )
    assert done.stdout == "largest file 0 1\n", done.stderr


def test_a_spool_without_room_refuses_what_is_on_its_way_to_s3(moto_url: S3Url, disk):
    store = open_store(moto_url(), OpenOptions(spool=str(disk)))
    with pytest.raises(StoreFull) as caught:
        store.put(os.urandom(5 * MIB))
    assert caught.value.where == str(disk)
    assert list(store.list()) == []
    store.verify(store.put(os.urandom(3 * MIB)).digest)


def test_a_quota_holds_on_s3_too(rclone_url: S3Url):
    url = rclone_url()
    open_store(url).put(bytes(900))
    store = open_store(url, OpenOptions(quota_bytes=1_000))
    with pytest.raises(StoreFull, match="quota"):
        store.put(b"x" * 200)
    store.put(b"x" * 50)
    assert store.usage().free_bytes == 50
