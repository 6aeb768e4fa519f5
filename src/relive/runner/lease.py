"""The claim of a job as its process holds it: renewed while it lives, and the first to know when it is over.

A hub that is away is waited for: the command goes on, and the hub decides when it is back. A hub that says
that the claim is gone is believed at once.
"""

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from relive.client.calls.reports import ReportClient
from relive.errors import HubRefused, HubUnreachable, ReliveError, StoreFull, Superseded

_log = logging.getLogger(__name__)

# Answers that say: this token, this job or this claim is no more.
_GONE: Final = frozenset({401, 403, 404, 409, 410})
_SHORTEST_S: Final = 0.2
_FIRST_S: Final = 5.0  # until the hub has said how long a lease lasts


class Over(StrEnum):
    """Why a claim is over before its work is."""

    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class Lease:
    """Renews a claim from a thread of its own; its methods may be called from any thread.

    Args:
        reports: Speaks for the claim.
        interval_s: Time between renewals before the hub has said how long a lease lasts.
    """

    def __init__(self, reports: ReportClient, *, interval_s: float = _FIRST_S) -> None:
        self._reports = reports
        self._interval_s = interval_s
        self._lock = threading.RLock()  # a signal's handler may come in between
        self._over: Over | None = None
        self._ended = threading.Event()
        self._changed = threading.Event()
        self._listeners: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def end(self) -> None:
        """Stop renewing: the work is done and reported, or given up."""
        self._ended.set()
        self._changed.set()

    @property
    def over(self) -> Over | None:
        """Why the claim is over, None while it holds."""
        return self._over

    def lose(self, why: Over) -> None:
        """Note that the claim is over; losing it to another wins over a cancellation."""
        with self._lock:
            if self._over is Over.SUPERSEDED or self._over is why:
                return
            self._over = why
            listeners = list(self._listeners)
        self._changed.set()
        for listener in listeners:
            listener()

    def when_over(self, listener: Callable[[], None]) -> None:
        """Call `listener` once the claim is over, from whatever thread learns it; at once if it is."""
        with self._lock:
            self._listeners.append(listener)
            is_over = self._over is not None
        if is_over:
            listener()

    def forget(self, listener: Callable[[], None]) -> None:
        """Take back what `when_over` was told."""
        with self._lock:
            self._listeners.remove(listener)

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than the claim holds.

        Raises:
            Superseded: Another claim took over.
        """
        deadline = time.monotonic() + seconds
        while self._over is not Over.SUPERSEDED:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(left_s, 0.2))
        self.check()

    def check(self) -> None:
        """Do nothing while the claim holds or is only cancelled.

        Raises:
            Superseded: Another claim took over.
        """
        if self._over is Over.SUPERSEDED:
            raise Superseded(subject=f"job {self._reports.subject_id[:8]}", reason="another claim took over")

    def _keep(self) -> None:
        while not self._ended.is_set():
            self._renew()
            self._changed.wait(self._interval_s)
            if self._over is Over.SUPERSEDED:
                return
            self._changed.clear()

    def _renew(self) -> None:
        try:
            reply = self._reports.heartbeat()
        except Superseded:
            self.lose(Over.SUPERSEDED)
        except HubRefused as error:
            if error.status in _GONE:
                _log.warning("the hub no longer knows this claim: %s", error.what())
                self.lose(Over.SUPERSEDED)
            else:
                _log.warning("the hub could not renew the lease: %s", error.what())
        except (HubUnreachable, StoreFull) as error:
            _log.warning("%s; the work goes on", error.what())
        else:
            self._interval_s = max(_SHORTEST_S, reply.lease_s / 3)
            if reply.cancel:
                self.lose(Over.CANCELLED)


def is_passing(error: ReliveError) -> bool:
    """Tell whether the same call may succeed later: the hub is away, its disk full, or it stumbled."""
    if isinstance(error, HubRefused):
        return error.status >= 500
    return isinstance(error, HubUnreachable | StoreFull)
