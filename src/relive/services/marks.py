"""The set of blobs that are referred to, in a file of its own: it may be larger than memory."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from relive.core.digest import PREFIX

_PREFIX: Final = "gc-"


class Marks:
    """Digests, each once; a document's own references are still to be read until it was `taken`.

    A context manager, for one thread at a time; nothing is left when it ends.

    Args:
        folder: Where there is room: 100 bytes for each blob.
    """

    def __init__(self, folder: Path) -> None:
        # There is one collection at a time: what else is here is of one that was killed.
        for left in folder.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder)
        self._db = sqlite3.connect(
            Path(self._folder.name) / "marks.db", isolation_level=None, check_same_thread=False
        )
        # What is lost in a crash is made anew by the next collection.
        for statement in (
            "PRAGMA journal_mode=OFF",
            "PRAGMA synchronous=OFF",
            "CREATE TABLE marks (hash BLOB PRIMARY KEY, is_open INTEGER) WITHOUT ROWID",
            "CREATE INDEX open ON marks (hash) WHERE is_open = 1",
        ):
            self._db.execute(statement)

    def __enter__(self) -> Self:
        """Begin with nothing."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the file."""
        self._db.close()
        self._folder.cleanup()

    def add(self, digests: Iterable[str], *, documents: bool) -> None:
        """Mark blobs.

        Args:
            digests: Which ones.
            documents: Whether they may refer to others.
        """
        rows = [(_raw(digest), int(documents)) for digest in digests]
        self._db.executemany(
            "INSERT INTO marks VALUES (?, ?) ON CONFLICT (hash) DO UPDATE SET is_open = 1"
            # 2: its references were read.
            " WHERE is_open = 0 AND excluded.is_open = 1",
            rows,
        )

    def take(self, limit: int = 100) -> list[str]:
        """Give documents whose references are still to be read, and count them as read."""
        rows = self._db.execute("SELECT hash FROM marks WHERE is_open = 1 LIMIT ?", (limit,)).fetchall()
        self._db.executemany("UPDATE marks SET is_open = 2 WHERE hash = ?", rows)
        return [PREFIX + raw.hex() for (raw,) in rows]

    def __contains__(self, digest: str) -> bool:
        """Tell whether a blob is marked."""
        return self._db.execute("SELECT 1 FROM marks WHERE hash = ?", (_raw(digest),)).fetchone() is not None

    def __len__(self) -> int:
        """Count the marks."""
        count: int = self._db.execute("SELECT count(*) FROM marks").fetchone()[0]
        return count


def _raw(digest: str) -> bytes:
    return bytes.fromhex(digest.removeprefix(PREFIX))
