"""Thrift's compact protocol, as far as Parquet's metadata needs it.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

import struct
from typing import Any, Final

from relive.errors import InvalidInput

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
_TRUE, _FALSE, _BYTE, _I16, _DOUBLE, _SET, _MAP = 1, 2, 3, 4, 7, 10, 11
_SHORT: Final = 15
_DEEPEST: Final = 32

Field = tuple[int, int, Any]
"""Number, type, value; a list's value is (type of its elements, elements), a struct's is its fields."""


def write_struct(fields: list[Field]) -> bytes:
    """Write a struct of fields in the order of their numbers."""
    found, last = bytearray(), 0
    for number, kind, value in fields:
        found.append((number - last) << 4 | kind)
        found += _write_value(kind, value)
        last = number
    return bytes(found) + b"\0"


def read_struct(data: bytes, at: int = 0) -> tuple[dict[int, Any], int]:
    """Read a struct: field number to value, and where it ends.

    Raises:
        InvalidInput: The bytes are none.
    """
    try:
        return _read_struct(data, at, 0)
    except (IndexError, struct.error, RecursionError) as error:
        raise InvalidInput(field="metadata", value=str(error), wanted="Thrift's compact protocol") from error


def _write_value(kind: int, value: Any) -> bytes:
    if kind in (I32, I64):
        return _write_varint((value << 1) ^ (value >> 63))
    if kind == BINARY:
        data = value.encode() if isinstance(value, str) else value
        return _write_varint(len(data)) + bytes(data)
    if kind == LIST:
        element, items = value
        size = len(items)
        head = (
            bytes([size << 4 | element]) if size < _SHORT else bytes([0xF0 | element]) + _write_varint(size)
        )
        return head + b"".join(_write_value(element, item) for item in items)
    return write_struct(value)


def _write_varint(value: int) -> bytes:
    found = bytearray()
    value &= 0xFFFFFFFFFFFFFFFF
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _read_struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    if depth > _DEEPEST:
        raise IndexError("too deep")
    found: dict[int, Any] = {}
    number = 0
    while data[at]:
        head, at = data[at], at + 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _read_whole(data, at)
        found[number], at = _read_value(data, at, head & 15, depth)
    return found, at + 1


def _read_value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in (_I16, I32, I64):
        return _read_whole(data, at)
    if kind == _BYTE:
        return data[at], at + 1
    if kind == _DOUBLE:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind == BINARY:
        size, at = _read_varint(data, at)
        return data[at : at + size], at + size
    if kind in (LIST, _SET):
        return _read_list(data, at, depth)
    if kind == STRUCT:
        return _read_struct(data, at, depth + 1)
    raise IndexError(f"type {kind}")


def _read_list(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    head, at = data[at], at + 1
    size = head >> 4
    if size == _SHORT:
        size, at = _read_varint(data, at)
    items = []
    for _ in range(size):
        item, at = _read_value(data, at, head & 15, depth)
        items.append(item)
    return items, at


def _read_whole(data: bytes, at: int) -> tuple[int, int]:
    value, at = _read_varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
