"""Hashing bytes as they pass: BLAKE3 always, SHA-256 beside it for what leaves relive.

Wheels, models and whatever is signed carry SHA-256 too, because in-toto, OCI and PEP 751 ask for it.
"""

import hashlib
from os import PathLike
from typing import Any, Final, TypeAlias

import msgspec
from blake3 import blake3

from relive.core.digest import Digest, canonical_json, digest_of_hex

Bytes: TypeAlias = bytes | bytearray | memoryview

READ_BYTES: Final = 1024 * 1024  # large enough that reading, not the call, is what costs


class Hashed(msgspec.Struct, frozen=True):
    """What hashing found: the digest, the size, and SHA-256 in hexadecimal if it was asked for."""

    digest: Digest
    size_bytes: int
    sha256: str | None = None


class Hasher:
    """Hashes bytes in pieces of any size; not for use by two threads at once.

    Args:
        sha256: Whether to compute SHA-256 too, which costs about four times as much as BLAKE3.
    """

    def __init__(self, *, sha256: bool = False) -> None:
        self._blake3 = blake3()
        self._sha256 = hashlib.sha256() if sha256 else None
        self._size_bytes = 0

    def update(self, data: Bytes) -> None:
        """Take the next bytes."""
        self._blake3.update(data)
        if self._sha256 is not None:
            self._sha256.update(data)
        self._size_bytes += memoryview(data).nbytes

    @property
    def size_bytes(self) -> int:
        """How many bytes were taken so far."""
        return self._size_bytes

    def result(self) -> Hashed:
        """Say what the bytes so far hash to; more may follow."""
        sha256 = self._sha256.hexdigest() if self._sha256 is not None else None
        return Hashed(digest_of_hex(self._blake3.hexdigest()), self._size_bytes, sha256)


def blake3_digest(data: Bytes) -> Digest:
    """Give the digest of bytes."""
    return digest_of_hex(blake3(data).hexdigest())


def document_digest(document: Any) -> Digest:
    """Give the digest of a document's canonical JSON.

    Raises:
        InvalidInput: The document has no canonical form.
    """
    return blake3_digest(canonical_json(document))


def hash_file(path: str | PathLike[str], *, sha256: bool = False) -> Hashed:
    """Hash a file's bytes, reading it once.

    Raises:
        OSError: The file cannot be read.
    """
    hasher = Hasher(sha256=sha256)
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(READ_BYTES):
            hasher.update(chunk)
    return hasher.result()
