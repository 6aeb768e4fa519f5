"""Zstandard: Python's own from 3.14 on, else its backport; imported with the first byte that needs it."""

import sys
from typing import Any, Final

from relive.errors import InvalidInput

# 500 MB/s of text a core; higher levels cost more processor than the room is worth.
LEVEL: Final = 1


def compress(data: bytes | bytearray | memoryview) -> bytes:
    """Compress bytes."""
    packed: bytes = _zstd().compress(data, level=LEVEL)
    return packed


def decompress(data: bytes | bytearray | memoryview, size_bytes: int) -> bytes:
    """Give the bytes that were compressed, which must be exactly so many: nothing larger is ever made.

    Raises:
        InvalidInput: They are not.
    """
    decompressor = _zstd().ZstdDecompressor()
    try:
        plain: bytes = decompressor.decompress(data, max_length=size_bytes + 1)
    except _zstd().ZstdError as error:
        raise InvalidInput(
            field="compressed bytes", value=len(data), wanted=f"Zstandard ({error})"
        ) from error
    if len(plain) != size_bytes or not decompressor.eof:
        raise InvalidInput(
            field="compressed bytes", value=len(plain), wanted=f"exactly {size_bytes} bytes inside"
        )
    return plain


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
