"""What is known of the tables in a data set: columns, types, and statistics of the first rows."""

import itertools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from relive.core.artifact import Manifest
from relive.data.tables import kind_of, open_table
from relive.errors import InvalidInput, NotFound

# What adding data may cost for this, whatever its size.
_MOST_TABLES: Final = 20
_MOST_ROWS: Final = 20_000
_MOST_COLUMNS: Final = 200
_MOST_DISTINCT: Final = 1_000
_LONGEST_TEXT: Final = 60


class ColumnProfile(msgspec.Struct, omit_defaults=True):
    """A column as its first rows show it.

    Attributes:
        type: "integer", "number", "boolean", "text", "other", or "empty" if it has no value.
        missing: Rows without a value.
        distinct: Different values; None for more than a thousand.
        min: Smallest number, or first text.
    """

    name: str
    type: str = "empty"
    missing: int = 0
    distinct: int | None = 0
    min: float | str | None = None
    max: float | str | None = None
    mean: float | None = None


class TableProfile(msgspec.Struct, omit_defaults=True):
    """A table; `rows` is how many were looked at, and `all_rows` whether they are all."""

    path: str
    format: str
    rows: int = 0
    all_rows: bool = True
    columns: list[ColumnProfile] = []
    note: str = ""


def profile_tables(root: Path, manifest: Manifest) -> dict[str, Any]:
    """Profile the tables among files that lie in a folder; the first twenty, and their first rows."""
    tables = [it.path for it in manifest.entries if it.link is None and it.size_bytes and kind_of(it.path)]
    found = [_profile(root, path) for path in tables[:_MOST_TABLES]]
    if not found:
        return {}
    return {"tables": msgspec.to_builtins(found), "all_tables": len(tables)}


def _profile(root: Path, path: str) -> TableProfile:
    kind = kind_of(path) or ""
    try:
        with open(root / path, "rb") as file, open_table(path, file) as table:
            rows = list(itertools.islice(table.rows, _MOST_ROWS + 1))
    except (InvalidInput, NotFound) as error:
        return TableProfile(path=path, format=kind, all_rows=False, note=error.what())
    columns = list(dict.fromkeys([*table.columns, *(name for row in rows[:100] for name in row)]))
    return TableProfile(
        path=path,
        format=kind,
        rows=min(len(rows), _MOST_ROWS),
        all_rows=len(rows) <= _MOST_ROWS,
        columns=[_column(name, rows[:_MOST_ROWS]) for name in columns[:_MOST_COLUMNS]],
    )


def _column(name: str, rows: Iterable[dict[str, Any]]) -> ColumnProfile:
    values = [row.get(name) for row in rows]
    there = [value for value in values if value is not None and value != ""]
    profile = ColumnProfile(name=name, missing=len(values) - len(there))
    if not there:
        return profile
    distinct = {value if isinstance(value, str | int | float) else repr(value) for value in there}
    profile.distinct = len(distinct) if len(distinct) <= _MOST_DISTINCT else None
    numbers = _numbers(there)
    if numbers is None:
        texts = [value for value in there if isinstance(value, str)]
        profile.type = "text" if len(texts) == len(there) else "other"
        if texts:
            profile.min, profile.max = min(texts)[:_LONGEST_TEXT], max(texts)[:_LONGEST_TEXT]
        return profile
    if all(isinstance(value, bool) for value in there):
        profile.type = "boolean"
    else:
        profile.type = "integer" if all(_is_whole(value) for value in there) else "number"
    finite = [number for number in numbers if math.isfinite(number)]
    if finite:
        profile.min, profile.max = min(finite), max(finite)
        profile.mean = math.fsum(finite) / len(finite)
    return profile


def _numbers(values: Iterable[Any]) -> list[float] | None:
    """Read all values as numbers; None if one of them is none."""
    try:
        return [float(value) for value in values if isinstance(value, str | int | float) or _refuse()]
    except (ValueError, OverflowError):
        return None


def _refuse() -> bool:
    raise ValueError("no number")


def _is_whole(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lstrip("+-").isdigit()
    return isinstance(value, int)
