"""What a search asks for: conditions on fields, and the order of what fits.

    parse: `search_parser.parse_filter`, `parse_order`    what there is to search: `search_grammars`
    run:   `stores.sql.search`                            the language: docs/reference/search.md

What lacks a field fits no comparison with it, `!=` neither, as in MLflow; NOT turns any condition round.
"""

import re
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from relive.errors import InvalidInput

Value: TypeAlias = str | int | float | tuple[str, ...] | None

_PLAIN_KEY: Final = re.compile(r"\w+(?:\.\w+)*")


class Side(StrEnum):
    """Which kind of thing a field is."""

    ATTRIBUTE = "attribute"
    METRIC = "metric"
    PARAM = "parameter"
    TAG = "tag"
    DATASET = "dataset"
    # Of traces: see `trace_filter`.
    METADATA = "request_metadata"
    SPAN = "span"
    FEEDBACK = "feedback"
    EXPECTATION = "expectation"
    ISSUE = "issue"


class Field(msgspec.Struct, frozen=True):
    """What is compared, or sorted by: an attribute by its own name, whatever alias was typed."""

    side: Side
    key: str


class Comparison(msgspec.Struct, frozen=True, tag=True):
    """A field beside a value.

    Attributes:
        comparator: In capitals: =, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN, IS NULL, IS NOT NULL.
        value: Text, a number (a float for metrics), texts for IN and NOT IN, None for IS NULL.
    """

    field: Field
    comparator: str
    value: Value = None


class And(msgspec.Struct, frozen=True, tag=True):
    """All of these."""

    parts: "tuple[Condition, ...]"


class Or(msgspec.Struct, frozen=True, tag=True):
    """Any of these."""

    parts: "tuple[Condition, ...]"


class Not(msgspec.Struct, frozen=True, tag=True):
    """Whatever does not fit this."""

    part: "Condition"


Condition: TypeAlias = Comparison | And | Or | Not


class Order(msgspec.Struct, frozen=True):
    """A field to sort by."""

    field: Field
    ascending: bool = True


def conjuncts(condition: Condition | None) -> tuple[Condition, ...]:
    """Give what must all hold; nothing for no condition."""
    if condition is None:
        return ()
    return condition.parts if isinstance(condition, And) else (condition,)


def filter_text(condition: Condition) -> str:
    """Write a condition so that it is read as the same one.

    Raises:
        InvalidInput: A key or a value holds quotes of every kind; the language has no escapes.
    """
    match condition:
        case Comparison(field=field, comparator=comparator, value=value):
            return " ".join(filter(None, (field_text(field), comparator, _value_text(value))))
        case Not(part=part):
            return f"NOT ({filter_text(part)})"
        case And(parts=parts):
            return " AND ".join(f"({filter_text(part)})" for part in parts)
        case Or(parts=parts):
            return " OR ".join(f"({filter_text(part)})" for part in parts)


def order_text(order: Order) -> str:
    """Write a field to sort by so that it is read as the same one; raises as `filter_text`."""
    return f"{field_text(order.field)} {'ASC' if order.ascending else 'DESC'}"


def field_text(field: Field) -> str:
    """Write a field; raises as `filter_text`."""
    side = "params" if field.side is Side.PARAM else f"{field.side}s"
    key = field.key if _PLAIN_KEY.fullmatch(field.key) else _quoted(field.key, "`\"'")
    return f"{side}.{key}"


def _value_text(value: Value) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_listed, value))},)"
    if isinstance(value, str):
        return _quoted(value, "'\"")
    return "" if value is None else repr(value)


def _listed(text: str) -> str:
    """Write an item of a list, which is read as Python reads one.

    Before that it is cut as all text is, where a backslash may stand before the closing quote: it is named by
    its number.
    """
    return repr(text).replace("\\\\", "\\x5c")


def _quoted(text: str, quotes: str) -> str:
    for quote in quotes:
        # A backslash before the closing quote would be read as part of the text with it.
        if quote not in text and not text.endswith("\\"):
            return f"{quote}{text}{quote}"
    raise InvalidInput(field="text of a filter", value=text, wanted=f"text without one of {quotes}")
