"""Pages of runs: what narrows them, and every order they can be shown in.

No page reads all runs: the filters, the orders and the words of a search are all indexed.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, select

from relive.errors import InvalidInput
from relive.stores.sql.tables.runs import metric_series, run_words, runs

_METRIC: Final = "metrics."
_ORDERS: Final = ("created_at", "started_at", "ended_at", "name", "status", "kind")
_WITHOUT_VALUE: Final = {"started_at", "ended_at"}

_WORD: Final = re.compile(r"[^\W_]+")
_LONGEST_WORD: Final = 64
_MOST_WORDS: Final = 64
# Sorts behind every text that begins with the same word.
_LAST: Final = "\U0010ffff"


def conditions(narrow: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Give what a `RunFilter` asks for as conditions on `runs`."""
    unknown = sorted(narrow.keys() - {*runs.c.keys(), "text"})
    if unknown:
        raise InvalidInput(field="filter of runs", value=unknown[0], wanted="an attribute of a run, or text")
    where = [runs.c[name] == value for name, value in narrow.items() if value is not None and name != "text"]
    for word in words_of(narrow.get("text") or ""):
        begins = (run_words.c.word >= word, run_words.c.word <= word + _LAST)
        found = select(run_words.c.run_id).where(*begins)
        where.append(runs.c.id.in_(found))
    return where


def words_of(text: str) -> list[str]:
    """Give the different words of a text, as they are searched: without case, without punctuation."""
    words = dict.fromkeys(word[:_LONGEST_WORD] for word in _WORD.findall(text.lower()))
    return list(words)[:_MOST_WORDS]


def page(
    connection: Connection, query: Select[Any], order: str, limit: int, offset: int
) -> Sequence[Row[Any]]:
    """Give one page of a query for runs.

    Runs that have no value of what they are ordered by follow those that have one, newest first.

    Args:
        connection: To read with.
        query: The runs, narrowed and without an order.
        order: See `RunStore.list_runs`.
        limit: Rows at most.
        offset: Rows of earlier pages.
    """
    having, missing = _ordered(query, order)
    rows = list(connection.execute(having.limit(limit).offset(offset)))
    if missing is None or len(rows) == limit:
        return rows
    # The page reaches beyond those with a value: how many of the others came on earlier pages?
    n_having = offset + len(rows) if rows else _count(connection, having)
    skipped = max(0, offset - n_having)
    rows += connection.execute(missing.limit(limit - len(rows)).offset(skipped))
    return rows


def _ordered(query: Select[Any], order: str) -> tuple[Select[Any], Select[Any] | None]:
    """Give those with a value in their order, and those without; None if every run has one."""
    name = order.removeprefix("-")
    value: ColumnElement[Any]
    if name.startswith(_METRIC):
        value = metric_series.c.last
        is_series = (metric_series.c.run_id == runs.c.id, metric_series.c.key == name.removeprefix(_METRIC))
        having = query.join(metric_series, is_series[0]).where(is_series[1], value.is_not(None))
        missing = query.where(~exists().where(*is_series, value.is_not(None)))
    elif name in _ORDERS:
        value = runs.c[name]
        having = query.where(value.is_not(None)) if name in _WITHOUT_VALUE else query
        missing = query.where(value.is_(None))
    else:
        wanted = f"{', '.join(_ORDERS)} or metrics.KEY, with - before it for descending"
        raise InvalidInput(field="order of runs", value=order, wanted=wanted)
    keys = (value, runs.c.id)
    having = having.order_by(*(key.desc() for key in keys) if order.startswith("-") else keys)
    newest = missing.order_by(runs.c.created_at.desc(), runs.c.id.desc())
    return having, newest if name.startswith(_METRIC) or name in _WITHOUT_VALUE else None


def _count(connection: Connection, query: Select[Any]) -> int:
    counted = query.order_by(None).with_only_columns(func.count(), maintain_column_froms=True)
    return int(connection.execute(counted).scalar_one())
