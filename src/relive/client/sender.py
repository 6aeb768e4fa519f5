"""The threads behind an open run: one makes its records durable, one brings them to the hub.

They are two because a hub that hangs must not keep records from the disk.
"""

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from relive.capture.hooks.run import warn_once
from relive.client.shipping import RunHub, Shipment, ship
from relive.client.spool import CONSOLE
from relive.errors import HubRefused, HubUnreachable, NotFound, ReliveError, StoreFull
from relive.formats.points import open_regular
from relive.formats.spool import spool_files, spooled_bytes

SEND_EVERY_S: Final = 1.0
SYNC_EVERY_S: Final = 0.5
HEARTBEAT_EVERY_S: Final = 10.0
LONGEST_PAUSE_S: Final = 30.0


class Sender:
    """A thread that sends a run's records to the hub, however often the hub goes away.

    Args:
        spool: The run's folder.
        connect: Makes the connection, on the thread; raises NotFound if no hub is known.
    """

    def __init__(self, spool: Path, connect: Callable[[], RunHub] | None = None) -> None:
        self.spool = spool
        self._connect = connect or _connect
        self._wake = threading.Event()
        self._stopping = False
        self._reachable = True
        self._shipment: Shipment | None = None
        self._thread = threading.Thread(target=self._loop, name="relive-sender", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, timeout_s: float) -> Shipment | None:
        """Send the rest and end; give what came of it, None if time ran out or the hub is away.

        Args:
            timeout_s: Longest wait, for a hub that answers.
        """
        self._stopping = True
        self._wake.set()
        deadline = time.monotonic() + timeout_s
        # In short waits: the moment it turns out that the hub is away, the wait is over.
        while self._thread.is_alive() and self._reachable and time.monotonic() < deadline:
            self._thread.join(0.05)
        return self._shipment

    def _loop(self) -> None:
        hub: RunHub | None = None
        pause_s = SEND_EVERY_S
        due = time.monotonic()
        while True:
            last = self._stopping
            try:
                hub = hub or self._connect()
                self._shipment = shipment = ship(hub, self.spool)
                if shipment.url:
                    warn_once(f"relive: this run is at {shipment.url}")
                if shipment.run_id and not last and time.monotonic() >= due:
                    # Also while nothing is logged: a long quiet epoch is no death.
                    reply = hub.run(shipment.run_id).heartbeat()
                    due = time.monotonic() + min(HEARTBEAT_EVERY_S, reply.lease_s / 3)
                pause_s = SEND_EVERY_S
            except (ReliveError, OSError) as error:
                if not _is_passing(error):
                    warn_once(f"relive: the run cannot be sent: {error}")
                    return
                warn_once(f"relive: {_what(error)} What is logged is kept on this machine meanwhile.")
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                self._shipment = None
                # One that says "later" answers: the last try at the end is waited for.
                self._reachable = not isinstance(error, HubUnreachable | NotFound)
            else:
                self._reachable = True
            if last or (self._shipment is not None and self._shipment.finished):
                return
            self._wake.wait(pause_s)


class Keeper:
    """A thread that flushes what a spool has got to the disk, and does small work now and then.

    Args:
        spool: The folder.
        chore: Called each `every_s`; must not raise. None for nothing.
        every_s: Seconds.
    """

    def __init__(self, spool: Path, chore: Callable[[], None] | None = None, every_s: float = 15.0) -> None:
        self._spool = spool
        self._chore = chore
        self._every_s = every_s
        self._synced: dict[str, int] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="relive-keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Flush what is there now, and end; waits a second at most for a slow disk."""
        self._ending.set()
        self._thread.join(1.0)

    def sync(self) -> None:
        """Flush the files that have grown since the last time."""
        names = [*spool_files(self._spool), CONSOLE]
        for name in names:
            at = self._synced.get(name, 0)
            grown = spooled_bytes(self._spool, name, at)
            if grown and flush(self._spool / name):
                self._synced[name] = at + grown

    def _loop(self) -> None:
        due = time.monotonic() + self._every_s
        while True:
            last = self._ending.is_set()
            if self._chore is not None and time.monotonic() >= due:
                due = time.monotonic() + self._every_s
                self._chore()
            self.sync()
            if last:
                return
            self._ending.wait(SYNC_EVERY_S)


def _is_passing(error: Exception) -> bool:
    """Tell whether it may go on by itself: the hub or its database is away, a disk is full, there or here."""
    if isinstance(error, HubRefused):
        return error.is_passing
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, HubUnreachable | NotFound | StoreFull)


def _what(error: Exception) -> str:
    return error.what() if isinstance(error, ReliveError) else f"{error}."


def flush(path: Path) -> bool:
    """Bring a file to the disk, what was written to it through maps as well; says whether it is there."""
    fd = open_regular(path)
    if fd < 0:
        return False
    try:
        os.fdatasync(fd)
    except OSError as error:
        warn_once(f"relive: the disk does not keep what is logged: {error.strerror}")
        return False
    finally:
        os.close(fd)
    return True


def _connect() -> RunHub:
    # Late, and on the sending thread: HTTP and TLS are most of what importing relive could cost.
    from relive.client.hub import connect

    return connect()
