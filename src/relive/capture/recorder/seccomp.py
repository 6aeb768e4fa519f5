"""A seccomp filter that stops a few system calls until somebody else has looked at them.

Standard library only: it is used between fork and exec, in a Python that has nothing else.
Source: seccomp(2), seccomp_unotify(2), and the kernel's linux/seccomp.h, linux/audit.h, linux/filter.h.
"""

import ctypes
import os
import platform
import socket
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

# What the recorder says to the supervisor.
READY: Final = b"ready"
DONE: Final = b"done"

_PR_SET_NO_NEW_PRIVS: Final = 38
_SET_MODE_FILTER: Final = 1
_NEW_LISTENER: Final = 1 << 3
# A stopped call can then only be ended by a deadly signal: else a profiler's timer would restart it for ever.
_WAIT_KILLABLE: Final = 1 << 5
_ALLOW: Final = 0x7FFF0000
_ASK: Final = 0x7FC00000

_LOAD_WORD: Final = 0x20
_JUMP_IF_EQUAL: Final = 0x15
_RETURN: Final = 0x06
_AT_NUMBER: Final = 0
_AT_ARCHITECTURE: Final = 4

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Calls(NamedTuple):
    """A machine's numbers of the system calls that are watched; -1 for one that it does not have."""

    architecture: int
    seccomp: int
    open: int
    creat: int
    openat: int
    openat2: int
    execve: int
    execveat: int
    connect: int
    io_uring_setup: int
    socket: int

    @property
    def watched(self) -> tuple[int, ...]:
        """The numbers that the filter stops; sockets always, as a run within this one may be hermetic."""
        return tuple(number for number in self[2:] if number >= 0)


_CALLS: Final = {
    "x86_64": Calls(0xC000003E, 317, 2, 85, 257, 437, 59, 322, 42, 425, 41),
    "aarch64": Calls(0xC00000B7, 277, -1, -1, 56, 437, 221, 281, 203, 425, 198),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def calls() -> Calls | None:
    """Give this machine's numbers; None if they are not known."""
    return _CALLS.get(platform.machine())


def install(known: Calls) -> int:
    """Have this process and all it will start ask before each watched call; give the descriptor that answers.

    It cannot be undone, and set-uid programs gain no rights below it.

    Raises:
        OSError: The kernel does not do this (ENOSYS, EINVAL, EPERM), or somebody listens already (EBUSY).
    """
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise _error()
    code = filter_program(known.architecture, known.watched)
    kept = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(kept))
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):  # the second for kernels before 5.19
        listener = int(_LIBC.syscall(known.seccomp, _SET_MODE_FILTER, flags, ctypes.byref(program)))
        if listener >= 0:
            return listener
    raise _error()


def main(_: list[str]) -> str | None:
    """Try the filter, in a process that is for nothing else; give why it cannot be had."""
    known = calls()
    if known is None:
        return f"its system calls on {platform.machine()} are not known"
    try:
        install(known)
    except OSError as error:
        return error.strerror
    return None


def hand_over(receiver: socket.socket) -> None:
    """Install the filter, and hand the socket's other end the descriptor, or a sentence why there is none.

    For a process that is about to become a command: nothing of its opens comes before this.
    """
    known = calls()
    try:
        if known is None:
            raise OSError(0, f"its system calls on {platform.machine()} are not known")
        listener = install(known)
    except OSError as error:
        receiver.send(str(error.strerror).encode(), socket.MSG_NOSIGNAL)
        return
    socket.send_fds(receiver, [b"listen"], [listener], socket.MSG_NOSIGNAL)
    os.close(listener)


def filter_program(architecture: int, numbers: Iterable[int]) -> bytes:
    """Write the filter: the given calls of this architecture ask, all others go on.

    Calls of another architecture (a 32-bit program) go on unseen.
    """
    asked = list(numbers)
    program = [
        _instruction(_LOAD_WORD, _AT_ARCHITECTURE),
        _instruction(_JUMP_IF_EQUAL, architecture, if_equal=1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_LOAD_WORD, _AT_NUMBER),
    ]
    for place, number in enumerate(asked):
        program.append(_instruction(_JUMP_IF_EQUAL, number, if_equal=len(asked) - place))
    program += [_instruction(_RETURN, _ALLOW), _instruction(_RETURN, _ASK)]
    return b"".join(program)


def _instruction(code: int, operand: int, *, if_equal: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_equal, 0, operand)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
