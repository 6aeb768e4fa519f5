"""Several processes, one run: how the ranks of a training and the children it spawns find its spool.

Rank 0 opens the run and writes down where its spool lies, under a name that all ranks of one launch on this
machine can work out. The others append to the same folder, and the run is not over before they are.
"""

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Final

from relive.capture.hooks.ranks import rank
from relive.client.spool import is_running, process_started, read_local_run, spool_root

# For the processes that multiprocessing spawns, which inherit nothing else.
SPOOL_OF_PARENT: Final = "RELIVE_RUN_SPOOL"
WAIT_S: Final = 10.0
_GROUPS: Final = ".groups"
_LAUNCH: Final = (
    "MASTER_ADDR",
    "MASTER_PORT",
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_RESTART_COUNT",
    "SLURM_JOB_ID",
    "SLURM_STEP_ID",
)


def share(spool: Path) -> None:
    """Let the other processes of this run find its spool."""
    os.environ[SPOOL_OF_PARENT] = str(spool)
    if not _has_ranks():
        return
    path = _meeting_place()
    path.parent.mkdir(exist_ok=True, mode=0o700)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(spool.name)
    partial.replace(path)


def unshare(spool: Path) -> None:
    """Take it back: what is opened after this is another run."""
    if os.environ.get(SPOOL_OF_PARENT) == str(spool):
        del os.environ[SPOOL_OF_PARENT]
    if _has_ranks():
        _meeting_place().unlink(missing_ok=True)


def find_shared(wait_s: float = WAIT_S) -> Path | None:
    """Give the spool to which this process belongs; None if it is to open a run of its own.

    Args:
        wait_s: How long a rank waits for rank 0 to open the run.
    """
    process = sys.modules.get("multiprocessing.process")
    is_child = process is not None and process.parent_process() is not None
    inherited = Path(os.environ.get(SPOOL_OF_PARENT, ""))
    if (is_child or rank()) and inherited.is_absolute() and _is_open(inherited):
        return inherited
    deadline = time.monotonic() + wait_s
    while rank():
        found = _read(_meeting_place())
        if found is not None:
            return found
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.05)
    return None


def join(spool: Path) -> Path:
    """Say that this process writes to a spool; the run waits for the removal of the file that it gives."""
    member = spool / f"member-{os.getpid()}"
    member.write_text(process_started(os.getpid()))
    return member


def _has_ranks() -> bool:
    return rank() > 0 or any(os.environ.get(name) for name in ("RANK", "MASTER_PORT", "SLURM_NTASKS"))


def _meeting_place() -> Path:
    launch = [os.environ.get(name, "") for name in _LAUNCH]
    if not any(launch):
        launch = [str(os.getppid()), process_started(os.getppid())]
    name = hashlib.sha256("\0".join(launch).encode()).hexdigest()[:24]
    return spool_root() / _GROUPS / name


def _read(place: Path) -> Path | None:
    try:
        spool = spool_root() / place.read_text()
    except (OSError, UnicodeDecodeError):
        return None
    return spool if _is_open(spool) else None


def _is_open(spool: Path) -> bool:
    """Tell whether a spool is that of a process which lives: an old launch may have had the same name."""
    return (spool / "run.json").is_file() and is_running(read_local_run(spool))
