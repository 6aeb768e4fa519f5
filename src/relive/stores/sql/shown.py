"""A param as the text that people see, for what is kept as JSON: in SQL, as an index holds it, and in Python.

PostgreSQL has no text with NUL in it, and SQLite's JSON functions end there, so both have U+0001 in its
place. Only the order of two values that differ in nothing else is touched by that.
"""

from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, func, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from relive.core.digest import canonical_json
from relive.stores.sql.columns import TEXT

# Of a param's or a tag's value; a search compares these first, and then the rest of it.
INDEXED_LETTERS: Final = 200
# Written out, as in the index: a parameter would be another expression.
_FIRST: Final[Any] = literal_column("1")
_LETTERS: Final[Any] = literal_column(str(INDEXED_LETTERS))
_BEHIND: Final[Any] = literal_column(str(INDEXED_LETTERS + 1))

# Nearly no value has a backslash: only those that have are read as JSON.
_SHOWN: Final = (
    "CASE WHEN substr({0}, 1, 1) <> '\"' THEN {0}"
    " WHEN {1}({0}, '\\') = 0 THEN substr({0}, 2, length({0}) - 2) ELSE {2} END"
)
_WITHOUT_NUL: Final = "replace({0}, '\\u0000', '\\u0001')"


class Shown(FunctionElement[str]):
    """The text that a column of JSON shows: a string without quotes and escapes, all else as it is."""

    type = TEXT
    inherit_cache = True
    name = "shown"


@compiles(Shown)
def _in_sqlite(element: Shown, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(element.clauses, **options)
    text = f"json_extract({_WITHOUT_NUL.format(value)}, '$')"
    return f"({_SHOWN.format(value, 'instr', text)})"


@compiles(Shown, "postgresql")
def _in_postgres(element: Shown, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(element.clauses, **options)
    # Text out of JSON would be compared by the server's language, all else is by bytes.
    text = f"(CAST({_WITHOUT_NUL.format(value)} AS JSONB) #>> '{{}}') COLLATE \"C\""
    return f"({_SHOWN.format(value, 'strpos', text)})"


def beginning(text: Any) -> ColumnElement[str]:
    """Give the letters of a text that an index holds."""
    return func.substr(text, _FIRST, _LETTERS, type_=TEXT)


def behind_beginning(text: Any) -> ColumnElement[str]:
    """Give the letters of a text behind those that an index holds."""
    return func.substr(text, _BEHIND, type_=TEXT)


def as_shown(text: str) -> str:
    """Give a text that people see as `Shown` has it."""
    if "\0" not in text and "\\u0000" not in text:
        return text
    shown: str = msgspec.json.decode(canonical_json(text).replace(b"\\u0000", b"\\u0001"))
    return shown
