"""Bare SQLite with the store's durability: what the tables and the disk cost without anything around them."""

import sqlite3
import tempfile
import time
from pathlib import Path
from weakref import finalize

from relive.stores.sql.store import SqlStore, open_store


class Folder:
    """A folder that goes with the benchmark that made it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="relive-bench-")
        self.path = Path(self._folder.name)
        self._cleanup = finalize(self, self._folder.cleanup)

    def store(self) -> SqlStore:
        """Open a store in it."""
        return open_store(f"sqlite:///{self.path / 'relive.db'}")


def connect(folder: Folder, *tables: str) -> sqlite3.Connection:
    """Open a bare database in a folder, as durable as the store's."""
    connection = sqlite3.connect(folder.path / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    for table in tables:
        connection.execute(table)
    return connection


class PointsFloor:
    """Points in a table as narrow as the store's, and nothing else: no run, no fence, no summary."""

    def __init__(self, folder: Folder) -> None:
        self._connection = connect(
            folder,
            "CREATE TABLE points (series INTEGER, step INTEGER, at REAL, value REAL, is_nan INTEGER,"
            " PRIMARY KEY (series, step, at, value, is_nan)) WITHOUT ROWID",
        )
        self._step = 0

    def add(self, count: int) -> None:
        """Write so many points in one transaction."""
        at = time.time()
        rows = [(1, self._step + number, at, 0.5, 0) for number in range(count)]
        self._step += count
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?)", rows)
        self._connection.execute("COMMIT")


class QueueFloor:
    """A lease table with one statement a call, as small as it can be."""

    def __init__(self, folder: Folder) -> None:
        self._connection = connect(
            folder,
            "CREATE TABLE jobs (id INTEGER PRIMARY KEY, payload TEXT, state TEXT, fence INTEGER, until REAL)",
            "CREATE INDEX ready ON jobs (state, id)",
        )

    def put(self) -> None:
        """Queue a job."""
        self._connection.execute(
            "INSERT INTO jobs (payload, state, fence, until) VALUES ('{}', 'queued', 0, 0)"
        )

    def work(self) -> None:
        """Claim a job and end it."""
        job, fence = self._connection.execute(
            "UPDATE jobs SET state = 'running', fence = fence + 1, until = ? WHERE id ="
            " (SELECT id FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 1) RETURNING id, fence",
            (time.time() + 30,),
        ).fetchone()
        self._connection.execute(
            "UPDATE jobs SET state = 'done' WHERE id = ? AND fence = ? AND state = 'running'", (job, fence)
        )
