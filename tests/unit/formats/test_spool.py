"""Reading a spool: incrementally, tolerantly, and never trusting what a process wrote."""

import json
import math
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.capture.hooks.spool import LONGEST_LINE as LONGEST_WRITTEN
from relive.capture.hooks.spool import Spool
from relive.core.trajectory import StepRecord
from relive.formats.spool import LONGEST_LINE, SpoolReader, read_range, read_spool
from relive.formats.spool_records import ProcessStart, SpooledMetric, SpooledParam

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
metrics = st.builds(
    lambda k, v, s: {"t": "metric", "k": k, "v": v, "s": s, "w": 1.0},
    names,
    st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["nan", "inf", "-inf"]),
    st.integers(-(2**63), 2**63 - 1),
)
params = st.builds(lambda k, v: {"t": "param", "k": k, "v": v}, names, st.none() | st.integers(0, 9) | names)
steps = st.builds(
    lambda k, s: {"t": "step", "stream": k, "s": s, "d": {"w": "ab"}, "v": {"loss": (0.5).hex()}},
    names,
    st.integers(0, 9),
)
records = st.lists(metrics | params | steps, max_size=12)


def line(**fields: object) -> str:
    return json.dumps(fields) + "\n"


def metric(key: str, value: object = 1.0, step: object = 0) -> str:
    return line(t="metric", k=key, v=value, s=step, w=0.0)


def keys(folder: Path) -> list[str]:
    return [it.key for it in read_spool(folder).metrics]


@given(records)
def test_what_hooks_write_is_what_we_read(tmp_path_factory, written):
    folder = tmp_path_factory.mktemp("spool")
    Spool(str(folder)).write(*written)
    contents = read_spool(folder)
    assert contents.damaged == 0
    assert [(it.key, it.step) for it in contents.metrics] == [
        (it["k"], it["s"]) for it in written if it["t"] == "metric"
    ]
    assert contents.params == {it["k"]: it["v"] for it in written if it["t"] == "param"}
    assert [it.stream for it in contents.trajectory().steps] == [
        it["stream"] for it in written if it["t"] == "step"
    ]


@given(records, st.binary(max_size=40), st.integers(0, 12))
def test_damage_costs_its_own_line_only(tmp_path_factory, written, noise, place):
    folder = tmp_path_factory.mktemp("spool")
    lines = [json.dumps(it).encode() for it in written]
    noise = noise.replace(b"\n", b"?") or b"?"
    place = min(place, len(lines))
    lines.insert(place, b"{" + noise)
    (folder / "a.jsonl").write_bytes(b"".join(it + b"\n" for it in lines))
    contents = read_spool(folder)
    assert contents.damaged == 1
    assert len(contents.metrics) == sum(it["t"] == "metric" for it in written)


@given(records, st.data())
def test_a_torn_last_line_costs_nothing_before_it(tmp_path_factory, written, data):
    folder = tmp_path_factory.mktemp("spool")
    whole = b"".join(json.dumps(it).encode() + b"\n" for it in written)
    cut = data.draw(st.integers(0, len(whole)))
    (folder / "a.jsonl").write_bytes(whole[:cut])
    count = whole[:cut].count(b"\n")
    contents = read_spool(folder)
    assert len(contents.metrics) == sum(it["t"] == "metric" for it in written[:count])
    assert contents.damaged == (whole[:cut][-1:] not in (b"", b"\n"))


@given(st.lists(st.integers(1, 60), max_size=30))
def test_reading_while_it_grows_gives_each_record_once(tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("spool")
    path = folder / "a.jsonl"
    path.touch()
    reader = SpoolReader(folder)
    data = "".join(metric(f"k{i}", i) for i in range(12)).encode()
    seen: list[str] = []
    at = 0
    for size in [*cuts, len(data)]:
        with open(path, "ab") as file:
            file.write(data[at : at + size])
        at += size
        # Another reader that begins at these offsets goes on as this one would.
        for batch in SpoolReader(folder, reader.offsets).read(max_bytes=64):
            again = read_range(folder, batch.file, batch.start, batch.end)
            assert again == batch
        for batch in reader.read(max_bytes=64):
            seen += [it.k for it in batch.records if isinstance(it, SpooledMetric)]
    assert seen == [f"k{i}" for i in range(12)]


def test_a_large_spool_comes_in_batches_that_follow_one_another(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(metric(f"k{i}") for i in range(5000)))
    batches = list(SpoolReader(tmp_path).read(max_bytes=10_000))
    assert len(batches) > 10
    assert batches[0].start == 0
    assert all(one.end == other.start for one, other in pairwise(batches))
    assert all(batch.end - batch.start <= 10_000 for batch in batches)
    assert sum(len(batch.records) for batch in batches) == 5000


def test_a_line_longer_than_any_record_is_passed_over_in_bounded_memory(tmp_path):
    with open(tmp_path / "a.jsonl", "w") as file:
        file.write(metric("before"))
        file.write('{"t":"param","k":"big","v":"' + "x" * (3 * LONGEST_LINE) + '"}\n')
        file.write(metric("after"))
    contents = read_spool(tmp_path)
    assert [it.key for it in contents.metrics] == ["before", "after"]
    assert contents.damaged >= 1


def test_the_writer_and_the_reader_agree_on_the_longest_line():
    assert LONGEST_WRITTEN == LONGEST_LINE


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"t":"unknown"}',
        '{"t":"metric"}',
        '{"t":"metric","k":"","v":1}',
        '{"t":"metric","k":"' + "x" * 251 + '","v":1}',
        '{"t":"metric","k":"a","v":"high"}',
        '{"t":"metric","k":"a","v":NaN}',
        '{"t":"metric","k":"a","v":1,"s":1.5}',
        '{"t":"metric","k":"a","v":1,"s":9223372036854775808}',
        '{"t":"step","stream":"a","s":0,"d":{"w":5}}',
        '{"t":"param","k":5}',
        '{"t":"metric","k":"\\ud800","v":1}',
        "[" * 100_000,
    ],
)
def test_what_is_no_record_is_counted_and_skipped(tmp_path, bad):
    (tmp_path / "a.jsonl").write_text(metric("before") + bad + "\n" + metric("after"))
    contents = read_spool(tmp_path)
    assert [it.key for it in contents.metrics] == ["before", "after"]
    assert contents.damaged == (1 if bad else 0)


def test_fields_of_a_newer_format_are_passed_over(tmp_path):
    (tmp_path / "a.jsonl").write_text(line(t="metric", k="a", v=1.0, s=0, w=0.0, unit="m"))
    assert keys(tmp_path) == ["a"]


@pytest.mark.parametrize(("word", "value"), [("inf", math.inf), ("-inf", -math.inf)])
def test_infinities_are_words(tmp_path, word, value):
    (tmp_path / "a.jsonl").write_text(metric("a", word))
    assert read_spool(tmp_path).metrics[0].value == value


def test_links_pipes_folders_and_other_files_are_not_read(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text(metric("stolen"))
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "link.jsonl").symlink_to(secret)
    os.mkfifo(spool / "pipe.jsonl")
    (spool / "folder.jsonl").mkdir()
    (spool / "other.txt").write_text(metric("other"))
    (spool / "own.jsonl").write_text(metric("own"))
    assert keys(spool) == ["own"]


def test_an_absent_spool_is_empty(tmp_path):
    contents = read_spool(tmp_path / "absent")
    assert (contents.metrics, contents.processes, contents.damaged) == ((), (), 0)


def start(pid: int, *, ppid: int = 1, rank: str = "", argv: tuple[str, ...] = ("python",)) -> str:
    return line(t="start", format=1, pid=pid, ppid=ppid, argv=argv, rank=rank, w=0.0)


def step(stream: str, number: int) -> str:
    return line(t="step", stream=stream, s=number, d={}, v={"x": "0x0.0p+0"})


def test_streams_of_several_processes_are_told_apart(tmp_path):
    (tmp_path / "1.jsonl").write_text(start(10) + metric("only a launcher"))
    (tmp_path / "2.jsonl").write_text(start(11) + step("fit", 0))
    (tmp_path / "3.jsonl").write_text(start(12) + step("fit", 0))
    (tmp_path / "4.jsonl").write_text(start(13, rank="3") + step("loss", 0))
    streams = [it.stream for it in read_spool(tmp_path).trajectory().steps]
    assert streams == ["fit", "p1/fit", "rank3/loss"]


def test_two_files_of_one_process_are_one_process(tmp_path):
    (tmp_path / "1.jsonl").write_text(start(10) + step("loss", 0))
    (tmp_path / "2.jsonl").write_text(start(10) + step("state", 0) + line(t="exit", libraries=["/x.so"]))
    (tmp_path / "3.jsonl").write_text(start(10, argv=("python", "other.py")) + step("loss", 0))
    first, second = read_spool(tmp_path).processes
    assert [it.stream for it in first.steps] == ["loss", "state"]
    assert first.exit is not None
    assert second.exit is None
    assert [it.stream for it in read_spool(tmp_path).trajectory().steps] == ["loss", "state", "p1/loss"]


def test_a_process_that_could_not_say_who_it_is_keeps_its_records(tmp_path):
    (tmp_path / "boot-7.jsonl").write_text(line(t="error", where="boot", message="SyntaxError: x"))
    contents = read_spool(tmp_path)
    assert contents.notes == ("boot: SyntaxError: x",)
    assert contents.processes[0].start is None


def test_the_last_word_on_a_name_counts(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        line(t="param", k="lr", v=1)
        + line(t="param", k="lr", v=2)
        + line(t="tag", k="t", v="a")
        + line(t="artifact", path="/a", name="m")
        + line(t="artifact", path="/b", name="m")
        + line(t="finish", status="failed")
    )
    contents = read_spool(tmp_path)
    assert contents.params == {"lr": 2}
    assert contents.tags == {"t": "a"}
    assert [it.path for it in contents.artifacts] == ["/b"]
    assert contents.finish is not None
    assert contents.finish.status == "failed"


def test_records_are_typed(tmp_path):
    (tmp_path / "a.jsonl").write_text(start(5) + line(t="param", k="a", v={"b": [1, None]}) + step("s", 3))
    (batch,) = SpoolReader(tmp_path).read()
    first, second, _ = batch.records
    assert isinstance(first, ProcessStart)
    assert isinstance(second, SpooledParam)
    assert second.v == {"b": [1, None]}
    assert read_spool(tmp_path).processes[0].steps == (
        StepRecord(stream="s", step=3, values={"x": "0x0.0p+0"}),
    )
