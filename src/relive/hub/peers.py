"""The hubs that share a data folder, and what those of them hold that have died.

A lease outlives its holder: the lock of the scheduler by seconds, a job inside the hub by a minute. Each hub
leaves a mark that says which process it is, so whoever finds that the process is gone need not wait.

    run/hubs/OWNER.json    owner, as it signs leases, and its process
"""

import logging
import os
from collections.abc import Sequence

import msgspec

from relive.core.job import Job, JobKind, JobState
from relive.errors import Superseded
from relive.executors import processes
from relive.executors.processes import ProcessId
from relive.services.context import Services
from relive.services.housekeeping import LOCK as HOUSE_LOCK
from relive.services.scheduling import LOCK

_log = logging.getLogger(__name__)


class _Mark(msgspec.Struct, frozen=True):
    owner: str
    process: ProcessId


class Peers:
    """This hub among those that share its data folder.

    Args:
        kinds: Jobs that run inside a hub's own process.
    """

    def __init__(self, services: Services, *, kinds: Sequence[JobKind]) -> None:
        self._services = services
        self._kinds = tuple(kinds)
        self._folder = services.place.data_dir / "run" / "hubs"
        self._own = self._folder / f"{services.place.owner.replace('/', '_')}.json"

    def enter(self) -> None:
        """Leave this hub's mark."""
        process = processes.identify(os.getpid())
        assert process is not None  # it is this one
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._own.write_bytes(msgspec.json.encode(_Mark(self._services.place.owner, process)))

    def leave(self) -> None:
        """Take the mark away: this hub has given back what it held."""
        self._own.unlink(missing_ok=True)

    def free_what_the_dead_hold(self) -> None:
        """Free the locks and the jobs of hubs of this machine that have died."""
        for path in self._folder.glob("*.json"):
            if path == self._own:
                continue
            try:
                mark = msgspec.json.decode(path.read_bytes(), type=_Mark)
            except (FileNotFoundError, msgspec.MsgspecError):
                continue  # another was faster, or it is being written
            if mark.process.host != processes.host() or processes.is_running(mark.process):
                continue
            self._free(mark.owner)
            path.unlink(missing_ok=True)

    def _free(self, owner: str) -> None:
        store = self._services.store
        for lock in (LOCK, HOUSE_LOCK):
            store.free_lock(lock, owner)
        running = store.list_jobs(states=(JobState.RUNNING,), kinds=self._kinds)
        left = [job for job in running if job.lease_owner == owner]
        _log.warning("hub %s has died; it left %d jobs of its own", owner, len(left))
        for job in left:
            self._give_back(job)

    def _give_back(self, job: Job) -> None:
        store = self._services.store
        try:
            if job.attempt < job.max_attempts:
                store.release(job.id, job.fence)
            else:  # it may well be what kills them
                error = f"{job.attempt} hubs died while they worked on it"
                store.finish(job.id, job.fence, JobState.LOST, result={}, error=error)
        except Superseded:
            _log.info("job %s was taken over already", job.id)
