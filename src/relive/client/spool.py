"""Runs that are kept on this machine until the hub has them.

    RELIVE_HOME/spool/NAME/
      run.json       what the run is, and whose; written first
      *.jsonl        its records, as `capture.hooks.spool` writes them
      *.points       its metrics, as `capture.hooks.points` packs them
      console.log    what it prints
      media/         what it shows
      member-PID     a rank that has not ended yet
      shipped.json   how far the hub has them
      lock           held by whoever sends them

Sending can stop anywhere and start again: a batch has its name and its range on disk before it is sent, so
that sending it a second time is the same batch to the hub. The folder goes when the hub has everything.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from relive import settings
from relive.formats.spool import (
    spool_files,
    spooled_bytes,
)

CONSOLE: Final = "console.log"


class LocalRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is, and which process it lives in.

    Attributes:
        resume: The run that it goes on with, if it is none of its own.
        process_started: Of that process in clock ticks since boot, with the boot's id: a pid is used again.
    """

    project: str
    name: str = ""
    experiment: str = ""
    resume: str = ""
    command: str = ""
    commit: str = ""
    branch: str = ""
    pid: int = 0
    process_started: str = ""
    created_at: float = 0.0


class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """How far the hub has a run.

    Attributes:
        offsets: File name to the offset up to which the hub has it.
        sending: The (file, start, end) that was about to be sent; the hub may have it.
        status: What the script said at its end, empty while it runs.
        console_read: How much of what it printed was sent.
        console_sent: How long that is at the hub, where secrets are masked.
    """

    run_id: str = ""
    url: str = ""
    offsets: dict[str, int] = {}
    sending: tuple[str, int, int] | None = None
    status: str = ""
    console_read: int = 0
    console_sent: int = 0


def spool_root() -> Path:
    """Give the folder of this user's runs that are not with the hub yet."""
    return Path(settings.home()) / "spool"


def open_spool(run: LocalRun, root: Path | None = None) -> Path:
    """Make the folder of a new run.

    Raises:
        OSError: There is no room, or no permission.
    """
    root = root or spool_root()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(dir=root, prefix=f"{time.strftime('%Y%m%d-%H%M%S')}-{run.pid}-"))
    write_document(folder / "run.json", run)
    return folder


def pending(root: Path | None = None) -> list[Path]:
    """Give the runs that the hub does not have yet in full, oldest first; running ones as well."""
    root = root or spool_root()
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    return [root / name for name in names if (root / name / "run.json").is_file()]


def queued_bytes(spool: Path) -> int:
    """Give how many bytes of records the hub does not have."""
    offsets = read_shipped(spool).offsets
    return sum(spooled_bytes(spool, name, offsets.get(name, 0)) for name in spool_files(spool))


def read_local_run(spool: Path) -> LocalRun:
    """Read what a run is; of one whose file is damaged only that it was here."""
    try:
        return msgspec.json.decode((spool / "run.json").read_bytes(), type=LocalRun)
    except msgspec.MsgspecError:
        return LocalRun(project="recovered", name=spool.name)


def is_running(run: LocalRun) -> bool:
    """Tell whether the process of a run still lives on this machine."""
    return bool(run.pid) and process_started(run.pid) == run.process_started


def process_started(pid: int) -> str:
    """Name a process so that no later one of the same number has the name; empty if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    # Field 22 of the file, the 20th after the name in brackets; a zombie has ended.
    return f"{boot}:{fields[19]}" if len(fields) > 19 and fields[0] != "Z" else ""


def read_shipped(spool: Path) -> Shipped:
    """Read how far the hub has a run."""
    try:
        return msgspec.json.decode((spool / "shipped.json").read_bytes(), type=Shipped)
    except FileNotFoundError:
        return Shipped()


def write_document(path: Path, document: msgspec.Struct) -> None:
    """Write a file whole or not at all, also through a power cut."""
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb") as file:
        file.write(msgspec.json.encode(document))
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


@contextmanager
def locked(spool: Path) -> Iterator[bool]:
    """Hold the right to send a run; gives False if another process has it, or the run is gone."""
    try:
        file = open(spool / "lock", "w")  # noqa: SIM115  (closed below; opening may fail)
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        # Whoever held it before may have sent everything and removed the folder.
        yield (spool / "run.json").is_file()
