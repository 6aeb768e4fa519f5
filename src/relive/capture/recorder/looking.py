"""What a stopped system call asks for: read from its process's memory, and written down once.

Standard library only, as all that the recorder runs.
"""

import errno
import json
import os
import re
import socket
import stat
import sys
from typing import Any, Final

from relive.capture.recorder.gate import Gate, Refused
from relive.capture.recorder.seccomp import Calls

_AT_FDCWD: Final = -100 & 0xFFFFFFFF
_PAGE: Final = 4096
_MOSTLY: Final = 256  # bytes of a path: to copy a page for each costs more than to look twice at a long one
_MOST_PATHS: Final = 100_000
_MOST_PROCESSES: Final = 4096
_INET: Final = socket.AF_INET
_INET6: Final = socket.AF_INET6
_LONGEST_ADDRESS: Final = 110  # that of a path; one of the network takes 28
# It ended, or gave an address that is none; all else is ours to answer for.
_ITS_OWN: Final = {errno.ENOENT, errno.ESRCH, errno.EIO, errno.EFAULT}
# Names that mean another file in each process.
_RELATED: Final = {
    b"/proc/self": "",
    b"/proc/thread-self": "",
    b"/dev/fd": "/fd",
    b"/dev/stdin": "/fd/0",
    b"/dev/stdout": "/fd/1",
    b"/dev/stderr": "/fd/2",
}
_MAYBE_RELATED: Final = (b"/proc/", b"/dev/fd", b"/dev/std")
# What another process has open or stands in: a link that leads elsewhere the next time.
_OF_ANOTHER: Final = re.compile(rb"/proc/[0-9]+/(task/[0-9]+/)?(fd/[0-9]+|cwd|root)(/|$)")
_NARROW_ELF: Final = b"\x7fELF\x01"


class Word(Exception):
    """A program says something to the listener and asks for no file; `nested` tells what and why.

    Attributes:
        said: Its parts.
    """

    BEGIN: Final = "/dev/null/relive"

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self.said = os.fsdecode(text).removeprefix(self.BEGIN + "/").split("/")


_WORD: Final = os.fsencode(Word.BEGIN) + b"/"


class Record:
    """What was seen so far, each thing once; its lines go to a file.

    Args:
        out: Takes the lines; opened to append.
    """

    def __init__(self, out: int) -> None:
        self._out = out
        self._seen: set[tuple[str, str]] = set()
        self.asked: set[tuple[bytes, int]] = set()
        self.opens = 0
        self.dropped = 0

    def has(self, kind: str, path: str) -> bool:
        """Tell whether this was written."""
        return (kind, path) in self._seen

    def once(self, kind: str, path: str, line: dict[str, Any]) -> None:
        """Write a line, unless it was; of too many paths only the folders."""
        if len(self._seen) >= _MOST_PATHS and kind in ("r", "w"):
            path = os.path.dirname(path)
            line = {"folder": True, kind: path}
            kind += "/"
        if (kind, path) in self._seen:
            return
        if len(self._seen) >= 2 * _MOST_PATHS:
            self.dropped += 1  # of folders and addresses, too, there is an end
            return
        self._seen.add((kind, path))
        self.write(line)

    def ask(self, asked: tuple[bytes, int]) -> None:
        """Remember a call of which all is said."""
        if len(self.asked) < _MOST_PATHS:
            self.asked.add(asked)

    def write(self, line: dict[str, Any]) -> None:
        """Write a line."""
        try:
            os.write(self._out, json.dumps(line).encode() + b"\n")
        except OSError:  # a full disk must not hold up the tree
            self.dropped += 1

    def blind(self, why: str) -> None:
        """Write that something was not seen."""
        self.once("blind", why, {"blind": why})

    def end(self) -> None:
        """Write the last line of a tree."""
        self.write({"end": self.opens, "dropped": self.dropped})
        os.close(self._out)


class Look:
    """Looks at calls, one after the other.

    Args:
        record: Takes what was seen.
        known: This machine's numbers.
        gate: What is refused; None to let everything go on.

    Attributes:
        record: The same.
    """

    def __init__(self, record: Record, known: Calls, gate: Gate | None = None) -> None:
        self.record = record
        self._known = known
        self._gate = gate
        self._memory: tuple[int, int] | None = None
        self._roots: dict[int, str] = {}
        self._own = _place_of("self")

    def again(self) -> "Look":
        """Give one that goes on with the same record while this is held up."""
        return Look(self.record, self._known, self._gate)

    def note(self, pid: int, number: int, arguments: list[int]) -> int:
        """Write down what a call asks for; never raises for what a program did.

        Returns:
            The error number that refuses it, 0 to let it go on.

        Raises:
            Word: It was said to us.
        """
        try:
            self._note(pid, number, arguments)
        except Refused as refused:
            self.record.once("no", refused.name, {"no": refused.name})
            return refused.number
        except OSError as error:
            if error.errno not in _ITS_OWN:
                self.record.blind(f"looking at a process: {error.strerror}")
        except (ValueError, OverflowError):
            pass  # arguments that no call takes: it will fail
        return 0

    def _note(self, pid: int, number: int, arguments: list[int]) -> None:
        known = self._known
        if number == known.openat:
            self._opened(pid, arguments[0], arguments[1], arguments[2])
        elif number == known.open:
            self._opened(pid, _AT_FDCWD, arguments[0], arguments[1])
        elif number == known.creat:
            self._opened(pid, _AT_FDCWD, arguments[0], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        elif number == known.openat2:
            how = self._read(pid, arguments[2], 8)
            self._opened(pid, arguments[0], arguments[1], int.from_bytes(how, sys.byteorder))
        elif number == known.execve:
            self._started(pid, _AT_FDCWD, arguments[0])
        elif number == known.execveat:
            self._started(pid, arguments[0], arguments[1])
        elif number == known.connect:
            self._connected(self._read(pid, arguments[1], min(arguments[2], _LONGEST_ADDRESS)))
        elif number == known.socket:
            if self._gate is not None:
                self._gate.check_socket(arguments[0], arguments[1])
        elif self._gate is not None:
            raise Refused("io_uring", errno.ENOSYS)
        else:
            self.record.once("uring", "", {"uring": True})

    def _opened(self, pid: int, folder: int, pointer: int, flags: int) -> None:
        record = self.record
        record.opens += 1
        access = flags & os.O_ACCMODE
        text = self._whole(pid, folder, self._text(pid, pointer))
        if text.startswith(_WORD):
            raise Word(text)
        asked = (text, access)
        if asked in record.asked or flags & os.O_PATH:
            return  # nothing to say that was not said: most opens of a training are of this kind
        path = _path(pid, text)
        root = self._roots.get(pid, "")
        is_told = True
        if access != os.O_WRONLY and not flags & os.O_TRUNC:
            is_told = self._opened_to_read(path, root)
        if access != os.O_RDONLY:
            self._opened_to_write(path, root, is_emptied=bool(flags & os.O_TRUNC))
        if is_told and not root and not text.startswith(_MAYBE_RELATED):
            record.ask(asked)

    def _opened_to_write(self, path: str, root: str, *, is_emptied: bool) -> None:
        if self._gate is not None:
            if not root:
                self._gate.check_write(path)
            if is_emptied and (found := _found(root + path)):
                self._gate.emptied.add((found.st_dev, found.st_ino))
        if not self.record.has("w", path):
            is_new = not os.path.lexists(root + path)
            self.record.once("w", path, {"w": path, "new": True} if is_new else {"w": path})
            if is_new and self._gate is not None:
                self._gate.made.add(path)

    def _opened_to_read(self, path: str, root: str) -> bool:
        """Note a file; tell whether it was there, for what is only looked for may come to be there."""
        if self.record.has("r", path) and (self._gate is None or path in self._gate.allowed):
            return True
        try:
            found = os.stat(root + path)
        except OSError:
            return False
        if stat.S_ISREG(found.st_mode):
            stamp = [found.st_size, found.st_ctime_ns, found.st_ino]
            self.record.once("r", path, {"r": path, "s": stamp})
            if self._gate is not None:
                self._gate.check_file(path, found)
        return True

    def _started(self, pid: int, folder: int, pointer: int) -> None:
        path = _path(pid, self._whole(pid, folder, self._text(pid, pointer)))
        root = self._roots.pop(pid, "")
        self._forget_memory()  # after a vfork it is the parent's, and would go on being read
        if not os.path.isfile(root + path):
            return
        self._opened_to_read(path, root)
        if not self.record.has("x", path):
            self.record.once("x", path, {"x": path})
            if _is_narrow(root + path):
                self.record.blind(f"{path} is a program of 32 bits")

    def _connected(self, address: bytes) -> None:
        family = int.from_bytes(address[:2], sys.byteorder)
        port = int.from_bytes(address[2:4], "big")
        if family == _INET:
            host = socket.inet_ntop(_INET, address[4:8])
        elif family == _INET6:
            host = f"[{socket.inet_ntop(_INET6, address[8:24])}]"
        else:
            if self._gate is not None and family == socket.AF_UNIX:
                self._gate.check_local(address[2:])
            return
        self.record.once("c", f"{host}:{port}", {"c": f"{host}:{port}"})
        if self._gate is not None:
            self._gate.check_address(host, port)

    @staticmethod
    def _whole(pid: int, folder: int, text: bytes) -> bytes:
        """Put before a relative path what it is relative to."""
        if text.startswith(b"/"):
            return text
        number = folder & 0xFFFFFFFF  # an int: what the register's upper half holds says nothing
        base = b"/proc/%d/cwd" % pid if number == _AT_FDCWD else b"/proc/%d/fd/%d" % (pid, number)
        return os.readlink(base) + b"/" + text

    def _text(self, pid: int, pointer: int) -> bytes:
        """Read up to the NUL, and no further than its page: the next may not be there."""
        found = b""
        for most in (_MOSTLY, _PAGE, _PAGE):
            at = pointer + len(found)
            found += self._read(pid, at, min(most, _PAGE - at % _PAGE))
            text, end, _ = found.partition(b"\0")
            if end:
                return text
        return found

    def _read(self, pid: int, pointer: int, size: int) -> bytes:
        """Read another process's memory; the descriptor is kept, as it mostly asks again."""
        if self._memory is not None and self._memory[0] == pid:
            found = os.pread(self._memory[1], size, pointer)
            if found:
                return found
        self._forget_memory()
        self._memory = (pid, os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC))
        self._look_where(pid)
        return os.pread(self._memory[1], size, pointer)

    def _look_where(self, pid: int) -> None:
        """Find out whether a process sees other files than we do: then its paths begin at its own root."""
        if pid in self._roots:
            return
        if len(self._roots) >= _MOST_PROCESSES:
            self._roots.clear()
        is_elsewhere = _place_of(pid) != self._own
        self._roots[pid] = f"/proc/{pid}/root" if is_elsewhere else ""
        if is_elsewhere:
            self.record.blind("a process had a file system of its own (chroot, container)")

    def _forget_memory(self) -> None:
        if self._memory is not None:
            os.close(self._memory[1])
            self._memory = None


def _path(pid: int, text: bytes) -> str:
    path = os.fsdecode(text)
    if text.startswith(_MAYBE_RELATED):
        for start, means in _RELATED.items():
            if text == start or text.startswith(start + b"/"):
                return os.path.realpath(f"/proc/{pid}{means}{path[len(start) :]}")
        if _OF_ANOTHER.match(text):
            return os.path.realpath(path)
    return os.path.normpath(path)


def _found(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _place_of(pid: int | str) -> tuple[int, str]:
    """Give what tells a process's view of the file systems from another's."""
    return os.stat(f"/proc/{pid}/ns/mnt").st_ino, os.readlink(f"/proc/{pid}/root")


def _is_narrow(program: str) -> bool:
    try:
        with open(program, "rb") as file:
            return file.read(len(_NARROW_ELF)) == _NARROW_ELF
    except OSError:
        return False  # one that may be started and not read
