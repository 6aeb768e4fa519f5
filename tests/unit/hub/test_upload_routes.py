"""Large blobs over HTTP, in parts: what is there is said, what is wrong refused, and senders stay apart."""

import os
import threading
from typing import Any

import pytest

from relive.core.access import Scope
from relive.errors import StoreFull
from relive.formats.hashing import blake3_digest
from relive.stores.blobs import uploads
from relive.stores.blobs.uploads import PartedUpload, PartWriter
from tests.support.bench import Bench
from tests.support.live import Answer, LiveHub

PART = 70_000
DATA = os.urandom(3 * PART + 10)
DIGEST = blake3_digest(DATA)
PATH = f"/api/v1/blobs/{DIGEST}/upload"
SIZE = {"size_bytes": len(DATA)}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that a test can hold many of."""
    monkeypatch.setattr(PartedUpload, "part_bytes", PART)


def piece(number: int) -> bytes:
    """Give the bytes of a part."""
    return DATA[number * PART : (number + 1) * PART]


def send(live: LiveHub, number: int, data: bytes | None = None, **more: Any) -> Answer:
    """Send a part, or other bytes in its place."""
    body = piece(number) if data is None else data
    query = f"size_bytes={len(DATA)}&part={blake3_digest(body)}"
    return live.ask("PUT", f"{PATH}/{number}?{query}", body=body, **more)


def begin(live: LiveHub, **more: Any) -> Any:
    """Ask how far the upload is."""
    answer = live.ask("POST", PATH, SIZE, **more)
    assert answer.status == 200, answer.body
    return answer.json


def test_parts_become_the_blob(bench: Bench, live: LiveHub) -> None:
    assert begin(live) == {
        "is_stored": False,
        "is_finishing": False,
        "part_bytes": PART,
        "missing": [0, 1, 2, 3],
    }
    for number in (3, 0):
        assert send(live, number).status == 201
    assert begin(live)["missing"] == [1, 2]
    early = live.ask("POST", f"{PATH}/finish", SIZE)
    assert (early.status, early.code) == (409, "conflict")
    assert "2 of its 4 parts are missing" in early.json["message"]
    for number in (1, 2):
        send(live, number)
    done = live.ask("POST", f"{PATH}/finish", SIZE)
    assert (done.status, done.json["digest"], done.json["size_bytes"]) == (200, DIGEST, len(DATA))
    assert live.ask("GET", f"/api/v1/blobs/{DIGEST}").body == DATA
    assert begin(live)["is_stored"] is True
    again = live.ask("POST", f"{PATH}/finish", SIZE)
    assert (again.status, again.json["digest"]) == (200, DIGEST)


def test_what_is_said_to_be_there_is_pinned(bench: Bench, live: LiveHub) -> None:
    bench.services.blobs.put(DATA)
    assert begin(live)["is_stored"] is True
    assert bench.services.store.doom_blobs([DIGEST]) == set()


def test_a_part_of_what_is_there_is_not_taken(bench: Bench, live: LiveHub) -> None:
    bench.services.blobs.put(DATA)
    answer = send(live, 0)
    assert (answer.status, answer.code) == (409, "conflict")
    assert not (bench.services.place.data_dir / "blobs/uploads").exists()


def test_a_blob_that_is_being_deleted_is_sent_again(bench: Bench, live: LiveHub) -> None:
    bench.services.blobs.put(DATA)
    bench.services.store.doom_blobs([DIGEST])
    assert begin(live)["missing"] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("number", "data", "status", "code"),
    [
        (1, b"short", 400, "invalid_input"),
        (1, b"x" * (PART + 1), 400, "invalid_input"),
        (1, b"x" * (3 * PART), 400, "invalid_input"),
        (4, b"x", 400, "invalid_input"),
        (9999999999999999999999, b"x", 400, "invalid_input"),
    ],
)
def test_a_part_of_another_size_or_place_is_refused(
    live: LiveHub, number: int, data: bytes, status: int, code: str
) -> None:
    answer = send(live, number, data)
    assert (answer.status, answer.code) == (status, code)
    assert begin(live)["missing"] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "size_bytes=10",
        f"size_bytes=0&part={DIGEST}",
        "size_bytes=10&part=blake3:x",
        "size_bytes=x&part=y",
    ],
    ids=["nothing", "no part", "no size", "no digest", "no numbers"],
)
def test_a_part_that_says_too_little_is_refused(live: LiveHub, query: str) -> None:
    answer = live.ask("PUT", f"{PATH}/0?{query}", body=b"x")
    assert answer.status == 400


@pytest.mark.parametrize(
    "message", [{}, {"size_bytes": "5"}, {"size_bytes": -5}, {"size_bytes": 1 << 70}, []]
)
@pytest.mark.parametrize("ending", ["", "/finish"])
def test_a_file_of_no_size_is_refused(live: LiveHub, message: Any, ending: str) -> None:
    answer = live.ask("POST", f"{PATH}{ending}", message)
    assert answer.status == 400


def test_other_bytes_than_announced_are_refused(live: LiveHub) -> None:
    query = f"size_bytes={len(DATA)}&part={blake3_digest(piece(0))}"
    answer = live.ask("PUT", f"{PATH}/0?{query}", body=b"y" * PART)
    assert (answer.status, answer.code) == (422, "blob_digest_mismatch")
    assert 0 in begin(live)["missing"]


def test_parts_of_another_file_make_no_blob(bench: Bench, live: LiveHub) -> None:
    for number in range(4):
        send(live, number, b"z" * len(piece(number)))
    answer = live.ask("POST", f"{PATH}/finish", SIZE)
    assert (answer.status, answer.code) == (422, "blob_digest_mismatch")
    assert begin(live)["missing"] == [0, 1, 2, 3]
    assert list(bench.services.blobs.list()) == []


def test_one_sender_cannot_spoil_another_ones_upload(live: LiveHub) -> None:
    mallory = live.token(Scope.MEMBER, "mallory")
    for number in range(4):
        send(live, number, b"z" * len(piece(number)), token=mallory)
        send(live, number)
    assert live.ask("POST", f"{PATH}/finish", SIZE, token=mallory).code == "blob_digest_mismatch"
    assert live.ask("POST", f"{PATH}/finish", SIZE).status == 200


def test_a_part_that_breaks_off_counts_as_missing(live: LiveHub) -> None:
    query = f"size_bytes={len(DATA)}&part={blake3_digest(piece(0))}"
    head = f"PUT {PATH}/0?{query} HTTP/1.1\r\nHost: {live.url[7:]}\r\nAuthorization: Bearer {live.admin}\r\n"
    live.raw(f"{head}Content-Length: {PART}\r\n\r\n".encode() + piece(0)[:1000])
    assert begin(live)["missing"] == [0, 1, 2, 3]


def test_while_parts_are_put_together_nobody_adds_any(live: LiveHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hashing, go_on, hash_all = threading.Event(), threading.Event(), uploads._hash

    def slow(descriptor: int, size_bytes: int) -> Any:
        hashing.set()
        assert go_on.wait(60)
        return hash_all(descriptor, size_bytes)

    monkeypatch.setattr(uploads, "_hash", slow)
    monkeypatch.setattr(uploads, "_LOCK_WITHIN_S", 0.1)
    for number in range(4):
        send(live, number)
    answers: list[Answer] = []
    finishing = threading.Thread(target=lambda: answers.append(live.ask("POST", f"{PATH}/finish", SIZE)))
    finishing.start()
    assert hashing.wait(60)
    try:
        assert begin(live)["is_finishing"] is True
        late, twice = send(live, 2, b"?" * PART), live.ask("POST", f"{PATH}/finish", SIZE)
        assert (late.status, late.code, twice.status) == (409, "conflict", 409)
    finally:
        go_on.set()
        finishing.join()
    assert answers[0].status == 200
    assert live.ask("GET", f"/api/v1/blobs/{DIGEST}").body == DATA


def test_a_full_disk_is_said_and_passes(live: LiveHub, monkeypatch: pytest.MonkeyPatch) -> None:
    append = PartWriter._append

    def full(self: PartWriter, view: memoryview) -> None:
        raise StoreFull(where="the disk", needed_bytes=view.nbytes, free_bytes=1)

    monkeypatch.setattr(PartWriter, "_append", full)
    answer = send(live, 0)
    assert (answer.status, answer.code) == (507, "store_full")
    monkeypatch.setattr(PartWriter, "_append", append)
    assert send(live, 0).status == 201


def test_a_file_without_room_is_refused_before_its_first_byte(live: LiveHub) -> None:
    answer = live.ask("POST", PATH, {"size_bytes": 1 << 50})
    assert answer.status in (400, 507)  # by the number of parts, or by the disk
    monstrous = live.ask("POST", PATH, {"size_bytes": PART * 900_000_000})
    assert monstrous.status in (400, 507)
