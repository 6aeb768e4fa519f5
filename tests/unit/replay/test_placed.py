"""Variants on a pool: what a lost one means, what another processor means, and that none is made twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from relive.client.calls.reports import ReportClient
from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.core.access import Scope
from relive.core.attribution import Outcome
from relive.core.job import Job, JobKind, JobState
from relive.core.run import RunStatus
from relive.replay import job as processes
from relive.replay import placed
from relive.replay.early import Horizon
from relive.replay.placed import PlacedVariants
from relive.replay.variant import PROCESSOR_TAG, Result, Variants
from relive.runner.order import Order
from relive.services import causes, runs
from relive.services.accounts import create_job_token
from relive.wire.jobs import StageWork
from relive.wire.runs import PlacedWhy
from tests.support.bench import Bench, open_bench, quick_folder
from tests.support.live import LiveHub, served
from tests.unit.replay.test_variant import work

STEPS = """
import relive, time
for step in range(200):
    relive.step({"w": [float(step)]}, stream="net")
    time.sleep(0.05)
"""


@dataclass
class Pool:
    """Does one job each time that somebody waits for it; `fates` are what becomes of the first ones."""

    bench: Bench
    live: LiveHub
    fates: list[Callable[[Job], None]] = field(default_factory=list)

    def sleep(self, _: float) -> None:
        """Do the next job, or let it meet its fate."""
        job = self.bench.services.store.claim("pool", pools=("local",), kinds=(JobKind.TRIAL,), lease_s=60)
        assert job is not None, "there is nothing to wait for"
        (self.fates.pop(0) if self.fates else self.work)(job)

    def work(self, job: Job) -> None:
        """Do a job as its process would."""
        token = create_job_token(self.bench.services, job, Scope.RUNNER)
        assert processes._work(Order(hub=self.live.url, job=job.id, fence=job.fence, token=token)) == 0

    def lose(self, job: Job) -> None:
        """Let a job's machine go away."""
        self.bench.services.store.finish(
            job.id, job.fence, JobState.LOST, result={}, error="its machine died"
        )
        causes.settle(self.bench.services)

    def work_elsewhere(self, job: Job) -> None:
        """Do a job on a machine of another kind."""
        self.work(job)
        self.bench.services.store.set_tags(job.subject.removeprefix("run:"), {PROCESSOR_TAG: "another"})


@dataclass
class Searching:
    """A search that was placed, and its maker of runs."""

    bench: Bench
    pool: Pool
    run_id: str
    job: Job
    maker: PlacedVariants
    hub: HubClient

    def tries(self) -> list[JobState]:
        """Give what became of each trial, the first first."""
        return [it.state for it in reversed(self.bench.services.store.list_jobs(kinds=(JobKind.TRIAL,)))]

    def run(self, todo: StageWork, until: Horizon | None = None) -> Result:
        """Have something tried."""
        return self.maker.run(todo, self.maker.key(todo), name="why: a copy", until=until)


@pytest.fixture
def searching(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Searching]:
    """A search of a hub that answers, with an empty cache on this side."""
    monkeypatch.setenv("RELIVE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RELIVE_CACHE", str(tmp_path / "cache"))
    with quick_folder() as folder, open_bench(folder) as bench, served(bench.services) as live:
        store, pool = bench.services.store, Pool(bench, live)
        monkeypatch.setattr(placed, "time", SimpleNamespace(sleep=pool.sleep))
        ends = []
        for _ in range(2):
            ends.append(bench.by_hand().run_id)
            recipe = bench.services.blobs.put(b"{}").digest
            store.set_run(ends[-1], status=RunStatus.FINISHED, recipe=recipe)
        run = causes.place(bench.services, ends[0], PlacedWhy(after=ends[1]), by="ada")
        job = store.claim("hub", pools=("local",), kinds=(JobKind.WHY,), lease_s=60)
        assert job is not None
        token = create_job_token(bench.services, job, Scope.RUNNER)
        hub = HubClient(Transport(live.url, token))
        maker = PlacedVariants(
            hub, ReportClient(Transport(live.url, token), "jobs", job.id, job.fence), "local"
        )
        yield Searching(bench, pool, run.id, job, maker, HubClient(Transport(live.url, live.admin)))


def test_a_trial_comes_out_as_a_run_of_this_machine_does(searching: Searching) -> None:
    todo = work(searching.hub)
    here = Variants(searching.hub).run(todo, "here", name="why: here")
    there = searching.run(todo)
    assert (there.failure, there.metrics, there.opened) == ("", {"n": 2.0}, here.opened)
    assert there.processor == Variants(searching.hub).processor
    kept = searching.maker.find("digits", searching.maker.key(todo))
    assert kept == msgspec.structs.replace(there, reused=True)
    assert searching.tries() == [JobState.DONE]


def test_a_failure_of_the_command_is_one_and_is_not_tried_again(searching: Searching) -> None:
    found = searching.run(work(searching.hub, "raise SystemExit('no')\n"))
    assert "exit code 1: no" in found.failure
    assert searching.tries() == [JobState.DONE]


def test_what_was_lost_is_tried_again(searching: Searching) -> None:
    searching.pool.fates = [searching.pool.lose]
    found = searching.run(work(searching.hub))
    assert (found.failure, found.metrics) == ("", {"n": 2.0})
    assert searching.tries() == [JobState.LOST, JobState.DONE]


def test_what_is_lost_each_time_says_nothing(searching: Searching) -> None:
    searching.pool.fates = [searching.pool.lose] * 3
    todo = work(searching.hub)
    found = searching.run(todo)
    assert found.failure == "lost 3 times, the last time: its machine died"
    assert not found.is_cancelled
    assert searching.maker.find("digits", searching.maker.key(todo)) is None, "it may well go on another time"


def test_a_trial_that_somebody_cancels_is_tried_again(searching: Searching) -> None:
    def cancel(job: Job) -> None:
        runs.cancel(searching.bench.services, job.subject.removeprefix("run:"), by="bob")
        searching.pool.work(job)

    searching.pool.fates = [cancel]
    assert searching.run(work(searching.hub)).metrics == {"n": 2.0}
    assert searching.tries() == [JobState.CANCELLED, JobState.DONE]


def test_results_are_of_the_kind_of_machine_that_gave_the_first(searching: Searching) -> None:
    one, other = work(searching.hub), work(searching.hub, env={"A": "1"})
    assert searching.run(one).failure == ""
    searching.pool.fates = [searching.pool.work_elsewhere]
    found = searching.run(other)
    assert (found.failure, found.processor) == ("", Variants(searching.hub).processor)
    assert searching.tries() == [JobState.DONE] * 3


def test_what_only_ever_ran_on_another_kind_says_nothing(searching: Searching) -> None:
    one, other = work(searching.hub), work(searching.hub, env={"A": "1"})
    searching.run(one)
    searching.pool.fates = [searching.pool.work_elsewhere] * 3
    assert "another kind of processor" in searching.run(other).failure
    assert searching.maker.find("digits", searching.maker.key(other)) is None
    # A search that begins with that kind has no use for this one's.
    fresh = PlacedVariants(searching.hub, searching.maker._jobs, "local")
    assert fresh.find("digits", fresh.key(other)) is not None
    assert fresh.find("digits", fresh.key(one)) is None


def test_a_search_that_was_cancelled_tries_nothing_more(searching: Searching) -> None:
    runs.cancel(searching.bench.services, searching.run_id, by="bob")
    assert searching.run(work(searching.hub)).is_cancelled
    assert searching.maker.is_stopped
    assert searching.tries() == []


def test_a_wait_ends_when_the_search_is_stopped(searching: Searching) -> None:
    searching.pool.fates = [lambda _: searching.maker.stop()]
    assert searching.run(work(searching.hub)).is_cancelled


def test_a_beginning_is_ended_there_and_found_as_one(searching: Searching) -> None:
    first = searching.run(work(searching.hub, STEPS.replace("200", "10"), metrics_files=()))
    recorded = searching.maker.trajectory(first.run_id)
    until = Horizon(step=3, recorded=recorded, first=_none(), second=_none(), run_id=first.run_id)
    todo = work(searching.hub, STEPS, metrics_files=())
    found = searching.run(todo, until)
    assert (found.failure, found.is_beginning) == ("", True)
    assert {0, 1, 2, 3} <= set(found.beginning)
    assert len(searching.maker.trajectory(found.run_id).steps) < 200
    key = searching.maker.key(todo)
    assert searching.maker.find("digits", key) is None, "a beginning is no whole run"
    assert searching.maker.find("digits", key, until) == msgspec.structs.replace(found, reused=True)


def _none() -> Outcome:
    return None
