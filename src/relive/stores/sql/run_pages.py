"""Pages of runs: what narrows them, and every order they can be shown in.

Where two ways lead to a page, one through the filter and one through the order, a look at an index tells
which is the shorter. What is indexed, and what was measured, is in docs/design/stores.md.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, exists, func, select

from relive.errors import InvalidInput
from relive.stores.sql.tables.runs import metric_series, run_words, runs

_METRIC: Final = "metrics."
_ORDERS: Final = ("created_at", "started_at", "ended_at", "name", "status")
_WITHOUT_VALUE: Final = {"started_at", "ended_at"}
# So many rows are sorted faster than an index is followed in the hope of meeting them.
_FEW: Final = 2000

_WORD: Final = re.compile(r"[^\W_]+")
_LONGEST_WORD: Final = 64
_MOST_WORDS: Final = 64
# Sorts behind every text that begins with the same word.
_LAST: Final = "\U0010ffff"


def words_of(text: str) -> list[str]:
    """Give the different words of a text, as they are searched: without case, without punctuation."""
    words = dict.fromkeys(word[:_LONGEST_WORD] for word in _WORD.findall(text.lower()))
    return list(words)[:_MOST_WORDS]


def conditions(connection: Connection, narrow: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Give what a `RunFilter` asks for as conditions on `runs`."""
    unknown = sorted(narrow.keys() - {*runs.c.keys(), "text", "deleted"})
    if unknown:
        raise InvalidInput(field="filter of runs", value=unknown[0], wanted="an attribute of a run, or text")
    plain = {name: value for name, value in narrow.items() if name not in ("text", "deleted")}
    where = [runs.c[name] == value for name, value in plain.items() if value is not None]
    return where + has_words(connection, narrow.get("text") or "")


def has_words(connection: Connection, text: str) -> list[ColumnElement[bool]]:
    """Give the conditions that a run has the words of a text, or words that begin with them."""
    return [_has_word(connection, word) for word in words_of(text)]


def is_deleted(deleted: bool) -> ColumnElement[bool]:
    """Give the condition that a run was deleted, or was not."""
    return runs.c.deleted_at.is_not(None) if deleted else runs.c.deleted_at.is_(None)


def page(
    connection: Connection,
    columns: Sequence[Any],
    where: list[ColumnElement[bool]],
    order: str,
    *,
    span: slice,
    deleted: bool = False,
) -> Sequence[Row[Any]]:
    """Give one page of runs.

    Runs that have no value of what they are ordered by follow those that have one, newest first.

    Args:
        connection: To read with; both parts of a page see the same moment.
        columns: What to give of each run.
        where: See `conditions`.
        order: See `RunStore.list_runs`.
        span: From which run to which, in that order.
        deleted: Whether to list those that were deleted instead of the others.
    """
    name, descending = order.removeprefix("-"), order.startswith("-")
    # Not in `where`, because nearly all runs fit: it tells nothing about how many there are.
    query = select(*columns).where(*where, is_deleted(deleted))
    if name.startswith(_METRIC):
        key = name.removeprefix(_METRIC)
        if where and _are_few(connection, select(runs.c.id).where(*where)):
            return connection.execute(_cut(_sorted_by_metric(query, key, descending), span)).all()
        return _two_parts(connection, *_along_metric(query, key, descending), span)
    if name in _ORDERS:
        return _two_parts(connection, *_along_attribute(query, name, descending), span)
    wanted = f"{', '.join(_ORDERS)} or metrics.KEY, with - before it for descending"
    raise InvalidInput(field="order of runs", value=order, wanted=wanted)


def _has_word(connection: Connection, word: str) -> ColumnElement[bool]:
    begins = and_(run_words.c.word >= word, run_words.c.word <= word + _LAST)
    if _are_few(connection, select(run_words.c.run_id).where(begins)):
        return runs.c.id.in_(select(run_words.c.run_id).where(begins))
    # So many runs have it that looking at each run in turn soon finds a page of them.
    return exists().where(run_words.c.run_id == runs.c.id, begins)


def _are_few(connection: Connection, query: Select[Any]) -> bool:
    some = query.limit(_FEW + 1).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one() <= _FEW


def _sorted_by_metric(query: Select[Any], key: str, descending: bool) -> Select[Any]:
    """Take the runs and look each one's value up."""
    value = metric_series.c.last
    is_series = and_(metric_series.c.run_id == runs.c.id, metric_series.c.key == key)
    newest = case((value.is_(None), runs.c.created_at), else_=None).desc()
    ties = (value, newest, runs.c.id) if not descending else (value.desc(), newest, runs.c.id.desc())
    return query.outerjoin(metric_series, is_series).order_by(value.is_(None), *ties)


def _along_metric(query: Select[Any], key: str, descending: bool) -> tuple[Select[Any], Select[Any]]:
    """Follow the values in their order and look each one's run up."""
    value = metric_series.c.last
    is_series = (metric_series.c.run_id == runs.c.id, metric_series.c.key == key)
    having = query.join(metric_series, is_series[0]).where(is_series[1], value.is_not(None))
    missing = query.where(~exists().where(*is_series, value.is_not(None)))
    ids = metric_series.c.run_id
    having = having.order_by(*((value.desc(), ids.desc()) if descending else (value, ids)))
    return having, _newest_first(missing, descending)


def _along_attribute(
    query: Select[Any], name: str, descending: bool
) -> tuple[Select[Any], Select[Any] | None]:
    value = runs.c[name]
    keys = list(dict.fromkeys((value, runs.c.created_at, runs.c.id)))
    order = [key.desc() for key in keys] if descending else keys
    if name not in _WITHOUT_VALUE:
        return query.order_by(*order), None
    missing = _newest_first(query.where(value.is_(None)), descending)
    return query.where(value.is_not(None)).order_by(*order), missing


def _newest_first(query: Select[Any], descending: bool) -> Select[Any]:
    return query.order_by(runs.c.created_at.desc(), runs.c.id.desc() if descending else runs.c.id)


def _two_parts(
    connection: Connection, having: Select[Any], missing: Select[Any] | None, span: slice
) -> Sequence[Row[Any]]:
    """Give a page of those with a value followed by those without."""
    rows = list(connection.execute(_cut(having, span)))
    wanted = span.stop - span.start
    if missing is None or len(rows) == wanted:
        return rows
    # The page reaches beyond those with a value: how many of the others came on earlier pages?
    n_having = span.start + len(rows) if rows else _count(connection, having)
    skipped = max(0, span.start - n_having)
    rows += connection.execute(_cut(missing, slice(skipped, skipped + wanted - len(rows))))
    return rows


def _cut(query: Select[Any], span: slice) -> Select[Any]:
    return query.limit(span.stop - span.start).offset(span.start)


def _count(connection: Connection, query: Select[Any]) -> int:
    counted = query.order_by(None).with_only_columns(func.count(), maintain_column_froms=True)
    return int(connection.execute(counted).scalar_one())
