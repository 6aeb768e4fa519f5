"""Questions in SQL, read-only and bounded in time and in rows."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, exc

from relive.core.selection import Selection
from relive.errors import InvalidInput
from relive.stores.sql.guard import OPEN_TABLES, guarded, tables
from relive.stores.sql.part import StorePart

_STEPS_A_LOOK: Final = 10_000
_READING: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})


class SqlAsking(StorePart):
    """See `ports.stores.QuestionStore`."""

    def open_tables(self) -> dict[str, tuple[str, ...]]:
        return tables()

    def select(self, query: str, *, limit: int = 1000, timeout_s: float = 10.0) -> Selection:
        text = guarded(query, is_sqlite=self._db.is_sqlite)
        with (
            self._db.read(snapshot=not self._db.is_sqlite) as connection,
            self._bounded(connection, timeout_s),
        ):
            try:
                found = connection.exec_driver_sql(
                    text.replace("%", "%%") if not self._db.is_sqlite else text
                )
                rows = found.fetchmany(limit + 1)
            except exc.DBAPIError as error:
                raise _told(error, timeout_s) from error
        shown = tuple(tuple(row) for row in rows[:limit])
        return Selection(columns=tuple(found.keys()), rows=shown, truncated=len(rows) > limit)

    @contextmanager
    def _bounded(self, connection: Connection, timeout_s: float) -> Iterator[None]:
        if not self._db.is_sqlite:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(timeout_s * 1000)}")
            yield
            return
        driver: Any = connection.connection.driver_connection
        deadline = time.monotonic() + timeout_s
        driver.set_authorizer(_authorize)
        driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_A_LOOK)
        try:
            yield
        finally:
            driver.set_authorizer(None)
            driver.set_progress_handler(None, 0)


def _authorize(action: int, first: str | None, *_: str | None) -> int:
    """Let SQLite itself refuse whatever is no reading of an open table."""
    if action == sqlite3.SQLITE_READ:
        # A subquery reads from no table, a table expression from one that is named after it.
        is_secret = first in _CLOSED
        return sqlite3.SQLITE_DENY if is_secret else sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


def _closed() -> frozenset[str]:
    from relive.stores.sql.tables.base import METADATA

    return frozenset(METADATA.tables) - frozenset(OPEN_TABLES) | {"sqlite_master", "sqlite_schema"}


_CLOSED: Final = _closed()


def _told(error: exc.DBAPIError, timeout_s: float) -> InvalidInput:
    reason = str(error.orig).splitlines()[0]
    if "interrupted" in reason or "statement timeout" in reason:
        return InvalidInput(field="query", value="(too slow)", wanted=f"an answer within {timeout_s:g} s")
    return InvalidInput(
        field="query", value=reason, wanted="a question the database understands", hint="relive sql --tables"
    )
