"""Bytes of a data set that others keep: read from their address, and refused if they are not what was added.

What was added was read once, for its digest. The server's ETag tells a change before anything is read; the
digest tells it in any case, once all has been read.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from blake3 import blake3

from relive.client.transport import BLOCK_BYTES, open_pool
from relive.errors import BlobCorrupt, InvalidInput
from relive.formats.layout import Reference
from relive.formats.packs import digest_of_raw

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_TIMEOUT_S: Final = 60.0
_OK, _PARTIAL = 200, 206


def is_address(text: str) -> bool:
    """Tell whether a text is an address that data can be read from."""
    return urlsplit(text).scheme in ("http", "https")


def read_reference(url: str) -> tuple[bytes, Reference]:
    """Read an address once, for the 32-byte hash of what is there.

    Raises:
        InvalidInput: It is no address of HTTP, carries a password, which would be kept for all to read, or
            does not answer with bytes.
    """
    parts = urlsplit(url)
    if not is_address(url) or not parts.hostname or parts.username or parts.password:
        wanted = "http(s)://HOST/… without a password"
        raise InvalidInput(field="address", value=parts.hostname or url, wanted=wanted)
    hasher, size = blake3(), 0
    with _opened(url, {}) as response:
        for data in response.stream(BLOCK_BYTES, decode_content=False):
            hasher.update(data)
            size += len(data)
        etag, version = (response.headers.get(name, "") for name in ("ETag", "x-amz-version-id"))
    return hasher.digest(), Reference(url=url, size_bytes=size, etag=etag, version=version)


def stream_reference(hash_: bytes, reference: Reference) -> Iterator[bytes]:
    """Give the bytes of an address, all of them, and fail at their end if they are others than were added.

    Raises:
        BlobCorrupt: They are.
        InvalidInput: It does not answer, or not with bytes.
    """
    hasher = blake3()
    with _opened(_address(reference), {}) as response:
        _check(hash_, reference, response)
        for data in response.stream(BLOCK_BYTES, decode_content=False):
            hasher.update(data)
            yield data
    if hasher.digest() != hash_:
        raise BlobCorrupt(digest=digest_of_raw(hash_), actual=digest_of_raw(hasher.digest()))


class ReferencedFile(io.RawIOBase):
    """A file at an address, to be read and sought in; the server must answer ranges and name an ETag.

    For one thread at a time.
    """

    def __init__(self, name: str, hash_: bytes, reference: Reference) -> None:
        self.name = name
        self.size = reference.size_bytes
        self._hash = hash_
        self._reference = reference
        self._at = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, which may lie behind the end.

        Raises:
            ValueError: It lies before the beginning.
        """
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError(f"no place before the beginning: {start + offset}")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """Give the place that is read next."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read a range.

        Raises:
            BlobCorrupt: The address has other bytes now, or cannot say that it has not.
            InvalidInput: It does not answer, or not with bytes.
        """
        view = memoryview(buffer).cast("B")
        end = min(self.size, self._at + len(view))
        if self._at >= end:
            return 0
        with _opened(_address(self._reference), {"Range": f"bytes={self._at}-{end - 1}"}) as response:
            _check(self._hash, self._reference, response)
            if response.status != _PARTIAL or not self._reference.etag:
                actual = "what cannot be read in parts; relive data get reads all of it"
                raise BlobCorrupt(digest=digest_of_raw(self._hash), actual=actual)
            data = response.read(end - self._at, decode_content=False)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def _address(reference: Reference) -> str:
    if not reference.version:
        return reference.url
    return f"{reference.url}{'&' if '?' in reference.url else '?'}versionId={reference.version}"


def _check(hash_: bytes, reference: Reference, response: "BaseHTTPResponse") -> None:
    etag = response.headers.get("ETag", "")
    if reference.etag and etag != reference.etag:
        raise BlobCorrupt(digest=digest_of_raw(hash_), actual=f"other bytes (ETag {etag or 'none'})")


@contextmanager
def _opened(url: str, headers: dict[str, str]) -> Iterator["BaseHTTPResponse"]:
    from urllib3.exceptions import HTTPError  # late: half of what `import relive` costs

    pool = open_pool(url, timeout_s=_TIMEOUT_S)
    host = urlsplit(url).hostname or url
    try:
        # Ours alone: bytes that were compressed on the way have another digest.
        sent = {"Accept-Encoding": "identity", **headers}
        response = pool.request("GET", url, headers=sent, preload_content=False, redirect=True, retries=3)
        try:
            if response.status not in (_OK, _PARTIAL):
                raise _unreadable(host, f"it answered with status {response.status}")
            yield response
        finally:
            response.close()
    except HTTPError as error:
        raise _unreadable(host, str(error)) from error
    finally:
        pool.clear()


def _unreadable(host: str, reason: str) -> InvalidInput:
    return InvalidInput(field="address", value=host, wanted=f"one that answers with its bytes ({reason})")
