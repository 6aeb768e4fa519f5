"""Hashing in pieces gives what hashing at once gives, and both are the standards' own values."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.artifact import Manifest, ManifestEntry
from relive.errors import InvalidInput
from relive.formats.hashing import (
    READ_BYTES,
    Bytes,
    Hashed,
    Hasher,
    blake3_digest,
    document_digest,
    hash_file,
)

# From BLAKE3's published test vectors: input bytes are 0, 1, 2, … 250, 0, 1, …
VECTORS = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1023: "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
}


def hash_of(data: Bytes) -> Hashed:
    hasher = Hasher()
    hasher.update(data)
    return hasher.result()


@pytest.mark.parametrize("n_bytes", VECTORS)
def test_the_published_vectors_hold(n_bytes):
    data = bytes(i % 251 for i in range(n_bytes))
    assert blake3_digest(data) == f"blake3:{VECTORS[n_bytes]}"


@given(st.lists(st.binary(max_size=300)))
def test_pieces_give_the_same_as_the_whole(pieces):
    hasher = Hasher(sha256=True)
    for piece in pieces:
        hasher.update(piece)
    whole = b"".join(pieces)
    hashed = hasher.result()
    assert hashed.digest == blake3_digest(whole)
    assert hashed.sha256 == hashlib.sha256(whole).hexdigest()
    assert hashed.size_bytes == hasher.size_bytes == len(whole)


def test_a_result_may_be_asked_for_on_the_way():
    hasher = Hasher()
    hasher.update(b"a")
    assert hasher.result().digest == blake3_digest(b"a")
    hasher.update(b"b")
    assert hasher.result().digest == blake3_digest(b"ab")


def test_views_are_hashed_by_their_bytes():
    data = bytearray(b"abcdef")
    hasher = Hasher()
    hasher.update(memoryview(data)[1:4])
    assert hasher.result() == hash_of(b"bcd")


def test_sha256_only_where_it_is_asked_for():
    assert Hasher().result().sha256 is None


@pytest.mark.parametrize("n_bytes", [0, 1, READ_BYTES - 1, READ_BYTES, 2 * READ_BYTES + 1])
def test_a_file_hashes_to_its_bytes(tmp_path, n_bytes):
    data = bytes(i % 256 for i in range(n_bytes))
    (tmp_path / "file").write_bytes(data)
    hashed = hash_file(tmp_path / "file", sha256=True)
    assert hashed.digest == blake3_digest(data)
    assert hashed.size_bytes == n_bytes
    assert hashed.sha256 == hashlib.sha256(data).hexdigest()


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        hash_file(tmp_path / "none")


def test_a_document_is_named_by_its_canonical_bytes():
    assert document_digest({"b": 1, "a": 2}) == blake3_digest(b'{"a":2,"b":1}')
    manifest = Manifest.of([ManifestEntry("a", blake3_digest(b"x"), 1)])
    assert document_digest(manifest) == blake3_digest(manifest.to_bytes())
    with pytest.raises(InvalidInput):
        document_digest(float("nan"))
