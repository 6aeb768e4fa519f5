"""Jobs of pools that are away, that have no room, and that end without a report."""

import threading

import pytest

from relive.core.job import Job, JobState
from relive.core.pipeline import PipelineStatus, Stage, StageStatus
from relive.core.run import RunStatus
from relive.errors import PoolUnfit, PoolUnreachable, ReliveError
from relive.services import accounts
from relive.services.scheduling import cancel_pipeline
from tests.support.bench import Bench

FILES = {"relive.yaml": "version: 1\nstages:\n  train: {cmd: python train.py}\n", "train.py": "1"}
AWAY = PoolUnreachable(pool="http://head:8265", reason="connection refused")


@pytest.fixture
def stage(bench: Bench) -> Stage:
    """A stage whose job was just placed."""
    return bench.stages(bench.start(FILES))["train"]


def job_of(bench: Bench, stage: Stage) -> Job:
    return bench.services.store.get_job(stage.job_id)


def again(bench: Bench, stage: Stage) -> Stage:
    return bench.services.store.get_stage(stage.id)


@pytest.mark.parametrize("error", [AWAY, PoolUnfit(pool="http://head:8265", reason="it has Python 3.7")])
def test_a_job_waits_for_a_pool_that_is_away_and_says_so(bench: Bench, error: ReliveError) -> None:
    bench.executor.away = error
    pipeline = bench.push(FILES)
    bench.tick()
    stage = bench.stages(pipeline)["environment"]
    assert stage.status is StageStatus.QUEUED
    assert stage.reason == f"waits for pool local: {error.what()}"
    job = job_of(bench, stage)
    assert (job.state, job.attempt, bench.executor.launched) == (JobState.QUEUED, 0, [])

    bench.executor.away = None
    bench.tick()
    assert job_of(bench, stage).attempt == 1
    assert [it.job_id for it in bench.executor.launched] == [stage.job_id]


def test_that_a_pool_is_away_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.executor.away = AWAY
    bench.push(FILES)
    for _ in range(3):
        bench.tick()
    assert [record.message for record in caplog.records if "wait for pool" in record.message] == [
        f"1 jobs wait for pool local: {AWAY.what()}"
    ]


def test_a_job_whose_pool_was_taken_away_says_so(bench: Bench) -> None:
    bench.executor.away = AWAY
    pipeline = bench.push(FILES)
    bench.tick()
    bench.services.store.delete_pool("local")
    bench.tick()
    assert "pool local, which is gone" in bench.stages(pipeline)["environment"].reason


def test_a_pool_is_asked_only_if_something_waits_for_it(bench: Bench, stage: Stage) -> None:
    bench.executor.away = AWAY
    bench.tick()
    assert (again(bench, stage).reason, job_of(bench, stage).state) == (stage.reason, JobState.RUNNING)


def test_a_job_without_room_keeps_its_claim_and_says_what_it_waits_for(bench: Bench, stage: Stage) -> None:
    bench.executor.states[stage.job_id] = "waiting"
    bench.executor.details[stage.job_id] = "no machine has 100 processors"
    before = job_of(bench, stage)
    bench.services.store.renew(before.id, before.fence, lease_s=1e-3)  # nobody else would renew it
    bench.tick()
    job = job_of(bench, stage)
    assert (job.state, job.fence) == (JobState.RUNNING, before.fence)
    assert job.lease_until > bench.services.store.now() + bench.services.place.lease_s / 2
    now = again(bench, stage)
    assert now.status is StageStatus.QUEUED
    assert now.reason == "placed on pool local: no machine has 100 processors"


def test_a_job_without_room_is_cancelled_at_once_and_stopped(bench: Bench, stage: Stage) -> None:
    bench.executor.states[stage.job_id] = "waiting"
    cancel_pipeline(bench.services, stage.pipeline_id, by="ada")
    bench.tick()
    for thread in threading.enumerate():
        if thread.name == f"stop {stage.job_id[:8]}":
            thread.join(60)
    assert bench.executor.stopped == [stage.job_id]
    job = job_of(bench, stage)
    assert (job.state, job.error) == (JobState.CANCELLED, "cancelled before it began")
    assert again(bench, stage).status is StageStatus.CANCELLED
    assert bench.services.store.get_run(stage.run_id).status is RunStatus.KILLED
    assert bench.services.store.get_pipeline(stage.pipeline_id).status is PipelineStatus.CANCELLED


def test_a_job_that_reports_while_it_is_looked_at_is_left_as_it_is(bench: Bench, stage: Stage) -> None:
    def report() -> None:
        bench.executor.on_poll = lambda: None
        bench.finish(stage)

    bench.executor.states[stage.job_id] = "waiting"
    bench.executor.on_poll = report
    bench.scheduler.looked_at = -1e9
    bench.scheduler.tick()
    assert job_of(bench, stage).state is JobState.DONE
    assert again(bench, stage).status is StageStatus.SUCCEEDED


def test_a_lost_job_says_what_its_pool_knows_of_its_end(bench: Bench, stage: Stage) -> None:
    bench.executor.states[stage.job_id] = "ended"
    bench.executor.details[stage.job_id] = "its node has died"
    bench.tick()
    assert job_of(bench, stage).state is JobState.LOST
    run = bench.services.store.get_run(stage.run_id)
    assert (run.status, run.reason) == (
        RunStatus.LOST,
        "its process ended without a report: its node has died",
    )
    assert again(bench, stage).attempts == 2


def test_an_order_for_a_cluster_holds_a_ticket_and_no_token(bench: Bench, stage: Stage) -> None:
    launched = bench.executor.launched[-1]
    assert launched.hub_url == bench.services.place.public_url
    assert launched.token.startswith("rlt_")
    token = accounts.redeem_ticket(bench.services, stage.job_id, launched.token, "s" * 40)
    caller = accounts.authenticate(bench.services, token)
    assert (caller.job_id, caller.fence) == (stage.job_id, 1)
