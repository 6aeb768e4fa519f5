"""Jobs and processes: launch what is ready, notice what died, adopt what outlived a hub."""

import logging
import threading
from typing import Any

import msgspec

from relive.core.access import Scope
from relive.core.event import Event
from relive.core.job import Job, JobKind, JobState, Pool
from relive.core.pipeline import Resources
from relive.errors import ReliveError, Superseded
from relive.ports.executors import Launch
from relive.services.accounts import create_job_token
from relive.services.context import Services

_log = logging.getLogger(__name__)

_MODULES = {
    JobKind.STAGE: "relive.runner",
    JobKind.ENVIRONMENT: "relive.runner",
    JobKind.DESCRIBE: "relive.serving.job",
    JobKind.SERVE: "relive.serving.job",
}
_PLACED = tuple(_MODULES)
_WORKING = (JobKind.STAGE, JobKind.ENVIRONMENT, JobKind.DESCRIBE)
_LOCAL = "local"


def launch_ready(services: Services) -> int:
    """Claim and start jobs while their pools have room; gives how many were started."""
    started = 0
    for pool in services.store.list_pools():
        started += _launch_kind(services, pool, (JobKind.SERVE,), room=64)
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
        if _poll(services, job) in ("ended", "gone"):
            continue
        try:
            services.store.renew(job.id, job.fence, lease_s=services.place.lease_s)
        except Superseded:
            continue  # its report came in between
        adopted += 1
    if adopted:
        _log.info("adopted %d jobs that outlived the hub's absence", adopted)
    return adopted


def look_after_processes(services: Services) -> None:
    """Mark jobs LOST whose process died without a report, or which were silent for too long."""
    for job in _running(services):
        state = _poll(services, job)
        if state in ("ended", "gone"):
            _lose(services, job, "its process ended without a report")
    for job in services.store.lose_expired():
        _log.warning("job %s was silent for longer than its lease", job.id)
        services.record(_lost(job, "silent for longer than its lease"))
        # Aside, because one that hangs takes long to end; should the hub die first, its fence ends it.
        threading.Thread(target=_stop, args=(services, job), name=f"stop {job.id[:8]}", daemon=True).start()


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
    place = services.place
    request = Launch(
        job_id=job.id,
        fence=job.fence,
        module=_MODULES[job.kind],
        hub_url=place.local_url if pool.executor == _LOCAL else place.public_url,
        token=create_job_token(services, job, Scope.RUNNER),
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


def _lose(services: Services, job: Job, reason: str) -> None:
    detail = _output(services, job)
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


def _poll(services: Services, job: Job) -> str:
    try:
        return services.executor_of(job.pool).poll(_handle(job)).state
    except ReliveError:
        _log.warning("pool %s cannot be asked about job %s", job.pool, job.id, exc_info=True)
        return "unknown"


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
