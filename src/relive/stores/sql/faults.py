"""What a driver raises, told in relive's errors: nothing of SQLAlchemy, sqlite3 or psycopg leaves the store.

Drivers are recognised by the codes their errors carry, so that the one not in use need not be imported.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import exc

from relive.errors import (
    Conflict,
    DatabaseBusy,
    DatabaseFailed,
    DatabaseUnreachable,
    InvalidInput,
    ReliveError,
    StoreFull,
)

# What a statement can raise besides the drivers' own errors: text or a number that the driver cannot send.
# And SQLite's own: a row is read when it is asked for, of the cursor itself where that is quicker.
_FOREIGN: Final = (exc.SQLAlchemyError, sqlite3.Error, UnicodeError, OverflowError)

_SQLITE_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_SQLITE_UNUSABLE: Final = {
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
_SQLITE_INVALID: Final = {sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_TOOBIG}
_SQLITE_CONFLICT: Final = {
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
}
# A full disk shows itself here when the shared-memory file beside the database cannot grow.
_SQLITE_FULL: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}

# PostgreSQL's SQLSTATEs: whole codes, or the two digits of a class (PostgreSQL's documentation, appendix A).
_STATES: Final[dict[str, type[ReliveError]]] = {
    "53100": StoreFull,
    "08": DatabaseUnreachable,
    "28": DatabaseUnreachable,
    "3D": DatabaseUnreachable,
    "53300": DatabaseUnreachable,
    "57P": DatabaseUnreachable,
    "58": DatabaseUnreachable,
    "XX": DatabaseUnreachable,
    "25P03": DatabaseBusy,
    "40": DatabaseBusy,
    "55P03": DatabaseBusy,
    "57014": DatabaseBusy,
    "23502": InvalidInput,
    "23514": InvalidInput,
    "22": InvalidInput,
    "54": InvalidInput,
    "23": Conflict,
}


@contextmanager
def translated(database: str) -> Iterator[None]:
    """Raise whatever a driver raises inside as one of relive's errors.

    Args:
        database: The database's address, without a password.
    """
    try:
        yield
    except _FOREIGN as error:
        raise translate(error, database) from error


def translate(error: Exception, database: str) -> ReliveError:
    """Give the error of relive's that says what happened."""
    if isinstance(error, exc.StatementError) and isinstance(error.orig, ReliveError):
        return error.orig  # a column type refused a value
    cause = error.orig if isinstance(error, exc.StatementError) and error.orig is not None else error
    kind = _kind(error, cause)
    reason = _one_line(cause)
    if kind is StoreFull:
        return StoreFull(where=f"the database {database}")
    if kind is Conflict:
        return Conflict(subject="the database", reason=reason)
    if kind is InvalidInput:
        return InvalidInput(field="a value", value=reason, wanted="what the database can keep")
    return kind(database, reason)


def _kind(error: Exception, cause: BaseException) -> type[ReliveError]:
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return next(
            (_STATES[code] for code in (state, state[:3], state[:2]) if code in _STATES), DatabaseFailed
        )
    if isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", None) is not None:
        return _kind_by_sqlite(cause.sqlite_errorcode)
    if isinstance(error, exc.TimeoutError):
        return DatabaseBusy  # no free connection in the pool
    if isinstance(error, exc.OperationalError | exc.InterfaceError):
        return DatabaseUnreachable  # psycopg gives no SQLSTATE where it has no connection
    if isinstance(error, exc.IntegrityError):
        return Conflict
    if isinstance(error, exc.DataError) or isinstance(
        cause, UnicodeError | OverflowError | TypeError | ValueError
    ):
        return InvalidInput
    return DatabaseFailed


def _kind_by_sqlite(code: int) -> type[ReliveError]:
    primary = code & 0xFF
    if code in _SQLITE_FULL:
        return StoreFull
    if primary in _SQLITE_BUSY:
        return DatabaseBusy
    if code in _SQLITE_CONFLICT:
        return Conflict
    if primary in _SQLITE_INVALID or primary == sqlite3.SQLITE_CONSTRAINT:
        return InvalidInput
    return DatabaseUnreachable if primary in _SQLITE_UNUSABLE else DatabaseFailed


def _one_line(cause: BaseException) -> str:
    return " ".join(str(cause).split()) or type(cause).__name__
