"""What every blob store must do: subclass `BlobStoreContract`, say where an empty store is, run pytest."""

import io
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relive.core.digest import Digest
from relive.errors import (
    BlobCorrupt,
    BlobDigestMismatch,
    BlobNotFound,
    Conflict,
    InvalidDigest,
    InvalidRange,
)
from relive.formats.hashing import Hasher, blake3_digest
from relive.ports.blobs import BlobInfo, BlobStore
from relive.stores.blobs.registry import open_store
from relive.testing.blob_endurance import BlobEndurance
from relive.testing.blob_uploads import BlobUploads

ABSENT = blake3_digest(b"no test stores this")
NO_DIGESTS = [
    "",
    "abc",
    "blake3:../../../etc/passwd",
    ABSENT.upper(),
    f"{ABSENT}\n",
    f"{ABSENT}/",
    ABSENT[7:],
]


class BlobStoreContract(BlobEndurance, BlobUploads):
    """The promises of `relive.ports.blobs.BlobStore`, as tests.

    A subclass gives the fixture `store_url` and the method `damage`, and may set the numbers.

    Attributes:
        examples: How many examples each property is tried with.
    """

    examples: ClassVar[int] = 50

    @pytest.fixture
    def store_url(self) -> str:
        """Give the URL of an empty store, which other processes can open too."""
        raise NotImplementedError("a subclass says where an empty store is")

    def damage(self, store_url: str, digest: Digest, data: bytes) -> None:
        """Put other bytes in the place of a stored blob, behind the store's back."""
        raise NotImplementedError("a subclass says how bytes are changed behind the store's back")

    @pytest.fixture
    def store(self, store_url: str) -> BlobStore:
        """Give the empty store."""
        return open_store(store_url)

    def try_examples(self, test: Callable[..., None], **strategies: st.SearchStrategy[Any]) -> None:
        """Run a property with as many examples as this store is fast enough for."""
        limits = settings(
            max_examples=self.examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        limits(given(**strategies)(test))()

    # --- what goes in comes out ---

    def test_what_goes_in_comes_out(self, store: BlobStore) -> None:
        """Bytes written in any pieces are read back, under their own digest."""

        def check(pieces: list[bytes]) -> None:
            with store.writer() as writer:
                for piece in pieces:
                    writer.write(piece)
                info = writer.commit()
            data = b"".join(pieces)
            assert info.digest == blake3_digest(data)
            assert info.size_bytes == len(data)
            assert store.read(info.digest) == data
            with store.open(info.digest) as file:
                assert file.read() == data
            store.verify(info.digest)

        self.try_examples(
            check, pieces=st.lists(st.binary(max_size=100) | st.just(b"x" * 70_000), max_size=5)
        )

    def test_bytes_come_in_any_wrapping(self, store: BlobStore) -> None:
        """Bytes, bytearrays and views are the same bytes; text is refused and nothing is kept."""
        for data in (b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4]):
            assert store.put(data).digest == blake3_digest(b"abc")
        with pytest.raises(TypeError):
            store.put("text")  # type: ignore[arg-type]
        assert [info.digest for info in store.list()] == [blake3_digest(b"abc")]

    def test_a_blob_may_be_empty(self, store: BlobStore) -> None:
        """No bytes are bytes too."""
        with store.writer() as writer:
            info = writer.commit()
        assert info.size_bytes == 0
        assert store.find(info.digest) is not None
        assert store.read(info.digest) == b""
        assert list(store.iter_chunks(info.digest)) == []
        with store.open(info.digest) as file:
            assert file.read() == b""
        store.verify(info.digest)

    def test_a_file_is_stored_by_its_bytes(self, store: BlobStore, tmp_path: Path) -> None:
        """A file is read to its end; one that is not there is the caller's error."""
        data = random.Random(0).randbytes(3 * 2**20 + 5)
        (tmp_path / "file").write_bytes(data)
        info = store.put_file(tmp_path / "file", expected=blake3_digest(data))
        assert store.read(info.digest) == data
        with pytest.raises(FileNotFoundError):
            store.put_file(tmp_path / "absent")

    def test_sha256_comes_where_it_is_asked_for(self, store: BlobStore) -> None:
        """SHA-256 costs time, so it is not computed for everyone."""
        hasher = Hasher(sha256=True)
        hasher.update(b"model")
        assert store.put(b"model").sha256 is None
        assert store.put(b"model", sha256=True).sha256 == hasher.result().sha256

    # --- ranges ---

    def test_any_range_can_be_read(self, store: BlobStore) -> None:
        """Any range within a blob can be read, in pieces no larger than asked for."""
        data = bytes(i % 251 for i in range(5000))
        digest = store.put(data).digest

        def check(start: int, length: int, chunk_bytes: int) -> None:
            wanted = data[start : start + length]
            assert store.read(digest, start, length) == wanted
            chunks = list(store.iter_chunks(digest, start, start + length, chunk_bytes))
            assert b"".join(chunks) == wanted
            assert all(0 < len(chunk) <= chunk_bytes for chunk in chunks)

        numbers = st.integers(0, len(data))
        self.try_examples(check, start=numbers, length=numbers, chunk_bytes=st.integers(100, 6000))

    def test_a_range_larger_than_one_request_can_be_read(self, store: BlobStore) -> None:
        """Ranges over the borders of requests are whole."""
        data = random.Random(0).randbytes(20 * 2**20)
        digest = store.put(data).digest
        assert store.read(digest, 3, 18 * 2**20) == data[3 : 3 + 18 * 2**20]
        assert store.read(digest, 19 * 2**20) == data[19 * 2**20 :]

    @pytest.mark.parametrize(
        ("start", "end", "chunk_bytes"), [(4, None, 1), (-1, None, 1), (2, 1, 1), (0, -1, 1), (0, None, 0)]
    )
    def test_a_range_outside_is_refused(
        self, store: BlobStore, start: int, end: int | None, chunk_bytes: int
    ) -> None:
        """A range that is none is refused by the call itself."""
        digest = store.put(b"abc").digest
        with pytest.raises(InvalidRange):
            store.iter_chunks(digest, start, end, chunk_bytes)

    def test_an_open_blob_reads_and_seeks_as_a_file(self, store: BlobStore) -> None:
        """An open blob does what an open file does."""
        data = bytes(i % 251 for i in range(2000))
        digest = store.put(data).digest

        def check(steps: list[tuple[str, int]]) -> None:
            with store.open(digest) as file, io.BytesIO(data) as model:
                for what, number in steps:
                    if what == "read":
                        assert file.read(number) == model.read(number)
                    else:
                        base = {"set": 0, "end": len(data), "on": model.tell()}[what]
                        position = max(0, base + number - 1000)
                        assert file.seek(position) == model.seek(position)
                    assert file.tell() == model.tell()

        step = st.tuples(st.sampled_from(["read", "set", "end", "on"]), st.integers(0, 2500))
        self.try_examples(check, steps=st.lists(step, max_size=6))

    # --- what is not there, and what is no digest ---

    def test_a_blob_that_is_not_there_is_said_so(self, store: BlobStore) -> None:
        """Each call says that a blob is absent, and names it."""
        assert store.find(ABSENT) is None
        assert store.delete(ABSENT) is False
        assert list(store.missing([ABSENT])) == [ABSENT]
        # Each at once, not with the first byte: an HTTP reply needs its status before that.
        for call in (store.get, store.open, store.read, store.iter_chunks, store.verify):
            with pytest.raises(BlobNotFound) as caught:
                call(ABSENT)
            assert caught.value.name == ABSENT

    @pytest.mark.parametrize("value", NO_DIGESTS)
    def test_what_is_no_digest_is_refused_everywhere(self, store: BlobStore, value: str) -> None:
        """No call takes what is no digest, a path above all."""
        calls: list[Callable[[str], object]] = [
            *(store.find, store.get, store.open, store.read, store.iter_chunks, store.verify, store.delete),
            lambda digest: store.missing([digest]),
            lambda digest: store.put(b"", expected=digest),
        ]
        for call in calls:
            with pytest.raises(InvalidDigest):
                call(value)
        assert list(store.list()) == []

    def test_a_signed_address_gives_the_blob_to_anybody(self, store: BlobStore) -> None:
        info = store.put(b"0123456789")
        address = store.presign(info.digest, lifetime_s=60)
        assert (address is not None) == store.can_presign
        with pytest.raises(BlobNotFound):
            store.presign(ABSENT, lifetime_s=60)
        if address is None:
            return
        http = urllib3.PoolManager(retries=False)
        assert http.request("GET", address).data == b"0123456789"
        assert http.request("GET", address, headers={"Range": "bytes=2-4"}).data == b"234"

    def test_missing_gives_each_once_in_the_order_asked(self, store: BlobStore) -> None:
        """A question about many blobs has one ordered answer."""
        absent = [blake3_digest(bytes([i])) for i in range(30)]
        there = [store.put(bytes([200 + i])).digest for i in range(3)]
        asked = [*absent[15:], *there, *absent[:15], *absent, *there]
        assert list(store.missing(asked)) == absent[15:] + absent[:15]
        assert list(store.missing([])) == []

    # --- writers ---

    def test_nothing_is_visible_before_the_commit(self, store: BlobStore) -> None:
        """A blob that is being written is not there."""
        with store.writer() as writer:
            writer.write(b"abc")
            assert list(store.list()) == []
            assert store.find(blake3_digest(b"abc")) is None

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_leaving_by_any_exception_discards_everything(
        self, store: BlobStore, error: type[BaseException]
    ) -> None:
        """Whatever ends the block, nothing is kept."""

        def leave() -> None:
            with store.writer() as writer:
                writer.write(b"abc")
                raise error

        with pytest.raises(error):
            leave()
        assert list(store.list()) == []

    def test_an_exception_after_the_commit_changes_nothing(self, store: BlobStore) -> None:
        """What was committed stays."""

        def leave() -> None:
            with store.writer() as writer:
                writer.commit()
                raise ValueError("late")

        with pytest.raises(ValueError, match="late"):
            leave()
        store.verify(blake3_digest(b""))

    def test_bytes_other_than_expected_are_refused_and_not_kept(self, store: BlobStore) -> None:
        """A wrong announcement leaves nothing behind."""
        with pytest.raises(BlobDigestMismatch) as caught:
            store.put(b"abc", expected=ABSENT)
        assert (caught.value.digest, caught.value.actual) == (ABSENT, blake3_digest(b"abc"))
        assert list(store.list()) == []
        assert store.put(b"abc", expected=blake3_digest(b"abc")).size_bytes == 3

    def test_a_writer_that_is_not_open_refuses(self, store: BlobStore) -> None:
        """A writer is used inside its block, and committed once."""
        writer = store.writer()
        with pytest.raises(Conflict):
            writer.write(b"early")
        with writer:
            writer.commit()
            with pytest.raises(Conflict):
                writer.write(b"late")
            with pytest.raises(Conflict):
                writer.commit()
        with store.writer() as writer:
            writer.write(b"abandoned")
        with pytest.raises(Conflict):
            writer.commit()
        assert [info.size_bytes for info in store.list()] == [0]

    def test_a_size_hint_need_not_be_true(self, store: BlobStore) -> None:
        """A hint is only a hint."""
        for size_hint in (0, 1, 2**20):
            with store.writer(size_hint=size_hint) as writer:
                writer.write(b"abc")
                assert writer.commit().size_bytes == 3

    # --- the same bytes again, listing, deleting ---

    def test_the_same_bytes_are_stored_once(self, store: BlobStore) -> None:
        """Storing again changes nothing but the age."""
        first = store.put(b"abc")
        again = store.put(b"abc", expected=first.digest)
        assert again.digest == first.digest
        assert again.stored_at >= first.stored_at
        assert len(list(store.list())) == 1

    def test_list_and_usage_count_every_blob(self, store: BlobStore) -> None:
        """Every blob is listed and counted, once."""
        sizes = [*range(12), 70_000]
        stored = {store.put(b"x" * size).digest: size for size in sizes}
        assert {info.digest: info.size_bytes for info in store.list()} == stored
        usage = store.usage()
        assert (usage.n_blobs, usage.size_bytes) == (len(sizes), sum(sizes))

    def test_all_ways_of_asking_agree(self, store: BlobStore) -> None:
        """The commit, `find`, `get`, `verify` and `list` say the same, by a clock like ours."""
        before = time.time()
        info = store.put(b"abc")
        (listed,) = store.list()
        for told in (
            info,
            store.find(info.digest),
            store.get(info.digest),
            store.verify(info.digest),
            listed,
        ):
            assert isinstance(told, BlobInfo)
            assert (told.digest, told.size_bytes) == (info.digest, 3)
            # A store's clock may show whole seconds only.
            assert before - 2 <= told.stored_at <= time.time() + 2

    def test_delete_takes_one_blob(self, store: BlobStore) -> None:
        """Deleting takes one blob, once, and it can come back."""
        kept, gone = store.put(b"kept").digest, store.put(b"gone").digest
        assert store.delete(gone) is True
        assert store.delete(gone) is False
        assert [info.digest for info in store.list()] == [kept]
        assert store.put(b"gone").digest == gone
        store.verify(gone)

    def test_only_what_is_damaged_is_set_aside(self, store_url: str, store: BlobStore) -> None:
        """A whole blob stays; one of other bytes is none any more, and can be stored again."""
        kept, hurt = store.put(b"kept").digest, store.put(b"hurt").digest
        assert not store.set_aside(kept)
        self.damage(store_url, hurt, b"HURT")
        with pytest.raises(BlobCorrupt):
            store.verify(hurt)
        assert store.set_aside(hurt)
        assert store.find(hurt) is None
        assert [info.digest for info in store.list()] == [kept]
        with pytest.raises(BlobNotFound):
            store.set_aside(hurt)
        assert store.put(b"hurt").digest == hurt
        store.verify(hurt)
        self.damage(store_url, hurt, b"HURT")  # as often as it comes
        assert store.set_aside(hurt)
        store.verify(kept)

    def test_delete_by_age_leaves_what_is_younger(self, store: BlobStore) -> None:
        """A blob committed after the limit is left."""
        info = store.put(b"abc")
        assert store.delete(info.digest, stored_before=info.stored_at - 60) is False
        assert store.find(info.digest) is not None
        assert store.delete(info.digest, stored_before=info.stored_at + 60) is True
        assert store.find(info.digest) is None

    # --- damage ---

    def test_damaged_bytes_are_found(self, store: BlobStore, store_url: str) -> None:
        """`verify` finds other bytes of the same size."""
        digest = store.put(b"right").digest
        self.damage(store_url, digest, b"wrong")
        with pytest.raises(BlobCorrupt) as caught:
            store.verify(digest)
        assert (caught.value.digest, caught.value.actual) == (digest, blake3_digest(b"wrong"))

    @pytest.mark.parametrize("damaged", [b"", b"rig", b"right, and more"])
    def test_a_blob_of_the_wrong_size_is_replaced(
        self, store: BlobStore, store_url: str, damaged: bytes
    ) -> None:
        """Committing the bytes again heals a blob that was cut short or grew."""
        digest = store.put(b"right").digest
        self.damage(store_url, digest, damaged)
        store.put(b"right")
        store.verify(digest)
