"""Segments of metrics: what a process packs is what we read, whenever it is read and wherever it stops."""

import math
import os
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.capture.hooks import points as hook
from relive.capture.hooks.points import Points
from relive.core.run import Metric
from relive.formats.points import read_points, written_bytes
from relive.formats.spool import SpoolReader, read_range, spool_files

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
calls = st.lists(
    st.tuples(
        st.dictionaries(
            names, st.floats() | st.integers(-(2**53), 2**53) | st.booleans(), min_size=1, max_size=12
        ),
        st.integers(-(2**63), 2**63 - 1),
    ),
    max_size=25,
)


def everything(folder: Path) -> list[Metric]:
    return [it for batch in SpoolReader(folder).read() for it in batch.points]


def bits(metrics: list[Metric]) -> list[tuple[str, bytes, int]]:
    return sorted((it.key, struct.pack("<d", it.value), it.step) for it in metrics)


def expected(logged: list[tuple[dict[str, float], int]]) -> list[tuple[str, bytes, int]]:
    return sorted(
        (name, struct.pack("<d", value), step) for values, step in logged for name, value in values.items()
    )


@given(calls)
def test_what_a_process_packs_is_what_we_read(tmp_path_factory, logged):
    folder = tmp_path_factory.mktemp("spool")
    points = Points(str(folder))
    assert all(points.append(values, step) for values, step in logged)
    assert bits(everything(folder)) == expected(logged)


@given(calls, st.integers(1, 300))
def test_reading_while_it_grows_gives_each_point_once_and_again_by_its_range(tmp_path_factory, logged, size):
    folder = tmp_path_factory.mktemp("spool")
    points, reader = Points(str(folder)), SpoolReader(folder)
    seen: list[Metric] = []
    for values, step in logged:
        points.append(values, step)
        for batch in SpoolReader(folder, reader.offsets).read(size):
            again = read_range(folder, batch.file, batch.start, batch.end)
            assert repr(again) == repr(batch)  # NaN is not equal to itself
        seen += [it for batch in reader.read(size) for it in batch.points]
    assert bits(seen) == expected(logged)


@given(calls, st.data())
def test_wherever_a_process_was_stopped_what_is_whole_is_read(tmp_path_factory, logged, data):
    folder = tmp_path_factory.mktemp("spool")
    points = Points(str(folder))
    places, name = [0], ""
    for values, step in logged:
        points.append(values, step)
        (name,) = spool_files(folder)
        places.append(written_bytes(folder / name))
    if not logged:
        return
    path = folder / name
    cut = data.draw(st.integers(0, places[-1]))
    with open(path, "r+b") as file:
        file.seek(cut)
        file.write(bytes(places[-1] - cut))
    whole = sum(place <= cut for place in places[1:])
    assert Counter(expected(logged[:whole])) <= Counter(bits(everything(folder)))
    assert len(everything(folder)) <= len(expected(logged[: whole + 1]))


def test_a_long_loop_goes_through_several_segments_and_each_says_that_it_ended(tmp_path):
    points = Points(str(tmp_path))
    n = 3 * hook.SEGMENT_BYTES // 32
    for step in range(n):
        assert points.append({"loss": step / 7}, step)
    points.close()
    batches = list(SpoolReader(tmp_path).read())
    assert [it.step for batch in batches for it in batch.points] == list(range(n))
    assert len({batch.file for batch in batches if batch.ended}) == len(spool_files(tmp_path)) >= 3


@pytest.mark.parametrize("stretch", [1, 2, 7, 300])
def test_two_sets_of_names_in_turn_keep_the_order_of_each_series(tmp_path, stretch):
    points = Points(str(tmp_path))
    for step in range(1000):
        if step % (2 * stretch) < stretch:
            points.append({"train": step}, step)
        else:
            points.append({"val": -step, "acc": 1}, step)
    found = everything(tmp_path)
    steps = {key: [it.step for it in found if it.key == key] for key in ("train", "val", "acc")}
    first = [step for step in range(1000) if step % (2 * stretch) < stretch]
    second = [step for step in range(1000) if step % (2 * stretch) >= stretch]
    assert steps == {"train": first, "val": second, "acc": second}
    assert [it.value for it in found if it.key == "val"] == [-step for step in second]


def test_more_sets_of_names_than_a_segment_holds(tmp_path):
    points = Points(str(tmp_path))
    for number in range(hook.MOST_SHAPES + 10):
        assert points.append({f"m{number}": number}, 0)
    assert [it.value for it in everything(tmp_path)] == list(range(hook.MOST_SHAPES + 10))


@pytest.mark.parametrize(
    ("metrics", "step"),
    [
        ({}, 0),
        ({"": 1.0}, 0),
        ({"x" * 251: 1.0}, 0),
        ({1: 1.0}, 0),
        ({"a": "1.0"}, 0),
        ({"a": None}, 0),
        ({"a": {"b": 1.0}}, 0),
        ({"a": 10**400}, 0),
        ({"a": 1.0, "b": 10**400}, 0),
        ({"a": 1.0}, 2**63),
        ({f"m{i}": 1.0 for i in range(hook.MOST_NAMES + 1)}, 0),
        (None, 0),
        ([1.0], 0),
    ],
)
def test_what_does_not_fit_is_left_to_the_other_file_and_leaves_no_trace(tmp_path, metrics, step):
    points = Points(str(tmp_path))
    points.append({"before": 1.0}, 0)
    assert not points.append(metrics, step)
    points.append({"after": 2.0}, 1)
    assert [(it.key, it.value) for it in everything(tmp_path)] == [("before", 1.0), ("after", 2.0)]


def test_threads_lose_nothing_between_them(tmp_path):
    points = Points(str(tmp_path))
    refused: list[int] = []

    def log(thread: int) -> None:
        for step in range(5000):
            refused.extend([thread] * (not points.append({f"t{thread}": step}, step)))

    threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = everything(tmp_path)
    assert len(found) + len(refused) == 20_000
    for number in range(4):
        steps = [it.step for it in found if it.key == f"t{number}"]
        assert steps == sorted(steps)


def test_a_signal_handler_that_logs_in_the_middle_is_told_no_and_does_not_hang(tmp_path):
    points = Points(str(tmp_path))
    inside: list[bool] = []

    class Value:
        def item(self) -> float:
            inside.append(points.append({"inner": 1.0}, 0))
            return 2.0

    assert points.append({"outer": Value()}, 0)
    assert inside == [False]
    assert [it.key for it in everything(tmp_path)] == ["outer"]


def test_a_forked_child_packs_into_a_segment_of_its_own(tmp_path):
    points = Points(str(tmp_path))
    points.append({"x": 1.0}, 0)
    pid = os.fork()
    if pid == 0:
        points.append({"x": 2.0}, 1)
        os._exit(0)
    os.waitpid(pid, 0)
    points.append({"x": 3.0}, 2)
    assert sorted((it.step, it.value) for it in everything(tmp_path)) == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert len(spool_files(tmp_path)) == 2


def test_a_program_that_closes_every_descriptor_keeps_those_that_it_opens_then(tmp_path):
    code = (
        "import os, sys\nfrom relive.capture.hooks import points\n"
        "p = points.Points(sys.argv[1])\n"
        "p.append({'x': 1.0}, 0)\n"
        "os.closerange(3, 100)\n"
        "mine = [open(os.path.join(sys.argv[1], f'mine-{i}'), 'w') for i in range(5)]\n"
        "for step in range(1, 2 * points.SEGMENT_BYTES // 32): assert p.append({'x': 1.0}, step)\n"
        "import gc; gc.collect()\n"
        "for file in mine: file.write('mine'); file.close()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
    assert [path.read_text() for path in tmp_path.glob("mine-*")] == ["mine"] * 5
    assert len(everything(tmp_path)) == 2 * hook.SEGMENT_BYTES // 32


def test_a_prefix_stands_before_every_name(tmp_path):
    Points(str(tmp_path), "rank1/").append({"a": 1.0, "b": 2.0}, 0)
    assert [it.key for it in everything(tmp_path)] == ["rank1/a", "rank1/b"]


def test_a_folder_that_cannot_be_written_is_tried_again_but_not_at_each_call(tmp_path, monkeypatch):
    now = [100.0]
    tried: list[str] = []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def fail(folder: str) -> object:
        tried.append(folder)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(hook, "_new_segment", fail)
        points = Points(str(tmp_path))
        assert not any(points.append({"x": 1.0}, step) for step in range(10))
        assert len(tried) == 1
    assert not points.append({"x": 1.0}, 10)
    now[0] += 2 * hook.RETRY_AFTER_S
    assert points.append({"x": 1.0}, 11)
    assert [it.step for it in everything(tmp_path)] == [11]


class TestDamage:
    """Files that no process of ours wrote like this."""

    def segment(self, folder: Path) -> Path:
        points = Points(str(folder))
        for step in range(3):
            points.append({"x": float(step)}, step)
        (name,) = spool_files(folder)
        return folder / name

    def test_a_file_of_something_else_is_passed_over_and_counted(self, tmp_path):
        (tmp_path / "a.points").write_bytes(b"something else" * 10)
        batches = list(SpoolReader(tmp_path).read())
        assert [(it.points, it.damaged) for it in batches] == [((), 1)]

    def test_a_record_that_is_none_ends_its_file_and_is_counted(self, tmp_path):
        path = self.segment(tmp_path)
        with open(path, "r+b") as file:
            file.seek(written_bytes(path) - 32)
            file.write(b"\xff\xff\xff\xff")
        batches = list(SpoolReader(tmp_path).read())
        assert [len(it.points) for it in batches] == [2]
        assert sum(it.damaged for it in batches) == 1

    def test_definitions_that_lead_in_a_circle_are_found_from_the_beginning(self, tmp_path):
        path = self.segment(tmp_path)
        with open(path, "r+b") as file:
            file.seek(hook.HEADER.size + 8)
            file.write(struct.pack("<Q", hook.HEADER.size))
        assert [it.value for it in everything(tmp_path)] == [0.0, 1.0, 2.0]

    def test_a_time_that_is_none_costs_its_record_only(self, tmp_path, monkeypatch):
        points = Points(str(tmp_path))
        for step, moment in enumerate((1.0, math.nan, 3.0)):
            monkeypatch.setattr(time, "time", lambda moment=moment: moment)
            points.append({"x": 1.0}, step)
        assert [it.at for it in everything(tmp_path)] == [1.0, 3.0]

    @pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd"), Path.mkdir])
    def test_a_pipe_a_link_or_a_folder_is_not_opened(self, tmp_path, make):
        path = tmp_path / "a.points"
        make(path)
        assert read_points(path, 0, 1000).blocks == ()
        assert written_bytes(path) == 0
        assert list(SpoolReader(tmp_path).read()) == []

    def test_a_file_that_was_only_begun_waits(self, tmp_path):
        (tmp_path / "a.points").write_bytes(bytes(1000))
        (tmp_path / "b.points").touch()
        assert list(SpoolReader(tmp_path).read()) == []

    @given(st.binary(max_size=200), st.integers(0, 150))
    def test_noise_anywhere_neither_hangs_nor_raises(self, tmp_path_factory, noise, place):
        folder = tmp_path_factory.mktemp("spool")
        path = self.segment(folder)
        with open(path, "r+b") as file:
            file.seek(place)
            file.write(noise)
        batches = list(SpoolReader(folder).read())
        assert len(batches) <= 50
