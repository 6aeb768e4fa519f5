"""Flat structs as rows of Parquet, and back without loss.

A column a field: text and words of an enum are TEXT, whole numbers and truths INT64, other numbers DOUBLE;
what holds more is JSON as TEXT. A field that may be absent has a second column, `has_FIELD`: 1, or 0 beside a
value that means nothing.
"""

import types
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar, Union, get_args, get_origin

import msgspec

from relive.formats.parquet import DOUBLE, INT64, TEXT

T = TypeVar("T", bound=msgspec.Struct)

_NOTHING: Final[dict[int, Any]] = {TEXT: "", INT64: 0, DOUBLE: 0.0}
_PLAIN: Final[dict[Any, int]] = {str: TEXT, bool: INT64, int: INT64, float: DOUBLE}


class _Column(msgspec.Struct, frozen=True):
    """One field; `type` is what it is read as, if it is not absent."""

    name: str
    type: Any
    kind: int
    is_optional: bool
    is_json: bool


class Rows(Generic[T]):
    """The rows that structs of one type make.

    Args:
        struct: Its fields are text, numbers, truths, words of an enum, or what JSON can hold.
    """

    def __init__(self, struct: type[T]) -> None:
        self._struct = struct
        self._fields = [_column(it.name, it.type) for it in msgspec.structs.fields(struct)]

    @property
    def columns(self) -> dict[str, int]:
        """Name the columns with their types, as `ParquetWriter` takes them."""
        found: dict[str, int] = {}
        for field in self._fields:
            found[field.name] = field.kind
            if field.is_optional:
                found[f"has_{field.name}"] = INT64
        return found

    def write(self, structs: Sequence[T]) -> dict[str, list[Any]]:
        """Give a batch of rows."""
        table: dict[str, list[Any]] = {}
        for field in self._fields:
            values = [getattr(it, field.name) for it in structs]
            if field.is_optional:
                table[f"has_{field.name}"] = [int(value is not None) for value in values]
            if field.is_json:
                table[field.name] = [msgspec.json.encode(value).decode() for value in values]
            else:
                table[field.name] = [_NOTHING[field.kind] if value is None else value for value in values]
        return table

    def read(self, table: Mapping[str, Sequence[Any]]) -> Iterator[T]:
        """Give the structs of a batch.

        Raises:
            KeyError: A column is missing.
            msgspec.ValidationError, msgspec.DecodeError: A value is none of its field's.
        """
        columns = {field.name: self._values(field, table) for field in self._fields}
        for values in zip(*columns.values(), strict=True):
            yield self._struct(**dict(zip(columns, values, strict=True)))

    @staticmethod
    def _values(field: _Column, table: Mapping[str, Sequence[Any]]) -> list[Any]:
        if field.is_json:
            values = [msgspec.json.decode(text, type=field.type) for text in table[field.name]]
        else:
            values = [msgspec.convert(value, field.type, strict=False) for value in table[field.name]]
        if not field.is_optional:
            return values
        known = table[f"has_{field.name}"]
        return [value if is_known else None for value, is_known in zip(values, known, strict=True)]


def _column(name: str, kind: Any) -> _Column:
    parts = [it for it in get_args(kind) if it is not type(None)]
    is_optional = get_origin(kind) in (Union, types.UnionType) and len(parts) == 1
    inner = parts[0] if is_optional else kind
    if isinstance(inner, type) and issubclass(inner, StrEnum):
        return _Column(name, inner, TEXT, is_optional, is_json=False)
    plain = _PLAIN.get(inner)
    return _Column(name, inner, TEXT if plain is None else plain, is_optional, is_json=plain is None)
