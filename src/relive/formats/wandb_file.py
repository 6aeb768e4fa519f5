"""The file `run-ID.wandb` of an offline run: messages in LevelDB's log format.

Source: https://github.com/google/leveldb/blob/main/doc/log_format.md; wandb/proto/wandb_internal.proto. Of
the messages only the run, its config, history, summary, statistics and exit are read.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from relive.errors import InvalidInput
from relive.formats.protobuf import fields, first, texts, whole

_BLOCK: Final = 32 * 1024
_HEAD: Final = struct.Struct("<IHB")
_MAGIC: Final = b":W&B"
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
# Fields of `Record`, and of what it holds.
_HISTORY, _SUMMARY, _CONFIG, _STATS, _RUN, _EXIT = 2, 3, 5, 7, 17, 18
_VALUE_JSON: Final = 16


class WandbRun(msgspec.Struct, frozen=True, kw_only=True):
    """What the run said of itself.

    Attributes:
        exit_code: None if it never ended.
    """

    run_id: str = ""
    project: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    started_at: float | None = None
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    exit_code: int | None = None


class WandbRow(msgspec.Struct, frozen=True):
    """What was logged at one step, or seen of the machine.

    Attributes:
        kind: "history" or "system".
        at: Seconds since the epoch; None if it does not say.
    """

    kind: str
    values: dict[str, Any]
    at: float | None


def read_run(path: Path) -> WandbRun:
    """Read what a run said of itself.

    Raises:
        InvalidInput: The file is none of these.
    """
    facts: dict[str, Any] = {}
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for number, data in _messages(path):
        if number == _RUN:
            facts |= _run_facts(data)
            config |= _items(first(data, 4), 1)
        elif number == _CONFIG:
            config |= _items(data, 1)
        elif number == _SUMMARY:
            summary |= _items(data, 1)
        elif number == _EXIT:
            facts["exit_code"] = whole(data, 1)
    config.pop("_wandb", None)
    return WandbRun(config=config, summary=summary, **facts)


def read_rows(path: Path) -> Iterator[WandbRow]:
    """Give what was logged, in its order.

    Raises:
        InvalidInput: The file is none of these.
    """
    for number, data in _messages(path):
        if number == _HISTORY:
            values = _items(data, 1)
            step = first(data, 2)
            if step and "_step" not in values:
                values["_step"] = whole(step, 1)
            at = values.get("_timestamp")
            yield WandbRow("history", values, at if isinstance(at, int | float) else None)
        elif number == _STATS:
            yield WandbRow("system", _items(data, 3), _time(first(data, 2)))


def _messages(path: Path) -> Iterator[tuple[int, bytes]]:
    for record in _records(path):
        for number, value in fields(record):
            if isinstance(value, bytes):
                yield number, value


def _records(path: Path) -> Iterator[bytes]:
    """Put the pieces together; a record that is not whole, as kill -9 leaves it, ends the file."""
    with open(path, "rb") as file:
        data = file.read()
    if data[: len(_MAGIC)] != _MAGIC:
        raise InvalidInput(field="file", value=str(path), wanted="an offline run of W&B")
    at, parts = _HEAD.size, list[bytes]()
    while at + _HEAD.size <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _HEAD.size:
            at += left
            continue
        _, length, kind = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if kind not in (_FULL, _FIRST, _MIDDLE, _LAST) or at + length > len(data):
            return
        parts = [*([] if kind in (_FULL, _FIRST) else parts), data[at : at + length]]
        at += length
        if kind in (_FULL, _LAST):
            yield b"".join(parts)


def _run_facts(data: bytes) -> dict[str, Any]:
    words = {"run_id": 1, "project": 3, "group": 6, "job_type": 7, "name": 8, "notes": 9}
    found: dict[str, Any] = {name: "".join(texts(data, number)[-1:]) for name, number in words.items()}
    return {**found, "tags": tuple(texts(data, 10)), "started_at": _time(first(data, 17))}


def _items(data: bytes, number: int) -> dict[str, Any]:
    """Read items of (key or nested key, value as JSON); names of a nested one are joined by dots."""
    found: dict[str, Any] = {}
    for key, item in fields(data):
        if key != number or not isinstance(item, bytes):
            continue
        name = ".".join(texts(item, 2)) or "".join(texts(item, 1)[-1:])
        text = "".join(texts(item, _VALUE_JSON)[-1:])
        found[name] = _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return text.strip('"')  # NaN and Infinity stand there as Python writes them


def _time(data: bytes) -> float | None:
    return whole(data, 1) + whole(data, 2) / 1e9 if data else None
