"""Parts that others write to a bucket by signed addresses: read and hashed by us, or thrown away."""

import random
import time

import pytest
import urllib3

from relive.errors import BlobNotFound, StoreUnavailable
from relive.formats.hashing import blake3_digest
from relive.stores.blobs import s3_staging
from relive.stores.blobs.registry import open_store
from relive.stores.blobs.s3 import S3BlobStore
from tests.contract.conftest import S3Url

HTTP = urllib3.PoolManager(retries=False)
PIECES = [random.Random(number).randbytes(size) for number, size in enumerate((300_000, 5, 1 << 20))]


@pytest.fixture(params=["moto", "rclone"])
def store(request: pytest.FixtureRequest) -> S3BlobStore:
    make: S3Url = request.getfixturevalue(f"{request.param}_url")
    opened = open_store(make())
    assert isinstance(opened, S3BlobStore)
    return opened


def write(store: S3BlobStore, upload: str, pieces: list[bytes]) -> list[str]:
    """Write parts as a client does, who knows nothing but the addresses; gives their etags."""
    assert store.staging is not None
    etags = []
    for url, piece in zip(store.staging.presign(upload, len(pieces), lifetime_s=60), pieces, strict=True):
        answer = HTTP.request("PUT", url, body=piece)
        assert answer.status == 200, answer.data
        etags.append(answer.headers["etag"].strip('"'))
    return etags


def test_parts_become_a_blob_whose_digest_we_found(store: S3BlobStore) -> None:
    assert store.staging is not None
    etags = write(store, "one", PIECES)
    there = store.staging.parts("one")
    assert {number: part.size_bytes for number, part in there.items()} == {1: 300_000, 2: 5, 3: 1 << 20}
    assert [there[number].etag for number in (1, 2, 3)] == etags
    assert list(store.list()) == []
    info = store.staging.take("one", [1, 2, 3])
    assert info.digest == blake3_digest(b"".join(PIECES))
    store.verify(info.digest)
    assert [blob.digest for blob in store.list()] == [info.digest]


def test_what_is_written_after_the_reading_changes_nothing(store: S3BlobStore) -> None:
    assert store.staging is not None
    (address,) = store.staging.presign("late", 1, lifetime_s=60)
    HTTP.request("PUT", address, body=b"right")
    info = store.staging.take("late", [1])
    assert HTTP.request("PUT", address, body=b"wrong").status == 200
    assert store.read(info.digest) == b"right"
    assert info.digest == blake3_digest(b"right")
    store.staging.drop("late")
    assert store.staging.parts("late") == {}
    assert store.read(info.digest) == b"right"


def test_a_part_that_did_not_come_is_named(store: S3BlobStore) -> None:
    assert store.staging is not None
    write(store, "some", PIECES[:1])
    with pytest.raises(BlobNotFound, match="some/00002"):
        store.staging.take("some", [1, 2])
    assert list(store.list()) == []


def test_uploads_do_not_see_one_another(store: S3BlobStore) -> None:
    assert store.staging is not None
    write(store, "a", PIECES[:1])
    write(store, "ab", PIECES[1:2])
    store.staging.drop("a")
    assert store.staging.parts("a") == {}
    assert list(store.staging.parts("ab")) == [1]


def test_an_address_that_was_changed_or_is_too_old_is_refused(request: pytest.FixtureRequest) -> None:
    """By rclone, which checks signatures; moto takes all."""
    make: S3Url = request.getfixturevalue("rclone_url")
    store = open_store(make())
    assert store.staging is not None
    (address,) = store.staging.presign("mine", 1, lifetime_s=60)
    (old,) = store.staging.presign("mine", 1, lifetime_s=1)
    time.sleep(2.1)
    for url in (address.replace("mine", "theirs"), address.replace("/uploads/", "/blake3/"), old):
        assert HTTP.request("PUT", url, body=b"x").status in (400, 403)
    assert HTTP.request("GET", address).status in (400, 403)
    assert store.staging.parts("mine") == store.staging.parts("theirs") == {}


def test_parts_that_nobody_asks_for_are_dropped_with_the_uploads(
    store: S3BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.staging is not None
    monkeypatch.setattr(s3_staging, "_DELETED_AT_ONCE", 2)
    blob = store.put(b"a blob")
    write(store, "old", PIECES)
    assert store.drop_uploads(before=time.time() - 3600).n_blobs == 0
    counted = store.drop_uploads(before=time.time() + 3600, dry_run=True)
    assert (counted.n_blobs, counted.size_bytes) == (3, sum(map(len, PIECES)))
    assert len(store.staging.parts("old")) == 3
    assert store.drop_uploads(before=time.time() + 3600).n_blobs == 3
    assert store.staging.parts("old") == {}
    assert store.read(blob.digest) == b"a blob"


def test_a_bucket_that_is_not_there_is_said_so(request: pytest.FixtureRequest) -> None:
    make: S3Url = request.getfixturevalue("moto_url")
    store = open_store(make().replace("s3://relive/", "s3://no-such-bucket/"))
    assert store.staging is not None
    with pytest.raises(StoreUnavailable):
        store.staging.parts("x")
