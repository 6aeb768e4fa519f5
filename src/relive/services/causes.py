"""Searches for causes as jobs: one job that asks, and a job for each trial that it asks for.

The search is a process that decides what is tried next, and the run that will hold its answer. Its trials are
runs as well, each with a job of its own on the pool. Whatever dies is only that: a lost trial is asked for
again by its search, and a lost search is begun again and finds what was tried.
"""

import logging
from typing import Final

import msgspec

from relive.core.causes import AFTER_TAG, BEFORE_TAG, VARIANT_TAG, check_metric
from relive.core.event import Event
from relive.core.ids import short_id
from relive.core.job import Job, JobKind, JobState
from relive.core.run import FailureReason, Run, RunKind, RunStatus
from relive.errors import Conflict, InvalidInput, NotFound
from relive.services.context import Services
from relive.services.finishing import tell_end
from relive.services.ids import new_id
from relive.services.runs import PARENT, page_of
from relive.wire.jobs import EndReport, PlacedTrial, TrialWork, WhyWork
from relive.wire.runs import PlacedWhy

_log = logging.getLogger(__name__)

# The hub's own machine: a search only waits, and must not hold a place that its trials need.
_LOCAL: Final = "local"
_MOST_AT_ONCE: Final = 64
_USUALLY_AT_MOST: Final = 8
_TRIES: Final = 3
_KINDS: Final = (JobKind.TRIAL, JobKind.WHY)
_OPEN: Final = (JobState.QUEUED, JobState.RUNNING)
_ENDED_LOOK: Final = 200  # more than were ever lost at once with their machine


def place(services: Services, before: str, request: PlacedWhy, *, by: str) -> Run:
    """Queue a search, and give the run that will hold its answer; one that goes on already is that one.

    Raises:
        NotFound: There is no such run or pool.
        Conflict: One of the runs cannot be made again, or they are of different projects.
        InvalidInput: A number is out of its range, or neither run has the metric.
    """
    store = services.store
    one, other = (_repeatable(store.get_run(run_id)) for run_id in (before, request.after))
    if one.project_id != other.project_id:
        raise Conflict(subject=f"run {short_id(other.id)}", reason="it is of another project")
    _check_numbers(request)
    check_metric(request.metric, (it.key for it in store.list_metrics((one.id, other.id))))
    pool = store.get_pool(request.pool)
    parallel = request.parallel or max(1, min(pool.slots, _USUALLY_AT_MOST))
    asked = msgspec.structs.replace(request, after=other.id, pool=pool.name, parallel=parallel)
    answer = _answer(one, other, asked, by=by, at=store.now())
    work = WhyWork(
        before=one.id,
        asked=asked,
        run_id=answer.id,
        url=page_of(services, answer),
        project=store.get_project(one.project_id).name,
    )
    with store.transaction():
        for job in store.list_jobs(states=_OPEN, kinds=(JobKind.WHY,)):
            known = msgspec.convert(job.payload["work"], WhyWork)
            if (known.before, known.asked) == (one.id, asked) and not job.cancel_requested:
                return store.get_run(known.run_id)
        store.create_run(answer)
        store.set_tags(answer.id, {BEFORE_TAG: one.id, AFTER_TAG: other.id})
        store.put(_search_job(services, work, by=by))
    services.wake()
    return answer


def _repeatable(run: Run) -> Run:
    if run.status is not RunStatus.FINISHED or not run.recipe or run.deleted_at is not None:
        reason = "only a finished run with a recipe that is not deleted can be made again"
        raise Conflict(subject=f"run {short_id(run.id)}", reason=reason)
    return run


def _check_numbers(request: PlacedWhy) -> None:
    if not 0 <= request.parallel <= _MOST_AT_ONCE:
        wanted = f"1 to {_MOST_AT_ONCE}, or 0 for as many as the pool has slots"
        raise InvalidInput(field="parallel", value=request.parallel, wanted=wanted)
    for field, value in (("max_runs", request.max_runs or 0), ("shares", request.shares)):
        if value < 0:
            raise InvalidInput(field=field, value=value, wanted="0 or more")


def _answer(one: Run, other: Run, asked: PlacedWhy, *, by: str, at: float) -> Run:
    named = f"{short_id(one.id)} {short_id(other.id)}"
    metric = f" --metric {asked.metric}" if asked.metric else ""
    return Run(
        id=new_id(),
        project_id=one.project_id,
        experiment_id=one.experiment_id,
        name=f"why {named}",
        kind=RunKind.MANUAL,
        status=RunStatus.SCHEDULED,
        actor=by,
        command=f"relive why {named}{metric} --pool {asked.pool}",
        created_at=at,
    )


def _search_job(services: Services, work: WhyWork, *, by: str, tries: int = 1) -> Job:
    run = services.store.get_run(work.run_id)
    pools = {pool.name for pool in services.store.list_pools()}
    return Job(
        id=new_id(),
        kind=JobKind.WHY,
        state=JobState.QUEUED,
        pool=_LOCAL if _LOCAL in pools else work.asked.pool,
        subject=f"run:{run.id}",
        project_id=run.project_id,
        payload={"work": msgspec.to_builtins(work), "by": by, "tries": tries},
        max_attempts=1,
        created_at=services.store.now(),
    )


def place_trial(services: Services, job: Job, request: PlacedTrial) -> Run:
    """Queue a trial that a search asks for, and give its run; one that waits or runs already is that one.

    Raises:
        Conflict: The search was cancelled, or the job is none.
    """
    if job.kind is not JobKind.WHY or job.cancel_requested:
        reason = "it was cancelled" if job.cancel_requested else "it searches for no causes"
        raise Conflict(subject=f"job {job.id[:8]}", reason=reason)
    store, search, by = services.store, msgspec.convert(job.payload["work"], WhyWork), str(job.payload["by"])
    trial = request.trial
    with store.transaction():
        for known in store.list_jobs(states=_OPEN, kinds=(JobKind.TRIAL,), pool=search.asked.pool):
            other = _trial_of(known)
            if other.key == trial.key and other.until in (None, trial.until) and not known.cancel_requested:
                return store.get_run(other.work.run_id)
        run = store.create_run(_trial_run(services, search, request, by=by))
        # Beneath the search in lists, and found by its key: by this search, the next one, and other people's.
        store.set_tags(run.id, {VARIANT_TAG: trial.key, PARENT: search.run_id})
        store.put(_trial_job(run, search, trial))
    services.wake()
    return run


def _trial_run(services: Services, search: WhyWork, request: PlacedTrial, *, by: str) -> Run:
    answer = services.store.get_run(search.run_id)
    return Run(
        id=new_id(),
        project_id=answer.project_id,
        experiment_id=answer.experiment_id,
        name=request.name,
        kind=RunKind.REPLAY,
        status=RunStatus.SCHEDULED,
        actor=by,
        command="\n".join(request.trial.work.commands),
        commit=request.trial.work.commit,
        # Only what repeats one of the two may say so.
        replay_of=request.replay_of if request.replay_of in (search.before, search.asked.after) else "",
        created_at=services.store.now(),
    )


def _trial_job(run: Run, search: WhyWork, trial: TrialWork) -> Job:
    work = msgspec.structs.replace(trial.work, run_id=run.id, project=search.project, command_token="")
    placed = msgspec.structs.replace(trial, work=work)
    return Job(
        id=new_id(),
        kind=JobKind.TRIAL,
        state=JobState.QUEUED,
        pool=search.asked.pool,
        subject=f"run:{run.id}",
        project_id=run.project_id,
        payload={"work": msgspec.to_builtins(placed), "search": search.run_id},
        max_attempts=1,
        created_at=run.created_at,
    )


def begin(services: Services, run_id: str) -> None:
    """Note that the process of a search or a trial has asked for its work."""
    if services.store.get_run(run_id).status is RunStatus.SCHEDULED:
        services.store.set_run(run_id, status=RunStatus.RUNNING, started_at=services.store.now())


def finish(services: Services, job: Job, report: EndReport) -> None:
    """Take the end of a search or a trial, and end its run if nobody has.

    Raises:
        Superseded: The job is another claim's by now, or over.
    """
    state = JobState.CANCELLED if job.cancel_requested else JobState.FAILED if report.error else JobState.DONE
    with services.store.transaction():
        services.store.finish(job.id, report.fence, state, result={}, error=report.error)
        reason = report.error or "its job ended and said nothing of it"
        _end(services, _run_of(job), RunStatus.FAILED, FailureReason.FAILURE, reason)


def settle(services: Services) -> None:
    """End the runs of what is over without a report; a search that was lost is begun again."""
    over = (JobState.LOST, JobState.FAILED, JobState.CANCELLED)
    for job in services.store.list_jobs(states=over, kinds=_KINDS, limit=_ENDED_LOOK):
        run = _find(services, _run_of(job))
        if run is None or run.status.is_final:
            continue
        with services.store.transaction():
            if services.store.list_jobs(states=_OPEN, subject=job.subject):
                continue  # it was begun again
            tries = int(job.payload.get("tries", _TRIES))
            if job.kind is JobKind.WHY and job.state is JobState.LOST and tries < _TRIES:
                _begin_again(services, job, tries + 1)
            else:
                reason = job.error or f"its job was {job.state.value}"
                _end(services, run.id, RunStatus.LOST, FailureReason.WORKER_LOST, reason)


def _begin_again(services: Services, job: Job, tries: int) -> None:
    work = msgspec.convert(job.payload["work"], WhyWork)
    services.store.put(_search_job(services, work, by=str(job.payload["by"]), tries=tries))
    facts = {"job": job.id, "reason": job.error}
    services.record(Event(kind="why.again", actor="hub", subject=job.subject, facts=facts))
    _log.warning("the search of run %s was lost, it is begun again: %s", short_id(work.run_id), job.error)


def _run_of(job: Job) -> str:
    return job.subject.removeprefix("run:")


def _trial_of(job: Job) -> TrialWork:
    return msgspec.convert(job.payload["work"], TrialWork)


def _find(services: Services, run_id: str) -> Run | None:
    try:
        return services.store.get_run(run_id)
    except NotFound:
        return None  # deleted for good since: nobody waits for its end


def _end(services: Services, run_id: str, status: RunStatus, failure: FailureReason, reason: str) -> None:
    run = _find(services, run_id)
    if run is None or run.status.is_final:
        return
    store = services.store
    ended = store.set_run(run.id, status=status, failure=failure, reason=reason, ended_at=store.now())
    tell_end(services, ended, by="hub")
