"""Parquet files of flat tables without missing values: plain pages, gzip, a row group a batch.

A library for it is 45 MB; a metric is four columns. What is written here every reader of Parquet reads; what
is read here is what is written here.

Source: https://github.com/apache/parquet-format (parquet.thrift, Encodings.md).
"""

import gzip
import struct
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from relive.errors import InvalidInput
from relive.formats.thrift import BINARY, I32, I64, LIST, STRUCT, Field, read_struct, write_struct

# Types of columns, as parquet.thrift numbers them.
INT64, DOUBLE, TEXT = 2, 5, 6
ROWS_A_GROUP: Final = 100_000

_MAGIC: Final = b"PAR1"
_GZIP: Final = 2
_PLAIN, _RLE = 0, 3
_REQUIRED: Final = 0
_UTF8: Final = 0
_LEVEL: Final = 4  # of gzip: half the time of its default for a tenth more bytes
_CODES: Final = {INT64: "q", DOUBLE: "d"}
_LENGTH: Final = struct.Struct("<I")


class ParquetWriter:
    """Write batches of rows; the file is whole after `close`.

    Args:
        file: Opened to write bytes.
        columns: Name to INT64, DOUBLE or TEXT.
    """

    def __init__(self, file: IO[bytes], columns: Mapping[str, int]) -> None:
        self._file = file
        self._columns = dict(columns)
        self._groups: list[list[Field]] = []
        self._rows = 0
        self._at = 0
        self._put(_MAGIC)

    def write(self, table: Mapping[str, Sequence[Any]]) -> None:
        """Write a batch of rows: columns of equal length by their names."""
        n_rows = len(next(iter(table.values())))
        if not n_rows:
            return
        began = self._at
        chunks = [self._write_column(name, kind, table[name]) for name, kind in self._columns.items()]
        self._groups.append([(1, LIST, (STRUCT, chunks)), (2, I64, self._at - began), (3, I64, n_rows)])
        self._rows += n_rows

    def close(self) -> None:
        """Write what makes the file whole; it is not closed."""
        root: list[Field] = [(4, BINARY, "schema"), (5, I32, len(self._columns))]
        leaves: list[list[Field]] = [
            [
                (1, I32, kind),
                (3, I32, _REQUIRED),
                (4, BINARY, name),
                *([(6, I32, _UTF8)] if kind == TEXT else []),
            ]
            for name, kind in self._columns.items()
        ]
        footer = write_struct(
            [
                (1, I32, 2),
                (2, LIST, (STRUCT, [root, *leaves])),
                (3, I64, self._rows),
                (4, LIST, (STRUCT, self._groups)),
                (6, BINARY, "relive"),
            ]
        )
        self._put(footer + _LENGTH.pack(len(footer)) + _MAGIC)

    def _write_column(self, name: str, kind: int, values: Sequence[Any]) -> list[Field]:
        page = _encode(kind, values)
        packed = gzip.compress(page, _LEVEL, mtime=0)
        facts: list[Field] = [(1, I32, len(values)), (2, I32, _PLAIN), (3, I32, _RLE), (4, I32, _RLE)]
        head = write_struct([(1, I32, 0), (2, I32, len(page)), (3, I32, len(packed)), (5, STRUCT, facts)])
        began = self._at
        self._put(head + packed)
        meta: list[Field] = [
            (1, I32, kind),
            (2, LIST, (I32, [_PLAIN, _RLE])),
            (3, LIST, (BINARY, [name])),
            (4, I32, _GZIP),
            (5, I64, len(values)),
            (6, I64, len(head) + len(page)),
            (7, I64, len(head) + len(packed)),
            (9, I64, began),
        ]
        return [(2, I64, began), (3, STRUCT, meta)]

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._at += len(data)


def read_parquet(path: Path) -> Iterator[dict[str, Sequence[Any]]]:
    """Give the batches of a file that `ParquetWriter` wrote.

    Raises:
        InvalidInput: It is no Parquet file, or one with what is not written here.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        yield from _read_groups(data)
    except (InvalidInput, struct.error, KeyError, OSError, EOFError, ValueError) as error:
        wanted = f"a Parquet file as `relive export` writes it ({error})"
        raise InvalidInput(field="file", value=str(path), wanted=wanted) from error


def _read_groups(data: bytes) -> Iterator[dict[str, Sequence[Any]]]:
    if data[:4] != _MAGIC or data[-4:] != _MAGIC:
        raise ValueError("it does not begin and end as one")
    (length,) = _LENGTH.unpack_from(data, len(data) - 8)
    footer, _ = read_struct(data, len(data) - 8 - length)
    for group in footer.get(4, []):
        yield dict(_read_column(data, chunk[3]) for chunk in group[1])


def _read_column(data: bytes, meta: Mapping[int, Any]) -> tuple[str, Sequence[Any]]:
    if meta[4] != _GZIP or len(meta[3]) != 1:
        raise ValueError("another codec, or a column within a column")
    head, at = read_struct(data, meta[9])
    if head[1] != 0 or head[5][2] != _PLAIN or head[5][1] != meta[5]:
        raise ValueError("another kind of page")
    page = gzip.decompress(data[at : at + head[3]])
    return meta[3][0].decode(), _decode(meta[1], page, meta[5])


def _encode(kind: int, values: Sequence[Any]) -> bytes:
    if kind == TEXT:
        texts = [value.encode("utf-8", "replace") for value in values]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    column = array(_CODES[kind], values)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _decode(kind: int, page: bytes, count: int) -> Sequence[Any]:
    if kind != TEXT:
        column = array(_CODES[kind], page)
        if sys.byteorder == "big":
            column.byteswap()
        return column
    texts, at = [], 0
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(page, at)
        at += _LENGTH.size
        texts.append(page[at : at + length].decode())
        at += length
    return texts
