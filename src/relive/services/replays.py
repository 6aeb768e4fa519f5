"""Replays as jobs: asked for, or placed now and then for what is in production, and what came of them.

A replay on a pool is what `relive replay` is on a person's machine: a run by itself, made before its job,
which the job's process writes and ends with the run's own token. The job only carries the verdict back.
"""

import logging
from typing import Final

import msgspec

from relive.core.event import Event
from relive.core.ids import short_id
from relive.core.job import Job, JobKind, JobState
from relive.core.project import Project
from relive.core.run import FailureReason, Run, RunKind, RunStatus
from relive.core.tolerance import parse_tolerance
from relive.core.trajectory import Verdict, VerdictLevel
from relive.errors import Conflict, InvalidInput, NotFound, ReliveError
from relive.services.context import Services
from relive.services.finishing import tell_end
from relive.services.ids import new_id
from relive.services.runs import page_of, record_verdict
from relive.wire.jobs import ReplayReport, ReplayWork
from relive.wire.runs import PlacedReplay, ReplaySchedule

_log = logging.getLogger(__name__)

SHORTEST_S: Final = 3600.0
_CHAMPION: Final = "champion"
_SCHEDULE: Final = "replays.schedule"
_ENDED_LOOK: Final = 200  # more than were ever lost at once with their machine


def place(services: Services, run_id: str, request: PlacedReplay, *, by: str) -> Run:
    """Queue a replay on a pool, and give the run that it will be.

    Raises:
        NotFound: There is no such run or pool.
        Conflict: The run has no recipe to be made again from, or is deleted.
        InvalidInput: A tolerance has another form than METRIC=0.01 or METRIC=2%.
    """
    store = services.store
    run = store.get_run(run_id)
    for text in request.tolerances:
        parse_tolerance(text)  # now: the job would only fail by it
    if run.status is not RunStatus.FINISHED or not run.recipe or run.deleted_at is not None:
        reason = "only a finished run with a recipe that is not deleted can be made again"
        raise Conflict(subject=f"run {short_id(run.id)}", reason=reason)
    pool = store.get_pool(request.pool).name
    copy = _copy(run, by=by, at=store.now())
    work = ReplayWork(
        run_id=run.id,
        replay_run_id=copy.id,
        url=page_of(services, copy),
        project=store.get_project(run.project_id).name,
        substitutes=request.substitutes,
        tolerances=request.tolerances,
        offline=request.offline,
    )
    job = Job(
        id=new_id(),
        kind=JobKind.REPLAY,
        state=JobState.QUEUED,
        pool=pool,
        subject=f"run:{copy.id}",
        project_id=run.project_id,
        payload={"work": msgspec.to_builtins(work), "by": by},
        max_attempts=1,
        created_at=copy.created_at,
    )
    with store.transaction():
        store.create_run(copy)
        store.put(job)
    services.wake()
    return copy


def _copy(run: Run, *, by: str, at: float) -> Run:
    return Run(
        id=new_id(),
        project_id=run.project_id,
        experiment_id=run.experiment_id,
        name=f"replay of {run.name}",
        kind=RunKind.REPLAY,
        status=RunStatus.SCHEDULED,
        actor=by,
        command=run.command,
        commit=run.commit,
        replay_of=run.id,
        created_at=at,
    )


def begin(services: Services, work: ReplayWork) -> None:
    """Note that a replay's process has asked for its work."""
    run = services.store.get_run(work.replay_run_id)
    if run.status is RunStatus.SCHEDULED:
        services.store.set_run(run.id, status=RunStatus.RUNNING, started_at=services.store.now())


def finish(services: Services, job: Job, report: ReplayReport) -> None:
    """Keep the verdict that a replay's job brings, and end its run if nobody has.

    Raises:
        Superseded: The job is another claim's by now, or over.
    """
    work = msgspec.convert(job.payload["work"], ReplayWork)
    verdict = msgspec.structs.replace(report.verdict, run_id=work.run_id, replay_run_id=work.replay_run_id)
    with services.store.transaction():
        services.store.finish(
            job.id, report.fence, JobState.DONE, result={"level": verdict.level.value}, error=""
        )
        _end(services, work.replay_run_id, RunStatus.FAILED, verdict.reason)
        record_verdict(services, verdict, by=str(job.payload["by"]))


def settle(services: Services) -> None:
    """End the runs of replays whose job is over without a report: lost, or cancelled before it began."""
    over = (JobState.LOST, JobState.FAILED, JobState.CANCELLED)
    for job in services.store.list_jobs(states=over, kinds=(JobKind.REPLAY,), limit=_ENDED_LOOK):
        work = msgspec.convert(job.payload["work"], ReplayWork)
        run = _find(services, work.replay_run_id)
        if run is None or run.status.is_final:
            continue
        reason = job.error or f"its job was {job.state.value}"
        verdict = Verdict(
            level=VerdictLevel.UNRESOLVED,
            run_id=work.run_id,
            replay_run_id=run.id,
            reason=f"The replay itself failed: {reason}",
        )
        with services.store.transaction():
            _end(services, run.id, RunStatus.LOST, reason)
            if _find(services, work.run_id) is not None:
                record_verdict(services, verdict, by=str(job.payload["by"]))


def get_schedule(services: Services, project: Project) -> ReplaySchedule:
    """Give how often a project's production models are made again; never, unless it was set."""
    kept = services.store.get_meta(_key(project))
    return msgspec.json.decode(kept, type=ReplaySchedule) if kept else ReplaySchedule()


def set_schedule(
    services: Services, project: Project, schedule: ReplaySchedule, *, by: str
) -> ReplaySchedule:
    """Set how often a project's production models are made again.

    Raises:
        InvalidInput: More often than once an hour.
        NotFound: There is no such pool.
    """
    if schedule.every_s and schedule.every_s < SHORTEST_S:
        wanted = "0 for never, or at least an hour (3600)"
        raise InvalidInput(field="every_s", value=schedule.every_s, wanted=wanted)
    pool = services.store.get_pool(schedule.pool).name
    kept = ReplaySchedule(every_s=schedule.every_s, pool=pool, set_by=by, last_at=services.store.now())
    with services.store.transaction():
        services.store.set_meta(_key(project), msgspec.json.encode(kept).decode())
        services.record(
            Event(
                kind="replay.scheduled",
                actor=by,
                subject=f"project:{project.id}",
                project=project.name,
                facts={"every_s": kept.every_s, "pool": kept.pool},
            )
        )
    return kept


def place_due(services: Services) -> int:
    """Queue a replay of every champion of the projects whose time has come; gives how many.

    When it looked is written down first: a hub that dies in between has left one out, and started none twice.
    """
    placed = 0
    for project in services.store.list_projects():
        schedule, now = get_schedule(services, project), services.store.now()
        if not schedule.every_s or now - schedule.last_at < schedule.every_s:
            continue
        looked = msgspec.structs.replace(schedule, last_at=now)
        services.store.set_meta(_key(project), msgspec.json.encode(looked).decode())
        under_way = _under_way(services)
        for run_id in _champions(services, project):
            if run_id in under_way:
                continue  # a pool that is slower than its schedule would only be given more and more
            try:
                place(services, run_id, PlacedReplay(pool=schedule.pool), by=schedule.set_by)
                placed += 1
            except ReliveError as error:
                _log.warning("no replay of run %s was placed: %s", short_id(run_id), error.what())
    return placed


def _under_way(services: Services) -> set[str]:
    """Name the runs that a placed replay is to make again, and has not yet."""
    waiting = (JobState.QUEUED, JobState.RUNNING)
    found = services.store.list_jobs(states=waiting, kinds=(JobKind.REPLAY,))
    return {msgspec.convert(job.payload["work"], ReplayWork).run_id for job in found}


def _champions(services: Services, project: Project) -> list[str]:
    """Name the runs behind the champions of a project."""
    store = services.store
    found = [
        store.get_version(model.name, _CHAMPION).run_id
        for model in store.list_models(project.id)
        if any(alias.alias == _CHAMPION for alias in store.list_aliases(model.name))
    ]
    return [run_id for run_id in dict.fromkeys(found) if run_id]


def _find(services: Services, run_id: str) -> Run | None:
    try:
        return services.store.get_run(run_id)
    except NotFound:
        return None  # deleted for good since: nobody waits for its end


def _end(services: Services, run_id: str, status: RunStatus, reason: str) -> None:
    run = services.store.get_run(run_id)
    if run.status.is_final:
        return
    ended = services.store.set_run(
        run.id, status=status, failure=FailureReason.FAILURE, reason=reason, ended_at=services.store.now()
    )
    tell_end(services, ended, by="hub")


def _key(project: Project) -> str:
    return f"{_SCHEDULE}:{project.id}"
