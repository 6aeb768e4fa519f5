"""Metrics in files that are mapped into memory: what a training loop logs thousands of times a second.

A record is packed straight into the page cache, without a system call: kill -9 takes nothing back for which
`append` has returned, and no other thread gets the interpreter meanwhile. What does not fit here (a name that
is too long, a value that is no number, a disk without shared maps) goes through `spool.Spool`. The format is
described in `docs/design/capture.md` and read by `relive.formats.points`.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any, Callable

from .values import is_name, number

FORMAT = 1
MAGIC = b"relive\0P"
SUFFIX = ".points"
SEGMENT_BYTES = 1 << 19

# A record begins and ends with its head; after it come zeros, until the next one is written.
HEADER = struct.Struct("<8sIIQ")  # magic, format, process, place of the newest definition
DEFINITION = struct.Struct("<IIQ")  # head, length of the JSON after it, place of the definition before
HEAD = struct.Struct("<I")
NEWEST = struct.Struct("<Q")
DEFINE = 0x52500000
END = 0x525FFFFF
MOST_NAMES = 100
MOST_SHAPES = 1000
# After a disk was full, or cannot be mapped: to try at each call would cost more than all the rest.
RETRY_AFTER_S = 1.0

_PLAIN = frozenset((float, int, bool))


class _Shape:
    """The records of one set of names."""

    __slots__ = ("head", "pack", "size")

    def __init__(self, number_of_shape: int, n_names: int) -> None:
        # The last field is the zero after the record: the head of a record that is still to come.
        layout = struct.Struct(f"<Iqd{n_names}dII")
        self.head = DEFINE + number_of_shape
        self.size = layout.size - HEAD.size
        self.pack: Callable[..., None] = layout.pack_into


class Points:
    """Append metrics to this process's segments in a spool folder; safe from any thread, after a fork too.

    Args:
        folder: The spool.
        prefix: Put before every name.
        begin: Called before each segment, so that the process says who it is; must not raise.
    """

    def __init__(self, folder: str, prefix: str = "", *, begin: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._prefix = prefix
        self._begin = begin
        self._retry_at = 0.0
        self.reset()
        _open.add(self)

    def reset(self) -> None:
        """Begin anew, in a segment of this process's own; a forked child must not write its parent's."""
        buffer = getattr(self, "_buffer", None)
        if buffer is not None:
            _let_go(buffer)
        lock = threading.Lock()
        self._acquire, self._release = lock.acquire, lock.release
        self._buffer: Any = None
        self._at = self._room = self._newest = 0
        self._shapes: dict[tuple[Any, ...], _Shape] = {}

    def append(self, metrics: Mapping[str, Any], step: int) -> bool:
        """Append the metrics of one step; say whether they are kept. Never raises.

        It says no, and changes nothing, where another thread is in here, or this one below a signal handler.
        """
        if not self._acquire(False):
            return False
        try:
            values = metrics.values()
            if not _PLAIN.issuperset(map(type, values)):
                values = [number(value) for value in values]  # type: ignore[assignment]
            shape = self._shapes.get(tuple(metrics)) or self._define(tuple(metrics))
            end = self._at + shape.size
            if end > self._room:
                self._roll()
                shape = self._define(tuple(metrics))
                end = self._at + shape.size
            head = shape.head
            shape.pack(self._buffer, self._at, head, step, time.time(), *values, head, 0)
            self._at = end
        except Exception:
            self._clear()
            return False
        else:
            return True
        finally:
            self._release()

    def close(self) -> None:
        """End the segment; later records begin another."""
        self._acquire()
        try:
            self._end()
        finally:
            self._release()

    def _define(self, names: tuple[Any, ...]) -> _Shape:
        """Write down a set of names, and give the shape of its records."""
        if not 0 < len(names) <= MOST_NAMES or not all(is_name(name, self._prefix) for name in names):
            raise ValueError("these names are for the other file")
        text = json.dumps([self._prefix + name for name in names], ensure_ascii=False).encode(
            "utf-8", "replace"
        )
        size = DEFINITION.size + len(text) + HEAD.size
        if self._at + size > self._room or len(self._shapes) >= MOST_SHAPES:
            self._roll()
        at, buffer = self._at, self._buffer
        DEFINITION.pack_into(buffer, at, DEFINE, len(text), self._newest)
        buffer[at + DEFINITION.size : at + DEFINITION.size + len(text)] = text
        NEWEST.pack_into(buffer, at + size - HEAD.size, DEFINE)  # and zeros after it
        self._at += size
        NEWEST.pack_into(buffer, HEADER.size - NEWEST.size, at)
        self._newest = at
        shape = self._shapes[names] = _Shape(len(self._shapes) + 1, len(names))
        return shape

    def _roll(self) -> None:
        """End the segment and begin another.

        Raises:
            OSError: There is no room for one, or no memory map of it.
        """
        now = time.monotonic()
        if now < self._retry_at:
            raise OSError("tried just now")
        self._end()
        self._retry_at = now + RETRY_AFTER_S
        self._begin()
        self._buffer = _new_segment(self._folder)
        self._retry_at = 0.0
        self._at = HEADER.size
        # Room for the head that ends it, and for the zeros after a record, is always left.
        self._room = SEGMENT_BYTES - 2 * HEAD.size
        HEADER.pack_into(self._buffer, 0, MAGIC, FORMAT, os.getpid(), 0)

    def _end(self) -> None:
        if self._buffer is not None:
            HEAD.pack_into(self._buffer, self._at, END)
            _let_go(self._buffer)
        # The pages stay in the page cache; only this process's view of them goes.
        self._buffer = None
        self._at = self._room = self._newest = 0
        self._shapes = {}

    def _clear(self) -> None:
        """Take back what a record that failed has left, which a reader could take for the next one."""
        if self._buffer is not None:
            size = min(HEADER.size + 8 * (MOST_NAMES + 2), SEGMENT_BYTES - self._at)
            self._buffer[self._at : self._at + size] = bytes(size)


class _Map(mmap.mmap):
    """A mapped segment; before Python 3.13 it keeps a descriptor, which it closes when it goes.

    Attributes:
        descriptor: Its number, -1 if there is none, and the file that it was opened for.
    """

    descriptor: tuple[int, tuple[int, int]] = (-1, (0, 0))


# Maps whose descriptor's number is another file's now: they must not close it.
_kept: list[_Map] = []


def _let_go(segment: _Map) -> None:
    number_of_map, file = segment.descriptor
    if number_of_map >= 0 and _file_of(number_of_map) != file:
        _kept.append(segment)


def _file_of(fd: int) -> tuple[int, int]:
    try:
        status = os.fstat(fd)
    except OSError:
        return (-1, -1)
    return (status.st_dev, status.st_ino)


def _new_segment(folder: str) -> _Map:
    while True:
        # The time first: the segments of a folder sort in the order in which they were begun.
        path = os.path.join(folder, f"{time.time_ns():020d}-{os.getpid()}{SUFFIX}")
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            break
        except FileExistsError:
            continue
    try:
        _reserve(fd)
        return _map(fd)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(fd)


def _map(fd: int) -> _Map:
    if sys.version_info >= (3, 13):
        return _Map(fd, SEGMENT_BYTES, trackfd=False)
    # The map takes the lowest number that is free: the one that we get and give back just before.
    number_of_map = os.dup(fd)
    os.close(number_of_map)
    segment = _Map(fd, SEGMENT_BYTES)
    segment.descriptor = (number_of_map, _file_of(fd))
    return segment


def _reserve(fd: int) -> None:
    """Take the room from the disk now: a page that has none when it is written would end the program."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, SEGMENT_BYTES)
        return
    zeros = bytes(SEGMENT_BYTES)
    while zeros:
        zeros = zeros[os.write(fd, zeros) :]


_open: weakref.WeakSet[Points] = weakref.WeakSet()


def _reset_in_child() -> None:
    for points in list(_open):
        points.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)
