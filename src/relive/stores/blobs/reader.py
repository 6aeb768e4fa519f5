"""A file to read and seek in, over a store that gives bytes by range."""

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class ChunkReader(io.RawIOBase):
    """Reads on in one stream as long as nobody seeks; a seek begins another.

    Args:
        chunks: Gives the bytes from a position to the end, in pieces.
        size_bytes: How many there are in all.
    """

    def __init__(self, chunks: Callable[[int], Iterator[bytes]], size_bytes: int) -> None:
        self._chunks = chunks
        self._size_bytes = size_bytes
        self._position = 0
        self._stream: Iterator[bytes] | None = None
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        position = base + offset
        if position < 0:
            raise ValueError(f"cannot seek to {position}")
        if position != self._position:
            self._position, self._stream, self._rest = position, None, memoryview(b"")
        return position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if not self._rest and self._position < self._size_bytes:
            if self._stream is None:
                self._stream = self._chunks(self._position)
            self._rest = memoryview(next(self._stream, b""))
        target = memoryview(buffer).cast("B")
        n_bytes = min(len(target), len(self._rest))
        target[:n_bytes] = self._rest[:n_bytes]
        self._rest = self._rest[n_bytes:]
        self._position += n_bytes
        return n_bytes
