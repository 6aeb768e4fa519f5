"""What all blob stores do alike: hash what passes, keep the writer's promises, read ranges, verify."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self

from relive.core.digest import Digest, parse_digest
from relive.errors import BlobCorrupt, BlobDigestMismatch, BlobNotFound, Conflict, InvalidRange
from relive.formats.hashing import READ_BYTES, Bytes, Hashed, Hasher
from relive.ports.blobs import CHUNK_BYTES, BlobInfo, BlobUsage, BlobWriter, Inbox, Staging
from relive.stores.blobs.budget import Budget, Claim
from relive.stores.blobs.disk import disk_errors

# How old a blob that is committed again may look: half of the day for which nothing is ever collected.
FRESH_S: Final = 12 * 3600.0


class Kept(NamedTuple):
    """What a commit did: when the bytes count as stored, and whether they were not there before."""

    stored_at: float
    is_new: bool


class HashingWriter(ABC):
    """Writes a part that nobody sees, hashing it on the way, then keeps it or throws it away.

    A store says how in `_begin`, `_append`, `_keep` and `_discard`; all four see a disk's errors
    translated. `_discard` is called once, however the writer ends.
    """

    def __init__(
        self, budget: Budget, *, where: str, expected: Digest | None, size_hint: int | None, sha256: bool
    ) -> None:
        self._budget = budget
        self._where = where
        self._expected = None if expected is None else parse_digest(expected)
        self._size_hint = size_hint or 0
        self._hasher = Hasher(sha256=sha256)
        self._claim: Claim | None = None

    def __enter__(self) -> Self:
        with disk_errors(self._where):
            claim = self._budget.claim(self._size_hint)
            try:
                self._begin()
            except BaseException:
                claim.close()
                raise
        self._claim = claim
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._claim is not None:
            self._end(self._claim)

    def write(self, data: Bytes) -> int:
        claim = self._open_claim()
        try:
            view = memoryview(data).cast("B")
            with disk_errors(self._where):
                claim.before_write(view.nbytes)
                self._append(view)
            claim.after_write(view.nbytes)
            self._hasher.update(view)
        except BaseException:
            # A part whose last bytes may be half there, or not hashed, can never be committed.
            self._end(claim)
            raise
        return view.nbytes

    def commit(self) -> BlobInfo:
        claim = self._open_claim()
        hashed = self._hasher.result()
        try:
            if self._expected is not None and self._expected != hashed.digest:
                raise BlobDigestMismatch(digest=self._expected, actual=hashed.digest)
            with disk_errors(self._where):
                kept = self._keep(hashed)
        except BaseException:
            self._end(claim)
            raise
        self._end(claim, kept_bytes=hashed.size_bytes if kept.is_new else 0)
        return BlobInfo(
            digest=hashed.digest,
            size_bytes=hashed.size_bytes,
            sha256=hashed.sha256,
            stored_at=kept.stored_at,
        )

    def _open_claim(self) -> Claim:
        if self._claim is None:
            raise Conflict(
                subject="a blob writer",
                reason="it is not open: not yet entered, committed already, or ended by an error",
                hint="begin a new one in a `with` block",
            )
        return self._claim

    def _end(self, claim: Claim, *, kept_bytes: int = 0) -> None:
        self._claim = None
        try:
            with disk_errors(self._where):
                self._discard()
        finally:
            claim.close(kept_bytes=kept_bytes)

    @abstractmethod
    def _begin(self) -> None:
        """Open an empty part."""

    @abstractmethod
    def _append(self, view: memoryview) -> None:
        """Write all of these bytes to the part."""

    @abstractmethod
    def _keep(self, hashed: Hashed) -> Kept:
        """Make the part the blob of this digest, durably."""

    @abstractmethod
    def _discard(self) -> None:
        """Free the part and what holds it; after `_keep` only what is left of it."""


class BlobStoreBase(ABC):
    """The calls of `ports.blobs.BlobStore` that follow from a few others."""

    can_presign = False
    staging: Staging | None = None
    inbox: Inbox | None = None

    @abstractmethod
    def writer(
        self, *, expected: Digest | None = None, size_hint: int | None = None, sha256: bool = False
    ) -> BlobWriter: ...

    @abstractmethod
    def find(self, digest: Digest) -> BlobInfo | None: ...

    @abstractmethod
    def open(self, digest: Digest) -> BinaryIO: ...

    @abstractmethod
    def list(self) -> Iterator[BlobInfo]: ...

    @abstractmethod
    def _free_bytes(self) -> int | None: ...

    @abstractmethod
    def _stream(self, info: BlobInfo, start: int, end: int, chunk_bytes: int) -> Iterator[bytes]:
        """Give the bytes of a range that is not empty and lies within the blob."""

    def presign(self, digest: Digest, *, lifetime_s: float) -> str | None:
        self.get(digest)
        return None

    def put(self, data: Bytes, *, expected: Digest | None = None, sha256: bool = False) -> BlobInfo:
        size_hint = memoryview(data).nbytes
        with self.writer(expected=expected, size_hint=size_hint, sha256=sha256) as writer:
            writer.write(data)
            return writer.commit()

    def put_file(
        self, path: str | PathLike[str], *, expected: Digest | None = None, sha256: bool = False
    ) -> BlobInfo:
        with open(path, "rb", buffering=0) as file:
            size_hint = os.fstat(file.fileno()).st_size
            with self.writer(expected=expected, size_hint=size_hint, sha256=sha256) as writer:
                while chunk := file.read(READ_BYTES):
                    writer.write(chunk)
                return writer.commit()

    def get(self, digest: Digest) -> BlobInfo:
        info = self.find(digest)
        if info is None:
            raise blob_not_found(digest)
        return info

    def missing(self, digests: Iterable[Digest]) -> Sequence[Digest]:
        return [digest for digest in dict.fromkeys(digests) if self.find(digest) is None]

    def read(self, digest: Digest, start: int = 0, length: int | None = None) -> bytes:
        end = None if length is None else start + length
        return b"".join(self.iter_chunks(digest, start, end))

    def iter_chunks(
        self, digest: Digest, start: int = 0, end: int | None = None, chunk_bytes: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        info = self.get(digest)
        last = info.size_bytes if end is None else min(end, info.size_bytes)
        if chunk_bytes < 1 or start < 0 or start > info.size_bytes or (end is not None and end < start):
            raise InvalidRange(
                field="range",
                value=f"{start} to {'the end' if end is None else end} in pieces of {chunk_bytes}",
                wanted=f"a range within the {info.size_bytes} bytes of {digest}",
            )
        return self._stream(info, start, last, chunk_bytes) if start < last else iter(())

    def verify(self, digest: Digest) -> BlobInfo:
        info = self.get(digest)
        hasher = Hasher()
        for chunk in self.iter_chunks(digest):
            hasher.update(chunk)
        actual = hasher.result()
        if actual.digest != digest:
            raise BlobCorrupt(digest=digest, actual=actual.digest)
        return info

    def set_aside(self, digest: Digest) -> bool:
        before = self._mark(digest)
        try:
            self.verify(digest)
        except BlobCorrupt:
            return self._move_away(digest, before)
        return False

    @abstractmethod
    def _mark(self, digest: Digest) -> object:
        """Give what tells a stored blob from another one that takes its place; raises as `get`."""

    @abstractmethod
    def _move_away(self, digest: Digest, mark: object) -> bool:
        """Take a blob out of the store, unless another one has taken its place."""

    def usage(self) -> BlobUsage:
        n_blobs = size_bytes = 0
        for info in self.list():
            n_blobs += 1
            size_bytes += info.size_bytes
        return BlobUsage(n_blobs=n_blobs, size_bytes=size_bytes, free_bytes=self._free_bytes())


def blob_not_found(digest: Digest) -> BlobNotFound:
    """Make the error that names the digest."""
    return BlobNotFound(kind="blob", name=digest)
