"""Blobs that come in parts: each is a file of its full size, filled as the parts come, that becomes the blob.

Behind the bytes of an upload that is not complete lies one byte for each part: 1 once the part is there,
flushed. One that is being made a blob has lost these bytes, and so has exactly its own size. The file alone
thus says what is here, whoever dies and whenever.

A part writes only under a shared lock, piece by piece, and never to a file that has lost its name; a commit
holds the exclusive lock. So no late writer can reach bytes that were hashed, and a sender who is silent
keeps nobody waiting.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from relive.core.digest import Digest, hex_of, parse_digest
from relive.errors import BlobDigestMismatch, Conflict, InvalidInput
from relive.formats.hashing import READ_BYTES, Hashed, Hasher, blake3_digest
from relive.ports.blobs import BlobInfo, BlobUsage
from relive.stores.blobs.budget import Budget
from relive.stores.blobs.common import HashingWriter, Kept
from relive.stores.blobs.disk import disk_errors, make_folder

PART_BYTES: Final = 16 * 1024 * 1024  # what a cut connection can lose
LARGEST_BYTES: Final = 1_000_000 * PART_BYTES  # 16 TB; each part costs a byte
_HERE: Final = b"\x01"
_LOCK_EVERY_S: Final = 0.02
_BEING_COMMITTED: Final = "its parts are being put together"
# Longer than any piece of a part takes to be written.
_LOCK_WITHIN_S: Final = 2.0

Keep = Callable[[int, Path, Hashed], Kept]


class Uploads:
    """The uploads of one store; safe from any thread and any number of processes.

    Args:
        folder: Where they lie; made with the first.
        budget: The room of the store.
        keep: Makes an open file (descriptor, path) the blob of its digest, durably; the file may be moved.
    """

    def __init__(self, folder: Path, budget: Budget, keep: Keep) -> None:
        self.folder = folder
        self.budget = budget
        self.keep = keep

    def open(self, digest: Digest, size_bytes: int, owner: str) -> "PartedUpload":
        """Begin an upload, or go on with it; see `ports.blobs.BlobStore.upload`."""
        if not 0 < size_bytes <= LARGEST_BYTES:
            raise InvalidInput(field="size_bytes", value=size_bytes, wanted=f"1 to {LARGEST_BYTES}")
        upload = PartedUpload(self, parse_digest(digest), size_bytes, owner)
        with disk_errors(self.folder):
            make_folder(self.folder)
            self.budget.claim(min(size_bytes, upload.part_bytes * len(upload.missing()))).close()
        return upload

    def drop(self, before: float, *, dry_run: bool) -> BlobUsage:
        """Throw away those that got no part since a time; see `ports.blobs.BlobStore.drop_uploads`."""
        n_dropped = size_bytes = 0
        with disk_errors(self.folder):
            for path in self.folder.glob("*.upload"):
                # It may be made a blob just now.
                with suppress(FileNotFoundError):
                    found = path.stat()
                    if found.st_mtime < before:
                        if not dry_run:
                            path.unlink()
                        n_dropped += 1
                        size_bytes += found.st_blocks * 512  # what has not come takes no room
        return BlobUsage(n_blobs=n_dropped, size_bytes=size_bytes)


class PartedUpload:
    """One upload; see `ports.blobs.BlobUpload` for what it promises."""

    part_bytes = PART_BYTES

    def __init__(self, uploads: Uploads, digest: Digest, size_bytes: int, owner: str) -> None:
        self.digest = digest
        self.size_bytes = size_bytes
        self.n_parts = -(-size_bytes // self.part_bytes)
        self.uploads = uploads
        name = hex_of(blake3_digest(f"{digest} {size_bytes} {self.part_bytes} {owner}".encode()))
        self._path = uploads.folder / f"{name}.upload"

    def missing(self) -> Sequence[int]:
        here = b""
        with disk_errors(self._path), suppress(FileNotFoundError), open(self._path, "rb") as file:
            if os.fstat(file.fileno()).st_size == self.size_bytes:
                return []
            file.seek(self.size_bytes)
            here = file.read(self.n_parts)
        return [number for number in range(self.n_parts) if here[number : number + 1] != _HERE]

    @property
    def is_committing(self) -> bool:
        with disk_errors(self._path), suppress(FileNotFoundError):
            try:
                os.close(self._locked(fcntl.LOCK_SH))
            except BlockingIOError:
                return True
        return False

    def part(self, number: int, *, expected: Digest) -> "PartWriter":
        if not 0 <= number < self.n_parts:
            raise InvalidInput(field="number of the part", value=number, wanted=f"0 to {self.n_parts - 1}")
        return PartWriter(self, number, expected)

    def commit(self) -> BlobInfo:
        with disk_errors(self._path), self._alone() as descriptor:
            if missing := self.missing():
                raise self._conflict(f"{len(missing)} of its {self.n_parts} parts are missing")
            hashed = _hash(descriptor, self.size_bytes)
            if hashed.digest != self.digest:
                self._path.unlink()
                raise BlobDigestMismatch(digest=self.digest, actual=hashed.digest)
            if os.fstat(descriptor).st_size != self.size_bytes:
                os.truncate(self._path, self.size_bytes)
            kept = self.uploads.keep(descriptor, self._path, hashed)
            self._path.unlink(missing_ok=True)
        self.uploads.budget.claim(0).close(kept_bytes=self.size_bytes if kept.is_new else 0)
        return BlobInfo(digest=self.digest, size_bytes=self.size_bytes, stored_at=kept.stored_at)

    def open_file(self) -> int:
        """Open the file to be written to; it is made, in its full size, if it is not there.

        Raises:
            Conflict: It is complete.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError:
            # A commit that was cut off had made it read-only already, as blobs are.
            raise self._conflict(_BEING_COMMITTED) from None
        try:
            if os.fstat(descriptor).st_size < self.size_bytes:
                os.ftruncate(descriptor, self.size_bytes + self.n_parts)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    @contextmanager
    def holding(self, descriptor: int) -> Iterator[None]:
        """Let nobody make an open file a blob meanwhile; only for as long as one write takes.

        Raises:
            Conflict: Somebody makes it one now, has done so, or has thrown it away.
        """
        try:
            self._lock(descriptor, fcntl.LOCK_SH)
        except BlockingIOError:
            raise self._conflict(_BEING_COMMITTED) from None
        except FileNotFoundError:
            raise self._conflict("it is over") from None
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def mark(self, descriptor: int, number: int) -> None:
        """Note in the open file that a part is here, whose bytes are flushed."""
        if os.fstat(descriptor).st_size > self.size_bytes:
            os.pwrite(descriptor, _HERE, self.size_bytes + number)

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Give the open file, to which nobody writes meanwhile."""
        descriptor = self._wait_for_lock()
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _wait_for_lock(self) -> int:
        deadline = time.monotonic() + _LOCK_WITHIN_S
        while True:
            try:
                return self._locked(fcntl.LOCK_EX)
            except FileNotFoundError:
                raise self._conflict("it is over, or none of its parts came") from None
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise self._conflict(_BEING_COMMITTED) from None
            time.sleep(_LOCK_EVERY_S)

    def _locked(self, how: int) -> int:
        """Open the file for reading, and lock it; raises as `_lock`."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._lock(descriptor, how)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _lock(self, descriptor: int, how: int) -> None:
        """Lock the open file, without waiting.

        Raises:
            BlockingIOError: Others hold it.
            FileNotFoundError: It has lost its name.
        """
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        try:
            has_name = os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            has_name = False
        if not has_name:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            raise FileNotFoundError(self._path)

    def _conflict(self, reason: str) -> Conflict:
        hint = "ask which parts are missing, then go on"
        return Conflict(subject=f"the upload of {self.digest}", reason=reason, hint=hint)


class PartWriter(HashingWriter):
    """Writes a part where it belongs in its upload's file; it counts only once it is there whole."""

    def __init__(self, upload: PartedUpload, number: int, expected: Digest) -> None:
        self._upload = upload
        self._number = number
        self._start = self._position = number * upload.part_bytes
        self._stop = min(self._start + upload.part_bytes, upload.size_bytes)
        super().__init__(
            upload.uploads.budget,
            where=str(upload.uploads.folder),
            expected=expected,
            size_hint=self._stop - self._start,
            sha256=False,
        )

    def _begin(self) -> None:
        # Open until the end: nobody else's file can then be taken for it.
        self._descriptor = self._upload.open_file()

    def _append(self, view: memoryview) -> None:
        if self._position + view.nbytes > self._stop:
            raise self._wrong_size(f"more than {self._stop - self._start}")
        with self._upload.holding(self._descriptor):
            while view:
                n_written = os.pwrite(self._descriptor, view, self._position)
                self._position += n_written
                view = view[n_written:]

    def _keep(self, hashed: Hashed) -> Kept:
        if self._position != self._stop:
            raise self._wrong_size(str(hashed.size_bytes))
        os.fdatasync(self._descriptor)  # without the lock, for it may take long
        with self._upload.holding(self._descriptor):
            self._upload.mark(self._descriptor, self._number)
        return Kept(time.time(), is_new=False)

    def _discard(self) -> None:
        # What was written stays: it counts as missing, and the next try takes its place.
        os.close(self._descriptor)

    def _wrong_size(self, given: str) -> InvalidInput:
        wanted = f"{self._stop - self._start} bytes"
        return InvalidInput(field=f"part {self._number}", value=f"{given} bytes", wanted=wanted)


def _hash(descriptor: int, size_bytes: int) -> Hashed:
    hasher = Hasher()
    while hasher.size_bytes < size_bytes:
        piece = os.pread(descriptor, min(READ_BYTES, size_bytes - hasher.size_bytes), hasher.size_bytes)
        if not piece:
            break  # it was cut behind our back, which the digest says
        hasher.update(piece)
    return hasher.result()
