"""The open run of a script that nobody else runs: `relive.init`, `log`, `finish` with a hub behind them.

Logging is one append to a local spool. A thread sends what is there to the hub; whether the hub answers
changes nothing for the script. Inside a runner there is no thread: the runner reads the spool.
"""

import atexit
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from relive.capture.hooks import facade
from relive.capture.hooks.facade import config, finish, init, log, log_artifact, step
from relive.capture.hooks.run import Run, warn_once
from relive.capture.hooks.spool import SPOOL_DIR, Spool
from relive.capture.secrets import mask_text
from relive.capture.worktree import read_head
from relive.client.spool import (
    LocalRun,
    RunHub,
    Shipment,
    open_spool,
    pending,
    process_started,
    queued_bytes,
    ship,
)
from relive.errors import HubUnreachable, NotFound, ReliveError

__all__ = ["Run", "config", "finish", "init", "log", "log_artifact", "pending", "ship", "step"]

SEND_EVERY_S: Final = 1.0
HEARTBEAT_EVERY_S: Final = 10.0
LONGEST_PAUSE_S: Final = 30.0
# How long `finish` waits for a hub that answers; one that does not answer is not waited for.
FINISH_S: Final = 30.0


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
        beaten = time.monotonic()
        while True:
            last = self._stopping
            try:
                hub = hub or self._connect()
                self._shipment = shipment = ship(hub, self.spool)
                if shipment.url:
                    warn_once(f"relive: this run is at {shipment.url}")
                if shipment.run_id and not last and time.monotonic() - beaten >= HEARTBEAT_EVERY_S:
                    hub.run(shipment.run_id).heartbeat()
                    beaten = time.monotonic()
                pause_s = SEND_EVERY_S
            except (HubUnreachable, NotFound) as error:
                warn_once(f"relive: {error.what()} What is logged is kept on this machine meanwhile.")
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                self._shipment = None
                self._reachable = False
            except (ReliveError, OSError) as error:
                warn_once(f"relive: the run cannot be sent: {error}")
                return
            else:
                self._reachable = True
            if last or (self._shipment is not None and self._shipment.finished):
                return
            self._wake.wait(pause_s)


def _connect() -> RunHub:
    # Late, and on the sending thread: HTTP and TLS are most of what importing relive could cost.
    from relive.client.hub import connect

    return connect()


def begin(project: str, name: str) -> Run:
    """Open a run: in the spool of the runner if there is one, else in one of its own with a sender."""
    folder = os.environ.get(SPOOL_DIR)
    if folder:
        return facade.begin_in_runner(project, name)
    command = mask_text(" ".join(sys.orig_argv))[:2000]
    commit, branch = _head()
    local = LocalRun(
        project=_project(project),
        name=name,
        command=command,
        commit=commit,
        branch=branch,
        pid=os.getpid(),
        process_started=process_started(os.getpid()),
        created_at=time.time(),
    )
    try:
        spool = open_spool(local)
    except OSError as error:
        warn_once(f"relive: nothing is recorded, because there is no place for it: {error}")
        return Run(None, name=name)
    sender = Sender(spool)
    sender.start()
    return Run(Spool(str(spool)), run_id=spool.name, name=name, on_finish=lambda status: _end(sender))


def _end(sender: Sender) -> None:
    shipment = sender.stop(FINISH_S)
    if shipment is not None and shipment.finished:
        return
    waiting = queued_bytes(sender.spool)
    warn_once(
        f"relive: {waiting} bytes of this run wait on this machine until the hub can be reached; "
        "`relive sync` sends them."
    )


def _head() -> tuple[str, str]:
    try:
        return read_head(Path.cwd())
    except (ReliveError, OSError):
        return "", ""  # a folder that is gone, or a git that hangs: the run goes on without


def _project(asked: str) -> str:
    """Give a name for the project that is one: what was asked for, else the folder's."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", asked or Path.cwd().name).lstrip("._-")[:63] or "default"
    if asked and name != asked:
        warn_once(f"relive: {asked!r} cannot be a project's name; the run goes to {name!r}.")
    return name


def _finish_at_exit() -> None:
    # Python keeps the exception that ended the program here, also when nobody looks at it interactively.
    failed = getattr(sys, "last_value", None) is not None
    facade.face.finish("failed" if failed else "finished")


facade.face.begin = begin
atexit.register(_finish_at_exit)
