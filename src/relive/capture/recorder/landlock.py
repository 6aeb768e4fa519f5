"""Landlock: the kernel's own wall around what a process and all it starts may read and write.

Standard library only: it is used between fork and exec. It needs no right, and cannot be undone.
Source: landlock(7), and the kernel's linux/landlock.h.
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from typing import Final

_CREATE: Final = 444
_ADD_RULE: Final = 445
_RESTRICT: Final = 446
_ASK_VERSION: Final = 1
_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_EXECUTE: Final = 1 << 0
_READ_FILE: Final = 1 << 2
_READ_FOLDER: Final = 1 << 3
_READ: Final = _EXECUTE | _READ_FILE | _READ_FOLDER
_FIRST: Final = (1 << 13) - 1  # what version 1 knows
_REFER: Final = 1 << 13
_TRUNCATE: Final = 1 << 14
_IOCTL: Final = 1 << 15
# What may be asked of a file that is no folder.
_OF_A_FILE: Final = _EXECUTE | 1 << 1 | _READ_FILE | _TRUNCATE | _IOCTL
# Sockets without a path, and signals, of processes outside.
_SCOPED: Final = 0b11

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Give the version of the kernel's Landlock; 0 if it has none."""
    found: int = _LIBC.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    return max(found, 0)


def restrict(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Let this process and all it will start read only these folders and files, and write only those.

    What is not there is left away; what may be written may be read.

    Raises:
        OSError: The kernel does not do this.
    """
    known = version()
    if not known:
        raise OSError(0, "the kernel has no Landlock")
    handled = _FIRST | (_REFER if known >= 2 else 0) | (_TRUNCATE if known >= 3 else 0)
    handled |= _IOCTL if known >= 5 else 0
    attributes = struct.pack("=QQQ", handled, 0, _SCOPED if known >= 6 else 0)
    size = 8 if known < 4 else 16 if known < 6 else 24
    rules = _call(_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for paths, access in ((readable, _READ), (writable, handled)):
            for path in paths:
                _allow(rules, path, access & handled)
        if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise _error()
        _call(_RESTRICT, ctypes.c_int(rules), ctypes.c_uint32(0))
    finally:
        os.close(rules)


def _allow(rules: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = struct.pack("=Qi", access if os.path.isdir(path) else access & _OF_A_FILE, place)
        _call(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(place)


def _call(number: int, *arguments: object) -> int:
    found: int = _LIBC.syscall(number, *arguments)
    if found < 0:
        raise _error()
    return found


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
