"""Says which process is meant, also after the one that started it has died.

A process id alone is given to another process sooner or later. With the time it started at, and the machine
and its boot that it belongs to, it names one process for ever (proc_pid_stat(5)).
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

_PROC: Final = Path("/proc")
_BOOT_ID: Final = _PROC / "sys/kernel/random/boot_id"
_HOST: Final = _PROC / "sys/kernel/hostname"


class ProcessId(msgspec.Struct, frozen=True, kw_only=True):
    """One process.

    Attributes:
        start_time: Clock ticks from the machine's start to the process's.
        boot_id: Of the machine's start.
        host: The machine's name.
    """

    pid: int
    start_time: int
    boot_id: str
    host: str


class _Stat(msgspec.Struct, frozen=True):
    pid: int
    state: str
    parent: int
    session: int
    start_time: int


def boot_id() -> str:
    """Give the id of this start of the machine."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def host() -> str:
    """Give the name of this machine."""
    return _HOST.read_text(encoding="utf-8").strip()


def identify(pid: int) -> ProcessId | None:
    """Give the identity of a process, also of one that has ended and was not waited for; None if absent."""
    stat = _stat(pid)
    return None if stat is None else _identity(stat)


def parse_identity(record: str) -> ProcessId | None:
    """Read an identity from a line of host, boot id and `/proc/PID/stat`; None if the line is not whole."""
    host_name, boot, line = [*record.strip().split(" ", 2), "", ""][:3]
    stat = _parse(line)
    if stat is None:
        return None
    return ProcessId(pid=stat.pid, start_time=stat.start_time, boot_id=boot, host=host_name)


def is_running(process: ProcessId) -> bool:
    """Tell whether exactly this process is still at work; one that waits to be waited for is not."""
    stat = _stat(process.pid)
    return stat is not None and stat.state not in "ZX" and _identity(stat) == process


def exists(process: ProcessId) -> bool:
    """Tell whether exactly this process is there, at work or waiting to be waited for."""
    return identify(process.pid) == process


def signal_group(process: ProcessId, number: signal.Signals) -> None:
    """Send a signal to the process group that the process leads, if it is still that process."""
    if exists(process):
        with suppress(ProcessLookupError):  # it ended between the two lines
            os.killpg(process.pid, number)


def kill(process: ProcessId) -> None:
    """End a process at once, if it is still there."""
    if exists(process):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def family(process: ProcessId) -> list[ProcessId]:
    """Give the processes of the session that a process leads, and all their descendants, itself first."""
    stats = list(_stats())
    members = {stat.pid for stat in stats if process.pid in (stat.pid, stat.session)}
    while more := {stat.pid for stat in stats if stat.parent in members} - members:
        members |= more
    return [
        _identity(stat)
        for stat in sorted(stats, key=lambda it: (it.pid != process.pid, it.start_time))
        if stat.pid in members and stat.start_time >= process.start_time
    ]


def _identity(stat: _Stat) -> ProcessId:
    return ProcessId(pid=stat.pid, start_time=stat.start_time, boot_id=boot_id(), host=host())


def _stats() -> Iterator[_Stat]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            yield stat


def _stat(pid: int) -> _Stat | None:
    try:
        return _parse((_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def _parse(line: str) -> _Stat | None:
    """Read what is needed of `/proc/PID/stat`; the name in it may hold spaces and brackets."""
    before, _, after = line.rpartition(")")
    fields = after.split()
    pid = before.partition(" ")[0]
    if not pid.isdigit() or len(fields) < 20:
        return None
    return _Stat(int(pid), fields[0], int(fields[1]), int(fields[3]), int(fields[19]))
