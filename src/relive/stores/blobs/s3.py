"""Blobs in a bucket of S3, or of a server that speaks its protocol.

Object keys are `PREFIX/blake3/AB/AB…`. A blob is spooled to an unnamed local file while it is hashed,
and uploaded when its digest is known; S3 makes an upload visible whole or not at all. Nothing depends
on conditional writes. This module needs the extra `s3`, and is loaded when an `s3://` URL is opened.
"""

import io
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import obstore
from obstore.exceptions import GenericError

from relive.core.digest import PREFIX, Digest, hex_of, is_digest, parse_digest
from relive.errors import StoreUnavailable
from relive.formats.hashing import Hashed
from relive.ports.blobs import CHUNK_BYTES, BlobInfo, BlobUsage, OpenOptions
from relive.stores.blobs.budget import Budget
from relive.stores.blobs.common import FRESH_S, BlobStoreBase, HashingWriter, Kept, blob_not_found
from relive.stores.blobs.disk import write_all
from relive.stores.blobs.reader import ChunkReader
from relive.stores.blobs.s3_client import S3Address, make_client, s3_errors
from relive.stores.blobs.s3_staging import S3Staging
from relive.stores.blobs.uploads import PartedUpload, Uploads

if TYPE_CHECKING:
    from obstore import ObjectMeta

_PART_BYTES: Final = 8 * 1024 * 1024  # of an upload in parts, and of one request for a range
_MOST_PARTS: Final = 9_000  # S3 takes 10,000
_PARTS_AT_ONCE: Final = 4  # so an upload holds at most four parts in memory
_LOOKUPS_AT_ONCE: Final = 16
_LOOKS_S: Final = (0.05, 0.2, 1.0)


class S3BlobStore(BlobStoreBase):
    """Blobs in a bucket; see `ports.blobs.BlobStore` for what it promises.

    Credentials come from the environment (AWS_ACCESS_KEY_ID and its kin) or from the machine's role.

    Args:
        address: Which bucket, and where.
        options: `spool` is where blobs wait for their digest, `reserve_bytes` what is left free there.
            A quota is counted by listing the bucket when the first blob is written.

    Raises:
        StoreUnavailable: The settings cannot be used. Whether the bucket answers is said by `check`.
    """

    can_presign = True

    def __init__(self, address: S3Address, options: OpenOptions | None = None) -> None:
        options = options or OpenOptions()
        self.address = address
        # Not /tmp, which on many machines lies in memory.
        self.spool = Path(options.spool or os.environ.get("TMPDIR") or "/var/tmp")  # noqa: S108
        self._prefix = f"{address.prefix}/blake3" if address.prefix else "blake3"
        self._answers_ranges = True
        self._client = make_client(address)
        self._budget = Budget(
            self.spool,
            reserve_bytes=options.reserve_bytes,
            quota_bytes=options.quota_bytes,
            count=lambda: sum(info.size_bytes for info in self.list()),
        )
        self._staging = self.staging = S3Staging(
            self._client, address, lambda size_bytes: self.writer(size_hint=size_bytes)
        )
        self._uploads = Uploads(self.spool / "relive-uploads", self._budget, self._keep_parts)

    def __repr__(self) -> str:
        return f"S3BlobStore({str(self.address)!r})"

    def check(self) -> None:
        next(self.list(), None)

    def writer(
        self, *, expected: Digest | None = None, size_hint: int | None = None, sha256: bool = False
    ) -> "S3Writer":
        return S3Writer(self._budget, store=self, expected=expected, size_hint=size_hint, sha256=sha256)

    def upload(self, digest: Digest, size_bytes: int, *, owner: str) -> PartedUpload:
        return self._uploads.open(digest, size_bytes, owner)

    def drop_uploads(self, *, before: float, dry_run: bool = False) -> BlobUsage:
        here = self._uploads.drop(before, dry_run=dry_run)
        there = self._staging.drop_idle(before=before, dry_run=dry_run)
        return BlobUsage(n_blobs=here.n_blobs + there.n_blobs, size_bytes=here.size_bytes + there.size_bytes)

    def find(self, digest: Digest) -> BlobInfo | None:
        try:
            with s3_errors(self.address):
                return _info(digest, obstore.head(self._client, self._key(digest)))
        except FileNotFoundError:
            return None

    def missing(self, digests: Iterable[Digest]) -> Sequence[Digest]:
        asked = list(dict.fromkeys(digests))
        with ThreadPoolExecutor(_LOOKUPS_AT_ONCE) as threads:
            found = threads.map(self.find, asked)
            return [digest for digest, info in zip(asked, found, strict=True) if info is None]

    def open(self, digest: Digest) -> BinaryIO:
        info = self.get(digest)
        reader = ChunkReader(lambda start: self._pieces(digest, start, info.size_bytes), info.size_bytes)
        return io.BufferedReader(reader, CHUNK_BYTES)

    def presign(self, digest: Digest, *, lifetime_s: float) -> str:
        self.get(digest)
        with s3_errors(self.address):
            return obstore.sign(self._client, "GET", self._key(digest), timedelta(seconds=lifetime_s))

    def delete(self, digest: Digest, *, stored_before: float | None = None) -> bool:
        info = self.find(digest)
        if info is None or (stored_before is not None and info.stored_at >= stored_before):
            return False
        with s3_errors(self.address):
            obstore.delete(self._client, self._key(digest))
        self._budget.remove(info.size_bytes)
        return True

    def _mark(self, digest: Digest) -> object:
        return self.get(digest).stored_at

    def _move_away(self, digest: Digest, mark: object) -> bool:
        info = self.find(digest)
        if info is None or info.stored_at != mark:
            return False
        with s3_errors(self.address):
            # Beside the blobs, where no listing of them looks.
            beside = f"{self._prefix.removesuffix('blake3')}damaged/{hex_of(digest)}"
            obstore.copy(self._client, self._key(digest), beside)
            obstore.delete(self._client, self._key(digest))
        self._budget.remove(info.size_bytes)
        return True

    def list(self) -> Iterator[BlobInfo]:
        with s3_errors(self.address):
            for page in obstore.list(self._client, self._prefix, chunk_size=1000):
                for meta in page:
                    digest = PREFIX + meta["path"].rpartition("/")[2]
                    if is_digest(digest):
                        yield _info(digest, meta)

    def upload_file(self, part: BinaryIO, hashed: Hashed) -> Kept:
        """Store a spooled part under its digest, unless it is there already and young."""
        digest, size_bytes = hashed.digest, hashed.size_bytes
        before = self.find(digest)
        if before and before.size_bytes == size_bytes and time.time() - before.stored_at < FRESH_S:
            return Kept(before.stored_at, is_new=False)
        part.seek(0)
        with s3_errors(self.address):
            obstore.put(
                self._client,
                self._key(digest),
                part,
                chunk_size=max(_PART_BYTES, size_bytes // _MOST_PARTS + 1),
                max_concurrency=_PARTS_AT_ONCE,
            )
        after = self._find_soon(digest)
        if after is None or after.size_bytes != size_bytes:
            self.delete(digest)
            kept = f"{after.size_bytes} of {size_bytes} bytes" if after else "nothing"
            raise StoreUnavailable(store=str(self.address), reason=f"it kept {kept} of {digest}")
        return Kept(after.stored_at, is_new=before is None)

    def _keep_parts(self, descriptor: int, _path: Path, hashed: Hashed) -> Kept:
        with os.fdopen(os.dup(descriptor), "rb") as parts:
            return self.upload_file(parts, hashed)

    def _find_soon(self, digest: Digest) -> BlobInfo | None:
        """Find what was just uploaded: some servers hide an object while another one uploads it."""
        for pause_s in _LOOKS_S:
            found = self.find(digest)
            if found is not None:
                return found
            time.sleep(pause_s)
        return self.find(digest)

    def _free_bytes(self) -> int | None:
        return self._budget.quota_free_bytes()

    def _stream(self, info: BlobInfo, start: int, end: int, chunk_bytes: int) -> Iterator[bytes]:
        for piece in self._pieces(info.digest, start, end):
            for offset in range(0, len(piece), chunk_bytes):
                yield piece[offset : offset + chunk_bytes]

    def _pieces(self, digest: Digest, start: int, end: int) -> Iterator[bytes]:
        """Give a range by one request a part, so that a slow reader holds no connection open."""
        try:
            while start < end:
                stop = min(end, start + _PART_BYTES)
                piece = self._range(digest, start, stop)
                if piece is None:
                    yield from self._whole_between(digest, start, end)
                    return
                yield piece
                start = stop
        except FileNotFoundError:
            raise blob_not_found(digest) from None

    def _range(self, digest: Digest, start: int, end: int) -> bytes | None:
        """Ask for a range; None if this server does not mark its answer as one, and obstore refuses it."""
        with s3_errors(self.address):
            try:
                if self._answers_ranges:
                    return bytes(obstore.get_range(self._client, self._key(digest), start=start, end=end))
            except GenericError as error:
                if "non-partial" not in str(error):
                    raise
                self._answers_ranges = False
        return None

    def _whole_between(self, digest: Digest, start: int, end: int) -> Iterator[bytes]:
        """Give a range by asking for everything and leaving out what is not wanted."""
        position = 0
        with s3_errors(self.address):
            whole = obstore.get(self._client, self._key(digest))
            for chunk in whole.stream(min_chunk_size=CHUNK_BYTES):
                piece = bytes(chunk)[max(start - position, 0) : end - position]
                position += len(chunk)
                if piece:
                    yield piece
                if position >= end:
                    return

    def _key(self, digest: Digest) -> str:
        name = hex_of(parse_digest(digest))
        return f"{self._prefix}/{name[:2]}/{name}"


class S3Writer(HashingWriter):
    """Spools a blob to a file without a name: whatever ends this process also frees it."""

    def __init__(
        self,
        budget: Budget,
        *,
        store: S3BlobStore,
        expected: Digest | None,
        size_hint: int | None,
        sha256: bool,
    ) -> None:
        super().__init__(
            budget, where=str(store.spool), expected=expected, size_hint=size_hint, sha256=sha256
        )
        self._store = store

    def _begin(self) -> None:
        # Without a buffer: what is full is then said by the write, not by the closing.
        self._part = tempfile.TemporaryFile(dir=self._store.spool, buffering=0)  # noqa: SIM115  # closed by _discard

    def _append(self, view: memoryview) -> None:
        write_all(self._part.fileno(), view)

    def _keep(self, hashed: Hashed) -> Kept:
        return self._store.upload_file(self._part, hashed)

    def _discard(self) -> None:
        self._part.close()


def open_url(url: str, options: OpenOptions) -> S3BlobStore:
    """Open the store of an `s3://bucket/prefix` URL.

    Raises:
        InvalidInput: The URL is malformed.
        StoreUnavailable: Its settings cannot be used.
    """
    return S3BlobStore(S3Address.from_url(url), options)


def _info(digest: Digest, meta: "ObjectMeta") -> BlobInfo:
    return BlobInfo(digest=digest, size_bytes=meta["size"], stored_at=meta["last_modified"].timestamp())
