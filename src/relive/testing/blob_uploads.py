"""The part of the blob contract about blobs that come in parts."""

import random
import time

import pytest

from relive.errors import BlobDigestMismatch, Conflict, InvalidDigest, InvalidInput
from relive.formats.hashing import blake3_digest
from relive.ports.blobs import BlobStore, BlobUpload
from relive.stores.blobs.registry import open_store


def pieces_of(upload: BlobUpload, data: bytes) -> list[bytes]:
    """Cut data into the parts of its upload."""
    return [data[at : at + upload.part_bytes] for at in range(0, len(data), upload.part_bytes)]


def send(upload: BlobUpload, number: int, piece: bytes, announced: bytes | None = None) -> None:
    """Send a part in two writes; as if it were `announced`, where that is given."""
    expected = blake3_digest(piece if announced is None else announced)
    with upload.part(number, expected=expected) as writer:
        writer.write(piece[:1000])
        writer.write(piece[1000:])
        writer.commit()


class BlobUploads:
    """What holds for blobs in parts, whoever sends them how often."""

    def begin(self, store: BlobStore, *, owner: str = "ada") -> tuple[BlobUpload, bytes]:
        """Begin an upload of two parts, the second of five bytes."""
        probe = store.upload(blake3_digest(b""), 1, owner=owner)
        data = random.Random(7).randbytes(probe.part_bytes + 5)
        return store.upload(blake3_digest(data), len(data), owner=owner), data

    def test_parts_in_any_order_become_the_blob(self, store: BlobStore, store_url: str) -> None:
        """What is here is known to whoever opens the store anew; only a commit shows the blob."""
        upload, data = self.begin(store)
        digest = blake3_digest(data)
        first, second = pieces_of(upload, data)
        assert upload.missing() == [0, 1]
        send(upload, 1, second)
        assert upload.missing() == [0]
        with pytest.raises(Conflict, match="1 of its 2 parts"):
            upload.commit()
        again = open_store(store_url).upload(digest, len(data), owner="ada")
        assert again.missing() == [0]
        send(again, 0, first)
        send(again, 0, first)
        assert upload.missing() == []
        assert store.find(digest) is None
        before = time.time()
        info = upload.commit()
        assert (info.digest, info.size_bytes) == (digest, len(data))
        assert info.stored_at > before - 60
        store.verify(digest)
        assert [kept.digest for kept in store.list()] == [digest]
        with pytest.raises(Conflict, match="it is over"):
            again.commit()

    def test_a_part_that_is_not_what_was_announced_is_still_missing(self, store: BlobStore) -> None:
        """Other bytes, too few, too many, and a part that nobody finished."""
        upload, data = self.begin(store)
        _, second = pieces_of(upload, data)
        with pytest.raises(BlobDigestMismatch):
            send(upload, 1, b"other", announced=second)
        for piece in (b"few", b"too many"):
            with pytest.raises(InvalidInput):
                send(upload, 1, piece)
        with upload.part(1, expected=blake3_digest(second)) as writer:
            writer.write(second[:2])
        assert upload.missing() == [0, 1]
        send(upload, 1, second)
        assert upload.missing() == [0]

    def test_parts_that_are_something_else_together_are_thrown_away(self, store: BlobStore) -> None:
        """Each part may be what was announced, and the file not: it changed while it was sent."""
        upload, data = self.begin(store)
        first, _ = pieces_of(upload, data)
        send(upload, 0, first)
        send(upload, 1, b"OTHER")
        with pytest.raises(BlobDigestMismatch):
            upload.commit()
        assert upload.missing() == [0, 1]
        assert list(store.list()) == []

    def test_nobody_s_parts_are_mixed_with_anothers(self, store: BlobStore) -> None:
        """Two who send the same file do so apart, and both find it there."""
        adas, data = self.begin(store, owner="ada")
        bobs, _ = self.begin(store, owner="bob")
        first, second = pieces_of(adas, data)
        send(adas, 0, first)
        send(bobs, 1, second)
        assert (adas.missing(), bobs.missing()) == ([1], [0])
        send(adas, 1, second)
        send(bobs, 0, first)
        assert adas.commit().digest == bobs.commit().digest
        assert len(list(store.list())) == 1

    def test_uploads_that_got_nothing_for_long_are_dropped(self, store: BlobStore) -> None:
        """What has not come takes no room, and is not counted."""
        upload, data = self.begin(store)
        _, second = pieces_of(upload, data)
        send(upload, 1, second)
        assert store.drop_uploads(before=time.time() - 600).n_blobs == 0
        assert upload.missing() == [0]
        dropped = store.drop_uploads(before=time.time() + 600)
        assert dropped.n_blobs == 1
        assert 0 < dropped.size_bytes < len(data)
        assert upload.missing() == [0, 1]

    def test_an_upload_that_cannot_be_is_refused(self, store: BlobStore) -> None:
        """A digest that is none, no size, a size beyond all bounds, a part beyond the end."""
        digest = blake3_digest(b"abc")
        with pytest.raises(InvalidDigest):
            store.upload("blake3:abc", 3, owner="ada")
        for size_bytes in (0, -1, 1 << 62):
            with pytest.raises(InvalidInput):
                store.upload(digest, size_bytes, owner="ada")
        for number in (-1, 1):
            with pytest.raises(InvalidInput):
                store.upload(digest, 3, owner="ada").part(number, expected=digest)
