"""Read segments: metrics as `capture.hooks.points` packs them (see `docs/design/capture.md`).

The process that writes a segment may be writing it right now, may have been killed at any point, and is not
trusted: what is no record ends the reading of its file.
"""

import math
import os
import stat
import struct
import sys
from array import array
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec

from relive.core.run import MetricBlock
from relive.formats.series import from_plain

SUFFIX: Final = ".points"
FORMAT: Final = 1

_MAGIC: Final = b"relive\0P"
_HEADER: Final = struct.Struct("<8sIIQ")
_DEFINITION: Final = struct.Struct("<IIQ")
_HEAD: Final = struct.Struct("<I")
_WORD: Final = 8
_DEFINE: Final = 0x52500000
_END: Final = 0x525FFFFF
_MOST_SHAPES: Final = 10_000
_LONGEST_RECORD: Final = 1 << 20
_LONGEST_DEFINITION: Final = 1 << 18
# No segment is as long; what is read of a file that pretends to be is bounded.
_LARGEST: Final = 1 << 26

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=250)]
_Names = Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1, max_length=1000)]


class Piece(NamedTuple):
    """A piece of a segment.

    Attributes:
        end: Offset after the last record; the next piece begins here.
        blocks: One for each set of names, with its records in the order in which they were logged.
        ended: No record will come after these.
        damaged: 1 if the rest of the file is no record.
    """

    end: int
    blocks: tuple[MetricBlock, ...] = ()
    ended: bool = False
    damaged: int = 0


class _Shape(NamedTuple):
    names: tuple[str, ...]

    @property
    def words(self) -> int:
        """Give the length of a record in words of 8 bytes: head, step, time, values, head."""
        return len(self.names) + 3


def read_points(path: Path, start: int, size: int) -> Piece:
    """Read what is complete from an offset on.

    Args:
        start: 0, or the end of the piece before.
        size: At most so many bytes; at least one record is read if there is one.
    """
    fd = open_regular(path)
    if fd < 0:
        return Piece(start)
    try:
        header = os.pread(fd, _HEADER.size, 0)
        if len(header) < _HEADER.size or not any(header):
            return Piece(start)
        magic, version, _, _ = _HEADER.unpack(header)
        if magic != _MAGIC or version != FORMAT:
            end = os.fstat(fd).st_size
            return Piece(end, ended=True, damaged=int(start < end))
        at = max(start, _HEADER.size)
        for limit in (max(0, start + size - at), _LONGEST_RECORD):
            piece = _read(fd, at, limit)
            if piece.end > at or piece.damaged or piece.ended:
                return piece
        return Piece(start)
    finally:
        os.close(fd)


def written_bytes(path: Path, start: int = 0) -> int:
    """Give the offset up to which a segment is written; a segment's file has its full length at once."""
    fd = open_regular(path)
    if fd < 0:
        return start
    try:
        return start + len(_all(fd, start).rstrip(b"\0"))
    finally:
        os.close(fd)


def open_regular(path: Path) -> int:
    """Open a regular file to read; gives -1 for a link, a pipe, or a file that is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return -1
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return -1


def _all(fd: int, start: int) -> bytes:
    return os.pread(fd, max(0, min(os.fstat(fd).st_size, _LARGEST) - start), start)


def _read(fd: int, start: int, size: int) -> Piece:
    # Twice: while the first copy is made, a record may come to be complete at its end and not yet at its
    # beginning. What had come to the end of the first is whole in the second.
    written = len(os.pread(fd, size, start).rstrip(b"\0"))
    shapes = _shapes(fd)
    data = memoryview(os.pread(fd, written, start))
    taken: dict[int, bytearray] = {}
    at = 0
    while at + _HEAD.size <= len(data):
        (head,) = _HEAD.unpack_from(data, at)
        if head == _END:
            return Piece(start + at + _HEAD.size, _blocks(taken, shapes), ended=True)
        if head == _DEFINE:
            length = _definition_length(data, at)
        elif head in shapes:
            length = _count(data, at, head, shapes[head].words) * shapes[head].words * _WORD
            taken.setdefault(head, bytearray()).extend(data[at : at + length])
        else:
            # Zeros are a record that is still to come; a power cut can leave more of them before others.
            if head == 0:
                break
            return Piece(os.fstat(fd).st_size, _blocks(taken, shapes), ended=True, damaged=1)
        if not length:
            break
        at += length
    return Piece(start + at, _blocks(taken, shapes))


def _count(data: memoryview, at: int, head: int, n_words: int) -> int:
    """Count the whole records of one shape that follow one another, in strides that double."""
    size = n_words * _WORD
    most = (len(data) - at) // size
    # Where one ends and the next begins.
    joint = int.from_bytes(_HEAD.pack(head) * 2, sys.byteorder)
    begun = stride = min(1, most)
    while begun < most:
        stride = min(stride, most - begun)
        first = at + begun * size - _HEAD.size
        joints = data[first : first + (stride - 1) * size + _WORD].cast("Q")[::n_words].tolist()
        same = joints.count(joint)
        if same < stride:
            begun += next(index for index, it in enumerate(joints) if it != joint)
            break
        begun += stride
        stride *= 2
    ends = at + begun * size
    return begun if data[ends - _HEAD.size : ends] == _HEAD.pack(head) else max(0, begun - 1)


def _blocks(taken: dict[int, bytearray], shapes: dict[int, _Shape]) -> tuple[MetricBlock, ...]:
    return tuple(_block(shapes[head], records) for head, records in taken.items() if records)


def _block(shape: _Shape, records: bytearray) -> MetricBlock:
    """Turn records into columns."""
    names, n_words = shape.names, shape.words
    # Without the first head all else lies in whole words.
    words = array("Q", bytes(records[_HEAD.size :]) + bytes(_HEAD.size))
    columns = [words[column::n_words] for column in range(n_words - 1)]
    steps, times, *values = (column.tobytes() for column in columns)
    moments = from_plain(steps=steps, times=times, values=times).times
    if not math.isfinite(sum(moments)):
        good = [index for index, moment in enumerate(moments) if math.isfinite(moment)]
        columns = [array("Q", [column[index] for index in good]) for column in columns]
        steps, times, *values = (column.tobytes() for column in columns)
    return MetricBlock(names, steps, times, tuple(values))


def _definition_length(data: memoryview, at: int) -> int:
    """Give the length of a definition, 0 if it is not whole."""
    if at + _DEFINITION.size > len(data):
        return 0
    _, length, _ = _DEFINITION.unpack_from(data, at)
    end = at + _DEFINITION.size + length
    if end + _HEAD.size > len(data) or _HEAD.unpack_from(data, end) != (_DEFINE,):
        return 0
    return _DEFINITION.size + int(length) + _HEAD.size


def _shapes(fd: int) -> dict[int, _Shape]:
    """Read the definitions: each names the place of the one before; heads count up from the first."""
    named: list[tuple[str, ...]] = []
    (_, _, _, place) = _HEADER.unpack(os.pread(fd, _HEADER.size, 0))
    while place and len(named) < _MOST_SHAPES:
        before = -1
        data = os.pread(fd, _LONGEST_DEFINITION, place) if place <= _LARGEST else b""
        names = _names_at(memoryview(data), 0)
        if names:
            (_, _, before) = _DEFINITION.unpack_from(data)
        if not 0 <= before < place:
            # The disk kept the page that names a definition, and not that of the definition: a power cut.
            return _walked(memoryview(_all(fd, _HEADER.size)))
        named.append(names)
        place = before
    return {_DEFINE + number: _Shape(names) for number, names in enumerate(reversed(named), 1)}


def _walked(data: memoryview) -> dict[int, _Shape]:
    """Find the definitions by going from record to record, as far as that goes."""
    shapes: dict[int, _Shape] = {}
    at = 0
    while at + _HEAD.size <= len(data):
        (head,) = _HEAD.unpack_from(data, at)
        names = _names_at(data, at) if head == _DEFINE else ()
        if names:
            shapes[_DEFINE + len(shapes) + 1] = _Shape(names)
            at += _definition_length(data, at)
        elif head in shapes and _count(data[: at + shapes[head].words * _WORD], at, head, shapes[head].words):
            at += shapes[head].words * _WORD
        else:
            break
    return shapes


def _names_at(data: memoryview, at: int) -> tuple[str, ...]:
    """Read a definition; gives nothing if it is none."""
    size = _definition_length(data, at)
    try:
        return msgspec.json.decode(data[at + _DEFINITION.size : at + size - _HEAD.size], type=_Names)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ()
