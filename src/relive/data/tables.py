"""Tables among the files of a data set: CSV, TSV, JSON lines and Parquet, row by row."""

import csv
import io
import json
from collections.abc import Iterator
from typing import IO, Any, Final, NamedTuple, Self

from relive.errors import InvalidInput, NotFound

CSV, JSONL, PARQUET = "csv", "jsonl", "parquet"
_KINDS: Final = {
    ".csv": CSV,
    ".tsv": CSV,
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".parquet": PARQUET,
}
_ROWS_A_BATCH: Final = 10_000
# A field of a CSV file; Python refuses more than 128 KiB by itself.
_LARGEST_FIELD: Final = 16 * 1024 * 1024


class Table(NamedTuple):
    """A table that is being read; a context manager that closes its file.

    Attributes:
        columns: Their names; of JSON lines those of the first row.
        rows: Column → value; texts from CSV, anything from the others.
    """

    kind: str
    columns: tuple[str, ...]
    rows: Iterator[dict[str, Any]]
    file: IO[Any]

    def __enter__(self) -> Self:
        """Give the table."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its file."""
        self.file.close()


def kind_of(path: str) -> str | None:
    """Say how a file of this name is read as a table; None if it is none."""
    return next((kind for ending, kind in _KINDS.items() if path.lower().endswith(ending)), None)


def open_table(path: str, file: IO[bytes]) -> Table:
    """Begin to read a table.

    Args:
        path: Its ending says the format.
        file: Its bytes; Parquet is sought in.

    Raises:
        InvalidInput: It is no such table; also while its rows are read.
        NotFound: `pyarrow` is not installed, which Parquet needs.
    """
    kind = kind_of(path)
    if kind == PARQUET:
        return _open_parquet(path, file)
    if kind is None:
        raise InvalidInput(field="table", value=path, wanted=f"a file that ends in {', '.join(_KINDS)}")
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        if kind == CSV:
            return _open_csv(path, text, "\t" if path.lower().endswith(".tsv") else ",")
        return _open_jsonl(path, text)
    except BaseException:
        text.close()
        raise


def _open_csv(path: str, text: IO[str], delimiter: str) -> Table:
    csv.field_size_limit(_LARGEST_FIELD)
    reader = csv.reader(text, delimiter=delimiter)
    try:
        columns = tuple(next(reader, []))
    except (csv.Error, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    return Table(CSV, columns, _csv_rows(path, reader, columns), text)


def _csv_rows(path: str, reader: Any, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    try:
        for row in reader:
            if row:
                yield dict(zip(columns, row, strict=False))
    except (csv.Error, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _open_jsonl(path: str, text: IO[str]) -> Table:
    rows = _jsonl_rows(path, text)
    first = next(rows, None)
    if first is None:
        return Table(JSONL, (), iter(()), text)
    return Table(JSONL, tuple(first), _with_first(first, rows), text)


def _with_first(first: dict[str, Any], rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield first
    yield from rows


def _jsonl_rows(path: str, text: IO[str]) -> Iterator[dict[str, Any]]:
    try:
        for line in text:
            if line.strip():
                row = json.loads(line)
                yield row if isinstance(row, dict) else {"value": row}
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error


def _open_parquet(path: str, file: IO[bytes]) -> Table:
    parquet = _pyarrow()
    try:
        opened = parquet.ParquetFile(file)
        return Table(PARQUET, tuple(opened.schema_arrow.names), _parquet_rows(path, opened), file)
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from error


def _parquet_rows(path: str, opened: Any) -> Iterator[dict[str, Any]]:
    try:
        for batch in opened.iter_batches(batch_size=_ROWS_A_BATCH):
            yield from batch.to_pylist()
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from error


def _pyarrow() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        hint = "pip install pyarrow    (files are compared as a whole without it)"
        raise NotFound(kind="package", name="pyarrow", hint=hint) from error
    return parquet


def _unreadable(path: str, error: Exception) -> InvalidInput:
    return InvalidInput(field="table", value=path, wanted=f"a table in UTF-8 that can be read ({error})")
