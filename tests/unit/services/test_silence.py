"""Runs by hand whose process falls silent count as lost, and go on when it is heard of again."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as replace_struct

from relive.core.run import FailureReason, Metric, Run, RunKind, RunStatus
from relive.errors import Conflict
from relive.services import runs
from relive.services.housekeeping import Housekeeper
from relive.services.mlflow.runs import update_run
from relive.services.silence import Listener
from relive.stores.sql.store import open_store
from relive.testing.stores_samples import ManualClock
from relive.wire.jobs import Records, StageReport
from relive.wire.mlflow.tracking import UpdateRun
from tests.support.bench import ADA, Bench

HOUR = 3600.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def timed(bench: Bench, tmp_path, clock):
    """Give a bench whose store keeps time by `clock`."""
    store = open_store(f"sqlite:///{tmp_path / 'timed.db'}", clock=clock)
    store.create_project(bench.project.name)
    bench.services = replace(bench.services, store=store)
    yield bench
    store.close()


def begun(bench: Bench, *, heartbeats: bool = True) -> Run:
    """Give a run of a script."""
    made = bench.by_hand(kind=RunKind.CLIENT, heartbeats=heartbeats)
    return bench.services.store.get_run(made.run_id)


def again(bench: Bench, run: Run) -> Run:
    return bench.services.store.get_run(run.id)


def wait(bench: Bench, clock: ManualClock, listener: Listener, seconds: float, *speaking: Run) -> None:
    """Let time pass at a hub that listens, and to which some runs speak."""
    for _ in range(int(seconds // 10)):
        clock.advance(10)
        for run in speaking:
            assert not runs.renew(bench.services, again(bench, run)).cancel
        listener.look()


def test_a_run_that_falls_silent_is_lost_and_one_that_speaks_is_not(timed, clock):
    silent, speaking, by_mlflow = begun(timed), begun(timed), begun(timed, heartbeats=False)
    last_word = clock.now
    listener = Listener(timed.services)
    wait(timed, clock, listener, HOUR - 20, speaking)
    assert again(timed, silent).status is RunStatus.RUNNING
    wait(timed, clock, listener, 60, speaking)
    lost = again(timed, silent)
    assert (lost.status, lost.failure) == (RunStatus.LOST, FailureReason.WORKER_LOST)
    assert lost.reason == "silent: nothing was heard of its process for 1 h; it goes on if it is heard again"
    assert lost.ended_at == last_word
    assert again(timed, speaking).status is RunStatus.RUNNING
    wait(timed, clock, listener, 30 * HOUR, speaking)
    assert again(timed, by_mlflow).status is RunStatus.RUNNING, "of it nothing is ever heard"
    ((_, facts),) = timed.events("run.lost")
    assert facts["reason"] == lost.reason


def test_a_lost_run_that_is_heard_of_goes_on(timed, clock):
    run, listener = begun(timed), Listener(timed.services)
    wait(timed, clock, listener, HOUR + 60)
    assert again(timed, run).is_silent
    assert not runs.renew(timed.services, again(timed, run)).cancel
    found = again(timed, run)
    assert (found.status, found.failure, found.reason, found.ended_at) == (RunStatus.RUNNING, None, "", None)
    ((_, facts),) = timed.events("run.found")
    assert facts["silent_s"] == HOUR + 60
    wait(timed, clock, listener, HOUR + 60)
    assert again(timed, run).is_silent, "it is missed again"


@pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED])
def test_what_a_lost_run_brings_later_is_its_end(timed, clock, status):
    run, listener = begun(timed), Listener(timed.services)
    wait(timed, clock, listener, HOUR + 60)
    records = Records(fence=0, batch="late", metrics=(Metric("loss", 0.5, 1, clock.now),))
    runs.record(timed.services, again(timed, run), records)
    runs.finish(timed.services, again(timed, run), StageReport(fence=0, status=status, reason="r"))
    ended = again(timed, run)
    assert (ended.status, ended.failure, ended.reason) == (status, None, "r")
    assert [it.last for it in timed.services.store.list_metrics([run.id])] == [0.5]
    assert runs.renew(timed.services, ended).cancel, "a late word does not undo its end"
    other = RunStatus.FAILED if status is RunStatus.FINISHED else RunStatus.FINISHED
    with pytest.raises(Conflict):
        runs.finish(timed.services, ended, StageReport(fence=0, status=other))


def test_a_run_that_is_taken_up_again_is_not_missed_at_once(timed, clock):
    run, listener = begun(timed), Listener(timed.services)
    wait(timed, clock, listener, 2 * HOUR)
    timed.by_hand(resume=run.id, heartbeats=True)
    wait(timed, clock, listener, HOUR - 60)
    assert again(timed, run).status is RunStatus.RUNNING
    wait(timed, clock, listener, 120)
    assert again(timed, run).is_silent
    timed.by_hand(resume=run.id)
    wait(timed, clock, listener, 3 * HOUR)
    assert again(timed, run).status is RunStatus.RUNNING, "who took it up says nothing of heartbeats"


def test_a_run_that_an_mlflow_client_takes_up_again_is_left_alone(timed, clock):
    run, listener = begun(timed), Listener(timed.services)
    runs.finish(timed.services, run, StageReport(fence=0, status=RunStatus.FINISHED))
    wait(timed, clock, listener, 2 * HOUR)
    update_run(timed.services, UpdateRun(run_id=run.id, status="RUNNING"), ADA)
    wait(timed, clock, listener, 3 * HOUR)
    taken_up = again(timed, run)
    assert (taken_up.status, taken_up.heard_at) == (RunStatus.RUNNING, None)


def test_an_mlflow_client_that_speaks_of_a_running_run_does_not_save_it(timed, clock):
    run, listener = begun(timed), Listener(timed.services)
    update_run(timed.services, UpdateRun(run_id=run.id, status="RUNNING"), ADA)
    wait(timed, clock, listener, HOUR + 60)
    assert again(timed, run).is_silent
    update_run(timed.services, UpdateRun(run_id=run.id, status="FINISHED"), ADA)
    ended = again(timed, run)
    assert (ended.status, ended.failure, ended.reason) == (RunStatus.FINISHED, None, "")


def test_a_run_that_belongs_to_a_job_has_its_lease_and_nothing_else(timed, clock):
    store, run = timed.services.store, begun(timed, heartbeats=False)
    staged = store.create_run(replace_struct(run, id="f" * 32, job_id="a job"))
    listener = Listener(timed.services)
    runs.renew(timed.services, staged)
    wait(timed, clock, listener, 2 * HOUR)
    assert (again(timed, staged).status, again(timed, staged).heard_at) == (RunStatus.RUNNING, None)


def test_a_hub_that_was_away_listens_before_it_judges(timed, clock):
    alive, dead = begun(timed), begun(timed)
    clock.advance(24 * HOUR)
    listener = Listener(timed.services)  # the next hub's
    listener.look()
    wait(timed, clock, listener, 60)
    assert again(timed, dead).status is RunStatus.RUNNING
    wait(timed, clock, listener, 300, alive)
    assert again(timed, alive).status is RunStatus.RUNNING
    assert again(timed, dead).is_silent
    clock.advance(24 * HOUR)  # asleep
    listener.look()
    assert again(timed, alive).status is RunStatus.RUNNING


@pytest.mark.parametrize("jump_s", [-5 * HOUR, 5 * HOUR])
def test_a_clock_that_jumps_ends_no_run_that_lives_and_saves_none_that_is_dead(timed, clock, jump_s):
    alive, dead, listener = begun(timed), begun(timed), Listener(timed.services)
    wait(timed, clock, listener, 600, alive)
    clock.advance(jump_s)
    listener.look()
    wait(timed, clock, listener, HOUR + 600, alive)
    assert again(timed, alive).status is RunStatus.RUNNING
    assert again(timed, dead).is_silent
    assert again(timed, alive).heard_at <= clock.now


def test_heartbeats_are_written_down_once_a_minute(timed, clock):
    run, written = begun(timed), []
    for _ in range(60):
        clock.advance(10)
        runs.renew(timed.services, again(timed, run))
        written.append(again(timed, run).heard_at)
    assert len(set(written)) == 11, "its beginning, and ten heartbeats"


def test_without_a_limit_nothing_is_missed(timed, clock):
    timed.services = replace(timed.services, place=replace(timed.services.place, silence_s=0.0))
    run, listener = begun(timed), Listener(timed.services)
    wait(timed, clock, listener, 48 * HOUR)
    assert again(timed, run).status is RunStatus.RUNNING
    assert runs.renew(timed.services, run).lease_s == timed.services.place.lease_s


def test_a_short_limit_is_told_to_the_process(timed):
    timed.services = replace(timed.services, place=replace(timed.services.place, silence_s=3.0))
    assert runs.renew(timed.services, begun(timed)).lease_s == 3.0


def test_a_run_that_ended_meanwhile_is_left_alone(timed, clock, monkeypatch):
    run, listener = begun(timed), Listener(timed.services)
    wait(timed, clock, listener, HOUR - 60)
    stale = [again(timed, run)]
    runs.cancel(timed.services, run.id, by=ADA.name)
    monkeypatch.setattr(type(timed.services.store), "list_silent_runs", lambda *_, **__: stale)
    wait(timed, clock, listener, 120)
    assert again(timed, run).status is RunStatus.KILLED


def test_the_housekeeper_listens(timed, clock):
    run, housekeeper = begun(timed), Housekeeper(timed.services)
    for _ in range(int(HOUR // 10) + 10):
        clock.advance(10)
        housekeeper.tick()
    assert again(timed, run).is_silent
