"""The process that answers a recorded tree's system calls: it writes down what is asked and lets it go on.

It is small and on its own, because while it is away every open of the tree waits, and when it is gone they
fail. Standard library only; its arguments are a socket, over which it is handed the listener, and the file to
write. Lines, each a JSON object:

    {"begin": true}                             a tree has begun; several may come one after the other
    {"r": PATH, "s": [SIZE, CTIME_NS, INODE]}   opened to read, first time; what it was before
    {"w": PATH, "new": true}                    opened to write, first time; whether it was not there
    {"x": PATH}                                 a program that was started
    {"c": "HOST:PORT"}                          connected to
    {"folder": true, "r": PATH}                 so many paths that only their folders are written
    {"uring": true}                             opens may go past us
    {"end": OPENS, "dropped": N}                the last process has ended; lines that found no room
    {"unavailable": WHY}                        the kernel would not have it
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import stat
import struct
import sys
from typing import Any, Final

from relive.capture.recorder.seccomp import Calls, calls

_RECEIVE: Final = 0xC0502100
_SEND: Final = 0xC0182101
_NOTICE_BYTES: Final = 80
_NOTICE: Final = struct.Struct("=QIIiIQ6Q")
_ANSWER: Final = struct.Struct("=QqiI")
_GO_ON: Final = 1
_AT_FDCWD: Final = -100 & 0xFFFFFFFF
_PAGE: Final = 4096
_MOST_PATHS: Final = 100_000
_PR_SET_PDEATHSIG: Final = 1
_INET: Final = socket.AF_INET
_INET6: Final = socket.AF_INET6
_LONGEST_ADDRESS: Final = 28


class Recorder:
    """Answers one listener until the tree behind it has ended.

    Args:
        listener: The descriptor that seccomp gave.
        out: Takes the lines; opened to append.
        known: Numbers of the system calls.
    """

    def __init__(self, listener: int, out: int, known: Calls) -> None:
        self._listener = listener
        self._out = out
        self._known = known
        self._seen: set[tuple[str, str]] = set()
        self._asked: set[tuple[bytes, int]] = set()
        self._memory: tuple[int, int] | None = None
        self._opens = 0
        self._dropped = 0

    def run(self) -> None:
        """Answer until nobody is left who could ask."""
        self._write({"begin": True})
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while True:
            for _, what in poll.poll():
                if what & select.POLLIN:
                    self._answer()
                elif what & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                    self._write({"end": self._opens, "dropped": self._dropped})
                    return

    def _answer(self) -> None:
        notice = bytearray(_NOTICE_BYTES)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, notice)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return  # who asked was killed meanwhile
            raise
        call, pid, _, number, _, _, *arguments = _NOTICE.unpack(notice)
        with contextlib.suppress(OSError):  # it ended, or its memory is not ours to read: the call goes on
            self._note(pid, number, arguments)
        try:
            fcntl.ioctl(self._listener, _SEND, bytearray(_ANSWER.pack(call, 0, 0, _GO_ON)))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def _note(self, pid: int, number: int, arguments: list[int]) -> None:
        known = self._known
        if number == known.openat:
            self._opened(pid, arguments[0], arguments[1], arguments[2])
        elif number == known.open:
            self._opened(pid, _AT_FDCWD, arguments[0], arguments[1])
        elif number == known.openat2:
            how = self._read(pid, arguments[2], 8)
            self._opened(pid, arguments[0], arguments[1], int.from_bytes(how, sys.byteorder))
        elif number == known.execve:
            self._started(pid, _AT_FDCWD, arguments[0])
        elif number == known.execveat:
            self._started(pid, arguments[0], arguments[1])
        elif number == known.connect:
            self._connected(self._read(pid, arguments[1], min(arguments[2], _LONGEST_ADDRESS)))
        else:
            self._once("uring", "", {"uring": True})

    def _opened(self, pid: int, folder: int, pointer: int, flags: int) -> None:
        self._opens += 1
        access = flags & os.O_ACCMODE
        text = self._text(pid, pointer)
        asked = (text, access)
        if asked in self._asked:
            return  # nothing to say that was not said: most opens of a training are of this kind
        path = self._path(pid, folder, text)
        is_told = True
        if access != os.O_RDONLY:
            self._opened_to_write(path)
        if access != os.O_WRONLY and not flags & os.O_TRUNC:
            is_told = self._opened_to_read(path)
        if is_told and text.startswith(b"/"):
            self._asked.add(asked)

    def _opened_to_write(self, path: str) -> None:
        if ("w", path) not in self._seen:
            self._once("w", path, {"w": path} if os.path.lexists(path) else {"w": path, "new": True})

    def _opened_to_read(self, path: str) -> bool:
        """Note a file; tell whether it was there, for what is only looked for may come to be there."""
        if ("r", path) in self._seen:
            return True
        try:
            found = os.stat(path)
        except OSError:
            return False
        if stat.S_ISREG(found.st_mode):
            stamp = [found.st_size, found.st_ctime_ns, found.st_ino]
            self._once("r", path, {"r": path, "s": stamp})
        return True

    def _started(self, pid: int, folder: int, pointer: int) -> None:
        path = self._path(pid, folder, self._text(pid, pointer))
        self._forget_memory()  # after a vfork it is the parent's, and would go on being read
        if ("x", path) not in self._seen and os.path.isfile(path):
            self._once("x", path, {"x": path})

    def _connected(self, address: bytes) -> None:
        family = int.from_bytes(address[:2], sys.byteorder)
        port = int.from_bytes(address[2:4], "big")
        if family == _INET:
            host = socket.inet_ntop(_INET, address[4:8])
        elif family == _INET6:
            host = f"[{socket.inet_ntop(_INET6, address[8:24])}]"
        else:
            return  # a socket of this machine
        self._once("c", f"{host}:{port}", {"c": f"{host}:{port}"})

    def _once(self, kind: str, path: str, line: dict[str, Any]) -> None:
        if len(self._seen) >= _MOST_PATHS and kind in ("r", "w"):
            path = os.path.dirname(path)
            line = {"folder": True, kind: path}
            kind += "/"
        if (kind, path) not in self._seen:
            self._seen.add((kind, path))
            self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        try:
            os.write(self._out, json.dumps(line).encode() + b"\n")
        except OSError:  # a full disk must not hold up the tree
            self._dropped += 1

    def _path(self, pid: int, folder: int, text: bytes) -> str:
        path = os.fsdecode(text)
        if path.startswith("/"):
            return os.path.normpath(path)
        number = folder & 0xFFFFFFFF  # an int: what the register's upper half holds says nothing
        base = f"/proc/{pid}/cwd" if number == _AT_FDCWD else f"/proc/{pid}/fd/{number}"
        return os.path.normpath(os.path.join(os.readlink(base), path))

    def _text(self, pid: int, pointer: int) -> bytes:
        """Read up to the NUL: first to the end of its page, because the next may not be there."""
        found = self._read(pid, pointer, _PAGE - pointer % _PAGE)
        if b"\0" not in found:
            found += self._read(pid, pointer + len(found), _PAGE)
        return found.partition(b"\0")[0]

    def _read(self, pid: int, pointer: int, size: int) -> bytes:
        """Read another process's memory; the descriptor is kept, as it mostly asks again."""
        if self._memory is not None and self._memory[0] == pid:
            found = os.pread(self._memory[1], size, pointer)
            if found:
                return found
        self._forget_memory()
        self._memory = (pid, os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC))
        return os.pread(self._memory[1], size, pointer)

    def _forget_memory(self) -> None:
        if self._memory is not None:
            os.close(self._memory[1])
            self._memory = None


def main(argv: list[str]) -> int:
    """Wait to be handed a listener over the socket, and answer it; its arguments are socket and file."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with the tree, never before
    with socket.socket(fileno=int(argv[0])) as handed:
        why, listeners, _, _ = socket.recv_fds(handed, 256, 1)
    out = os.open(argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    known = calls()
    if listeners and known is not None:
        Recorder(listeners[0], out, known).run()
    elif why:
        os.write(out, json.dumps({"unavailable": why.decode()}).encode() + b"\n")
    return 0
