"""Uploads in parts on a local disk: killed before each system call, written to late, sent in any order."""

import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relive.errors import BlobDigestMismatch, Conflict, StoreFull
from relive.formats.hashing import blake3_digest
from relive.stores.blobs import local, uploads
from relive.stores.blobs.local import LocalBlobStore
from relive.stores.blobs.uploads import PartedUpload
from tests.contract.killed_in_upload import DATA, PART

DIGEST = blake3_digest(DATA)
MOST_CALLS = 400
LIMIT_S = 240.0
# Each call takes a process that runs for 0.1 s.
STRIDE = 1 if os.environ.get("RELIVE_SLOW") == "1" else 5


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts as the processes have them that are killed."""
    monkeypatch.setattr(PartedUpload, "part_bytes", PART)


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


def piece(number: int, data: bytes = DATA) -> bytes:
    return data[number * PartedUpload.part_bytes : (number + 1) * PartedUpload.part_bytes]


def begin(store: LocalBlobStore, data: bytes = DATA) -> PartedUpload:
    return store.upload(blake3_digest(data), len(data), owner="ada")


def send(upload: PartedUpload, number: int, data: bytes) -> None:
    with upload.part(number, expected=blake3_digest(data)) as writer:
        writer.write(data)
        writer.commit()


def test_killed_before_any_system_call_an_acknowledged_part_is_there(tmp_path):
    root = tmp_path / "blobs"
    ends = set()
    for n_calls in range(0, MOST_CALLS, STRIDE):
        shutil.rmtree(root, ignore_errors=True)
        program = str(Path(__file__).with_name("killed_in_upload.py"))
        command = [sys.executable, program, str(root), str(n_calls)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        store = LocalBlobStore(root)
        acknowledged = {int(line[5:]) for line in done.stdout.splitlines() if line.startswith("part")}
        is_there = store.find(DIGEST) is not None
        assert is_there or "committed" not in done.stdout
        ends.add((is_there, len(acknowledged)))
        if is_there:
            store.verify(DIGEST)
        else:
            upload = begin(store)
            assert not acknowledged & set(upload.missing())
            # Whatever it left, the next one goes on with it.
            for number in upload.missing():
                send(upload, number, piece(number))
            assert upload.commit().digest == DIGEST
            store.verify(DIGEST)
        assert [info.digest for info in store.list()] == [DIGEST]
        if "whole" in done.stdout:
            break
    else:
        pytest.fail(f"an upload takes more than {MOST_CALLS} system calls")
    assert ends >= {(False, 0), (False, 1), (False, 2), (False, 3), (True, 3)}


@given(
    size=st.integers(1, 4000),
    order=st.randoms(use_true_random=False),
    n_wrong=st.integers(0, 3),
    resumed=st.lists(st.integers(0, 9), max_size=3),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_parts_with_any_mistakes_gives_the_blob(
    store: LocalBlobStore,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    order: random.Random,
    n_wrong: int,
    resumed: list[int],
) -> None:
    monkeypatch.setattr(PartedUpload, "part_bytes", 700)
    data = order.randbytes(size)
    upload = begin(store, data)
    left = list(upload.missing())
    assert left == list(range(-(-size // 700)))
    order.shuffle(left)
    for _ in range(n_wrong):
        number = order.choice(left)
        wrong = bytes(byte ^ 1 for byte in piece(number, data))
        with upload.part(number, expected=DIGEST) as writer:
            writer.write(wrong)
            with pytest.raises(BlobDigestMismatch):
                writer.commit()
    for index, number in enumerate(list(left)):
        if index in resumed:
            upload = begin(LocalBlobStore(store.root), data)
            assert sorted(left) == list(upload.missing())
        send(upload, number, piece(number, data))
        left.remove(number)
    assert upload.commit().size_bytes == size
    assert store.read(blake3_digest(data)) == data
    store.delete(blake3_digest(data))


def test_a_part_that_comes_after_the_commit_reaches_nothing(store):
    upload = begin(store)
    for number in (0, 1, 2):
        send(upload, number, piece(number))
    with upload.part(1, expected=blake3_digest(b"?" * PART)) as late:
        late.write(b"?" * 10)
        send(upload, 1, piece(1))
        upload.commit()
        with pytest.raises(Conflict, match="it is over"):
            late.write(b"?" * 10)
    store.verify(DIGEST)


def test_what_was_written_over_a_part_is_found_by_the_commit(store):
    """A sender whose file changed: its parts are right by themselves, and the whole is refused."""
    upload = begin(store)
    for number in (0, 1, 2):
        send(upload, number, piece(number))
    send(upload, 1, b"?" * PART)
    with pytest.raises(BlobDigestMismatch):
        upload.commit()
    assert store.find(DIGEST) is None


def test_a_commit_that_was_cut_off_after_its_last_check_is_done_again(store, monkeypatch):
    """The file is complete, read-only, and not yet where it belongs."""
    upload = begin(store)
    for number in (0, 1, 2):
        send(upload, number, piece(number))

    def cut_off(part: Path, path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(local, "_move", cut_off)
        with pytest.raises(KeyboardInterrupt):
            upload.commit()
    (file,) = (store.root / "uploads").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    again = begin(LocalBlobStore(store.root))
    assert again.missing() == []
    assert again.is_committing is False
    assert again.commit().digest == DIGEST
    store.verify(DIGEST)


def test_many_threads_that_send_the_same_all_end_well(store):
    ends: list[str] = []

    def send_all() -> None:
        upload = begin(store)
        for number in random.sample((0, 1, 2), 3):
            try:
                send(upload, number, piece(number))
            except Conflict:
                break
        try:
            ends.append(upload.commit().digest)
        except Conflict as error:
            ends.append(error.reason)

    threads = [threading.Thread(target=send_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert DIGEST in ends
    assert len(ends) == 8
    store.verify(DIGEST)


def test_a_blob_that_is_there_already_stays_the_one(store):
    store.put(DATA)
    inode = store.path_of(DIGEST).stat().st_ino
    upload = begin(store)
    for number in (0, 1, 2):
        send(upload, number, piece(number))
    assert upload.commit().digest == DIGEST
    assert store.path_of(DIGEST).stat().st_ino == inode
    assert list((store.root / "uploads").iterdir()) == []


def test_an_upload_counts_against_the_quota_before_its_first_byte(tmp_path):
    small = LocalBlobStore(tmp_path / "blobs", quota_bytes=len(DATA) - 1)
    with pytest.raises(StoreFull):
        begin(small)
    enough = LocalBlobStore(tmp_path / "blobs", quota_bytes=len(DATA))
    upload = begin(enough)
    for number in (0, 1, 2):
        send(upload, number, piece(number))
    upload.commit()
    with pytest.raises(StoreFull):
        enough.put(b"one more")


def test_what_has_not_come_takes_no_room(store):
    upload = begin(store, DATA * 40)
    send(upload, 100, piece(100, DATA * 40))
    (file,) = (store.root / "uploads").iterdir()
    assert file.stat().st_size > 40 * len(DATA)
    assert file.stat().st_blocks * 512 < 2 * PART + 100_000


def test_parts_of_another_size_are_another_upload(store, monkeypatch):
    """A hub that is updated in the middle: what its predecessor noted is not misread."""
    send(begin(store), 0, piece(0))
    monkeypatch.setattr(PartedUpload, "part_bytes", PART // 2)
    assert begin(store).missing() == [0, 1, 2, 3, 4, 5]


def test_who_waits_for_a_commit_is_told(store, monkeypatch):
    monkeypatch.setattr(uploads, "_LOCK_WITHIN_S", 0.05)
    upload = begin(store)
    send(upload, 0, piece(0))
    descriptor = upload.open_file()
    with upload.holding(descriptor), pytest.raises(Conflict, match="put together"):
        upload.commit()
    os.close(descriptor)
    with pytest.raises(Conflict, match="2 of its 3 parts"):
        upload.commit()


def test_a_part_does_not_count_for_another_file_of_the_same_name(store):
    """The upload was thrown away in the middle of a part, and begun again by another."""
    upload = begin(store)
    with upload.part(1, expected=blake3_digest(piece(1))) as late:
        late.write(piece(1)[:10])
        store.drop_uploads(before=time.time() + 60)
        send(upload, 0, piece(0))
        with pytest.raises(Conflict, match="it is over"):
            late.write(piece(1)[10:])
    assert upload.missing() == [1, 2]
