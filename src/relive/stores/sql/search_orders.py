"""What runs are sorted by, as keys of a keyset, and the parts that such an order falls into.

Runs with a value come before those whose value is NaN, these before those without one; so an order is walked
in up to three parts, each of which an index may give in its order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, case, func, literal

from relive.core.search import Order, Side
from relive.stores.sql.columns import TEXT
from relive.stores.sql.keyset import Key
from relive.stores.sql.search_fields import SHOWN_TAGS, TEXTS, TIMES, RunFields
from relive.stores.sql.tables.runs import metric_series, params, runs, tags

_HAS, _NAN, _MISSING = 0, 1, 2
_MAY_BE_MISSING: Final = {"end_time", "started_at", "ended_at"}


@dataclass(frozen=True)
class Term:
    """One order, ready to be sorted by.

    Attributes:
        value: Its value; NULL for NaN and if it is missing.
        rank: Whether it has a value, is NaN or is missing; None if it always has one.
        ascending: Its direction.
        is_text: Whether the value is text.
        joined: The table that it is looked up in, and how that joins runs.
    """

    value: Any
    rank: Any = None
    ascending: bool = True
    is_text: bool = False
    joined: tuple[Any, ColumnElement[bool]] | None = None

    @property
    def keys(self) -> list[Key]:
        """Give it as keys that are never NULL."""
        if self.rank is None:
            return [Key(self.value, self.ascending, self.is_text)]
        nothing = literal("", TEXT) if self.is_text else literal(0.0)
        return [Key(self.rank), Key(func.coalesce(self.value, nothing), self.ascending, self.is_text)]

    @property
    def plain(self) -> Key:
        """Give its value as a key, for rows that have one."""
        return Key(self.value, self.ascending, self.is_text)


@dataclass(frozen=True)
class Part:
    """Runs that stand together in an order.

    Attributes:
        keys: What they are sorted by among themselves.
        before: What all of them have in the keys in front of those.
        where: What makes a run one of them.
        joins: Tables to join, and whether a run without a row there stays.
    """

    keys: Sequence[Key]
    before: tuple[Any, ...] = ()
    where: tuple[ColumnElement[bool], ...] = ()
    joins: tuple[tuple[Any, ColumnElement[bool], bool], ...] = field(default=())


def term_of(order: Order, fields: RunFields) -> Term:
    """Give an order of runs as something to sort by."""
    side, key = order.field.side, order.field.key
    if side is Side.TAG and key in SHOWN_TAGS:
        shown = SHOWN_TAGS[key]
        return Term(shown, case((shown.is_(None), _MISSING), else_=_HAS), order.ascending, is_text=True)
    if side is Side.ATTRIBUTE:
        return _attribute(key, order.ascending)
    if side is Side.METRIC:
        series = metric_series.alias()
        rank = case((series.c.run_id.is_(None), _MISSING), (series.c.last.is_(None), _NAN), else_=_HAS)
        return Term(series.c.last, rank, order.ascending, joined=_joined(series, key))
    pairs = (params if side is Side.PARAM else tags).alias()
    value = fields.param_text(pairs.c.value) if side is Side.PARAM else pairs.c.value
    rank = case((pairs.c.run_id.is_(None), _MISSING), else_=_HAS)
    return Term(value, rank, order.ascending, is_text=True, joined=_joined(pairs, key))


def sorted_part(terms: Sequence[Term]) -> Part:
    """Give the whole order as one part, whose rows the database sorts."""
    joins = tuple((*it.joined, True) for it in terms if it.joined is not None)
    return Part([key for it in terms for key in it.keys], joins=joins)


def walked_parts(terms: Sequence[Term]) -> list[Part]:
    """Give the parts of an order whose first term an index has in its order."""
    first, rest = terms[0], sorted_part(terms[1:])
    if first.rank is None:
        return [Part([first.plain, *rest.keys], joins=rest.joins)]
    if first.joined is None:
        # A time that runs may not have.
        having = Part([first.plain, *rest.keys], (_HAS,), (first.value.is_not(None),), rest.joins)
        return [having, replace(rest, before=(_MISSING, 0.0), where=(first.value.is_(None),))]
    table, on = first.joined
    inner = ((table, on, False), *rest.joins)
    having = Part([first.plain, *rest.keys], (_HAS,), (first.value.is_not(None),), inner)
    is_nan = replace(rest, before=(_NAN, 0.0), where=(first.value.is_(None),), joins=inner)
    outer = ((table, on, True), *rest.joins)
    missing = replace(rest, before=(_MISSING, 0.0), where=(table.c.run_id.is_(None),), joins=outer)
    return [having, is_nan, missing]


def _attribute(key: str, ascending: bool) -> Term:
    if key in TIMES:
        column = TIMES[key]
        rank = case((column.is_(None), _MISSING), else_=_HAS) if key in _MAY_BE_MISSING else None
        return Term(column, rank, ascending)
    return Term(runs.c.status if key in ("status", "state") else TEXTS[key], None, ascending, is_text=True)


def _joined(table: Any, key: str) -> tuple[Table, ColumnElement[bool]]:
    return table, and_(table.c.run_id == runs.c.id, table.c.key == key)
