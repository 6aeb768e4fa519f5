"""Following a replay while it runs: what is told, when it is ended, and what is not followed."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from relive.core.trajectory import StepPlace, StepRecord, StepWindow, Trajectory
from relive.replay import watch as watching
from relive.replay.watch import Seen, Stop, Watch
from relive.runner.lease import Lease, Over

PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_EVERY_S", 0.01)


@pytest.fixture
def lease() -> Lease:
    """Give a claim that nobody renews: it is only ever lost."""
    nobody: Any = None
    return Lease(nobody)


class Process:
    """What one process writes into a spool."""

    def __init__(self, spool: Path, name: str, *, pid: int = 1, rank: str = "") -> None:
        spool.mkdir(exist_ok=True)
        self._file = spool / f"{name}.jsonl"
        self._write(t="start", format=1, pid=pid, rank=rank)

    def step(self, number: int, loss: float, stream: str = "loss") -> None:
        self._write(t="step", stream=stream, s=number, v={"loss": loss.hex()})

    def _write(self, **record: Any) -> None:
        with open(self._file, "a") as file:
            file.write(json.dumps(record) + "\n")


def trajectory(losses: list[float], prefix: str = "") -> Trajectory:
    return Trajectory(
        steps=tuple(
            StepRecord(stream=f"{prefix}loss", step=number, values={"loss": loss.hex()})
            for number, loss in enumerate(losses)
        )
    )


def until(watch: Watch, condition: Any) -> Seen:
    deadline = time.monotonic() + PATIENCE_S
    while not condition(watch.seen):
        assert time.monotonic() < deadline, watch.seen
        time.sleep(0.01)
    return watch.seen


def test_it_tells_the_last_equal_step_while_more_is_written(tmp_path: Path, lease: Lease) -> None:
    told: list[Seen] = []
    watch = Watch(trajectory([1.0, 0.5, 0.25]), told=told.append)
    watch.start(tmp_path / "spool", lease)
    process = Process(tmp_path / "spool", "1-1")
    process.step(0, 1.0)
    assert until(watch, lambda seen: seen.compared == 1).last_equal == StepPlace(stream="loss", step=0)
    process.step(1, 0.5)
    process.step(2, 0.75)
    seen = until(watch, lambda seen: seen.first is not None)
    assert seen.last_equal == StepPlace(stream="loss", step=1)
    watch.end()
    assert (lease.over, watch.seen.stop) == (None, None)
    assert told[-1] == watch.seen


def test_it_ends_the_command_at_the_first_difference_if_it_is_asked_to(tmp_path: Path, lease: Lease) -> None:
    watch = Watch(trajectory([1.0, 0.5]), until_divergence=True)
    watch.start(tmp_path / "spool", lease)
    process = Process(tmp_path / "spool", "1-1")
    process.step(0, 1.0)
    until(watch, lambda seen: seen.compared == 1)
    assert lease.over is None
    process.step(1, 9.0)
    seen = until(watch, lambda _: lease.over is Over.CANCELLED)
    assert seen.stop is Stop.DIVERGED
    watch.end()


def test_it_ends_the_command_once_all_asked_steps_were_seen(tmp_path: Path, lease: Lease) -> None:
    watch = Watch(trajectory([1.0, 0.5, 0.25, 0.1]), window=StepWindow(first=1, last=2))
    watch.start(tmp_path / "spool", lease)
    process = Process(tmp_path / "spool", "1-1")
    process.step(0, 9.0)  # differs, and nobody asked
    process.step(1, 0.5)
    until(watch, lambda seen: seen.compared == 1)
    assert lease.over is None
    process.step(2, 0.25)
    seen = until(watch, lambda _: lease.over is Over.CANCELLED)
    assert (seen.stop, seen.first, seen.compared) == (Stop.ALL_SEEN, None, 2)
    watch.end()


def test_ranks_are_followed_and_workers_are_not(tmp_path: Path, lease: Lease) -> None:
    both = Trajectory(steps=(*trajectory([1.0], "rank0/").steps, *trajectory([2.0], "rank1/").steps))
    watch = Watch(both, until_divergence=True)
    watch.start(tmp_path / "spool", lease)
    Process(tmp_path / "spool", "1-1", pid=1, rank="0").step(0, 1.0)
    Process(tmp_path / "spool", "1-2", pid=2, rank="1").step(0, 2.0)
    assert until(watch, lambda seen: seen.compared == 2).first is None
    watch.end()


def test_steps_of_a_second_process_are_not_taken_for_those_of_the_first(tmp_path: Path, lease: Lease) -> None:
    watch = Watch(trajectory([1.0, 0.5]), until_divergence=True)
    Process(tmp_path / "spool", "1-1", pid=1).step(0, 1.0)
    Process(tmp_path / "spool", "1-2", pid=2).step(1, 9.0)
    # The same process again: a script's own relive writes a file beside the hooks'.
    Process(tmp_path / "spool", "1-3", pid=1).step(1, 0.5)
    watch.start(tmp_path / "spool", lease)
    assert until(watch, lambda seen: seen.compared == 2).first is None
    watch.end()


def test_what_several_processes_recorded_is_left_to_the_end(tmp_path: Path, lease: Lease) -> None:
    watch = Watch(trajectory([1.0], "p1/"), until_divergence=True)
    Process(tmp_path / "spool", "1-1").step(0, 9.0)
    watch.start(tmp_path / "spool", lease)
    time.sleep(0.1)
    watch.end()
    assert (watch.seen, lease.over) == (Seen(), None)


def test_a_spool_that_cannot_be_read_stops_nothing(tmp_path: Path, lease: Lease) -> None:
    (tmp_path / "spool").write_text("a file where a folder should be")
    watch = Watch(trajectory([1.0]), until_divergence=True)
    watch.start(tmp_path / "spool", lease)
    time.sleep(0.1)
    watch.end()
    assert (watch.seen, lease.over) == (Seen(), None)
