"""The metadata that all tables join, and the few kinds of column they are made of."""

from enum import StrEnum
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Index, MetaData, Table, TextClause, event

from relive.stores.sql.columns import (
    FLOAT,
    LONGEST_KEY_BYTES,
    WHOLE,
    Choice,
    Flag,
    Json,
    OptionalWords,
    Words,
)

# Constraints need names that a migration can drop them by.
METADATA = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)


def table(called: str, *parts: Any, rowid: bool = True, autoincrement: bool = False) -> Table:
    """Make a table.

    Args:
        called: Its name.
        parts: Columns, constraints, indexes.
        rowid: False makes SQLite's table its primary key's index, which is what narrow tables want.
        autoincrement: SQLite never gives a number twice, as PostgreSQL does not.
    """
    # STRICT: SQLite keeps any value in any column otherwise.
    return Table(
        called,
        METADATA,
        *parts,
        sqlite_strict=True,
        sqlite_with_rowid=rowid,
        sqlite_autoincrement=autoincrement,
    )


def key(called: str = "id") -> Column[str]:
    """Make a column of text that is the primary key, or a part of it."""
    return Column(called, Words(called, LONGEST_KEY_BYTES), primary_key=True)


def name(called: str, *parts: Any, unique: bool = False) -> Column[str]:
    """Make a column of text that an index holds, so that its length is limited."""
    return Column(called, Words(called, LONGEST_KEY_BYTES), *parts, nullable=False, unique=unique or None)


def text(called: str) -> Column[str]:
    """Make a column of text of any length."""
    return Column(called, Words(called), nullable=False)


def later(called: str) -> Column[str]:
    """Make a column of text that a table got after it had rows: empty in those."""
    return Column(called, OptionalWords(called, None), nullable=True)


def choice(called: str, choices: type[StrEnum], *, nullable: bool = False) -> Column[Any]:
    """Make a column that holds one word of an enum."""
    return Column(called, Choice(choices), nullable=nullable)


def json(called: str, type_: Any = dict[str, Any], *, nullable: bool = False) -> Column[Any]:
    """Make a column of JSON that is read back as `type_`."""
    return Column(called, Json(type_), nullable=nullable)


def flag(called: str) -> Column[bool]:
    """Make a column that is true or false."""
    return Column(called, Flag, nullable=False)


def whole(called: str, *, nullable: bool = False) -> Column[int]:
    """Make a column of whole numbers."""
    return Column(called, WHOLE, nullable=nullable)


def serial(called: str) -> Column[int]:
    """Make a primary key that counts up by itself."""
    return Column(called, WHOLE, primary_key=True)


def part(called: str, type_: Any = WHOLE) -> Column[Any]:
    """Make a number that is a part of the primary key and does not count by itself."""
    return Column(called, type_, primary_key=True, autoincrement=False)


def real(called: str, *, nullable: bool = False) -> Column[float]:
    """Make a column of numbers; times are seconds since the epoch, UTC."""
    return Column(called, FLOAT, nullable=nullable)


def span() -> tuple[Column[float], ...]:
    """Make the three times of what is created, started and ended."""
    return real("created_at"), real("started_at", nullable=True), real("ended_at", nullable=True)


def partial_on_postgres(of: Table, index: Index, where: ColumnElement[bool] | TextClause) -> None:
    """Make an index of a table partial on PostgreSQL, too.

    Said where the index is made, `postgresql_where` would import PostgreSQL's dialect for everyone, which
    takes a fifth of a second.
    """

    @event.listens_for(of, "before_create")
    def _say(_table: Table, connection: Connection, **_options: Any) -> None:
        if connection.dialect.name == "postgresql":
            index.dialect_options["postgresql"]["where"] = where
