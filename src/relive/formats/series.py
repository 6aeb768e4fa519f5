"""A run of a series' points as few bytes: columns, differences, planes of bytes, zlib.

A document `[FORMAT, steps, times, values]` in MessagePack, each column `[kind, bytes]`:

- `kind` 0 keeps the 64-bit words as they are, 1 the difference of each to the one before (the first itself).
  Times are differenced as whole numbers made of their bits: those of neighbours in time are neighbours.
- the words lie little-endian in planes: first every word's lowest byte, then every next one. The high bytes
  of measured numbers hardly change, so a plane of them is almost nothing.
- zlib, level 1: measured 8.6 bytes a point for 64-bit losses with `time.time()`, 4.6 for 32-bit losses with
  milliseconds; zstd needs 8.9 and 4.7 there and saves a tenth of the time to read (0.14 s a million points
  against 0.16), which is not worth a package.

Every bit comes back, but that there is one NaN.
"""

import struct
import sys
import zlib
from array import array
from collections.abc import Iterable
from itertools import accumulate
from operator import sub
from typing import Final, TypeVar

import msgspec

from relive.core.run import MetricBlock
from relive.core.series import Points
from relive.errors import InvalidInput

FORMAT: Final = 1
_WORDS, _DIFFERENCES = 0, 1
_WIDTH: Final = 8

_Number = TypeVar("_Number", int, float)
_Column = tuple[int, bytes]
_Document = tuple[int, _Column, _Column, _Column]


def pack_points(points: Points) -> bytes:
    """Write points."""
    return Packer().pack(points, 0, len(points))


class Packer:
    """Packs parts of series; columns that several series have in common are packed once."""

    def __init__(self) -> None:
        # The columns are held, so that their identities are not used again meanwhile.
        self._packed: dict[tuple[int, int, int], tuple[Points, tuple[_Column, _Column]]] = {}

    def pack(self, points: Points, start: int, end: int) -> bytes:
        """Write the points from number `start` to before `end`."""
        shared = (id(points.steps) ^ id(points.times), start, end)
        known = self._packed.get(shared)
        if known is None or known[0].steps is not points.steps or known[0].times is not points.times:
            times = array("q", points.times[start:end].tobytes())
            known = points, (_differences(points.steps[start:end]), _differences(times))
            self._packed[shared] = known
        return msgspec.msgpack.encode((FORMAT, *known[1], _words(points.values[start:end])))


def unpack_points(data: bytes) -> Points:
    """Read points.

    Raises:
        InvalidInput: The bytes are no points, or not whole.
    """
    try:
        number, steps, times, values = msgspec.msgpack.decode(data, type=_Document)
        if number != FORMAT:
            raise ValueError(f"format {number}")
        points = Points(_read(steps), _as_floats(_read(times)), _as_floats(_read(values)))
    except (ValueError, zlib.error, struct.error) as error:
        raise InvalidInput(field="packed points", value=str(error), wanted=f"format {FORMAT}") from error
    if not len(points.steps) == len(points.times) == len(points.values):
        raise InvalidInput(field="packed points", value="columns of different lengths", wanted="equal ones")
    return points


def plain_columns(points: Points) -> dict[str, bytes]:
    """Give the columns as they travel: 64-bit words, little-endian, by the names of their fields."""
    return {
        "steps": _little(points.steps).tobytes(),
        "times": _little(points.times).tobytes(),
        "values": _little(points.values).tobytes(),
    }


def from_plain(*, steps: bytes, times: bytes, values: bytes) -> Points:
    """Read columns that travelled.

    Raises:
        InvalidInput: They are not whole words, or not equally many.
    """
    if len(steps) % _WIDTH or not len(steps) == len(times) == len(values):
        lengths = (len(steps), len(times), len(values))
        raise InvalidInput(field="columns", value=lengths, wanted=f"equally many words of {_WIDTH} bytes")
    words = [_little(array("q", column)) for column in (steps, times, values)]
    return Points(words[0], _as_floats(words[1]), _as_floats(words[2]))


def series_of(block: MetricBlock) -> list[tuple[str, Points]]:
    """Read a block: each name with its points, which share their steps and times.

    Raises:
        InvalidInput: Its columns are not whole words, or not equally many.
    """
    if len(block.keys) != len(block.values):
        lengths = (len(block.keys), len(block.values))
        raise InvalidInput(field="block", value=lengths, wanted="as many columns as names")
    found: list[tuple[str, Points]] = []
    for key, values in zip(block.keys, block.values, strict=True):
        points = from_plain(steps=block.steps, times=block.times, values=values)
        if found:
            points = Points(found[0][1].steps, found[0][1].times, points.values)
        found.append((key, points))
    return found


def _differences(words: "array[int]") -> _Column:
    try:
        return _DIFFERENCES, _squeeze(_array(words[:1], map(sub, words[1:], words), len(words)))
    except struct.error:  # farther apart than 64 bits can say
        return _WORDS, _squeeze(words)


def _words(numbers: "array[float]") -> _Column:
    return _WORDS, _squeeze(numbers)


def _squeeze(words: "array[_Number]") -> bytes:
    data = _little(words).tobytes()
    return zlib.compress(b"".join(data[plane::_WIDTH] for plane in range(_WIDTH)), 1)


def _read(column: _Column) -> "array[int]":
    kind, squeezed = column
    planes = zlib.decompress(squeezed)
    data = bytearray(len(planes))
    length = len(planes) // _WIDTH
    for plane in range(_WIDTH):
        data[plane::_WIDTH] = planes[plane * length : (plane + 1) * length]
    words = _little(array("q", bytes(data)))
    return _array((), accumulate(words), length) if kind == _DIFFERENCES else words


def _array(first: Iterable[int], others: Iterable[int], length: int) -> "array[int]":
    # Half the time of array("q", numbers), which grows as it goes.
    return array("q", struct.pack(f"{length}q", *first, *others))


def _as_floats(words: "array[int]") -> "array[float]":
    return array("d", words.tobytes())


def _little(words: "array[_Number]") -> "array[_Number]":
    """Give the words in the order of bytes that is kept, or back again."""
    if sys.byteorder == "little":
        return words
    swapped = words[:]
    swapped.byteswap()
    return swapped
