"""Parts that clients write to a bucket by signed addresses, beside its blobs: `PREFIX/uploads/ID/00001`.

Each part is an object of its own. A multipart upload of S3's own would save nothing: nobody but us can say
the bytes' BLAKE3, so they are read once in any case, and only what was read is kept.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import obstore
from obstore.store import S3Store

from relive.errors import BlobNotFound
from relive.ports.blobs import CHUNK_BYTES, BlobInfo, BlobUsage, BlobWriter, StagedPart
from relive.stores.blobs.s3_client import S3Address, s3_errors

_DELETED_AT_ONCE: Final = 500


class S3Staging:
    """See `ports.blobs.Staging` for what it promises.

    Args:
        address: The bucket, for messages.
        begin: Begins the blob that parts become, of about so many bytes.
    """

    def __init__(self, client: S3Store, address: S3Address, begin: Callable[[int], BlobWriter]) -> None:
        self._client = client
        self._address = address
        self._begin = begin
        self._prefix = f"{address.prefix}/uploads" if address.prefix else "uploads"

    def presign(self, upload: str, n_parts: int, *, lifetime_s: float) -> Sequence[str]:
        keys = [self._key(upload, number) for number in range(1, n_parts + 1)]
        with s3_errors(self._address):
            return obstore.sign(self._client, "PUT", keys, timedelta(seconds=lifetime_s))

    def parts(self, upload: str) -> dict[int, StagedPart]:
        found: dict[int, StagedPart] = {}
        with s3_errors(self._address):
            for page in obstore.list(self._client, f"{self._prefix}/{upload}", chunk_size=1000):
                for meta in page:
                    number = meta["path"].rpartition("/")[2]
                    if number.isdigit():
                        etag = (meta["e_tag"] or "").strip('"')
                        found[int(number)] = StagedPart(meta["size"], etag)
        return found

    def take(self, upload: str, numbers: Sequence[int]) -> BlobInfo:
        there = self.parts(upload)
        with self._begin(sum(part.size_bytes for part in there.values())) as writer:
            for number in numbers:
                self._copy(self._key(upload, number), writer)
            return writer.commit()

    def drop(self, upload: str) -> None:
        self._delete([self._key(upload, number) for number in self.parts(upload)])

    def drop_idle(self, *, before: float, dry_run: bool = False) -> BlobUsage:
        n_parts = size_bytes = 0
        with s3_errors(self._address):
            for page in obstore.list(self._client, self._prefix, chunk_size=1000):
                old = [meta for meta in page if meta["last_modified"].timestamp() < before]
                if not dry_run:
                    self._delete([meta["path"] for meta in old])
                n_parts += len(old)
                size_bytes += sum(meta["size"] for meta in old)
        return BlobUsage(n_blobs=n_parts, size_bytes=size_bytes)

    def _copy(self, key: str, writer: BlobWriter) -> None:
        try:
            with s3_errors(self._address):
                for piece in obstore.get(self._client, key).stream(min_chunk_size=CHUNK_BYTES):
                    writer.write(memoryview(piece))
        except FileNotFoundError:
            raise BlobNotFound(kind="part of an upload", name=key) from None

    def _delete(self, keys: Sequence[str]) -> None:
        with s3_errors(self._address):
            for at in range(0, len(keys), _DELETED_AT_ONCE):
                obstore.delete(self._client, keys[at : at + _DELETED_AT_ONCE])

    def _key(self, upload: str, number: int) -> str:
        return f"{self._prefix}/{upload}/{number:05}"
