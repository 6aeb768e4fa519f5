"""The open run of a script that nobody else runs: `relive.init`, `log`, `finish` with a hub behind them.

Logging is a store into a mapped file. Threads bring what is there to the disk and to the hub; whether the hub
answers changes nothing for the script. Inside a runner there is no thread: the runner reads the spool.
"""

import atexit
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relive import settings
from relive.capture.hooks import facade
from relive.capture.hooks import run as hooks_run
from relive.capture.hooks.facade import Options, config, finish, init, log, log_artifact, step, summary
from relive.capture.hooks.media import Audio, File, Histogram, Image, Plot, Table, Text
from relive.capture.hooks.ranks import rank, rank_prefix
from relive.capture.hooks.run import Run, warn_once
from relive.capture.hooks.spool import SPOOL_DIR, Spool
from relive.capture.secrets import mask_text
from relive.capture.worktree import read_head
from relive.client import ranks, system
from relive.client.console import Console
from relive.client.sender import Keeper, Sender
from relive.client.shipping import ship
from relive.client.spool import (
    CONSOLE,
    LocalRun,
    open_spool,
    pending,
    process_started,
    queued_bytes,
)
from relive.errors import ReliveError

if TYPE_CHECKING:
    from relive.client.dataset import OpenDataset

__all__ = [
    "Audio",
    "File",
    "Histogram",
    "Image",
    "Plot",
    "Run",
    "Table",
    "Text",
    "config",
    "finish",
    "init",
    "log",
    "log_artifact",
    "pending",
    "ship",
    "step",
    "summary",
    "use_dataset",
]

# How long `finish` waits for a hub that answers; one that does not answer is not waited for.
FINISH_S: Final = 30.0
MODES: Final = ("online", "offline", "disabled")


class Session:
    """What runs beside an open run on this machine, and how it ends.

    Args:
        spool: The run's folder.
        options: What was asked for.
    """

    def __init__(self, spool: Path, options: Options) -> None:
        self.spool = spool
        self.records = Spool(str(spool))
        self._sampler = system.Sampler(spool)
        self._samples = 0
        every_s = options.system_metrics_s
        self._keeper = Keeper(spool, self._sample if every_s > 0 else None, max(1.0, every_s))
        self._console = Console(spool / CONSOLE) if options.console else None
        self._sender = Sender(spool) if options.mode != "offline" else None

    def start(self) -> None:
        """Begin."""
        ranks.share(self.spool)
        self._keeper.start()
        if self._sender is not None:
            self._sender.start()

    def end(self) -> None:
        """Bring the rest to the disk and to the hub, if that answers; says what is left."""
        if self._console is not None:
            self._console.stop()
        self._keeper.stop()
        ranks.unshare(self.spool)
        shipment = self._sender.stop(FINISH_S) if self._sender is not None else None
        if shipment is not None and shipment.finished:
            return
        waiting = queued_bytes(self.spool)
        until = "" if self._sender is None else " until the hub can be reached"
        warn_once(
            f"relive: {waiting} bytes of this run wait on this machine{until}; `relive sync` sends them."
        )

    def _sample(self) -> None:
        self.records.write(*system.records(self._sampler.sample(), self._samples))
        self._samples += 1


def use_dataset(ref: str) -> "OpenDataset":
    """Open a version of a data set to be read, and record that the open run reads it.

    Raises:
        HubRefused: There is no such version.
        HubUnknown, HubUnreachable: There is no hub.
    """
    found, tags = _open_dataset(ref)
    facade.face.run().set_tags(tags)
    return found


def _open_dataset(ref: str) -> "tuple[OpenDataset, dict[str, str]]":
    from relive.client import dataset  # late: who reads no data set needs none of it

    found = dataset.dataset(ref)
    return found, dataset.read_tags(found)


def begin(options: Options) -> Run:
    """Open a run: in the spool of the runner if there is one, else in one of its own with a sender."""
    options = _completed(options)
    if options.mode == "disabled":
        return Run(None, name=options.name)
    if os.environ.get(SPOOL_DIR):
        return facade.begin_in_runner(options)
    shared = ranks.find_shared()
    if shared is not None:
        return _join(shared, options)
    if rank():
        warn_once("relive: rank 0 has opened no run on this machine; what this rank logs is not kept.")
        return Run(None, name=options.name)
    try:
        session = Session(open_spool(_local_run(options)), options)
        session.start()
    except OSError as error:
        warn_once(f"relive: nothing is recorded, because there is no place for it: {error}")
        return Run(None, name=options.name)
    return Run(
        session.records, run_id=options.resume, name=options.name, on_finish=lambda status: session.end()
    )


def _join(spool: Path, options: Options) -> Run:
    """Write to the run of another process of the same training, which ends it."""
    member = ranks.join(spool) if rank() else None
    run = Run(Spool(str(spool)), name=options.name, prefix=rank_prefix(), is_whole=False)
    if member is not None:
        run.on_finish = lambda status: member.unlink(missing_ok=True)
    return run


def _completed(options: Options) -> Options:
    """Put in what the settings say where the script says nothing."""
    mode = options.mode or settings.get("RELIVE_MODE")
    if mode not in MODES:
        warn_once(f"relive: mode {mode!r} is none of {', '.join(MODES)}; the run is online.")
        mode = "online"
    every_s = options.system_metrics_s
    if every_s < 0:
        every_s = float(settings.get_int("RELIVE_SYSTEM_METRICS_S"))
    console = options.console and settings.get("RELIVE_CONSOLE") != "0"
    return options._replace(mode=mode, system_metrics_s=every_s, console=console)


def _local_run(options: Options) -> LocalRun:
    commit, branch = _head()
    return LocalRun(
        project=_project(options.project),
        name=options.name,
        experiment=options.experiment,
        resume=options.resume,
        command=mask_text(" ".join(sys.orig_argv))[:2000],
        commit=commit,
        branch=branch,
        pid=os.getpid(),
        process_started=process_started(os.getpid()),
        created_at=time.time(),
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
    # Python keeps the exception that ended the program here, also when nobody looks at it interactively. In
    # a notebook it is whatever last went wrong in some cell.
    failed = getattr(sys, "last_value", None) is not None and not hasattr(sys, "ps1")
    facade.face.finish("failed" if failed else "finished")


facade.face.begin = begin
hooks_run.open_dataset = _open_dataset
atexit.register(_finish_at_exit)
