"""Keeping house: points packed as they come, silent runs ended, and once a day what is old thrown away.

One hub does it at a time, under a lock of its own; each call does a little, so that a hub that is told to
stop need not wait. When the day's chores began is written down, so that many starts do them once.
"""

import logging
import shutil
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from relive.errors import NotFound, ReliveError
from relive.services.collecting import DAY_S, IDLE_UPLOAD_S, purge
from relive.services.context import Services
from relive.services.silence import Listener

_log = logging.getLogger(__name__)

LOCK: Final = "housekeeping"
BEGAN: Final = "housekeeping.began_at"
_LEASE_S: Final = 120.0
# Points are packed for so long at a time; other writers get their turn between.
_PACKING_S: Final = 0.25
# Room that is given back in one step, while nobody else can write.
_ROOM_A_STEP_BYTES: Final = 16 << 20
_ROOM_A_DAY_BYTES: Final = 8 << 30
# A sender that does not know whether its batch arrived asks again in minutes; a spool, when it comes back.
_BATCHES_DAYS: Final = 60


@dataclass(frozen=True)
class Retention:
    """How long things stay that nobody sees any more.

    Attributes:
        deleted_days: Runs and experiments after they were deleted; they can be restored until then.
        jobs_days: Folders of jobs that have ended.
        logs_days: Logs of runs that were lost and that others took over.
        uploads_days: Parts of files, since the last of them came; where a part is a blob, that goes with the
            next collection.
        deliveries_days: What became of the messages of webhooks.
    """

    deleted_days: float = 30.0
    jobs_days: float = 14.0
    logs_days: float = 90.0
    uploads_days: float = IDLE_UPLOAD_S / DAY_S
    deliveries_days: float = 30.0

    def deleted_before(self, now: float) -> float:
        """Give the time before which what was deleted is deleted for good."""
        return now - self.deleted_days * DAY_S


@dataclass
class Housekeeper:
    """Does the chores, a little with each `tick`; for one thread."""

    services: Services
    retention: Retention = field(default_factory=Retention)
    _chores: deque[Callable[[], bool]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._listener = Listener(self.services)

    def tick(self) -> bool:
        """Do a little; tells whether there is more to do now."""
        store = self.services.store
        if not store.hold_lock(LOCK, self.services.place.owner, lease_s=_LEASE_S):
            self._chores.clear()
            return False
        self._listener.look()
        packed = self._pack()
        if not self._chores and self._is_due():
            store.set_meta(BEGAN, str(store.now()))
            self._chores.extend(self._of_the_day())
        if self._chores:
            self._do(self._chores.popleft())
        return packed or bool(self._chores)

    def _pack(self) -> bool:
        """Pack points; tells whether there are more."""
        deadline = time.monotonic() + _PACKING_S
        while self.services.store.pack_metrics():
            if time.monotonic() > deadline:
                return True
        return False

    def _is_due(self) -> bool:
        began = self.services.store.get_meta(BEGAN)
        return began is None or self.services.store.now() - float(began) >= DAY_S

    def _do(self, chore: Callable[[], bool]) -> None:
        """Do a step of a chore; one that fails is left for tomorrow, and the others are done."""
        try:
            if chore():
                self._chores.append(chore)
        except (ReliveError, OSError) as error:
            _log.error("a chore could not be done, it is tried again tomorrow: %s", error)

    def _of_the_day(self) -> list[Callable[[], bool]]:
        """Give the chores; each tells whether it wants to go on."""
        store, now = self.services.store, self.services.store.now()
        purging = purge(self.services, before=self.retention.deleted_before(now))
        room = iter(range(_ROOM_A_DAY_BYTES // _ROOM_A_STEP_BYTES))
        return [
            *(self._maintaining(project.name) for project in store.list_projects()),
            lambda: next(purging, None) is not None,
            self._drop_old_rows,
            self._drop_uploads,
            self._remove_job_folders,
            # After the others, for it is their rows whose room is given back.
            lambda: next(room, None) is not None and store.give_back(most_bytes=_ROOM_A_STEP_BYTES) > 0,
        ]

    def _maintaining(self, project: str) -> Callable[[], bool]:
        def maintain() -> bool:
            # A project that only clients log to has no repository.
            with suppress(NotFound):
                self.services.repositories.maintain(project)
            return False

        return maintain

    def _drop_old_rows(self) -> bool:
        from relive.services.mlflow.places import UPLOADS  # late: much of what only requests need

        store, now = self.services.store, self.services.store.now()
        store.drop_superseded_logs(before=now - self.retention.logs_days * DAY_S)
        store.delete_expired(tokens_before=now, batches_before=now - _BATCHES_DAYS * DAY_S)
        store.delete_idle_folders(UPLOADS, before=now - self.retention.uploads_days * DAY_S)
        store.delete_deliveries(before=now - self.retention.deliveries_days * DAY_S)
        store.tidy()
        return False

    def _drop_uploads(self) -> bool:
        before = self.services.store.now() - self.retention.uploads_days * DAY_S
        self.services.blobs.drop_uploads(before=before)
        return False

    def _remove_job_folders(self) -> bool:
        before = self.services.store.now() - self.retention.jobs_days * DAY_S
        folder = self.services.place.data_dir / "jobs"
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_dir() and self._is_over(path, before):
                shutil.rmtree(path, ignore_errors=True)
        return False

    def _is_over(self, folder: Path, before: float) -> bool:
        """Tell whether a job ended before a time; of one that nobody knows its folder's time counts."""
        try:
            job = self.services.store.get_job(folder.name)
        except NotFound:
            return folder.stat().st_mtime < before
        return job.state.is_final and (job.ended_at or folder.stat().st_mtime) < before
