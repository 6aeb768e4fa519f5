"""Files as other trackers write them, made by hand: Protocol Buffers, TensorFlow's frames, LevelDB's log."""

import struct
from pathlib import Path


def varint(value: int) -> bytes:
    """Encode a whole number."""
    value &= 0xFFFFFFFFFFFFFFFF
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, value: object) -> bytes:
    """Encode one field: a whole number, a float (64 bits), a text or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]
    return varint(number << 3 | 2) + varint(len(data)) + data


def float32(number: int, value: float) -> bytes:
    """Encode a field of 32 bits."""
    return varint(number << 3 | 5) + struct.pack("<f", value)


def event(step: int, at: float, *values: bytes) -> bytes:
    """Make a TensorBoard event of values."""
    return field(1, at) + field(2, step) + field(5, b"".join(field(1, value) for value in values))


def scalar(tag: str, value: float) -> bytes:
    """Make a scalar as TensorBoard's first API writes it."""
    return field(1, tag) + float32(2, value)


def tensor(tag: str, plugin: str, *parts: bytes) -> bytes:
    """Make a value as TensorFlow 2 writes it."""
    return field(1, tag) + field(8, b"".join(parts)) + field(9, field(1, field(1, plugin)))


def write_events(path: Path, events: list[bytes]) -> None:
    """Write an event file; the checksums are not those of the data, which nobody checks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = (struct.pack("<QI", len(it), 0) + it + bytes(4) for it in events)
    path.write_bytes(b"".join(frames))


def items(number: int, values: dict[str, str]) -> bytes:
    """Make W&B's items of name and JSON."""
    return b"".join(field(number, field(1, name) + field(16, text)) for name, text in values.items())


def write_wandb(path: Path, records: list[bytes]) -> None:
    """Write an offline file of W&B: records cut where blocks of 32 KiB end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = bytearray(b":W&B" + struct.pack("<HB", 0xBEE1, 0))
    for record in records:
        rest, is_first = record, True
        while is_first or rest:
            left = 32768 - len(data) % 32768
            if left < 7:
                data += bytes(left)
                continue
            piece, rest = rest[: left - 7], rest[left - 7 :]
            kind = (1 if not rest else 2) if is_first else (4 if not rest else 3)
            data += struct.pack("<IHB", 0, len(piece), kind) + piece
            is_first = False
    path.write_bytes(bytes(data))
