"""What differs between two versions: files by their digests, rows by their content.

Rows are compared as a set by hash, in parts that fit into memory however large the tables are. With a key,
rows of the same key and other content are changed; without one they are removed and added.
"""

import json
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

import msgspec
from blake3 import blake3

from relive.core.artifact import Manifest, ManifestEntry
from relive.data.tables import Table, kind_of, open_table
from relive.errors import InvalidInput, NotFound

_PARTS: Final = 32
_PART_BYTES: Final = 2 * 1024 * 1024  # beyond that a part lies in a temporary file
_HASH_BYTES: Final = 16
_ROW: Final = struct.Struct("16s16s")
_MOST_EXAMPLES: Final = 5

Opener = Callable[[ManifestEntry], IO[bytes]]


class RowDiff(msgspec.Struct, omit_defaults=True):
    """How the rows of a table differ.

    Attributes:
        changed: Rows of the same key with other content; always 0 without a key.
        columns_added: Columns that only the second has; rows are compared by those of both.
        examples: "added", "removed", "changed" → the first rows; of changed ones those of the second.
        note: Why rows could not be compared.
    """

    added: int = 0
    removed: int = 0
    changed: int = 0
    same: int = 0
    key: tuple[str, ...] = ()
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    examples: dict[str, list[dict[str, Any]]] = {}
    note: str = ""


class FileDiff(msgspec.Struct, omit_defaults=True):
    """A file of both with other bytes; `rows` for a table."""

    path: str
    size_before: int
    size_after: int
    rows: RowDiff | None = None


class DataDiff(msgspec.Struct):
    """How two versions differ; `moved` is (from, to) of files that only changed their path."""

    added: list[str] = []
    removed: list[str] = []
    moved: list[tuple[str, str]] = []
    changed: list[FileDiff] = []
    same: int = 0

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing differs."""
        return not (self.added or self.removed or self.moved or self.changed)


def diff_files(before: Manifest, after: Manifest) -> DataDiff:
    """Compare by path and digest; no byte is read."""
    one = {entry.path: entry for entry in before.entries}
    two = {entry.path: entry for entry in after.entries}
    result = DataDiff()
    gone = {path: entry for path, entry in one.items() if path not in two}
    new = {path: entry for path, entry in two.items() if path not in one}
    by_digest = {entry.digest: path for path, entry in gone.items() if entry.size_bytes}
    for path, entry in new.items():
        source = by_digest.pop(entry.digest, None)
        if source is None:
            result.added.append(path)
        else:
            result.moved.append((source, path))
    moved = {source for source, _ in result.moved}
    result.removed = [path for path in gone if path not in moved]
    for path in one.keys() & two.keys():
        if one[path] == two[path]:
            result.same += 1
        else:
            result.changed.append(FileDiff(path, one[path].size_bytes, two[path].size_bytes))
    result.changed.sort(key=lambda it: it.path)
    return result


def diff_rows(
    entries: tuple[ManifestEntry, ManifestEntry], openers: tuple[Opener, Opener], key: Sequence[str] = ()
) -> RowDiff:
    """Compare two tables row by row.

    Args:
        entries: The file before and after.
        openers: Open their bytes.
        key: Columns that tell which row it is; none for the whole row.

    Raises:
        InvalidInput: A key is no column of both.
    """
    try:
        with _tables(entries, openers) as (before, after):
            common = [name for name in before.columns if name in after.columns]
            result = RowDiff(
                key=tuple(key),
                columns_added=tuple(name for name in after.columns if name not in before.columns),
                columns_removed=tuple(name for name in before.columns if name not in after.columns),
            )
            _check_key(key, common)
            parts = _parts(before, common, key), _parts(after, common, key)
        found = _compare(*parts, result, by_key=bool(key))
        with _tables(entries, openers) as (before, after):
            result.examples = _examples(before, after, common, key, found)
    except NotFound as error:
        return RowDiff(note=str(error))
    return result


@contextmanager
def _tables(
    entries: tuple[ManifestEntry, ManifestEntry], openers: tuple[Opener, Opener]
) -> Iterator[tuple[Table, Table]]:
    with (
        open_table(entries[0].path, openers[0](entries[0])) as before,
        open_table(entries[1].path, openers[1](entries[1])) as after,
    ):
        yield before, after


def is_table(path: str) -> bool:
    """Tell whether rows of a file can be compared."""
    return kind_of(path) is not None


def _check_key(key: Sequence[str], columns: Sequence[str]) -> None:
    for name in key:
        if name not in columns:
            raise InvalidInput(field="key", value=name, wanted=f"a column of both: {', '.join(columns[:50])}")


def _parts(table: Table, columns: Sequence[str], key: Sequence[str]) -> list[IO[bytes]]:
    """Spread the hashes of keys and rows over parts, by the key's hash."""
    # Closed by who reads them.
    parts: list[IO[bytes]] = [SpooledTemporaryFile(max_size=_PART_BYTES) for _ in range(_PARTS)]  # noqa: SIM115
    for row in table.rows:
        key_hash, row_hash = _hashes(row, columns, key)
        parts[key_hash[0] % _PARTS].write(_ROW.pack(key_hash, row_hash))
    return parts


def _hashes(row: dict[str, Any], columns: Sequence[str], key: Sequence[str]) -> tuple[bytes, bytes]:
    row_hash = _hash(row, columns)
    return (_hash(row, key) if key else row_hash), row_hash


def _hash(row: dict[str, Any], names: Sequence[str]) -> bytes:
    text = json.dumps([row.get(name) for name in names], sort_keys=True, default=str)
    return blake3(text.encode("utf-8", "surrogatepass")).digest(length=_HASH_BYTES)


def _compare(
    before: list[IO[bytes]], after: list[IO[bytes]], result: RowDiff, *, by_key: bool
) -> dict[str, set[bytes]]:
    """Count what differs part by part; gives the key hashes of the first few of each kind."""
    found: dict[str, set[bytes]] = {"added": set(), "removed": set(), "changed": set()}
    for one, two in zip(before, after, strict=True):
        old, new = _counted(one), _counted(two)
        same = old & new
        gone, come = old - same, new - same
        result.same += same.total()
        if by_key:
            changed = _changed(gone, come)
            result.changed += sum(changed.values())
            _note(found["changed"], changed)
        result.removed += gone.total()
        result.added += come.total()
        _note(found["removed"], [key for key, _ in gone])
        _note(found["added"], [key for key, _ in come])
    return found


def _counted(part: IO[bytes]) -> Counter[tuple[bytes, bytes]]:
    with part:
        part.seek(0)
        return Counter(_ROW.iter_unpack(part.read()))


def _changed(gone: Counter[tuple[bytes, bytes]], come: Counter[tuple[bytes, bytes]]) -> dict[bytes, int]:
    """Take rows of the same key out of both, and count them."""
    by_key: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for pair in gone.elements():
        by_key.setdefault(pair[0], []).append(pair)
    changed: dict[bytes, int] = {}
    for pair in list(come.elements()):
        if by_key.get(pair[0]):
            gone[by_key[pair[0]].pop()] -= 1
            come[pair] -= 1
            changed[pair[0]] = changed.get(pair[0], 0) + 1
    for counter in (gone, come):
        counter += Counter()  # drops what has come to nothing
    return changed


def _note(into: set[bytes], keys: Any) -> None:
    for key in keys:
        if len(into) >= _MOST_EXAMPLES:
            return
        into.add(key)


def _examples(
    before: Table, after: Table, columns: Sequence[str], key: Sequence[str], found: dict[str, set[bytes]]
) -> dict[str, list[dict[str, Any]]]:
    """Read again for the rows behind the hashes."""
    removed = _rows_of(before, columns, key, {"removed": found["removed"]})
    others = {kind: found[kind] for kind in ("added", "changed")}
    return removed | _rows_of(after, columns, key, others)


def _rows_of(
    table: Table, columns: Sequence[str], key: Sequence[str], wanted: dict[str, set[bytes]]
) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind, hashes in wanted.items() if hashes}
    if not rows:
        return rows
    for row in table.rows:
        key_hash, _ = _hashes(row, columns, key)
        for kind, some in rows.items():
            if key_hash in wanted[kind] and len(some) < _MOST_EXAMPLES:
                some.append(row)
        if all(len(some) >= len(wanted[kind]) for kind, some in rows.items()):
            break
    return rows
