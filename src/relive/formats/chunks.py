"""Cutting large files where their content says so: an edit changes the pieces around it, and no others.

Source: Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage
Systems", IEEE TPDS 2020 (FastCDC), as `pyfastcdc` has it.
"""

from collections.abc import Iterator
from typing import IO, Any, Final

# Sizes of a piece. Smaller ones store less of an edit and need a larger layout: 2 GiB are 6,500 pieces.
SMALLEST: Final = 64 * 1024
AVERAGE: Final = 256 * 1024
LARGEST: Final = 1024 * 1024
# Read at once: a piece is never cut by its end, as what is left is cut again with what follows.
_WINDOW_BYTES: Final = 16 * 1024 * 1024


def cut(file: IO[bytes]) -> Iterator[tuple[memoryview, list[memoryview]]]:
    """Read a file to its end, and give it as windows, each with the pieces that end in it.

    The windows without overlap are the file; so are the pieces. Both are valid until the next window.

    Args:
        file: Opened to read bytes, without a buffer of its own.
    """
    chunker = _chunker()
    buffer = bytearray(_WINDOW_BYTES + LARGEST)
    view = memoryview(buffer)
    kept = 0  # bytes at the beginning that are in no piece yet
    while True:
        n_read = _fill(file, view[kept : kept + _WINDOW_BYTES])
        is_end = n_read < _WINDOW_BYTES
        window = view[: kept + n_read]
        pieces, done = _cut_window(chunker, window, is_end=is_end)
        yield window[kept:], pieces
        if is_end:
            return
        kept = len(window) - done
        view[:kept] = bytes(window[done:])


def _cut_window(chunker: Any, window: memoryview, *, is_end: bool) -> tuple[list[memoryview], int]:
    """Give the pieces that are settled, and where the rest begins."""
    pieces: list[memoryview] = []
    done = 0
    for chunk in chunker.cut_buf(window):
        # The end of the window must not be a reason to cut.
        if not is_end and chunk.offset + LARGEST > len(window):
            break
        done = chunk.offset + chunk.length
        pieces.append(window[chunk.offset : done])
    return pieces, done


def _fill(file: IO[bytes], view: memoryview) -> int:
    n_read = 0
    while n_read < len(view) and (more := file.readinto(view[n_read:])):  # type: ignore[attr-defined]
        n_read += more
    return n_read


def _chunker() -> Any:
    # Late: only who adds or compares large files needs it.
    from pyfastcdc import FastCDC

    return FastCDC(avg_size=AVERAGE, min_size=SMALLEST, max_size=LARGEST)
