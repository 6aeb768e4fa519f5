"""Any order of calls on a blob store, against a dictionary that does the same."""

from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from relive.core.digest import Digest
from relive.errors import BlobDigestMismatch, BlobNotFound
from relive.formats.hashing import blake3_digest
from relive.ports.blobs import BlobStore

_DATA = st.binary(max_size=40) | st.integers(60_000, 80_000).map(bytes)
_ABSENT = st.binary(min_size=41, max_size=44).map(blake3_digest)  # no rule stores data of this length


class BlobMachine(RuleBasedStateMachine):
    """Stores, finds, refuses, deletes; after each step the store holds exactly what it should.

    Attributes:
        store: To be set in a subclass; emptied before each run.
    """

    store: ClassVar[BlobStore]
    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[Digest, bytes] = {}
        for info in self.store.list():
            self.store.delete(info.digest)

    @rule(target=known, pieces=st.lists(_DATA, max_size=4))
    def commit(self, pieces: list[bytes]) -> Digest:
        """Store a blob in pieces."""
        with self.store.writer() as writer:
            for piece in pieces:
                assert writer.write(piece) == len(piece)
            info = writer.commit()
        data = b"".join(pieces)
        assert (info.digest, info.size_bytes) == (blake3_digest(data), len(data))
        self.model[info.digest] = data
        return info.digest

    @rule(pieces=st.lists(_DATA, max_size=4))
    def abandon(self, pieces: list[bytes]) -> None:
        """Write a blob and leave it uncommitted."""
        with self.store.writer() as writer:
            for piece in pieces:
                writer.write(piece)

    @rule(data=_DATA, expected=_ABSENT | known)
    def expect(self, data: bytes, expected: Digest) -> None:
        """Store bytes under an announced digest, mostly the wrong one."""
        if blake3_digest(data) == expected:
            self.store.put(data, expected=expected)
            self.model[expected] = data
            return
        with pytest.raises(BlobDigestMismatch) as caught:
            self.store.put(data, expected=expected)
        assert (caught.value.digest, caught.value.actual) == (expected, blake3_digest(data))

    @rule(digest=known, start=st.integers(0, 50), length=st.none() | st.integers(0, 100_000))
    def read(self, digest: Digest, start: int, length: int | None) -> None:
        """Read a range of a blob, which may be deleted by now."""
        if digest not in self.model:
            with pytest.raises(BlobNotFound):
                self.store.read(digest, start, length)
            return
        data = self.model[digest]
        start = min(start, len(data))
        end = None if length is None else start + length
        assert self.store.read(digest, start, length) == data[start:end]

    @rule(digest=consumes(known))
    def delete(self, digest: Digest) -> None:
        """Delete a blob."""
        assert self.store.delete(digest) is (self.model.pop(digest, None) is not None)

    @rule(digests=st.lists(_ABSENT | known, max_size=5))
    def ask_for_missing(self, digests: list[Digest]) -> None:
        """Ask which of some blobs are missing."""
        wanted = [digest for digest in dict.fromkeys(digests) if digest not in self.model]
        assert list(self.store.missing(digests)) == wanted

    @invariant()
    def it_holds_exactly_what_was_stored(self) -> None:
        """Compare the whole store with the dictionary."""
        held = {info.digest: info.size_bytes for info in self.store.list()}
        assert held == {digest: len(data) for digest, data in self.model.items()}
