"""The wire format of Protocol Buffers, read without anybody's schema: numbers of fields and their values."""

import struct
from collections.abc import Iterator
from typing import Final

from relive.errors import InvalidInput

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
_LONGEST_VARINT: Final = 10

Value = int | bytes


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Give (number, value) of each field: a whole number, or bytes (also of fixed numbers).

    Raises:
        InvalidInput: The bytes are no message.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        value: Value
        if kind == VARINT:
            value, at = _varint(data, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
            value, at = data[at : at + size], at + size
        elif kind == BYTES:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise _broken(f"kind of field {kind}")
        if at > end:
            raise _broken("its end is missing")
        yield tag >> 3, value


def texts(data: bytes, number: int) -> list[str]:
    """Give the texts of a field."""
    return [
        value.decode(errors="replace")
        for key, value in fields(data)
        if key == number and isinstance(value, bytes)
    ]


def first(data: bytes, number: int) -> bytes:
    """Give the bytes of a field, the last one of several as the format has it; empty if there is none."""
    found = [value for key, value in fields(data) if key == number and isinstance(value, bytes)]
    return found[-1] if found else b""


def whole(data: bytes, number: int) -> int:
    """Give the whole number of a field; 0 if there is none."""
    found = [value for key, value in fields(data) if key == number and isinstance(value, int)]
    return signed(found[-1]) if found else 0


def signed(value: int) -> int:
    """Give a whole number of 64 bits with its sign."""
    return value - (1 << 64) if value >> 63 else value


def floats(data: bytes) -> tuple[float, ...]:
    """Give packed 32-bit numbers."""
    return struct.unpack(f"<{len(data) // 4}f", data[: len(data) // 4 * 4])


def doubles(data: bytes) -> tuple[float, ...]:
    """Give packed 64-bit numbers."""
    return struct.unpack(f"<{len(data) // 8}d", data[: len(data) // 8 * 8])


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        if at >= len(data):
            raise _broken("its end is missing")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise _broken("a number of more than 64 bits")


def _broken(why: str) -> InvalidInput:
    return InvalidInput(field="message", value=why, wanted="a Protocol Buffers message")
