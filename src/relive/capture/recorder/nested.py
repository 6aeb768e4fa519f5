"""Runs within a run: there is one listener a tree, so what runs inside hands its record to that one.

A supervisor that is itself recorded gets no listener of its own (EBUSY). It says a word instead: it opens a
path that cannot be there, and the listener, which sees every open, answers with an error number that no
kernel gives for it. That needs no socket and no variable, and goes through the walls of a hermetic run. From
then on what the processes below it ask for is looked at twice: for the run around it, and for its own.

    attach/OUT/POLICY   my tree's lines go to my descriptor OUT; POLICY is that of a policy, -1 for none
    end                 my tree has ended

Standard library only, as all that the recorder runs.
"""

import ctypes
import errno
import os
from typing import Final

from relive.capture.recorder.gate import Gate
from relive.capture.recorder.looking import Look, Record, Word
from relive.capture.recorder.seccomp import Calls

# The kernel's own answer is ENOTDIR, or EACCES within walls.
_HEARD: Final = errno.EALREADY
_PIDFD_GETFD: Final = 438  # on every architecture
_NONSENSE: Final = (OSError, LookupError, TypeError, ValueError, ctypes.ArgumentError)
_MOST_RUNS: Final = 256
_MOST_KNOWN: Final = 4096
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def say(*words: object) -> bool:
    """Say something to the listener of this process's tree; tell whether there is one that heard."""
    try:
        os.close(os.open("/".join((Word.BEGIN, *map(str, words))), os.O_RDONLY))
    except OSError as error:
        return error.errno == _HEARD
    return False


class Runs:
    """Looks at the calls of a tree, for its run and for each run within it.

    Args:
        outer: Looks for the run around all others.
        known: This machine's numbers.
    """

    def __init__(self, outer: Look, known: Calls) -> None:
        self._known = known
        self._outer = outer
        self._inner: dict[int, Look] = {}
        self._members: dict[tuple[int, int], tuple[int, ...]] = {}

    def note(self, pid: int, number: int, arguments: list[int]) -> int:
        """Write down what a call asks for in the record of each run that it belongs to.

        Returns:
            The error number that refuses it, 0 to let it go on.
        """
        try:
            refusal = self._outer.note(pid, number, arguments)
        except Word as word:
            return self._hear(pid, word.said)
        for supervisor in self._supervisors(pid) if self._inner else ():
            refusal = self._inner[supervisor].note(pid, number, arguments) or refusal
        return refusal

    def again(self) -> "Runs":
        """Give what goes on with the same records while this is held up."""
        other = Runs(self._outer.again(), self._known)
        other._inner = {pid: look.again() for pid, look in self._inner.items()}
        return other

    def blind(self, why: str) -> None:
        """Write into each record that something was not seen."""
        for look in (self._outer, *self._inner.values()):
            look.record.blind(why)

    def _hear(self, pid: int, said: list[str]) -> int:
        try:
            if said[0] == "attach" and len(self._inner) < _MOST_RUNS:
                self._attach(pid, int(said[1]), int(said[2]))
            elif said[0] == "end" and pid in self._inner:
                self._inner.pop(pid).record.end()
                self._members.clear()
            else:
                return 0
        except _NONSENSE:  # whatever a program says, the tree must not lose its listener
            return 0
        return _HEARD

    def _attach(self, pid: int, out: int, policy: int) -> None:
        gate = None
        if policy >= 0:
            with open(_taken(pid, policy), "rb") as file:
                gate = Gate.parse(file.read())
        record = Record(_taken(pid, out))
        record.write({"begin": True})
        self._inner[pid] = Look(record, self._known, gate)
        self._members.clear()

    def _supervisors(self, pid: int) -> tuple[int, ...]:
        """Give the supervisors above a process whose trees are recorded for themselves, too."""
        try:
            parent, born = _parent(pid)
            found = self._members.get((pid, born))
            if found is None:
                above = []
                while parent > 1:
                    if parent in self._inner:
                        above.append(parent)
                    parent, _ = _parent(parent)
                if len(self._members) >= _MOST_KNOWN:
                    self._members.clear()
                found = self._members[pid, born] = tuple(above)
        except OSError:
            return ()  # it was killed meanwhile
        return found


def _parent(pid: int) -> tuple[int, int]:
    """Give a process's parent, and when it began, which tells it from a later one of this number."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[1]), int(fields[19])


def _taken(pid: int, descriptor: int) -> int:
    """Give what a process has open as our own: with its rights and no others, whatever walls it is in.

    Raises:
        OSError: It has no such descriptor, or the kernel is older than 5.6.
    """
    process = os.pidfd_open(pid)
    try:
        found = int(_LIBC.syscall(_PIDFD_GETFD, process, descriptor, 0))
    finally:
        os.close(process)
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return found
