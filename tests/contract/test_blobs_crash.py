"""A local blob store whose writer dies before each of its system calls, and whose disk loses power."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from relive.errors import BlobCorrupt, BlobNotFound
from relive.formats.hashing import blake3_digest
from relive.stores.blobs import local
from relive.stores.blobs.local import LocalBlobStore
from tests.conftest import require
from tests.contract.disks import CannotMount, mounted
from tests.contract.killed_at import DATA

DIGEST = blake3_digest(DATA)
MOST_CALLS = 200
LIMIT_S = 240.0


@pytest.mark.parametrize("already_there", [False, True])
def test_killed_before_any_system_call_a_writer_leaves_all_or_nothing(tmp_path, already_there):
    root = tmp_path / "blobs"
    seen = set()
    for n_calls in range(MOST_CALLS):
        shutil.rmtree(root, ignore_errors=True)
        if already_there:
            LocalBlobStore(root).put(DATA)
        command = [sys.executable, str(Path(__file__).with_name("killed_at.py")), str(root), str(n_calls)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        store = LocalBlobStore(root)
        there = store.find(DIGEST) is not None
        seen.add(there)
        if there:
            store.verify(DIGEST)
        assert there or not (already_there or "committed" in done.stdout)
        # Whatever it left, the next writer succeeds.
        store.put(DATA)
        store.verify(DIGEST)
        assert [info.digest for info in store.list()] == [DIGEST]
        if "whole" in done.stdout:
            break
    else:
        pytest.fail(f"a commit takes more than {MOST_CALLS} system calls")
    assert n_calls > 10
    assert seen == ({True} if already_there else {True, False})


class CrashingDisk(Protocol):
    """A folder on a disk that can lose power.

    Attributes:
        where: The folder.
    """

    where: Path

    def after_power_cut(self) -> AbstractContextManager[Path]:
        """Give what of the folder is there after the power went now."""
        ...


class Ext4Disk:
    """An ext4 file system in a file: what it was told to flush by a moment is in the file at that moment."""

    def __init__(self, folder: Path, image: Path, where: Path) -> None:
        self._folder = folder
        self._image = image
        self.where = where

    @contextmanager
    def after_power_cut(self) -> Iterator[Path]:
        """Mount a copy of the disk as it is now, without what only the memory of the machine knows."""
        image = self._folder / "after.img"
        shutil.copyfile(self._image, image)
        with mounted(["-o", "loop", str(image)], self._folder / "after") as where:
            yield where


class ForgetfulDisk:
    """The strictest disk that the rules allow: files and folders are as they last were flushed.

    ext4 flushes more than it is asked for. This one knows only the calls of `os.fsync` of this process, and
    so needs no mount.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = folder / "disk"
        self.where.mkdir()
        self._contents: dict[int, bytes] = {}
        self._entries: dict[int, dict[str, int]] = {}

    def note(self, descriptor: int) -> None:
        """Remember what is flushed: a file's bytes, a folder's names, by their numbers on the disk."""
        found, path = os.fstat(descriptor), Path(f"/proc/self/fd/{descriptor}")
        if stat.S_ISDIR(found.st_mode):
            self._entries[found.st_ino] = {it.name: it.stat().st_ino for it in path.iterdir()}
        else:
            self._contents[found.st_ino] = path.read_bytes()

    @contextmanager
    def after_power_cut(self) -> Iterator[Path]:
        """Lay out what was flushed."""
        after = self._folder / "after"
        shutil.rmtree(after, ignore_errors=True)
        # The folder itself was there before.
        top = self.where.stat().st_ino
        self._lay_out(top, after, {it.name: it.stat().st_ino for it in self.where.iterdir()})
        yield after

    def _lay_out(self, folder: int, target: Path, entries: dict[str, int]) -> None:
        target.mkdir()
        for name, number in entries.items():
            if number in self._contents:
                (target / name).write_bytes(self._contents[number])
            elif number in self._entries:
                self._lay_out(number, target / name, self._entries[number])


@pytest.fixture(params=["ext4", "forgetful"])
def crashing_disk(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CrashingDisk]:
    """Give a disk whose power can be cut: ext4 of 32 MiB, which needs root and a loop device, or our own."""
    if request.param == "ext4":
        with _ext4(tmp_path) as on_image:
            yield on_image
        return
    disk, flush = ForgetfulDisk(tmp_path), os.fsync

    def fsync(descriptor: int) -> None:
        flush(descriptor)
        disk.note(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    yield disk


@contextmanager
def _ext4(folder: Path) -> Iterator[Ext4Disk]:
    mkfs = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    require(mkfs is not None, "mkfs.ext4 is not installed (Debian, Ubuntu: apt install e2fsprogs)")
    assert mkfs is not None
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(32 * 2**20)
    subprocess.run([mkfs, "-q", "-F", str(image)], check=True, timeout=LIMIT_S)
    with ExitStack() as stack:
        reason, where = "", folder
        try:
            # ext4 would else write by itself every five seconds.
            where = stack.enter_context(mounted(["-o", "loop,commit=300", str(image)], folder / "disk"))
        except CannotMount as error:
            reason = str(error)
        require(not reason, f"no disk image can be mounted, which needs root and a loop device: {reason}")
        yield Ext4Disk(folder, image, where)


def test_what_was_committed_survives_a_power_cut(crashing_disk):
    store = LocalBlobStore(crashing_disk.where / "blobs")
    infos = [store.put(os.urandom(size)) for size in (0, 1, 4096, 100_000, 2_000_000)]
    with crashing_disk.after_power_cut() as where:
        after = LocalBlobStore(where / "blobs")
        for info in infos:
            assert after.verify(info.digest).size_bytes == info.size_bytes
        assert len(list(after.list())) == len(infos)


def test_what_another_writer_placed_survives_once_we_were_told_it_is_there(crashing_disk, monkeypatch):
    """The first writer dies between the rename and the flush of the folder; the second one flushes for it."""
    first = LocalBlobStore(crashing_disk.where / "blobs")
    second = LocalBlobStore(crashing_disk.where / "blobs")
    data, neighbour = two_in_one_folder(first)
    # Both know the folder already, so that nothing else is flushed that would take the rename along.
    first.put(neighbour)
    second.put(neighbour)

    class PowerFails(BaseException):
        pass

    def fail(folder: Path) -> None:
        raise PowerFails

    with monkeypatch.context() as patch:
        patch.setattr(local, "sync_folder", fail)
        with pytest.raises(PowerFails):
            first.put(data)
    second.put(data, expected=blake3_digest(data))
    with crashing_disk.after_power_cut() as where:
        LocalBlobStore(where / "blobs").verify(blake3_digest(data))


def two_in_one_folder(store: LocalBlobStore) -> tuple[bytes, bytes]:
    """Give two small blobs that lie in one folder."""
    known: dict[Path, bytes] = {}
    for number in range(1000):
        data = b"%d" % number
        folder = store.path_of(blake3_digest(data)).parent
        if folder in known:
            return data, known[folder]
        known[folder] = data
    raise AssertionError("there are only 256 folders")


def test_without_the_flushes_a_power_cut_does_take_blobs_back(crashing_disk, monkeypatch):
    """Shows that the two tests above would notice."""
    store = LocalBlobStore(crashing_disk.where / "blobs")
    kept = store.put(b"kept").digest
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    # Something else on this machine may flush all disks just then, but not each time.
    for _ in range(5):
        lost = store.put(os.urandom(100_000)).digest
        with crashing_disk.after_power_cut() as where:
            after = LocalBlobStore(where / "blobs")
            after.verify(kept)
            try:
                after.verify(lost)
            except (BlobNotFound, BlobCorrupt):
                return
    pytest.fail("every blob survived without being flushed: the disk of this test does not lose power")
