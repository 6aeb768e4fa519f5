"""Searches for causes as jobs: asked for, their trials, and what becomes of both when something dies."""

import msgspec
import pytest

from relive.core.causes import AFTER_TAG, BEFORE_TAG, VARIANT_TAG
from relive.core.job import Job, JobKind, JobState, Pool
from relive.core.run import FailureReason, Metric, Run, RunKind, RunStatus
from relive.errors import Conflict, InvalidInput, NotFound, Superseded
from relive.services import causes, jobs, runs
from relive.services.placing import launch_ready
from relive.services.runs import PARENT
from relive.wire.jobs import EndReport, PlacedTrial, StageWork, TrialWork, WhyWork
from relive.wire.runs import PlacedWhy
from tests.support.bench import Bench

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

KEY = "blake3:" + "1" * 64


@pytest.fixture
def pair(bench: Bench) -> tuple[str, str]:
    """Two runs that can be made again."""
    return repeatable(bench), repeatable(bench)


def repeatable(bench: Bench, project: str = "digits") -> str:
    run_id = bench.by_hand(project=project).run_id
    recipe = bench.services.blobs.put(b"{}").digest
    bench.services.store.record_metrics(run_id, [Metric("loss", 0.5)])
    bench.services.store.set_run(run_id, status=RunStatus.FINISHED, recipe=recipe)
    return run_id


def placed(bench: Bench, pair: tuple[str, str], **more: object) -> Run:
    request = PlacedWhy(after=pair[1], **more)  # type: ignore[arg-type]
    return causes.place(bench.services, pair[0], request, by="bob")


def claimed(bench: Bench, kind: JobKind) -> Job:
    job = bench.services.store.claim("hub", pools=("local",), kinds=(kind,), lease_s=30)
    assert job is not None
    return job


def tried(bench: Bench, search: Job, key: str = KEY, **more: object) -> Run:
    work = StageWork(run_id="", project="another", stage="", commands=("python train.py",), code="")
    trial = TrialWork(work=work, key=key, **more)  # type: ignore[arg-type]
    request = PlacedTrial(fence=search.fence, trial=trial, name="why: a copy")
    return bench.services.store.get_run(jobs.place_trial(bench.services, search.id, request).run_id)


def queued(bench: Bench, *kinds: JobKind) -> list[Job]:
    return bench.services.store.list_jobs(states=(JobState.QUEUED,), kinds=kinds)


def lose(bench: Bench, job: Job) -> None:
    bench.services.store.finish(job.id, job.fence, JobState.LOST, result={}, error="its process ended")
    causes.settle(bench.services)


def test_a_search_is_the_run_that_will_hold_its_answer(bench: Bench, pair: tuple[str, str]) -> None:
    run = placed(bench, pair, metric="loss")
    assert (run.kind, run.status, run.actor) == (RunKind.MANUAL, RunStatus.SCHEDULED, "bob")
    assert run.command == f"relive why {pair[0][:8]} {pair[1][:8]} --metric loss --pool local"
    tags = bench.services.store.list_tags([run.id])[run.id]
    assert (tags[BEFORE_TAG], tags[AFTER_TAG]) == pair
    job = claimed(bench, JobKind.WHY)
    work = jobs.work_of(bench.services, job.id, job.fence)
    assert isinstance(work, WhyWork)
    assert (work.before, work.asked.after, work.run_id, work.asked.metric) == (*pair, run.id, "loss")
    assert work.token
    assert bench.services.store.get_run(run.id).status is RunStatus.RUNNING


def test_as_many_trials_at_a_time_as_the_pool_has_slots_or_as_were_asked_for(
    bench: Bench, pair: tuple[str, str]
) -> None:
    for slots, asked, parallel in ((3, 0, 3), (100, 0, 8), (2, 20, 20)):
        pool = Pool(name=f"with-{slots}", executor="remembered", slots=slots)
        bench.services.store.create_pool(pool)
        placed(bench, pair, parallel=asked, pool=pool.name)
        # It only waits, and must not hold a place that its trials need: it is where the hub is.
        search = claimed(bench, JobKind.WHY)
        assert msgspec.convert(search.payload["work"], WhyWork).asked.parallel == parallel
        tried(bench, search)
        assert queued(bench, JobKind.TRIAL)[0].pool == pool.name


def test_a_search_holds_no_place_of_the_pool(bench: Bench, pair: tuple[str, str]) -> None:
    store = bench.services.store
    assert store.delete_pool("local")
    store.create_pool(Pool(name="single", executor="remembered", slots=1))
    placed(bench, pair, pool="single")
    assert launch_ready(bench.services) == 1
    (search,) = store.list_jobs(states=(JobState.RUNNING,))
    assert (search.kind, search.pool) == (JobKind.WHY, "single")
    tried(bench, search)
    tried(bench, search, "blake3:2")
    assert launch_ready(bench.services) == 1


def test_the_same_question_is_the_same_search_while_it_goes_on(bench: Bench, pair: tuple[str, str]) -> None:
    first = placed(bench, pair)
    assert placed(bench, pair).id == first.id
    assert placed(bench, pair, metric="loss").id != first.id
    assert placed(bench, (pair[1], pair[0])).id != first.id
    runs.cancel(bench.services, first.id, by="bob")
    assert placed(bench, pair).id != first.id


def test_what_cannot_be_asked_is_said(bench: Bench, pair: tuple[str, str]) -> None:
    with pytest.raises(NotFound):
        placed(bench, (pair[0], "none"))
    with pytest.raises(NotFound):
        placed(bench, pair, pool="none")
    for wrong in ({"parallel": 65}, {"parallel": -1}, {"max_runs": -1}, {"shares": -1}):
        with pytest.raises(InvalidInput):
            placed(bench, pair, **wrong)
    with pytest.raises(InvalidInput) as refused:
        placed(bench, pair, metric="nope")
    assert (refused.value.field, refused.value.wanted) == ("metric", "a metric of the two runs: loss")
    running = bench.by_hand().run_id
    with pytest.raises(Conflict, match="only a finished run"):
        placed(bench, (pair[0], running))
    with pytest.raises(Conflict, match="another project"):
        placed(bench, (pair[0], repeatable(bench, project="other")))
    assert queued(bench, JobKind.WHY, JobKind.TRIAL) == []


def test_a_trial_is_a_run_beneath_its_search_with_a_job_of_its_own(
    bench: Bench, pair: tuple[str, str]
) -> None:
    search = placed(bench, pair)
    run = tried(bench, claimed(bench, JobKind.WHY))
    assert (run.kind, run.status, run.actor, run.replay_of) == (
        RunKind.REPLAY,
        RunStatus.SCHEDULED,
        "bob",
        "",
    )
    assert bench.services.store.list_tags([run.id])[run.id] == {VARIANT_TAG: KEY, PARENT: search.id}
    job = claimed(bench, JobKind.TRIAL)
    work = jobs.work_of(bench.services, job.id, job.fence)
    assert isinstance(work, TrialWork)
    # Whatever a search says: its trials are of its own project, and write the run that the hub made.
    assert (work.work.project, work.work.run_id) == ("digits", run.id)
    assert work.work.command_token
    assert bench.services.store.get_run(run.id).status is RunStatus.RUNNING


def test_what_is_tried_already_is_not_tried_twice(bench: Bench, pair: tuple[str, str]) -> None:
    placed(bench, pair)
    search = claimed(bench, JobKind.WHY)
    whole, beginning = tried(bench, search), tried(bench, search, "blake3:2", until=3)
    assert tried(bench, search).id == whole.id
    assert tried(bench, search, until=3).id == whole.id, "a whole run has a beginning"
    assert tried(bench, search, "blake3:2", until=3).id == beginning.id
    assert tried(bench, search, "blake3:2", until=4).id != beginning.id
    assert tried(bench, search, "blake3:2").id != beginning.id, "a beginning is no whole run"
    assert len(queued(bench, JobKind.TRIAL)) == 4


def test_only_a_search_that_goes_on_may_have_something_tried(bench: Bench, pair: tuple[str, str]) -> None:
    run = placed(bench, pair)
    search = claimed(bench, JobKind.WHY)
    tried(bench, search)
    trial = claimed(bench, JobKind.TRIAL)
    with pytest.raises(Conflict, match="searches for no causes"):
        tried(bench, trial, "blake3:2")
    with pytest.raises(Superseded):
        tried(bench, msgspec.structs.replace(search, fence=search.fence + 1), "blake3:2")
    runs.cancel(bench.services, run.id, by="bob")
    with pytest.raises(Conflict, match="cancelled"):
        tried(bench, search, "blake3:2")


def test_a_lost_trial_is_over_and_may_be_asked_for_again(bench: Bench, pair: tuple[str, str]) -> None:
    placed(bench, pair)
    search = claimed(bench, JobKind.WHY)
    first = tried(bench, search)
    lose(bench, claimed(bench, JobKind.TRIAL))
    ended = bench.services.store.get_run(first.id)
    assert (ended.status, ended.failure) == (RunStatus.LOST, FailureReason.WORKER_LOST)
    assert ended.reason == "its process ended"
    assert tried(bench, search).id != first.id


def test_a_lost_search_is_begun_again_and_not_forever(bench: Bench, pair: tuple[str, str]) -> None:
    run = placed(bench, pair)
    for _ in range(2):
        lose(bench, claimed(bench, JobKind.WHY))
        causes.settle(bench.services)
        assert len(queued(bench, JobKind.WHY)) == 1
        assert not bench.services.store.get_run(run.id).status.is_final
    lose(bench, claimed(bench, JobKind.WHY))
    assert queued(bench, JobKind.WHY) == []
    ended = bench.services.store.get_run(run.id)
    assert (ended.status, ended.reason) == (RunStatus.LOST, "its process ended")
    assert len(bench.services.store.list_events(kind="why.again")) == 2


def test_a_cancelled_search_takes_its_trials_with_it(bench: Bench, pair: tuple[str, str]) -> None:
    store, run = bench.services.store, placed(bench, pair)
    search = claimed(bench, JobKind.WHY)
    waiting = tried(bench, search)
    runs.cancel(bench.services, run.id, by="bob")
    assert queued(bench, JobKind.TRIAL) == []
    assert [store.get_run(it).status for it in (run.id, waiting.id)] == [RunStatus.KILLED] * 2
    assert store.get_run(waiting.id).reason == "cancelled by bob"
    assert jobs.renew(bench.services, search.id, search.fence).cancel
    jobs.finish(bench.services, search.id, EndReport(fence=search.fence))
    assert store.get_job(search.id).state is JobState.CANCELLED
    causes.settle(bench.services)
    assert queued(bench, JobKind.WHY) == []


def test_a_search_without_an_answer_says_why(bench: Bench, pair: tuple[str, str]) -> None:
    run = placed(bench, pair)
    search = claimed(bench, JobKind.WHY)
    report = EndReport(fence=search.fence, error="no wheel")
    jobs.finish(bench.services, search.id, report)
    jobs.finish(bench.services, search.id, report)  # sent again, as after a hub that died
    ended = bench.services.store.get_run(run.id)
    assert (ended.status, ended.reason) == (RunStatus.FAILED, "no wheel")
    assert bench.services.store.get_job(search.id).state is JobState.FAILED


def test_a_deleted_run_holds_nothing_up(bench: Bench, pair: tuple[str, str]) -> None:
    run, store = placed(bench, pair), bench.services.store
    search = claimed(bench, JobKind.WHY)
    runs.cancel(bench.services, run.id, by="bob")
    store.set_run(run.id, deleted_at=store.now())
    assert store.purge_run(run.id)
    lose(bench, search)
    assert queued(bench, JobKind.WHY) == []
