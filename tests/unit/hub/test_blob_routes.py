"""Bytes over HTTP: whole, in ranges, streamed both ways, and refused when they are not what was announced."""

import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.errors import InvalidInput, InvalidRange, StoreFull
from relive.formats.hashing import blake3_digest
from relive.hub.routes.blobs import read_range
from relive.stores.blobs.local import LocalWriter
from tests.support.bench import Bench
from tests.support.live import LiveHub

DATA = bytes(range(256)) * 40
DIGEST = blake3_digest(DATA)
PATH = f"/api/v1/blobs/{DIGEST}"


@pytest.fixture
def kept(bench: Bench, live: LiveHub) -> LiveHub:
    """A hub that holds the data."""
    bench.services.blobs.put(DATA)
    return live


def test_a_blob_goes_in_and_comes_out(live: LiveHub) -> None:
    answer = live.ask("PUT", PATH, body=DATA)
    assert (answer.status, answer.json["digest"], answer.json["size_bytes"]) == (201, DIGEST, len(DATA))
    got = live.ask("GET", PATH)
    assert (got.status, got.body) == (200, DATA)
    assert got.headers["content-length"] == str(len(DATA))
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["etag"] == f'"{DIGEST}"'
    again = live.ask("PUT", PATH, body=DATA)
    assert again.status == 201


def test_an_empty_blob_too(live: LiveHub) -> None:
    digest = blake3_digest(b"")
    assert live.ask("PUT", f"/api/v1/blobs/{digest}", body=b"").status == 201
    got = live.ask("GET", f"/api/v1/blobs/{digest}")
    assert (got.status, got.body, got.headers["content-length"]) == (200, b"", "0")


def test_a_body_sent_in_chunks_without_a_length_is_taken(live: LiveHub) -> None:
    def pieces() -> Iterator[bytes]:
        for start in range(0, len(DATA), 1000):
            yield DATA[start : start + 1000]

    assert live.ask("PUT", PATH, body=pieces(), transfer_encoding="chunked").status == 201
    assert live.ask("GET", PATH).body == DATA


def test_a_body_larger_than_any_message_is_taken(live: LiveHub) -> None:
    block = os.urandom(1 << 20)
    data = block * 70
    path = f"/api/v1/blobs/{blake3_digest(data)}"
    assert live.ask("PUT", path, body=data).status == 201
    assert live.ask("GET", path, range=f"bytes={(69 << 20)}-").body == block


def test_a_message_larger_than_any_is_refused(live: LiveHub) -> None:
    answer = live.ask("POST", "/api/v1/blobs/missing", body=b" " * ((64 << 20) + 1))
    assert answer.status == 413
    assert answer.code == "message_too_large"


def test_other_bytes_than_announced_are_refused_and_not_kept(bench: Bench, live: LiveHub) -> None:
    answer = live.ask("PUT", PATH, body=DATA[:-1])
    assert (answer.status, answer.code) == (422, "blob_digest_mismatch")
    assert answer.json["facts"] == {"digest": DIGEST, "actual": blake3_digest(DATA[:-1])}
    assert bench.services.blobs.find(DIGEST) is None
    assert list(bench.services.blobs.list()) == []


@pytest.mark.parametrize(
    "digest",
    [
        "blake3:zz",
        "sha256:" + "0" * 64,
        "..%2f..%2fetc%2fpasswd",
        "%00",
        DIGEST.upper(),
        DIGEST + "%0a",
        DIGEST[:-1],
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_what_is_no_digest_is_refused(live: LiveHub, method: str, digest: str) -> None:
    answer = live.ask(method, f"/api/v1/blobs/{digest}", body=b"x" if method == "PUT" else None)
    assert answer.status in (400, 404)  # a slash in it leads to no route at all
    if method != "HEAD":
        assert answer.code in ("invalid_digest", "not_found")


def test_a_blob_that_is_not_here_is_not_found(live: LiveHub) -> None:
    answer = live.ask("GET", PATH)
    assert (answer.status, answer.code, answer.json["facts"]["name"]) == (404, "blob_not_found", DIGEST)
    assert live.ask("HEAD", PATH).status == 404


def test_head_says_the_size_alone(kept: LiveHub) -> None:
    answer = kept.ask("HEAD", PATH)
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, str(len(DATA)), b"")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-", 0, len(DATA)),
        ("bytes=0-99", 0, 100),
        ("bytes=100-199", 100, 200),
        ("bytes=-10", len(DATA) - 10, len(DATA)),
        ("bytes=5-5", 5, 6),
        (f"bytes=10-{len(DATA) * 2}", 10, len(DATA)),
        (f"bytes=-{len(DATA) * 2}", 0, len(DATA)),
        ("bytes=10-" + "9" * 30, 10, len(DATA)),
    ],
)
def test_a_range_gives_these_bytes(kept: LiveHub, asked: str, start: int, end: int) -> None:
    answer = kept.ask("GET", PATH, range=asked)
    assert answer.body == DATA[start:end]
    whole = (start, end) == (0, len(DATA))
    assert answer.status == (200 if whole else 206)
    assert answer.headers["content-length"] == str(end - start)
    if not whole:
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"


@pytest.mark.parametrize(
    "asked",
    [f"bytes={len(DATA)}-", f"bytes={len(DATA) + 5}-", "bytes=9-3", "bytes=-0", "bytes=" + "9" * 30 + "-"],
)
def test_a_range_outside_the_blob_is_not_satisfied(kept: LiveHub, asked: str) -> None:
    answer = kept.ask("GET", PATH, range=asked)
    assert (answer.status, answer.code) == (416, "invalid_range")


@pytest.mark.parametrize(
    "asked",
    [
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "lines=0-1",
        "bytes=0-1,3-4",
        "bytes=\xb2-3",
        "bytes=1-\xb3",
        "bytes=--1",
    ],
)
def test_a_range_in_another_form_is_refused(kept: LiveHub, asked: str) -> None:
    answer = kept.ask("GET", PATH, range=asked)
    assert (answer.status, answer.code) == (400, "invalid_input")
    assert answer.json["facts"]["field"] == "Range"


@given(st.text(max_size=30) | st.from_regex(r"bytes=\d{0,5000}-\d{0,5000}"), st.integers(0, 10**6))
def test_no_range_header_breaks_it(header: str, size: int) -> None:
    try:
        start, end = read_range(header, size)
    except (InvalidInput, InvalidRange):
        return
    assert 0 <= start <= end <= size
    assert start < end or not header


def test_only_what_is_missing_is_named(kept: LiveHub) -> None:
    other = blake3_digest(b"other")
    answer = kept.ask("POST", "/api/v1/blobs/missing", {"digests": [DIGEST, other, other]})
    assert (answer.status, answer.json) == (200, {"missing": [other]})


@pytest.mark.parametrize("digests", [["../../etc/passwd"], ["blake3:x"], [1], "x", [None]])
def test_a_question_about_what_is_no_digest_is_refused(live: LiveHub, digests: object) -> None:
    answer = live.ask("POST", "/api/v1/blobs/missing", {"digests": digests})
    assert answer.status == 400


def test_a_full_disk_is_said_and_passes(bench: Bench, live: LiveHub, monkeypatch: pytest.MonkeyPatch) -> None:
    write = LocalWriter.write

    def full(self: LocalWriter, data: bytes) -> int:
        raise StoreFull(where="the disk", needed_bytes=len(data), free_bytes=1)

    monkeypatch.setattr(LocalWriter, "write", full)
    answer = live.ask("PUT", PATH, body=DATA)
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (507, "store_full", "5")
    assert answer.json["facts"]["needed_bytes"] == len(DATA)
    monkeypatch.setattr(LocalWriter, "write", write)
    assert live.ask("PUT", PATH, body=DATA).status == 201
    assert list(bench.services.blobs.list()) != []


def test_an_upload_that_breaks_off_leaves_nothing(bench: Bench, live: LiveHub) -> None:
    head = f"PUT {PATH} HTTP/1.1\r\nHost: {live.url[7:]}\r\nAuthorization: Bearer {live.admin}\r\n"
    live.raw(f"{head}Content-Length: {len(DATA)}\r\n\r\n".encode() + DATA[:100])
    assert bench.services.blobs.find(DIGEST) is None
    parts = bench.services.blobs.parts  # type: ignore[attr-defined]
    deadline = threading.Event()
    for _ in range(600):
        if not list(parts.iterdir()):
            break
        deadline.wait(0.05)
    assert list(parts.iterdir()) == []


def test_many_at_once_all_arrive(bench: Bench, live: LiveHub) -> None:
    blobs = [os.urandom(300_000) for _ in range(8)]

    def send(data: bytes) -> None:
        live.ask("PUT", f"/api/v1/blobs/{blake3_digest(data)}", body=data)

    threads = [threading.Thread(target=send, args=(data,)) for data in blobs * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bench.services.blobs.read(blake3_digest(data)) for data in blobs] == blobs
