"""Replays as jobs: placed, begun, ended in every way, and placed again when their time has come."""

import msgspec
import pytest

from relive.core.event import Event
from relive.core.job import Job, JobKind, JobState
from relive.core.model import ModelVersion
from relive.core.run import Run, RunKind, RunStatus
from relive.core.trajectory import Verdict, VerdictLevel
from relive.errors import Conflict, InvalidInput, NotFound, Superseded
from relive.services import jobs, replays, runs
from relive.wire.jobs import ReplayReport, ReplayWork
from relive.wire.runs import PlacedReplay, ReplaySchedule
from tests.support.bench import Bench

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

ASKED = PlacedReplay()
EXACT = Verdict(level=VerdictLevel.BIT_EXACT, reason="Equal: 1 metric.")
DIVERGED = Verdict(level=VerdictLevel.DIVERGED, reason="Differs.")


@pytest.fixture
def version(bench: Bench) -> ModelVersion:
    """Give a champion, whose run can be made again."""
    made = bench.version()
    bench.services.store.set_alias(made.model, "champion", made.version, by="ada")
    run = bench.services.store.get_run(made.run_id)
    if run.status is not RunStatus.FINISHED or not run.recipe:
        recipe = bench.services.blobs.put(b"{}").digest
        bench.services.store.set_run(run.id, status=RunStatus.FINISHED, recipe=recipe)
    return made


def claimed(bench: Bench) -> Job:
    job = bench.services.store.claim("hub", pools=("local",), kinds=(JobKind.REPLAY,), lease_s=30)
    assert job is not None
    return job


def queued(bench: Bench) -> list[Job]:
    return bench.services.store.list_jobs(states=(JobState.QUEUED,), kinds=(JobKind.REPLAY,))


def placed(bench: Bench, version: ModelVersion) -> Run:
    return replays.place(bench.services, version.run_id, ASKED, by="bob")


def rotted(bench: Bench) -> list[Event]:
    return bench.services.store.list_events(kind="model.rotted")


def test_a_placed_replay_is_a_run_before_it_is_a_job(bench: Bench, version: ModelVersion) -> None:
    copy = placed(bench, version)
    assert (copy.kind, copy.status, copy.replay_of, copy.actor) == (
        RunKind.REPLAY,
        RunStatus.SCHEDULED,
        version.run_id,
        "bob",
    )
    job = claimed(bench)
    work = jobs.work_of(bench.services, job.id, job.fence)
    assert isinstance(work, ReplayWork)
    assert (work.run_id, work.replay_run_id) == (version.run_id, copy.id)
    assert work.token
    assert bench.services.store.get_run(copy.id).status is RunStatus.RUNNING


def test_its_verdict_is_of_who_asked_and_comes_once(bench: Bench, version: ModelVersion) -> None:
    copy, job = placed(bench, version), claimed(bench)
    bench.services.store.set_run(copy.id, status=RunStatus.FINISHED)
    report = ReplayReport(fence=job.fence, verdict=EXACT)
    jobs.finish(bench.services, job.id, report)
    jobs.finish(bench.services, job.id, report)  # sent again, as after a hub that died
    (verdict,) = bench.services.store.list_verdicts(version.run_id)
    assert (verdict.level, verdict.by, verdict.replay_run_id) == (VerdictLevel.BIT_EXACT, "bob", copy.id)
    assert bench.services.store.get_job(job.id).state is JobState.DONE
    with pytest.raises(Superseded):
        jobs.finish(bench.services, job.id, msgspec.structs.replace(report, fence=job.fence + 1))


def test_one_that_could_not_be_started_ends_its_run(bench: Bench, version: ModelVersion) -> None:
    copy, job = placed(bench, version), claimed(bench)
    verdict = Verdict(level=VerdictLevel.UNRESOLVED, reason="The replay itself failed: no wheel.")
    jobs.finish(bench.services, job.id, ReplayReport(fence=job.fence, verdict=verdict))
    ended = bench.services.store.get_run(copy.id)
    assert (ended.status, ended.reason) == (RunStatus.FAILED, verdict.reason)


def test_one_whose_process_died_is_unresolved_and_never_running_forever(
    bench: Bench, version: ModelVersion
) -> None:
    copy, job = placed(bench, version), claimed(bench)
    bench.services.store.finish(job.id, job.fence, JobState.LOST, result={}, error="its process ended")
    for _ in range(2):
        replays.settle(bench.services)
    (verdict,) = bench.services.store.list_verdicts(version.run_id)
    assert (verdict.level, verdict.reason) == (
        VerdictLevel.UNRESOLVED,
        "The replay itself failed: its process ended",
    )
    assert bench.services.store.get_run(copy.id).status is RunStatus.LOST


def test_one_whose_run_was_deleted_for_good_holds_nothing_up(bench: Bench, version: ModelVersion) -> None:
    copy, job = placed(bench, version), claimed(bench)
    bench.services.store.finish(job.id, job.fence, JobState.LOST, result={}, error="gone")
    runs.cancel(bench.services, copy.id, by="bob")
    bench.services.store.set_run(copy.id, deleted_at=bench.services.store.now())
    assert bench.services.store.purge_run(copy.id)
    replays.settle(bench.services)
    assert bench.services.store.list_verdicts(version.run_id) == []


def test_a_replay_that_waits_or_runs_can_be_cancelled(bench: Bench, version: ModelVersion) -> None:
    waiting = placed(bench, version)
    runs.cancel(bench.services, waiting.id, by="bob")
    assert queued(bench) == []
    running, job = placed(bench, version), claimed(bench)
    runs.cancel(bench.services, running.id, by="bob")
    assert bench.services.store.get_job(job.id).cancel_requested
    ended = bench.services.store.get_run(running.id)
    assert (ended.status, ended.reason) == (RunStatus.KILLED, "cancelled by bob")


def test_what_cannot_be_made_again_is_not_placed(bench: Bench, version: ModelVersion) -> None:
    with pytest.raises(NotFound):
        replays.place(bench.services, version.run_id, PlacedReplay(pool="none"), by="bob")
    with pytest.raises(NotFound):
        replays.place(bench.services, "0" * 32, ASKED, by="bob")
    running = bench.by_hand().run_id
    with pytest.raises(Conflict):
        replays.place(bench.services, running, ASKED, by="bob")
    assert queued(bench) == []


def test_nothing_is_replayed_by_itself_unless_it_was_asked_for(bench: Bench, version: ModelVersion) -> None:
    assert replays.get_schedule(bench.services, bench.project) == ReplaySchedule()
    assert replays.place_due(bench.services) == 0


def test_champions_are_replayed_when_their_time_has_come_and_once(
    bench: Bench, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, clock = bench.services, [1_000_000.0]
    monkeypatch.setattr(services.store, "now", lambda: clock[0])
    replays.set_schedule(services, bench.project, ReplaySchedule(every_s=86400.0), by="ada")
    assert replays.place_due(services) == 0
    clock[0] += 86_399
    assert replays.place_due(services) == 0
    clock[0] += 1
    assert [replays.place_due(services), replays.place_due(services)] == [1, 0]
    (job,) = queued(bench)
    assert (job.payload["by"], job.payload["work"]["run_id"]) == ("ada", version.run_id)
    replays.set_schedule(services, bench.project, ReplaySchedule(), by="ada")
    clock[0] += 1e6
    assert replays.place_due(services) == 0


def test_a_schedule_that_cannot_be_meant_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidInput):
        replays.set_schedule(bench.services, bench.project, ReplaySchedule(every_s=60.0), by="ada")
    with pytest.raises(NotFound):
        replays.set_schedule(bench.services, bench.project, ReplaySchedule(every_s=7200, pool="x"), by="ada")
    assert replays.get_schedule(bench.services, bench.project) == ReplaySchedule()


def judge(bench: Bench, version: ModelVersion, verdict: Verdict) -> None:
    copy = placed(bench, version)
    found = msgspec.structs.replace(verdict, run_id=version.run_id, replay_run_id=copy.id)
    runs.record_verdict(bench.services, found, by="ada")


def test_a_champion_that_rots_is_told_once_and_again_after_it_was_good(
    bench: Bench, version: ModelVersion
) -> None:
    judge(bench, version, EXACT)
    assert rotted(bench) == []
    judge(bench, version, DIVERGED)
    judge(bench, version, DIVERGED)
    (event,) = rotted(bench)
    assert event.subject == f"version:{version.id}"
    assert (event.facts["aliases"], event.facts["level"]) == (["champion"], "diverged")
    judge(bench, version, EXACT)
    judge(bench, version, DIVERGED)
    assert len(rotted(bench)) == 2


def test_a_version_that_nothing_points_at_may_rot_in_peace(bench: Bench, version: ModelVersion) -> None:
    bench.services.store.delete_alias(version.model, "champion")
    judge(bench, version, DIVERGED)
    assert rotted(bench) == []


def test_a_deleted_run_is_not_placed_and_its_schedule_goes_on_without_it(
    bench: Bench, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, clock = bench.services, [1_000_000.0]
    monkeypatch.setattr(services.store, "now", lambda: clock[0])
    services.store.set_run(version.run_id, deleted_at=1.0)
    with pytest.raises(Conflict, match="not deleted"):
        placed(bench, version)
    replays.set_schedule(services, bench.project, ReplaySchedule(every_s=3600.0), by="ada")
    clock[0] += 3600
    assert replays.place_due(services) == 0
    assert replays.get_schedule(services, bench.project).last_at == clock[0], "it was looked"
    assert queued(bench) == []


@pytest.mark.parametrize("text", ["accuracy", "accuracy=nan", "=1", "accuracy=-1%"])
def test_a_tolerance_that_nobody_can_read_is_refused_before_a_job_fails_by_it(
    bench: Bench, version: ModelVersion, text: str
) -> None:
    before = bench.services.store.list_runs(project_id=bench.project.id)
    with pytest.raises(InvalidInput):
        replays.place(bench.services, version.run_id, PlacedReplay(tolerances=(text,)), by="bob")
    assert (queued(bench), bench.services.store.list_runs(project_id=bench.project.id)) == ([], before)


def test_a_pool_that_is_slower_than_the_schedule_is_not_given_more_and_more(
    bench: Bench, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, clock = bench.services, [1_000_000.0]
    monkeypatch.setattr(services.store, "now", lambda: clock[0])
    replays.set_schedule(services, bench.project, ReplaySchedule(every_s=3600.0), by="ada")
    count = []
    for _ in range(4):
        clock[0] += 3600
        count.append(replays.place_due(services))
    assert (count, len(queued(bench))) == ([1, 0, 0, 0], 1)
    (job,) = queued(bench)
    assert services.store.request_cancel(job.id).state is JobState.CANCELLED
    clock[0] += 3600
    assert replays.place_due(services) == 1


def test_the_record_may_be_deleted_for_good_while_its_replay_is_lost(
    bench: Bench, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, job = placed(bench, version), claimed(bench)
    other = placed(bench, version)
    lost = claimed(bench)
    for it in (job, lost):
        bench.services.store.finish(it.id, it.fence, JobState.LOST, result={}, error="its machine burnt down")
    known = bench.services.store.get_run

    def get_run(run_id: str) -> Run:
        if run_id == version.run_id:
            raise NotFound(kind="run", name=run_id)
        return known(run_id)

    monkeypatch.setattr(bench.services.store, "get_run", get_run)
    replays.settle(bench.services)
    assert {known(it.id).status for it in (copy, other)} == {RunStatus.LOST}
    assert bench.services.store.list_verdicts(version.run_id) == []


def test_many_that_are_lost_with_their_machine_are_all_ended(bench: Bench, version: ModelVersion) -> None:
    copies = [placed(bench, version) for _ in range(30)]
    for _ in copies:
        job = claimed(bench)
        bench.services.store.finish(job.id, job.fence, JobState.LOST, result={}, error="gone")
    replays.settle(bench.services)
    assert {bench.services.store.get_run(it.id).status for it in copies} == {RunStatus.LOST}
    assert len(bench.services.store.list_verdicts(version.run_id)) == len(copies)


def test_a_verdict_is_on_the_run_that_the_replay_repeats_and_on_no_other(
    bench: Bench, version: ModelVersion
) -> None:
    copy, stranger = placed(bench, version), bench.by_hand().run_id
    wrong = msgspec.structs.replace(EXACT, run_id=stranger, replay_run_id=copy.id)
    with pytest.raises(InvalidInput):
        runs.record_verdict(bench.services, wrong, by="eve")
    with pytest.raises(NotFound):
        runs.record_verdict(bench.services, msgspec.structs.replace(wrong, replay_run_id="0" * 32), by="eve")
    assert bench.services.store.list_verdicts(stranger) == []


def test_who_and_when_of_a_verdict_are_the_hubs(bench: Bench, version: ModelVersion) -> None:
    copy = placed(bench, version)
    told = msgspec.structs.replace(
        EXACT, run_id=version.run_id, replay_run_id=copy.id, by="root", at=1.0, id="mine"
    )
    kept = runs.record_verdict(bench.services, told, by="bob")
    assert (kept.by, kept.at > 1.0, kept.id != "mine") == ("bob", True, True)
    assert bench.services.store.list_verdicts(version.run_id) == [kept]
