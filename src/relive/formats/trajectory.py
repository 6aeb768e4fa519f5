"""Trajectories as bytes: columns in MessagePack, so that equal trajectories have equal bytes and digests.

A document `[FORMAT, shapes, order, numbers, digests, values]`:

- `shapes`: each distinct (stream, digest names with their widths in bytes, value names), as first met;
- `order`: for each step the index of its shape; `numbers`: for each step its number;
- `digests`: the bytes of all digests, step by step, names sorted; `values`: all values as 8-byte doubles.

Compression is left to the blob store: what zstd writes changes from version to version; the digest must not.
"""

import json
import os
import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from relive.core.trajectory import StepRecord, Trajectory
from relive.errors import InvalidInput

# What `formats.spool` puts before the streams of a second process.
_PROCESS: Final = re.compile(r"^(p|rank)\d+/")

FORMAT: Final = "relive.trajectory/1"

# Stream, digest names with the width of each, value names.
_Shape = tuple[str, tuple[tuple[str, int], ...], tuple[str, ...]]
_Document = tuple[str, list[_Shape], list[int], list[int], bytes, bytes]


def encode_trajectory(trajectory: Trajectory) -> bytes:
    """Write a trajectory as its canonical bytes.

    Raises:
        InvalidInput: A digest is not lower-case hexadecimal, or a value is not what `float.hex()` writes.
    """
    shapes: dict[_Shape, int] = {}
    order: list[int] = []
    numbers: list[int] = []
    digests = bytearray()
    values = bytearray()
    for step in trajectory.steps:
        widths: list[tuple[str, int]] = []
        for name, text in sorted(step.digests.items()):
            raw = _raw(step, name, text)
            widths.append((name, len(raw)))
            digests += raw
        for name, text in sorted(step.values.items()):
            values += struct.pack("<d", _exact(step, name, text))
        shape = (step.stream, tuple(widths), tuple(sorted(step.values)))
        order.append(shapes.setdefault(shape, len(shapes)))
        numbers.append(step.step)
    return msgspec.msgpack.encode((FORMAT, list(shapes), order, numbers, bytes(digests), bytes(values)))


def decode_trajectory(data: bytes) -> Trajectory:
    """Read a trajectory from its bytes.

    Raises:
        InvalidInput: They are no trajectory, or not in canonical form.
    """
    try:
        document = msgspec.msgpack.decode(data, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _refuse(str(error))
    if document[0] != FORMAT:
        _refuse(f"format {document[0]!r}")
    try:
        trajectory = Trajectory(steps=tuple(_steps(document)))
    except (IndexError, struct.error):
        _refuse("columns that do not fit together")
    if encode_trajectory(trajectory) != data:
        # Else two byte strings, and so two digests, would stand for the same steps.
        _refuse("bytes that are not in canonical form")
    return trajectory


def digest_steps(trajectory: Trajectory) -> dict[str, list[int]]:
    """Say which steps of each stream were digested: the plan that a replay keeps to.

    Prefixes of processes are left out, because a process does not know its own; what a replay digests
    beyond the record is not compared.
    """
    plan: dict[str, set[int]] = {}
    for step in trajectory.steps:
        if step.digests:
            plan.setdefault(_PROCESS.sub("", step.stream), set()).add(step.step)
    return {stream: sorted(steps) for stream, steps in sorted(plan.items())}


def write_digest_steps(trajectory: Trajectory, path: Path) -> None:
    """Write the plan of a replay to a file, for the hooks of its processes to read."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(digest_steps(trajectory), separators=(",", ":")), encoding="utf-8")
    os.replace(partial, path)


def _steps(document: _Document) -> Iterable[StepRecord]:
    _, shapes, order, numbers, digests, values = document
    if len(order) != len(numbers):
        raise IndexError
    at_digest = at_value = 0
    for index, number in zip(order, numbers, strict=True):
        stream, widths, names = shapes[index]
        found: dict[str, str] = {}
        for name, width in widths:
            found[name] = digests[at_digest : at_digest + width].hex()
            at_digest += width
        exact: dict[str, str] = {}
        for name in names:
            exact[name] = struct.unpack_from("<d", values, at_value)[0].hex()
            at_value += 8
        yield StepRecord(stream=stream, step=number, digests=found, values=exact)


def _raw(step: StepRecord, name: str, text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if not raw or raw.hex() != text:
        raise InvalidInput(
            field=f"digest {name!r} of {step.stream} step {step.step}",
            value=text,
            wanted="lower-case hexadecimal digits",
        )
    return raw


def _exact(step: StepRecord, name: str, text: str) -> float:
    try:
        value = float.fromhex(text)
    except (ValueError, OverflowError):
        value = None
    if value is None or value.hex() != text:
        raise InvalidInput(
            field=f"value {name!r} of {step.stream} step {step.step}",
            value=text,
            wanted="an exact number as float.hex() writes it",
        )
    return value


def _refuse(found: Any) -> NoReturn:
    raise InvalidInput(field="trajectory", value=found, wanted=f"the bytes of a {FORMAT}")
