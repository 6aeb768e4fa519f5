"""Jobs and processes: launch what is ready, notice what died, adopt what outlived a hub."""

import logging
import threading
from typing import Any

import msgspec

from relive.core.access import Scope
from relive.core.event import Event
from relive.core.job import Job, JobKind, JobState, Pool
from relive.core.pipeline import Resources, StageStatus
from relive.errors import ReliveError, Superseded
from relive.ports.executors import Launch, ProcessState
from relive.services.accounts import create_job_ticket, create_job_token
from relive.services.context import Services

_log = logging.getLogger(__name__)

_MODULES = {
    JobKind.STAGE: "relive.runner",
    JobKind.ENVIRONMENT: "relive.runner",
    JobKind.DESCRIBE: "relive.serving.job",
    JobKind.SERVE: "relive.serving.job",
    JobKind.REPLAY: "relive.replay.job",
    JobKind.TRIAL: "relive.replay.job",
    JobKind.WHY: "relive.replay.job",
}
_PLACED = tuple(_MODULES)
_WORKING = (JobKind.STAGE, JobKind.ENVIRONMENT, JobKind.DESCRIBE, JobKind.REPLAY, JobKind.TRIAL)
# They hold no place of their own: what is served stays, and a search only waits for its trials.
_BESIDE = (JobKind.SERVE, JobKind.WHY)
_LOCAL = "local"
_OVER = ("ended", "gone")


def launch_ready(services: Services) -> int:
    """Claim and start jobs while their pools have room; gives how many were started."""
    started = 0
    pools = services.store.list_pools()
    _explain_missing(services, {pool.name for pool in pools})
    for pool in pools:
        if not _can_place(services, pool):
            continue
        started += _launch_kind(services, pool, _BESIDE, room=64)
        running = services.store.list_jobs(states=(JobState.RUNNING,), kinds=_WORKING, pool=pool.name)
        started += _launch_kind(services, pool, _WORKING, room=pool.slots - len(running))
    return started


def adopt(services: Services) -> int:
    """Hold the leases of jobs whose processes may have outlived the hub's absence; gives how many.

    A hub that was away (killed, stopped, asleep, without its database) cannot have heard their heartbeats, so
    an expired lease says nothing about them.
    """
    adopted = 0
    for job in _running(services):
        if _poll(services, job).state in _OVER:
            continue
        try:
            services.store.renew(job.id, job.fence, lease_s=services.place.lease_s)
        except Superseded:
            continue  # its report came in between
        adopted += 1
    if adopted:
        _log.info("adopted %d jobs that outlived the hub's absence", adopted)
    return adopted


def count_running(services: Services) -> int:
    """Count the jobs whose processes run now; 0 if the database cannot be asked."""
    try:
        return len(_running(services))
    except ReliveError:
        return 0


def stop_all(services: Services) -> None:
    """End every job's process on every pool; what was cut off is taken up again by the next hub."""
    for job in _running(services):
        _stop(services, job)


def look_after_processes(services: Services) -> int:
    """Mark jobs LOST whose process died without a report, or that were silent too long; gives how many."""
    lost = 0
    for job in _running(services):
        process = _poll(services, job)
        if process.state in _OVER:
            lost += 1
            _lose(services, job, "its process ended without a report", process.detail)
        elif process.state == "waiting":
            _wait(services, job, process.detail)
    for job in services.store.lose_expired():
        _log.warning("job %s was silent for longer than its lease", job.id)
        services.record(_lost(job, "silent for longer than its lease"))
        _stop_aside(services, job)
        lost += 1
    return lost


def _can_place(services: Services, pool: Pool) -> bool:
    """Tell whether a pool takes jobs now; what waits for one that does not stays queued and says why.

    Asked before a job is claimed: its one claim would be wasted on a cluster that is away.
    """
    if pool.executor == _LOCAL:
        return True
    queued = services.store.list_jobs(states=(JobState.QUEUED,), kinds=_PLACED, pool=pool.name, limit=100)
    try:
        if queued:
            services.executor_of(pool.name).check()
    except ReliveError as error:
        told = [_note(services, job, f"waits for pool {pool.name}: {error.what()}") for job in queued]
        if any(told):
            _log.warning("%d jobs wait for pool %s: %s", len(queued), pool.name, error.what())
        return False
    return True


def _explain_missing(services: Services, known: set[str]) -> None:
    """Say of what was queued for a pool that is gone by now why it waits."""
    for job in services.store.list_jobs(states=(JobState.QUEUED,), kinds=_PLACED, limit=100):
        if job.pool not in known:
            _note(services, job, f"waits for pool {job.pool}, which is gone; add it again or cancel")


def _wait(services: Services, job: Job, why: str) -> None:
    """Hold the claim of a job whose pool has no room for it yet, for it has no process that could."""
    try:
        job = services.store.renew(job.id, job.fence, lease_s=services.place.lease_s)
        if not job.cancel_requested:
            _note(services, job, f"placed on pool {job.pool}: {why}")
            return
        reason = "cancelled before it began"
        services.store.finish(job.id, job.fence, JobState.CANCELLED, result={}, error=reason)
    except Superseded:
        return  # it began and was done in between
    _stop_aside(services, job)


def _note(services: Services, job: Job, reason: str) -> bool:
    """Say why a stage's job has not begun; tells whether that is news."""
    kind, _, stage_id = job.subject.partition(":")
    if kind != "stage":
        return False
    with services.store.transaction():
        stage = services.store.get_stage(stage_id)
        is_news = stage.job_id == job.id and stage.reason != reason
        if is_news and stage.status is StageStatus.QUEUED:
            services.store.set_stage(stage_id, expect=StageStatus.QUEUED, reason=reason)
    return is_news


def _launch_kind(services: Services, pool: Pool, kinds: tuple[JobKind, ...], *, room: int) -> int:
    started = 0
    while started < room:
        job = services.store.claim(
            services.place.owner, pools=(pool.name,), kinds=kinds, lease_s=services.place.lease_s
        )
        if job is None:
            break
        _launch(services, pool, job)
        started += 1
    return started


def _launch(services: Services, pool: Pool, job: Job) -> None:
    place, is_local = services.place, pool.executor == _LOCAL
    request = Launch(
        job_id=job.id,
        fence=job.fence,
        module=_MODULES[job.kind],
        hub_url=place.local_url if is_local else place.public_url,
        # A cluster shows an order to whoever may list its jobs.
        token=create_job_token(services, job, Scope.RUNNER) if is_local else create_job_ticket(services, job),
        name=f"{job.kind.value} {job.subject}",
        resources=msgspec.convert(job.payload.get("resources", {}), Resources),
    )
    try:
        handle = services.executor_of(pool.name).launch(request)
        services.store.set_handle(job.id, job.fence, handle)
    except ReliveError as error:
        _lose(services, job, f"pool {pool.name} could not start it: {error}")
    except OSError as error:
        _lose(services, job, f"pool {pool.name} could not start it: {error}")


def _lose(services: Services, job: Job, reason: str, why: str = "") -> None:
    detail = _output(services, job) or why
    try:
        services.store.finish(
            job.id, job.fence, JobState.LOST, result={}, error=f"{reason}: {detail}" if detail else reason
        )
    except Superseded:
        return  # its report came in between
    services.record(_lost(job, reason))


def _running(services: Services) -> list[Job]:
    return services.store.list_jobs(states=(JobState.RUNNING,), kinds=_PLACED)


def _handle(job: Job) -> dict[str, Any]:
    """Give where its process is; a hub that was killed while launching it left the claim alone."""
    return job.handle or {"job_id": job.id, "fence": job.fence}


def _poll(services: Services, job: Job) -> ProcessState:
    try:
        return services.executor_of(job.pool).poll(_handle(job))
    except ReliveError as error:
        _log.warning("pool %s cannot be asked about job %s", job.pool, job.id, exc_info=True)
        return ProcessState(state="unknown", detail=error.what())


def _stop_aside(services: Services, job: Job) -> None:
    """Stop a job that is over; aside, for it may take long. Should the hub die first, its fence ends it."""
    threading.Thread(target=_stop, args=(services, job), name=f"stop {job.id[:8]}", daemon=True).start()


def _stop(services: Services, job: Job) -> None:
    try:
        services.executor_of(job.pool).stop(_handle(job), grace_s=5.0)
    except (ReliveError, OSError):
        _log.warning("job %s could not be stopped", job.id, exc_info=True)


def _output(services: Services, job: Job) -> str:
    try:
        lines = services.executor_of(job.pool).output(_handle(job), limit_bytes=2000).strip().splitlines()
    except ReliveError:
        return ""
    return lines[-1][:300] if lines else ""


def _lost(job: Job, reason: str) -> Event:
    return Event(kind="job.lost", actor="hub", subject=job.subject, facts={"job": job.id, "reason": reason})
