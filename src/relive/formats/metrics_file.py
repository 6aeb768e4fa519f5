"""Metrics files: the numbers that a command left behind, under dotted names.

JSON (also with the NaN and Infinity that Python writes), YAML, TOML, or a table in CSV or TSV whose last row
counts. Truth values count as 1 and 0. What is no number is not an error, since such files hold names and
dates too: a note says what was left out.
"""

import csv
import io
import json
import tomllib
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from relive.core.problems import Problem
from relive.errors import InvalidInput
from relive.formats.yaml_tree import read_tree, to_plain

MAX_BYTES: Final = 16 << 20
MOST_METRICS: Final = 10_000
LONGEST_NAME: Final = 250


class MetricsFile(msgspec.Struct, frozen=True):
    """What a metrics file says.

    Attributes:
        values: Dotted name → number, which may be NaN or infinite.
        notes: Sentences about what was left out.
    """

    values: dict[str, float]
    notes: tuple[str, ...] = ()


def read_metrics(data: bytes, *, path: str) -> MetricsFile:
    """Read the numbers of a metrics file.

    Args:
        data: The file's bytes, at most 16 MiB.
        path: Its name, which tells the format: .json, .yaml, .yml, .toml, .csv or .tsv.

    Raises:
        InvalidInput: It cannot be read, holds more than 10,000 numbers, or a name of more than 250
            characters; says which.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            field=path, value=f"{len(data)} bytes", wanted=f"at most {MAX_BYTES} bytes (16 MiB)"
        )
    suffix = path.rpartition(".")[2]
    reader = _READERS.get(suffix)
    if reader is None:
        raise InvalidInput(field=path, value=f".{suffix}", wanted=f"one of: .{', .'.join(_READERS)}")
    try:
        tree = reader(data, path)
    except (ValueError, csv.Error, RecursionError) as error:
        raise InvalidInput(field=path, value=suffix, wanted=f"a file that can be read: {error}") from error
    if tree is not None and not isinstance(tree, dict):
        raise InvalidInput(field=path, value=type(tree).__name__, wanted="names with numbers at its top")
    return _collect(tree or {}, path)


def _collect(tree: dict[str, Any], path: str) -> MetricsFile:
    values: dict[str, float] = {}
    others: list[str] = []
    for name, value in _flatten(tree):
        if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            wanted = f"a name of 1 to {LONGEST_NAME} printable characters"
            raise InvalidInput(field=f"{path}, a key", value=name[:80], wanted=wanted)
        number = _number(value)
        if number is None:
            others.append(f"{name} ({_kind(value)})")
        else:
            values[name] = number
        if len(values) > MOST_METRICS:
            raise InvalidInput(field=path, value=f"{len(values)} numbers", wanted=f"at most {MOST_METRICS}")
    if not others:
        return MetricsFile(values)
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    return MetricsFile(values, (f"{path}: not numbers, left out: {', '.join(others[:5])}{more}",))


def _flatten(tree: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Give all leaves; with an own stack, because JSON may be deeper than Python's."""
    todo: list[tuple[str, Any]] = [(str(key), value) for key, value in reversed(tree.items())]
    while todo:
        name, value = todo.pop()
        if isinstance(value, dict) and len(name) <= LONGEST_NAME:
            todo += [(f"{name}.{key}", item) for key, item in reversed(value.items())]
        else:
            yield name, value


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None  # a whole number beyond what a float holds


def _kind(value: Any) -> str:
    names = {str: "text", list: "a list", dict: "a mapping", int: "too large", type(None): "empty"}
    return names.get(type(value), type(value).__name__)


def _read_json(data: bytes, _: str) -> Any:
    return json.loads(data.decode("utf-8-sig"))


def _read_yaml(data: bytes, path: str) -> Any:
    problems: list[Problem] = []
    tree = read_tree(data, problems)
    if problems:
        told = "; ".join(str(problem) for problem in problems)
        raise InvalidInput(field=path, value="YAML", wanted=f"a file that can be read: {told}")
    return to_plain(tree)


def _read_toml(data: bytes, _: str) -> Any:
    return tomllib.loads(data.decode())


def _read_table(data: bytes, delimiter: str) -> dict[str, Any]:
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    last: list[str] = []
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if not header:
            header = [name.strip() for name in row]
            _check_header(header)
        else:
            last = row
    if last and len(last) != len(header):
        raise ValueError(f"its last row has {len(last)} cells, its first {len(header)}")
    return {name: _cell(cell) for name, cell in zip(header, last, strict=False) if name}


def _check_header(header: list[str]) -> None:
    double = next((name for name in header if name and header.count(name) > 1), None)
    if double is not None:
        raise ValueError(f"it has two columns {double!r}")


def _cell(text: str) -> float | bool | str:
    word = text.strip()
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    try:
        return float(word.replace("_", "?"))  # "1_000" is a number to Python alone
    except ValueError:
        return word


_READERS: Final[dict[str, Callable[[bytes, str], Any]]] = {
    "json": _read_json,
    "yaml": _read_yaml,
    "yml": _read_yaml,
    "toml": _read_toml,
    "csv": lambda data, _: _read_table(data, ","),
    "tsv": lambda data, _: _read_table(data, "\t"),
}
