"""The hub's own threads: the scheduler, and the jobs that run inside the hub."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from relive.core.job import Job, JobKind, JobState
from relive.errors import ReliveError, Superseded, WebhookFailed
from relive.hub.build import retention
from relive.hub.peers import Peers
from relive.hub.routing import RouterKeeper
from relive.services import causes, replays
from relive.services.context import Services
from relive.services.faults import is_passing
from relive.services.forging import Forging
from relive.services.housekeeping import LOCK as HOUSE_LOCK
from relive.services.housekeeping import Housekeeper, Retention
from relive.services.mlflow.deliveries import deliver
from relive.services.planning import plan_commit
from relive.services.pushes import reconcile
from relive.services.scheduling import LOCK, Scheduler
from relive.services.view import load_view

_log = logging.getLogger(__name__)

_TICK_S = 1.0
_HOUSE_S = 5.0
# Between two steps of a long chore, for others that want to write.
_BREATH_S = 0.02
_ROUTER_LOOK_S = 0.05
_HUB_LEASE_S = 60.0
_RETRY_S = 5.0
_LONGEST_RETRY_S = 60.0
# Receivers of webhooks expect the next attempt as soon as from MLflow's server.
_SEND_AGAIN_S = 0.5

HubJob = Callable[[Services, Job], object]

HUB_JOBS: dict[JobKind, HubJob] = {JobKind.PLAN: plan_commit, JobKind.WEBHOOK: deliver}
# Whoever is told may let us wait, so these have a thread of their own: no push waits behind them.
_SENDING = (JobKind.WEBHOOK,)


@dataclass
class Background:
    """Starts and stops the threads.

    Attributes:
        poll_s: Seconds between looks for pushes that nothing told of.
        retention: How long things stay that nobody sees any more.
        stopping: Set once; every thread ends soon after.
    """

    services: Services
    router: RouterKeeper
    forging: Forging
    poll_s: float = 60.0
    retention: Retention = field(default_factory=retention)
    stopping: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    _work: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.jobs = HUB_JOBS | self.forging.jobs | {JobKind.PLAN: self._plan}
        self.peers = Peers(self.services, kinds=tuple(self.jobs))

    def start(self) -> None:
        """Begin."""
        self.peers.enter()
        loops: dict[str, Callable[[], None]] = {
            "scheduler": self._schedule,
            "hub-jobs": partial(self._work_on_jobs, [it for it in self.jobs if it not in _SENDING]),
            "webhooks": partial(self._work_on_jobs, _SENDING),
            "housekeeping": self._keep_house,
        }
        for name, loop in loops.items():
            thread = threading.Thread(target=loop, name=name, daemon=True)
            thread.start()
            self.threads.append(thread)

    def stop(self) -> None:
        """End the threads after what they are doing now; jobs on pools go on."""
        self.stopping.set()
        self.services.wakeup.set()
        self._work.set()
        for thread in self.threads:
            thread.join(timeout=10)
        try:
            for lock in (LOCK, HOUSE_LOCK):
                self.services.store.free_lock(lock, self.services.place.owner)
        except ReliveError as error:
            _log.warning("the scheduler's lock is freed by its lease: %s", error)
            return
        if not any(thread.is_alive() for thread in self.threads):
            self.peers.leave()

    def _schedule(self) -> None:
        scheduler = Scheduler(self.services, on_look=self.forging.report)
        reconciled_at = -self.poll_s  # at once: the last hub may have died between a push and its hook
        holds_lock = False
        while not self.stopping.is_set():
            self.services.wakeup.clear()
            pause_s = _TICK_S
            try:
                if not holds_lock:
                    self.peers.free_what_the_dead_hold()
                holds_lock = scheduler.tick()
                if holds_lock:
                    pause_s = _TICK_S if self.router.keep(self.services) else _ROUTER_LOOK_S
                    if time.monotonic() - reconciled_at >= self.poll_s:
                        reconciled_at = time.monotonic()
                        reconcile(self.services)
                        causes.settle(self.services)
                        replays.settle(self.services)
                        replays.place_due(self.services)
                        self.forging.queue_polls()
            except ReliveError as error:
                _log.error("the scheduler could not go on, it tries again: %s", error)
                self.stopping.wait(_RETRY_S)
            except Exception:  # noqa: BLE001  # without its scheduler a hub looks alive and does nothing
                _log.exception("the scheduler failed, it tries again")
                self.stopping.wait(_RETRY_S)
            self._work.set()
            self.services.wakeup.wait(pause_s)

    def _work_on_jobs(self, kinds: Sequence[JobKind]) -> None:
        store = self.services.store
        while not self.stopping.is_set():
            self._work.clear()
            try:
                job = store.claim(
                    self.services.place.owner, pools=("hub",), kinds=kinds, lease_s=_HUB_LEASE_S
                )
                if job is not None:
                    run_hub_job(self.services, job, self.jobs[job.kind])
                    self.services.wake()
                    continue
            except ReliveError as error:
                _log.error("no hub job could be worked on, it tries again: %s", error)
                self.stopping.wait(_RETRY_S)
            except Exception:  # noqa: BLE001  # as above
                _log.exception("a hub job could not be worked on, it tries again")
                self.stopping.wait(_RETRY_S)
            self._work.wait(_TICK_S)

    def _keep_house(self) -> None:
        housekeeper = Housekeeper(self.services, self.retention)
        while not self.stopping.is_set():
            is_busy = False
            try:
                is_busy = housekeeper.tick()
            except ReliveError as error:
                _log.error("the house could not be kept, it is tried again: %s", error)
            except Exception:  # noqa: BLE001  # as above
                _log.exception("keeping house failed, it is tried again")
            self.stopping.wait(_BREATH_S if is_busy else _HOUSE_S)

    def _plan(self, services: Services, job: Job) -> None:
        """Plan, and tell the forge at once of a pipeline that could not even start."""
        pipeline = plan_commit(services, job)
        if pipeline is not None:
            self.forging.report(load_view(services, pipeline.id))


def run_hub_job(services: Services, job: Job, handle: HubJob) -> None:
    """Do one job of the hub; what fails on the outside is tried again later, a lasting failure is kept."""
    store = services.store
    try:
        handle(services, job)
        store.finish(job.id, job.fence, JobState.DONE, result={})
    except Superseded:
        _log.warning("job %s was taken over by another hub", job.id)
    except ReliveError as error:
        if is_passing(error) or job.attempt < job.max_attempts:
            store.release(job.id, job.fence, delay_s=_pause_s(job, error), error=str(error))
        else:
            store.finish(job.id, job.fence, JobState.FAILED, result={}, error=str(error))
    except Exception as error:  # noqa: BLE001  # a defect fails its job, not the hub
        _log.exception("job %s (%s) failed", job.id, job.kind)
        store.finish(job.id, job.fence, JobState.FAILED, result={}, error=f"{type(error).__name__}: {error}")


def _pause_s(job: Job, error: ReliveError) -> float:
    """Say how long to wait before the next attempt: each time twice as long, or as long as was asked for."""
    first_s = _RETRY_S
    if isinstance(error, WebhookFailed):
        if error.wait_s is not None:
            return min(_LONGEST_RETRY_S, error.wait_s)
        first_s = _SEND_AGAIN_S
    return min(_LONGEST_RETRY_S, first_s * 2.0 ** min(job.attempt, 10))
