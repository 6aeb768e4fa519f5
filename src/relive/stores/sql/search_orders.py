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
from relive.stores.sql.search_fields import SHOWN_TAGS, TEXTS, TIMES
from relive.stores.sql.shown import Shown, beginning, behind_beginning
from relive.stores.sql.tables.runs import metric_series, params, runs, tags

_HAS, _NAN, _MISSING = 0, 1, 2
_MAY_BE_MISSING: Final = {"end_time", "started_at", "ended_at"}


@dataclass(frozen=True)
class Term:
    """One order, ready to be sorted by.

    Attributes:
        values: Its value; NULL for NaN and if it is missing. A long text is its beginning, which an index
            holds, and the rest, which decides between equal beginnings.
        rank: Whether it has a value, is NaN or is missing; None if it always has one.
        ascending: Its direction.
        is_text: Whether the value is text.
        joined: The table that it is looked up in, and how that joins runs.
    """

    values: tuple[Any, ...]
    rank: Any = None
    ascending: bool = True
    is_text: bool = False
    joined: tuple[Any, ColumnElement[bool]] | None = None

    @property
    def keys(self) -> list[Key]:
        """Give it as keys that are never NULL."""
        if self.rank is None:
            return self.plain
        nothing = literal("", TEXT) if self.is_text else literal(0.0)
        values = [func.coalesce(value, nothing) for value in self.values]
        return [Key(self.rank), *(Key(value, self.ascending, self.is_text) for value in values)]

    @property
    def plain(self) -> list[Key]:
        """Give its value as keys, for rows that have one."""
        return [Key(value, self.ascending, self.is_text) for value in self.values]

    @property
    def absent(self) -> tuple[Any, ...]:
        """Give the values of its keys in a row that has no value."""
        return tuple("" if self.is_text else 0.0 for _ in self.values)


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


def term_of(order: Order) -> Term:
    """Give an order of runs as something to sort by."""
    side, key = order.field.side, order.field.key
    if side is Side.TAG and key in SHOWN_TAGS:
        shown = SHOWN_TAGS[key]
        return Term((shown,), case((shown.is_(None), _MISSING), else_=_HAS), order.ascending, is_text=True)
    if side is Side.ATTRIBUTE:
        return _attribute(key, order.ascending)
    if side is Side.METRIC:
        series = metric_series.alias()
        rank = case((series.c.run_id.is_(None), _MISSING), (series.c.last.is_(None), _NAN), else_=_HAS)
        return Term((series.c.last,), rank, order.ascending, joined=_joined(series, key))
    pairs = (params if side is Side.PARAM else tags).alias()
    text = Shown(pairs.c.value) if side is Side.PARAM else pairs.c.value
    values = (beginning(text), behind_beginning(text))
    rank = case((pairs.c.run_id.is_(None), _MISSING), else_=_HAS)
    return Term(values, rank, order.ascending, is_text=True, joined=_joined(pairs, key))


def sorted_part(terms: Sequence[Term]) -> Part:
    """Give the whole order as one part, whose rows the database sorts."""
    joins = tuple((*it.joined, True) for it in terms if it.joined is not None)
    return Part([key for it in terms for key in it.keys], joins=joins)


def walked_parts(terms: Sequence[Term]) -> list[Part]:
    """Give the parts of an order whose first term an index has in its order."""
    first, rest = terms[0], sorted_part(terms[1:])
    having = [*first.plain, *rest.keys]
    if first.rank is None:
        return [Part(having, joins=rest.joins)]
    has_value, absent = first.values[0].is_not(None), (_MISSING, *first.absent)
    if first.joined is None:
        # A time that runs may not have.
        there = Part(having, (_HAS,), (has_value,), rest.joins)
        return [there, replace(rest, before=absent, where=(~has_value,))]
    table, on = first.joined
    inner, outer = ((table, on, False), *rest.joins), ((table, on, True), *rest.joins)
    missing = replace(rest, before=absent, where=(table.c.run_id.is_(None),), joins=outer)
    if first.is_text:
        return [Part(having, (_HAS,), joins=inner), missing]
    there = Part(having, (_HAS,), (has_value,), inner)
    is_nan = replace(rest, before=(_NAN, *first.absent), where=(~has_value,), joins=inner)
    return [there, is_nan, missing]


def _attribute(key: str, ascending: bool) -> Term:
    if key in TIMES:
        column = TIMES[key]
        rank = case((column.is_(None), _MISSING), else_=_HAS) if key in _MAY_BE_MISSING else None
        return Term((column,), rank, ascending)
    value = runs.c.status if key in ("status", "state") else TEXTS[key]
    return Term((value,), None, ascending, is_text=True)


def _joined(table: Any, key: str) -> tuple[Table, ColumnElement[bool]]:
    return table, and_(table.c.run_id == runs.c.id, table.c.key == key)
