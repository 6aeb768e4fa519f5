"""The blob contract on S3, by two servers; and what only a bucket has."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from relive.core.digest import Digest, hex_of
from relive.errors import BlobNotFound, StoreUnavailable
from relive.formats.hashing import blake3_digest
from relive.ports.blobs import BlobInfo, OpenOptions
from relive.stores.blobs import s3
from relive.stores.blobs.registry import open_store
from relive.stores.blobs.s3 import S3BlobStore
from relive.stores.blobs.s3_client import S3Address, make_client
from relive.testing.blobs import BlobStoreContract
from tests.contract.conftest import S3Url
from tests.s3 import BUCKET


class OnS3(BlobStoreContract):
    """A prefix of a bucket; fewer examples, for each call is a request."""

    __test__ = False
    examples = 8
    machines = 4
    kills = 6
    # Four parts of 8 MiB are on their way at once, as read and as sent.
    large_bytes = 128 * 2**20
    memory_bytes = 80 * 2**20

    def damage(self, store_url: str, digest: Digest, data: bytes) -> None:
        address = S3Address.from_url(store_url)
        make_client(address).put(key_of(address, digest), data)


class TestOnMoto(OnS3):
    """moto, in memory."""

    __test__ = True

    @pytest.fixture
    def store_url(self, moto_url: S3Url) -> str:
        return moto_url()


class TestOnRclone(OnS3):
    """rclone, over a folder."""

    __test__ = True

    @pytest.fixture
    def store_url(self, rclone_url: S3Url) -> str:
        return rclone_url()


def key_of(address: S3Address, digest: Digest) -> str:
    """Say under which key a blob lies: part of the format, for others read it too."""
    name = hex_of(digest)
    return f"{address.prefix}/blake3/{name[:2]}/{name}"


@pytest.fixture(params=["moto", "rclone"])
def url(request) -> str:
    make: S3Url = request.getfixturevalue(f"{request.param}_url")
    return make()


def test_a_blob_is_an_object_by_the_first_two_digits(url):
    address = S3Address.from_url(url)
    digest = open_store(url).put(b"abc").digest
    assert bytes(make_client(address).get(key_of(address, digest)).bytes()) == b"abc"


def test_other_objects_and_other_prefixes_are_not_listed(url):
    address = S3Address.from_url(url)
    client = make_client(address)
    client.put(f"{address.prefix}/blake3/ab/README", b"x")
    client.put(f"{address.prefix}/other", b"x")
    client.put(f"{address.prefix}-2/blake3/{hex_of(blake3_digest(b'x'))}", b"x")
    store = open_store(url)
    digest = store.put(b"abc").digest
    assert [info.digest for info in store.list()] == [digest]


def test_a_young_blob_is_not_sent_again_and_an_old_one_is(url, monkeypatch):
    store = open_store(url)
    first = store.put(b"abc")
    assert store.put(b"abc").stored_at == first.stored_at
    while time.time() < first.stored_at + 1.1:  # the servers show whole seconds
        time.sleep(0.05)
    assert store.put(b"abc").stored_at == first.stored_at
    monkeypatch.setattr(s3, "FRESH_S", -1.0)
    assert store.put(b"abc").stored_at > first.stored_at


def test_nothing_is_left_in_the_spool(url, tmp_path):
    store = open_store(url, OpenOptions(spool=str(tmp_path)))
    with store.writer() as writer:
        writer.write(b"abc")
        assert list(tmp_path.iterdir()) == []  # it has no name, so no death can leave it
        writer.commit()
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_keeps_less_than_it_was_given_is_found_out(url):
    class Forgetful(S3BlobStore):
        """Sees each blob that was just uploaded as cut short."""

        def find(self, digest: Digest) -> BlobInfo | None:
            info = super().find(digest)
            return info and BlobInfo(digest=digest, size_bytes=2, stored_at=info.stored_at)

    store = Forgetful(S3Address.from_url(url))
    with pytest.raises(StoreUnavailable, match="2 of 3 bytes"):
        store.put(b"abc")
    assert list(store.list()) == []


def test_a_blob_deleted_while_it_is_read_is_said_to_be_gone(url):
    store = open_store(url)
    data = random.Random(0).randbytes(20 * 2**20)
    digest = store.put(data).digest
    chunks = store.iter_chunks(digest)
    store.delete(digest)
    with pytest.raises(BlobNotFound):
        list(chunks)


def test_a_large_upload_that_is_killed_leaves_no_torn_blob(url):
    """In parts of 8 MiB: killed at random moments of the upload, the blob is there whole or not at all."""
    draws = random.Random(0)
    script = """
import random, sys
from relive.stores.blobs.registry import open_store
store = open_store(sys.argv[1])
with store.writer() as writer:
    writer.write(random.Random(int(sys.argv[2])).randbytes(24 * 2**20))
    print("sending", flush=True)
    writer.commit()
print("committed", flush=True)
"""
    store = open_store(url)
    for seed in range(6):
        command = [sys.executable, "-c", script, url, str(seed)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"sending\n"
                time.sleep(draws.uniform(0, 0.4))
            finally:
                process.kill()
                output, _ = process.communicate(timeout=240)
        assert process.returncode in (0, -signal.SIGKILL)
        for info in store.list():
            store.verify(info.digest)
        if b"committed" in output:
            store.get(blake3_digest(random.Random(seed).randbytes(24 * 2**20)))


def test_a_wrong_secret_is_said_so(rclone_url: S3Url, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "RELIVEWRONG12")
    store = open_store(rclone_url())
    calls: list[Callable[[], object]] = [
        store.check,
        lambda: store.put(b"abc"),
        lambda: store.find(blake3_digest(b"abc")),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable, match="AWS_SECRET_ACCESS_KEY"):
            call()


def test_a_bucket_that_is_not_there_is_said_so(url):
    store = open_store(url.replace(f"s3://{BUCKET}/", "s3://absent/"))
    calls: list[Callable[[], object]] = [store.check, lambda: store.put(b"abc")]
    for call in calls:
        with pytest.raises(StoreUnavailable, match="no such bucket"):
            call()


def test_a_server_that_does_not_answer_is_said_so(s3_credentials, monkeypatch):
    monkeypatch.setattr("relive.stores.blobs.s3_client.RETRIES", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening: connections are refused
        store = open_store(f"s3://{BUCKET}?endpoint=http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(StoreUnavailable) as caught:
            store.check()
    assert "127.0.0.1" in str(caught.value)
    assert "\n" not in caught.value.reason


def test_without_the_extra_the_error_names_it(tmp_path):
    """An interpreter in which obstore cannot be imported, as if it were not installed."""
    script = """
import sys
sys.modules["obstore"] = None
from relive.errors import StoreUnavailable
from relive.stores.blobs.registry import open_store
open_store(sys.argv[1]).put(b"local needs no extra")
try:
    open_store("s3://bucket")
except StoreUnavailable as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ,
    )
    assert "pip install 'relive[s3]'" in done.stdout, done.stderr
