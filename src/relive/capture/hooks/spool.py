"""The spool: what a process recorded, as one file of JSON lines that kill -9 cannot take back.

Each call appends with a single write, so a record is either whole in the file or was never logged; the page
cache outlives the process. A forked child writes a file of its own. The format is described in
`docs/design/capture.md` and read by `relive.formats.spool`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

FORMAT = 1
SPOOL_DIR = "RELIVE_SPOOL_DIR"
# Longer lines are refused: a reader must be able to hold one.
LONGEST_LINE = 4 << 20

# Made once: to make an encoder takes longer than to write a metric with it.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class Spool:
    """Append records to this process's file in a spool folder; safe from any thread, after a fork as well.

    Nothing here raises: what cannot be written is counted, and the count is noted once writing works again.

    Attributes:
        lost: Records that could not be written since writing last worked.
        lost_in_all: Records that could not be written so far.
        why: What the last write that failed said.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.lost = self.lost_in_all = 0
        self.why = ""
        self._forked = False
        self._reset()

    def open(self) -> None:
        """Begin the file now, with its `start` record, rather than at the first record."""
        self.write()

    def write(self, *records: dict[str, Any]) -> bool:
        """Append records in their order with one write; say whether they are in the file."""
        if os.getpid() != self._pid:
            # A forked child: the lock may be held by a thread that does not exist here.
            self._forked = True
            self._reset()
        try:
            data = b"".join(map(_line, records))
        except Exception as error:
            data = _line({"t": "error", "where": "spool", "message": repr(error)[:1000]})
        with self._lock:
            try:
                self._append(data)
            except OSError as error:
                self.lost += len(records)
                self.lost_in_all += len(records)
                self.why = error.strerror or type(error).__name__
                return False
        return True

    def note(self, message: str) -> None:
        """Append a sentence for people."""
        self.write({"t": "note", "message": message[:4000], "w": time.time()})

    def error(self, where: str, error: BaseException) -> None:
        """Append what went wrong inside relive's own code."""
        try:
            message = f"{type(error).__name__}: {error}"[:4000]
        except Exception:  # an error of the program's own, which cannot say itself
            message = type(error).__name__
        self.write({"t": "error", "where": where, "message": message, "w": time.time()})

    def _reset(self) -> None:
        self._pid = os.getpid()
        # Re-entrant: a signal handler may log while its own thread is writing.
        self._lock = threading.RLock()
        self._fd = -1
        self._identity = (-1, -1)
        self._torn = False

    def _append(self, data: bytes) -> None:
        fd = self._descriptor()
        if self.lost:
            data = _line({"t": "note", "message": f"{self.lost} records could not be written"}) + data
        if self._torn:
            data = b"\n" + data  # ends the line that a full disk cut off
        written = os.write(fd, data) if data else 0
        if written < len(data):
            self._torn = True
            written += os.write(fd, data[written:])
        self._torn = written < len(data)
        if not self._torn:
            self.lost = 0

    def _descriptor(self) -> int:
        if self._fd >= 0:
            # A program that closes every descriptor and opens files gets our number for one of them.
            try:
                now = os.fstat(self._fd)
            except OSError:
                pass  # it was closed: begin a new file
            else:
                if (now.st_dev, now.st_ino) == self._identity:
                    return self._fd
        self._fd, self._identity = self._create()
        os.write(self._fd, _line(_start(self._forked)))
        return self._fd

    def _create(self) -> tuple[int, tuple[int, int]]:
        while True:
            # The time first: the files of a folder sort in the order in which their processes began.
            path = os.path.join(self.folder, f"{time.time_ns():020d}-{self._pid}.jsonl")
            try:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                continue
            status = os.fstat(fd)
            return fd, (status.st_dev, status.st_ino)


def argv() -> list[str]:
    """Give the command line of this process, which `sys.argv` does not hold yet while Python starts."""
    try:
        with open("/proc/self/cmdline", "rb") as file:
            words = file.read(65536).split(b"\0")[:-1]
        return [os.fsdecode(word)[:1000] for word in words[:200]]
    except OSError:
        return list(getattr(sys, "orig_argv", []))[:200]


def _start(forked: bool) -> dict[str, Any]:
    return {
        "t": "start",
        "format": FORMAT,
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "argv": argv(),
        "python": sys.version,
        "implementation": sys.implementation.name,
        "executable": sys.executable or "",
        "prefix": sys.prefix,
        "forked": forked,
        "rank": os.environ.get("RANK", ""),
        "w": time.time(),
    }


def _line(record: dict[str, Any]) -> bytes:
    # A lone surrogate (an argument that is not UTF-8) has no place in JSON that others can read.
    line = _encode(record).encode("utf-8", "replace")
    if len(line) > LONGEST_LINE:
        raise ValueError(f"a record of {len(line)} bytes; at most {LONGEST_LINE} are kept")
    return line + b"\n"
