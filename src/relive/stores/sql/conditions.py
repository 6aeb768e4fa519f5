"""Conditions of a search as SQL: how a column is compared, and how AND, OR and NOT join what is compared."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, or_

from relive.core.search import And, Comparison, Condition, Not, Or
from relive.errors import InvalidInput
from relive.stores.sql.engine import Database

Leaf = Callable[[Comparison], ColumnElement[bool]]


def where(condition: Condition, leaf: Leaf) -> ColumnElement[bool]:
    """Give a condition as SQL.

    Args:
        condition: What has to hold.
        leaf: Gives one comparison as SQL, which is never NULL: NOT would not turn it round.
    """
    match condition:
        case And(parts=parts):
            return and_(*(where(part, leaf) for part in parts))
        case Or(parts=parts):
            return or_(*(where(part, leaf) for part in parts))
        case Not(part=part):
            return not_(where(part, leaf))
        case Comparison():
            return leaf(condition)


def compare(database: Database, column: Any, comparator: str, value: Any) -> ColumnElement[bool]:
    """Compare a column with a value, the same on both databases: LIKE minds the case, ILIKE does not.

    Raises:
        InvalidInput: There is no such comparator.
    """
    if comparator in ("IN", "NOT IN"):
        return _truth(column.in_(value) if comparator == "IN" else column.not_in(value))
    if comparator == "LIKE":
        # SQLite's LIKE does not mind the case of ASCII letters; its GLOB has other wildcards.
        if database.is_sqlite:
            return _truth(column.bool_op("GLOB")(_glob(value)))
        return _truth(column.like(value, escape=""))
    if comparator == "ILIKE":
        escape = None if database.is_sqlite else ""
        return _truth(func.lower(column).like(_folded(value), escape=escape))
    operators: dict[str, Callable[[], ColumnElement[bool]]] = {
        "=": lambda: column == value,
        "!=": lambda: column != value,
        "<": lambda: column < value,
        "<=": lambda: column <= value,
        ">": lambda: column > value,
        ">=": lambda: column >= value,
    }
    if comparator not in operators:
        raise InvalidInput(field="comparator", value=comparator, wanted=", ".join(operators))
    return operators[comparator]()


def _truth(expression: Any) -> ColumnElement[bool]:
    """Say of an expression of a column without a type what it is."""
    found: ColumnElement[bool] = expression
    return found


def _folded(text: str) -> str:
    """Give ASCII letters without their case, which are those whose case the databases know."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def _glob(pattern: str) -> str:
    """Write a pattern of LIKE as one of GLOB: a bracket makes GLOB's own wildcards plain."""
    written = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(written.get(letter, letter) for letter in pattern)
