"""The kept log: beginning and end as printed, everything counted, secrets never shown."""

import errno
import os
import resource
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relive.runner.masking import MASK, Mask
from relive.runner.output import OutputLog, Sink, pump

MARK = b"bytes are left out here]\n"
PIECES = st.lists(st.binary(max_size=12), max_size=40)


def kept(folder: Path, pieces: list[bytes], kept_bytes: int) -> tuple[bytes, OutputLog]:
    log = OutputLog(folder, kept_bytes=kept_bytes)
    for piece in pieces:
        log.write(piece)
    return log.close().read_bytes(), log


def test_a_short_log_is_kept_as_it_is(tmp_path):
    assert kept(tmp_path, [b"a\n", b"", b"b"], 100)[0] == b"a\nb"


@given(pieces=PIECES, size=st.integers(1, 30))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_beginning_and_end_are_kept_and_all_is_counted(tmp_path_factory, pieces, size):
    whole = b"".join(pieces)
    found, log = kept(tmp_path_factory.mktemp("log"), pieces, size)
    assert log.total_bytes == len(whole)
    if len(whole) <= 2 * size:
        assert found == whole
        return
    assert found.startswith(whole[:size])
    before, _, end = found.rpartition(MARK)
    left_out = int(before.rpartition(b"[relive: ")[2])
    assert len(end) + left_out + size == len(whole)
    assert whole.endswith(end)
    assert len(end) <= size


@given(pieces=PIECES, size=st.integers(1, 30), limit=st.integers(0, 40))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_last_bytes_can_be_asked_for_while_it_is_written(tmp_path_factory, pieces, size, limit):
    log = OutputLog(tmp_path_factory.mktemp("log"), kept_bytes=size)
    for piece in pieces:
        log.write(piece)
    whole = b"".join(pieces)
    wanted = min(limit, size, len(whole))
    assert log.end(limit) == whole[len(whole) - wanted :]
    log.close()


def test_the_end_begins_with_a_whole_line(tmp_path):
    lines = b"".join(b"line %03d\n" % i for i in range(100))
    found, _ = kept(tmp_path, [lines], 35)
    assert found.partition(MARK)[2] == b"line 097\nline 098\nline 099\n"


def test_what_is_read_live_only_grows_and_is_the_kept_log_in_the_end(tmp_path):
    log = OutputLog(tmp_path, kept_bytes=20)
    seen = b""
    for i in range(30):
        log.write(b"line %02d\n" % i)
        seen += log.read(len(seen), 7)
    final = log.close().read_bytes()
    while piece := log.read(len(seen), 7):
        seen += piece
    assert seen == final


def test_nothing_is_written_after_the_end(tmp_path):
    log = OutputLog(tmp_path)
    log.write(b"a")
    log.close()
    log.write(b"b")
    assert log.close().read_bytes() == b"a"


def test_a_full_disk_costs_output_and_not_the_run(tmp_path, monkeypatch):
    log = OutputLog(tmp_path, kept_bytes=10)
    sink = Sink(log, Mask(()))
    sink.take(b"0123456789")

    def full(*_):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    sink.take(b"lost")
    monkeypatch.undo()
    sink.take(b"kept")
    assert log.total_bytes == 18
    assert log.close().read_bytes() == b"0123456789kept"


@pytest.mark.timeout(120)
def test_a_flood_goes_through_little_memory(tmp_path):
    reading, writing = os.pipe()
    log = OutputLog(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    thread = pump(reading, Sink(log, Mask(["a secret"])))
    piece = b"x" * 65535 + b"\n"
    with open(writing, "wb", buffering=0) as out:
        out.writelines(piece for _ in range(4096))
    thread.join()
    assert log.total_bytes == 4096 * 65536
    assert log.close().stat().st_size < 33 * 1024 * 1024
    # The end, put together, is held in memory once; the flood itself is not.
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 60 * 1024 * 1024


def test_an_onlooker_sees_what_is_kept(tmp_path):
    reading, writing = os.pipe()
    seen: list[bytes] = []
    log = OutputLog(tmp_path)
    thread = pump(reading, Sink(log, Mask(["hush"]), seen.append))
    os.write(writing, b"a hush b\n")
    os.close(writing)
    thread.join()
    assert b"".join(seen) == log.close().read_bytes() == b"a *** b\n"


@given(
    secrets=st.lists(st.text(alphabet="abc", min_size=4, max_size=6), min_size=1, max_size=3),
    text=st.lists(st.sampled_from(["a", "b", "c", "abca", " ", "\n"]), max_size=40),
    cuts=st.lists(st.integers(1, 5), min_size=1, max_size=20),
)
def test_no_secret_gets_through_however_it_is_cut(secrets, text, cuts):
    data = "".join(text).encode()
    mask, shown, at = Mask(secrets), b"", 0
    while at < len(data):
        size = cuts[at % len(cuts)]
        shown += mask.feed(data[at : at + size])
        at += size
    shown += mask.flush()
    whole = Mask(secrets)
    assert not any(secret.encode() in shown for secret in secrets)
    assert (shown == data) == (whole.feed(data) + whole.flush() == data)


def test_what_cannot_be_a_secrets_beginning_is_shown_at_once():
    mask = Mask(["hunter2"])
    assert mask.feed(b"password: hunt") == b"password: "
    assert mask.feed(b"ing\n") == b"hunting\n"
    assert mask.feed(b"hunter2!") == MASK + b"!"


def test_a_value_too_short_for_a_secret_is_left_alone():
    assert Mask(["1", "", "abc"]).feed(b"1 abc") == b"1 abc"


def test_two_threads_may_write_and_read(tmp_path):
    log = OutputLog(tmp_path, kept_bytes=1000)
    done = threading.Event()
    seen: list[bytes] = []

    def read():
        offset = 0
        while not done.is_set() or log.readable_bytes > offset:
            piece = log.read(offset, 100)
            offset += len(piece)
            seen.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(200):
        log.write(b"%04d\n" % i)
    done.set()
    reader.join()
    assert b"".join(seen) == b"".join(b"%04d\n" % i for i in range(200))
    log.close()
