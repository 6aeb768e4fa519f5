"""Read what the recorder wrote while the command ran: steps, and the last point of each metric.

The files are those of relive's hooks: JSON lines, and segments of metrics (relive's `docs/design/capture.md`
has both formats). They were written by the command's own processes, all of which have ended.
"""

import json
import math
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_HEADER: Final = struct.Struct("<8sIIQ")
_DEFINITION: Final = struct.Struct("<IIQ")
_HEAD: Final = struct.Struct("<I")
_MAGIC: Final = b"relive\0P"
_FORMAT: Final = 1
_DEFINE: Final = 0x52500000
_LARGEST: Final = 1 << 26

Step = dict[str, Any]
# Of a point: step, time, whether it is a number, value.
_Place = tuple[int, float, bool, float]


@dataclass
class Spooled:
    """What was recorded.

    Attributes:
        steps: As the record has them: stream, step, digests, values.
        metrics: The last value of each: that of the greatest step and time.
    """

    steps: list[Step] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)


def read_spool(folder: Path) -> Spooled:
    """Read a spool whose processes have all ended."""
    found = Spooled()
    last: dict[str, _Place] = {}
    processes: dict[Any, list[Step]] = {}
    ranks: dict[Any, str] = {}
    for path in sorted(folder.glob("*.jsonl")):
        who: Any = path.name
        for record in _lines(path):
            if record.get("t") == "start":
                who = (record.get("pid"), record.get("ppid"), tuple(record.get("argv", ())))
                ranks.setdefault(who, str(record.get("rank", "")))
                continue
            # A full disk tears lines: what is left of one may be JSON and still not all of a record.
            with suppress(KeyError, TypeError, ValueError):
                if record.get("t") == "step":
                    processes.setdefault(who, []).append(_step(record))
                elif record.get("t") == "metric":
                    _take(last, *_point(record))
    for path in sorted(folder.glob("*.points")):
        for key, step, at, value in _points(path.read_bytes()[:_LARGEST]):
            _take(last, key, step, at, value)
    found.steps = list(_joined(processes, ranks))
    found.metrics = {key: place[3] if place[2] else math.nan for key, place in last.items()}
    return found


def read_steps(data: bytes) -> list[Step]:
    """Read the steps of a record: a JSON line each."""
    return [json.loads(line) for line in data.splitlines()]


def _joined(processes: dict[Any, list[Step]], ranks: dict[Any, str]) -> Iterator[Step]:
    """Join the steps of all processes; those of a second one get "p1/" before their streams."""
    numbered = 0
    for who, steps in processes.items():
        if ranks.get(who):
            prefix = f"rank{ranks[who]}/"
        else:
            prefix = f"p{numbered}/" if numbered else ""
            numbered += 1
        for step in steps:
            yield {**step, "stream": prefix + step["stream"]}


def _step(record: dict[str, Any]) -> Step:
    return {
        "stream": record["stream"],
        "step": record["s"],
        "digests": record.get("d", {}),
        "values": record.get("v", {}),
    }


def _point(record: dict[str, Any]) -> tuple[str, int, float, float]:
    return record["k"], int(record.get("s", 0)), float(record.get("w", 0)), float(record["v"])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # torn by a full disk, or no record of ours
        if isinstance(record, dict):
            yield record


def _take(last: dict[str, _Place], key: str, step: int, at: float, value: float) -> None:
    # NaN stands before every number.
    place = (step, at, False, 0.0) if math.isnan(value) else (step, at, True, value)
    last[key] = max(place, last.get(key, place))


def _points(data: bytes) -> Iterator[tuple[str, int, float, float]]:
    """Give the points of a segment, record by record."""
    if len(data) < _HEADER.size or _HEADER.unpack_from(data)[:2] != (_MAGIC, _FORMAT):
        return
    shapes: list[tuple[str, ...]] = []
    at = _HEADER.size
    while at + _HEAD.size <= len(data):
        (head,) = _HEAD.unpack_from(data, at)
        if head == _DEFINE:
            if at + _DEFINITION.size > len(data):
                return
            _, length, _ = _DEFINITION.unpack_from(data, at)
            begin, at = at + _DEFINITION.size, at + _DEFINITION.size + length + _HEAD.size
            if at > len(data):
                return
            shapes.append(tuple(json.loads(data[begin : begin + length])))
        elif 0 < head - _DEFINE <= len(shapes):
            names = shapes[head - _DEFINE - 1]
            layout = struct.Struct(f"<Iqd{len(names)}dI")
            if at + layout.size > len(data):
                return
            _, step, moment, *values, end = layout.unpack_from(data, at)
            if end != head:
                return
            yield from ((name, step, moment, value) for name, value in zip(names, values, strict=True))
            at += layout.size
        else:
            return  # the end, or zeros
