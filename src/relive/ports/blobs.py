"""What services ask of a blob store: keep bytes, give them back by their digest."""

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from types import TracebackType
from typing import BinaryIO, Final, Protocol, Self

import msgspec

from relive.core.digest import Digest
from relive.formats.hashing import Bytes

CHUNK_BYTES: Final = 1024 * 1024


class BlobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One blob.

    Attributes:
        sha256: In hexadecimal, where the writer was asked for it; stores do not keep it.
        stored_at: Seconds since the epoch, by the store's clock, at which these bytes were last committed.
    """

    digest: Digest
    size_bytes: int
    sha256: str | None = None
    stored_at: float


class BlobUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How much a store holds, and how much more it will take: None where nothing says."""

    n_blobs: int
    size_bytes: int
    free_bytes: int | None = None


class OpenOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a store is to be opened; what the URL cannot say.

    Attributes:
        reserve_bytes: Space that writes leave free on the disk they touch.
        quota_bytes: Largest sum of all blobs, or None.
        spool: Folder for what is on its way to a store elsewhere; None means the system's choice.
    """

    reserve_bytes: int = 0
    quota_bytes: int | None = None
    spool: str | None = None


class BlobWriter(Protocol):
    """One blob on its way in; a context manager, for one thread at a time.

    Nothing is visible before `commit`. Leaving the block without it, by whatever exception, discards
    everything that was written.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, data: Bytes) -> int:
        """Take the next bytes, all of them; gives their number.

        Raises:
            StoreFull: There is no room; what was written is discarded.
        """
        ...

    def commit(self) -> BlobInfo:
        """Make the blob visible, whole and durable; only once, and nothing can be written after it.

        Raises:
            BlobDigestMismatch: The bytes are not those that were expected; nothing is kept.
            StoreFull: There is no room; nothing is kept.
            StoreUnavailable: The store did not take it; nothing is kept.
        """
        ...


class BlobUpload(Protocol):
    """A blob that comes in parts, in any order, through many connections and restarts of this program.

    Its parts lie with the process that took them, and survive kill -9 of it; a power cut may cost the last
    of them, which then count as missing. Whoever opens the same upload again there, in any thread or
    process, goes on with them. Nothing is visible before `commit`.

    Attributes:
        part_bytes: The size of every part but the last.
    """

    part_bytes: int

    def missing(self) -> Sequence[int]:
        """Give the numbers of the parts that are not here, from 0, in order."""
        ...

    @property
    def is_committing(self) -> bool:
        """Tell whether its parts are being put together right now."""
        ...

    def part(self, number: int, *, expected: Digest) -> BlobWriter:
        """Begin a part; a second time takes the first's place.

        Its writer also raises `Conflict` once the parts are being put together, and `InvalidInput` for
        bytes of another number than the part has.

        Raises:
            InvalidInput: There is no such part.
        """
        ...

    def commit(self) -> BlobInfo:
        """Hash all parts together, and make them the blob; reads them once, in flat memory.

        Raises:
            Conflict: A part is missing, or another thread or process commits right now.
            BlobDigestMismatch: Together they are something else; all are thrown away.
            StoreFull, StoreUnavailable: The store did not take them; they are kept.
        """
        ...


class StagedPart(msgspec.Struct, frozen=True):
    """What somebody wrote to a signed address: its size, and what the store's own answer called it."""

    size_bytes: int
    etag: str


class Staging(Protocol):
    """A place within a store that others write to by themselves; nothing in it counts before it is read.

    Whoever holds an address may write there again while it is good. So bytes are hashed as they are read
    out, and it is these that are kept: what is written later changes nothing.
    """

    def presign(self, upload: str, n_parts: int, *, lifetime_s: float) -> Sequence[str]:
        """Give an address for each part of an upload, to which anybody can PUT its bytes for so long."""
        ...

    def parts(self, upload: str) -> dict[int, StagedPart]:
        """Give what has come of an upload, by the number of the part, from 1."""
        ...

    def take(self, upload: str, numbers: Sequence[int]) -> BlobInfo:
        """Read these parts in this order, hash them, and keep them as one blob, in flat memory.

        Raises:
            BlobNotFound: One is not there.
            StoreFull, StoreUnavailable: As `BlobWriter.commit`.
        """
        ...

    def drop(self, upload: str) -> None:
        """Throw away what has come of an upload."""
        ...

    def drop_idle(self, *, before: float, dry_run: bool = False) -> BlobUsage:
        """Throw away parts that came before a time, as `BlobStore.drop_uploads`."""
        ...


class Inbox(Protocol):
    """A folder into which clients of the hub's own user write by themselves; see `formats.blob_folder`.

    Who can write there could write blobs. So the bytes are not read again: they were hashed by whoever wrote
    them, as they were written.
    """

    def take(self, name: str, digest: Digest) -> BlobInfo:
        """Make a part that lies there the blob of its digest, durably; it has gone then.

        Raises:
            BlobNotFound: There is none of this name.
            InvalidInput: The name has another form, or it is no file of this user.
            StoreFull, StoreUnavailable: As `BlobWriter.commit`.
        """
        ...


class BlobStore(Protocol):
    """Bytes by their digest.

    A package adds a kind of store by an entry point of the group `relive.blobs`, named as the scheme of
    its URLs, that gives a function (url, OpenOptions) -> BlobStore. The suite
    `relive.testing.blobs.BlobStoreContract` checks it.

    Promises, for every implementation:

    - A store may be used from any thread, and the same place by any number of processes at once.
    - A blob is visible whole or not at all, whatever dies and whenever. Its bytes never change.
    - A commit that returned is durable: it survives kill -9 of every process, and on a local disk a
      power cut.
    - Storing is idempotent: two writers of the same bytes both succeed, and there is one blob.
      Committing bytes that are there already makes `stored_at` young again (at most 12 hours old),
      so that whoever deletes by age leaves them.
    - A blob whose size is not that of the bytes committed under its digest is replaced by the commit.
    - Nothing depends on conditional writes: several S3 implementations ignore them.
    - Every digest passed in is checked and refused with `InvalidDigest`; `StoreUnavailable` may come
      from any call.
    """

    can_presign: bool
    """Whether `presign` gives addresses."""

    staging: Staging | None
    """Where others can write by themselves, if there is such a place."""

    inbox: Inbox | None
    """Where clients beside the hub can write by themselves, if there is such a place."""

    def check(self) -> None:
        """Make sure that the store can be used now, by listing it.

        Raises:
            StoreUnavailable: It cannot; says why and what to do.
        """
        ...

    def writer(
        self, *, expected: Digest | None = None, size_hint: int | None = None, sha256: bool = False
    ) -> BlobWriter:
        """Begin a blob.

        Args:
            expected: What the bytes must hash to; other bytes are refused by `commit`.
            size_hint: About how many bytes will come, so that a store without room refuses at once.
            sha256: Whether to compute SHA-256 as well.
        """
        ...

    def put(self, data: Bytes, *, expected: Digest | None = None, sha256: bool = False) -> BlobInfo:
        """Store bytes that are in memory; raises what `BlobWriter` raises."""
        ...

    def put_file(
        self, path: str | PathLike[str], *, expected: Digest | None = None, sha256: bool = False
    ) -> BlobInfo:
        """Store a file's bytes, reading it once in flat memory; raises what `BlobWriter` raises."""
        ...

    def upload(self, digest: Digest, size_bytes: int, *, owner: str) -> BlobUpload:
        """Begin a blob that comes in parts, or go on with it.

        Args:
            digest: What the parts together must hash to.
            size_bytes: How many bytes they are together; at least one.
            owner: Who sends them: nobody else's parts are mixed with them.

        Raises:
            InvalidInput: The size is not positive.
            StoreFull: There is no room for what is missing.
        """
        ...

    def drop_uploads(self, *, before: float, dry_run: bool = False) -> BlobUsage:
        """Throw away uploads that got no part since a time, or with `dry_run` only count them.

        Gives how many, and the room they took; those whose parts lie with other processes are left to them.
        """
        ...

    def find(self, digest: Digest) -> BlobInfo | None:
        """Say what is known of a blob without reading it, or None if it is not here."""
        ...

    def get(self, digest: Digest) -> BlobInfo:
        """Say what is known of a blob without reading it.

        Raises:
            BlobNotFound: It is not here.
        """
        ...

    def missing(self, digests: Iterable[Digest]) -> Sequence[Digest]:
        """Give those of the digests that are not here, each once, in the order asked.

        An answer pins nothing: who relies on it pins the digests before asking.
        """
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """Open a blob for reading and seeking; to be closed by the caller.

        Raises:
            BlobNotFound: It is not here.
        """
        ...

    def read(self, digest: Digest, start: int = 0, length: int | None = None) -> bytes:
        """Give a blob's bytes from `start`, at most `length` of them.

        Raises:
            BlobNotFound: It is not here.
            InvalidRange: The start lies behind the blob's end, or a number is negative.
        """
        ...

    def iter_chunks(
        self, digest: Digest, start: int = 0, end: int | None = None, chunk_bytes: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        """Give a blob's bytes from `start` to before `end` in pieces of at most `chunk_bytes`.

        An `end` behind the blob's end means the blob's end. The errors come from this call, not from
        the first piece, so that an HTTP reply can still have its status.

        Raises:
            BlobNotFound: It is not here.
            InvalidRange: The start lies behind the blob's end or behind `end`, or a number is negative.
        """
        ...

    def presign(self, digest: Digest, *, lifetime_s: float) -> str | None:
        """Give an address from which anybody can read a blob for so long, ranges too; None if it has none.

        Raises:
            BlobNotFound: It is not here.
        """
        ...

    def verify(self, digest: Digest) -> BlobInfo:
        """Read a blob whole and hash it again.

        Raises:
            BlobNotFound: It is not here.
            BlobCorrupt: Its bytes are not what its digest says.
        """
        ...

    def set_aside(self, digest: Digest) -> bool:
        """Read a blob whole, and take it out of the store if its bytes are not what its digest says.

        Says whether that was done. What was taken out stays beside the blobs for whoever wants to know what
        became of it, and counts as no blob: the same digest can be stored again.

        Raises:
            BlobNotFound: It is not here.
        """
        ...

    def delete(self, digest: Digest, *, stored_before: float | None = None) -> bool:
        """Delete a blob, or leave it if it was last committed at `stored_before` or later.

        Says whether it was there and is gone. On a local disk a commit of the same bytes at the same time
        is never undone by a deletion for age; on S3 it may be, within the time of one request.
        """
        ...

    def list(self) -> Iterator[BlobInfo]:
        """Give every blob, in no particular order, while the store may change."""
        ...

    def usage(self) -> BlobUsage:
        """Count all blobs; takes time in proportion to their number."""
        ...
