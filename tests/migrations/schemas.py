"""What a database's schema is, as data that two databases can be compared by."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from sqlalchemy import Connection, text

Schema: TypeAlias = dict[str, Any]

_COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name,
           generation_expression
    FROM information_schema.columns WHERE table_schema = 'public'
"""
_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""
_INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
_SEQUENCES = (
    "SELECT sequencename, data_type::text, increment_by FROM pg_sequences WHERE schemaname = 'public'"
)


def schema_of(connection: Connection) -> Schema:
    """Give every table, column, constraint and index; the order of columns and constraints does not count."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return {name: sorted(_parts(sql)) for name, sql in rows}
    queries = {"columns": _COLUMNS, "constraints": _CONSTRAINTS, "indexes": _INDEXES, "sequences": _SEQUENCES}
    return {
        name: sorted(tuple(map(str, row)) for row in connection.execute(text(query)))
        for name, query in queries.items()
    }


def _parts(sql: str) -> Iterator[str]:
    """Give what a statement says of a table: a column that was added stands on no line of its own."""
    depth, part = 0, ""
    for letter in " ".join(sql.split()):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if (letter == "," and depth == 1) or (letter in "()" and depth == (letter == "(")):
            yield part.strip()
            part = ""
        else:
            part += letter
    yield part.strip()
