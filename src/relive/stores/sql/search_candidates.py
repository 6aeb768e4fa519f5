"""Which runs an index names for a condition, so that a rare thing is found without looking at all runs."""

import re
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, or_, select, union_all

from relive.core.search import And, Comparison, Condition, Or, Side
from relive.stores.sql.search_fields import PYTHON_WORDS, SHOWN_TAGS, RunFields, statuses_that_fit
from relive.stores.sql.shown import INDEXED_LETTERS, Shown, as_shown, beginning
from relive.stores.sql.tables.runs import metric_series, params, runs, tags
from relive.stores.sql.tables.tracking import logged_datasets, run_datasets

# Sorts behind every text that begins with the same letters.
_LAST: Final = "\U0010ffff"


def candidates(condition: Condition, fields: RunFields) -> Select[Any] | None:
    """Give ids of runs, among them all that fit, out of an index; None if no index knows."""
    match condition:
        case Comparison():
            return _comparison(condition, fields)
        case And(parts=parts):
            return next((it for part in parts if (it := candidates(part, fields)) is not None), None)
        case Or(parts=parts):
            found = [candidates(part, fields) for part in parts]
            known = [it for it in found if it is not None]
            if len(known) < len(found):
                return None
            return select(union_all(*known).subquery().c[0])
    return None


def _comparison(found: Comparison, fields: RunFields) -> Select[Any] | None:
    if found.comparator == "IS NULL":
        return None
    side, key = found.field.side, found.field.key
    if side is Side.METRIC:
        fits = fields.last_value(metric_series.c.last, found)
        return select(metric_series.c.run_id).where(metric_series.c.key == key, fits)
    if side is Side.PARAM:
        return _pairs(params, key, *_beginnings(found, is_param=True))
    if side is Side.TAG:
        # Of these an attribute may fit as well.
        return None if key in SHOWN_TAGS else _pairs(tags, key, *_beginnings(found, is_param=False))
    if side is Side.DATASET:
        return _datasets(found, fields)
    return _attribute(found, fields)


def _pairs(table: Any, key: str, *beginnings: ColumnElement[bool]) -> Select[Any]:
    query = select(table.c.run_id).where(table.c.key == key)
    return query.where(or_(*beginnings)) if beginnings else query


def _beginnings(found: Comparison, *, is_param: bool) -> list[ColumnElement[bool]]:
    """Give what the beginning of a value must be; nothing if it can be anything."""
    begin = beginning(Shown(params.c.value) if is_param else tags.c.value)
    value = as_shown(str(found.value)) if is_param else str(found.value)
    if found.comparator == "=":
        words = {value, PYTHON_WORDS.get(value, value)} if is_param else {value}
        return [begin.in_([word[:INDEXED_LETTERS] for word in sorted(words)])]
    if found.comparator != "LIKE":
        return []
    prefix = re.split("[%_]", value, maxsplit=1)[0][:INDEXED_LETTERS]
    return [and_(begin >= prefix, begin <= prefix + _LAST)] if prefix else []


def _datasets(found: Comparison, fields: RunFields) -> Select[Any] | None:
    if found.field.key == "context":
        return None
    joined = select(run_datasets.c.run_id).join_from(logged_datasets, run_datasets)
    return joined.where(fields.compare(logged_datasets.c[found.field.key], found))


def _attribute(found: Comparison, fields: RunFields) -> Select[Any] | None:
    key, comparator = found.field.key, found.comparator
    ids = select(runs.c.id)
    if key in ("run_id", "id") and comparator in ("=", "IN"):
        return ids.where(fields.leaf(found))
    if key in ("status", "state"):
        return ids.where(runs.c.status.in_(statuses_that_fit(found, own_words=key == "state")))
    if key in ("start_time", "created_at") and comparator in ("=", ">", ">=", "<", "<="):
        return ids.where(fields.leaf(found))
    return None
