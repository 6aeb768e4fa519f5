"""TensorBoard's event files: records framed as TensorFlow frames them, each an `Event` message.

Source: tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto. Only what TensorBoard's own
plugins write as scalars, texts, images, audio, histograms and hyperparameters is read.
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from relive.formats.protobuf import doubles, fields, first, floats, signed, texts, whole

FLOAT, DOUBLE, STRING = 1, 2, 7
_LONGEST: Final = 1 << 30
_LENGTH: Final = struct.Struct("<QI")
_CHECK_BYTES: Final = 4


class EventValue(msgspec.Struct, frozen=True):
    """One value of one event.

    Attributes:
        kind: "scalar", "text", "image", "audio", "histogram" or "hparams".
        value: A number; a text; bytes of a file; (counts, edges); name to value.
    """

    tag: str
    kind: str
    value: Any
    step: int
    at: float


def read_events(path: Path) -> Iterator[EventValue]:
    """Give every value of a file; a record that is not whole, as a writer that was killed leaves it, ends it.

    Raises:
        InvalidInput: A record is no event.
    """
    for record in _records(path):
        at, step, summary = 0.0, 0, []
        for number, value in fields(record):
            if number == 1 and isinstance(value, bytes):
                (at,) = struct.unpack("<d", value)
            elif number == 2 and isinstance(value, int):
                step = signed(value)
            elif number == 5 and isinstance(value, bytes):
                summary.append(value)
        for message in summary:
            for number, value in fields(message):
                if number == 1 and isinstance(value, bytes):
                    yield from _read_value(value, step, at)


def _records(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
            length, _ = _LENGTH.unpack(head)
            if length > _LONGEST:
                return
            data = file.read(length)
            if len(data) < length or len(file.read(_CHECK_BYTES)) < _CHECK_BYTES:
                return
            yield data


def _read_value(data: bytes, step: int, at: float) -> Iterator[EventValue]:
    tag, plugin, content, tensor = "", "", b"", b""
    found: tuple[str, Any] | None = None
    for number, value in fields(data):
        if number == 2 and isinstance(value, bytes) and len(value) == 4:
            found = "scalar", struct.unpack("<f", value)[0]
        elif not isinstance(value, bytes):
            continue
        elif number == 1:
            tag = value.decode(errors="replace")
        elif number in _SUMMARIES:
            kind, read = _SUMMARIES[number]
            found = kind, read(value)
        elif number == 8:
            tensor = value
        elif number == 9:
            facts = first(value, 1)
            plugin, content = "".join(texts(facts, 1)[-1:]), first(facts, 2)
    if plugin == "hparams":
        found = ("hparams", _hparams(content)) if content else None
    elif tensor:
        found = _of_tensor(plugin, tensor)
    if found is not None:
        yield EventValue(tag, found[0], found[1], step, at)


def _of_tensor(plugin: str, tensor: bytes) -> tuple[str, Any] | None:
    kind = whole(tensor, 1)
    if kind in (FLOAT, DOUBLE) and plugin in ("scalars", ""):
        numbers = _numbers(tensor, kind)
        return ("scalar", numbers[0]) if len(numbers) == 1 else None
    if plugin == "histograms":
        rows = _numbers(tensor, kind)
        return "histogram", _buckets(rows)
    if kind == STRING:
        strings = [value for number, value in fields(tensor) if number == 8 and isinstance(value, bytes)]
        if plugin == "text":
            return "text", "\n".join(it.decode(errors="replace") for it in strings)
        if plugin == "images" and len(strings) > 2:
            return "image", strings[2]
        if plugin == "audio" and strings:
            return "audio", strings[0]
    return None


def _numbers(tensor: bytes, kind: int) -> tuple[float, ...]:
    content = first(tensor, 4)
    if content:
        return floats(content) if kind == FLOAT else doubles(content)
    number, size, form = (5, 4, "<f") if kind == FLOAT else (6, 8, "<d")
    packed = b"".join(value for key, value in fields(tensor) if key == number and isinstance(value, bytes))
    return tuple(it[0] for it in struct.iter_unpack(form, packed[: len(packed) // size * size]))


def _buckets(rows: tuple[float, ...]) -> tuple[list[float], list[float]]:
    """Give counts and edges of rows (left, right, count)."""
    lefts, rights, counts = (list(rows[place::3]) for place in range(3))
    return counts, [*lefts, *rights[-1:]]


def _histogram(data: bytes) -> tuple[list[float], list[float]]:
    """Read TensorFlow's first form: right edges and counts; the left end is the smallest value."""
    limits, counts = doubles(first(data, 6)), doubles(first(data, 7))
    (low,) = doubles(first(data, 1)) or (0.0,)
    return list(counts), [min([low, *limits[:1]]), *limits]


def _file(data: bytes) -> bytes:
    return first(data, 4)


_SUMMARIES: Final[dict[int, tuple[str, Callable[[bytes], Any]]]] = {
    4: ("image", _file),
    5: ("histogram", _histogram),
    6: ("audio", _file),
}


def _hparams(content: bytes) -> dict[str, Any]:
    """Read what a session began with: a map of names to `google.protobuf.Value`."""
    found: dict[str, Any] = {}
    for number, entry in fields(first(content, 3)):
        if number == 1 and isinstance(entry, bytes):
            found["".join(texts(entry, 1))] = _plain(first(entry, 2))
    return found


def _plain(data: bytes) -> Any:
    for number, value in fields(data):
        if number == 2 and isinstance(value, bytes):
            return struct.unpack("<d", value)[0]
        if number == 3 and isinstance(value, bytes):
            return value.decode(errors="replace")
        if number == 4:
            return bool(value)
    return None
