"""Searching traces."""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    type_coerce,
)

from relive.core.search import And, Comparison, Condition, Field, Order, Side, conjuncts
from relive.core.trace import RUN_KEY, SESSION_KEY, AssessmentKind
from relive.ports.traces import TracePage
from relive.stores.sql.columns import TEXT
from relive.stores.sql.conditions import compare, where
from relive.stores.sql.keyset import Key, behind, read_token, write_token
from relive.stores.sql.part import StorePart
from relive.stores.sql.patterns import check_pattern
from relive.stores.sql.shown import INDEXED_LETTERS
from relive.stores.sql.tables.hub import experiments
from relive.stores.sql.tables.traces import (
    assessments,
    run_traces,
    spans,
    trace_metadata,
    trace_prompts,
    trace_tags,
    traces,
)
from relive.stores.sql.traces import TRACES

_TRACES: Final = traces.c
_JUDGED: Final = assessments.c
_ATTRIBUTES: Final[dict[str, Any]] = {
    "request_id": _TRACES.id,
    "experiment_id": _TRACES.experiment_id,
    "timestamp_ms": _TRACES.started_ms,
    "execution_time_ms": _TRACES.duration_ms,
    "end_time_ms": _TRACES.started_ms + func.coalesce(_TRACES.duration_ms, 0),
    # As text: what is compared may be no word of theirs, and may be empty.
    "status": type_coerce(_TRACES.state, Text),
    "client_request_id": type_coerce(_TRACES.client_request_id, Text),
}
_PAIRS: Final = {Side.TAG: trace_tags, Side.METADATA: trace_metadata}
_OF_SPAN: Final = "attributes."
_TEXTS: Final = ("request_id", "experiment_id", "status")
# Looking at so many experiments in turn costs less than sorting all that they have.
_MOST_WALKED: Final = 100


class SqlTraceSearch(StorePart):
    """See `ports.traces.TraceStore`."""

    def search_traces(
        self,
        experiment_ids: Sequence[str],
        condition: Condition | None = None,
        *,
        orders: Sequence[Order] = (),
        limit: int = 100,
        after: str = "",
    ) -> TracePage:
        keys = _keys(orders)
        order = ", ".join(f"{it.field.side} {it.field.key} {it.ascending}" for it in orders)
        place = read_token(order, after, keys)
        query = select(*TRACES.columns, *(key.column for key in keys))
        query = query.order_by(*(key.order for key in keys)).limit(limit + 1)
        if place is not None:
            query = query.where(behind(keys, place))
        # What an index gives in its order, each experiment on its own, need not be sorted.
        is_walked = not orders and len(experiment_ids) <= _MOST_WALKED
        scopes = [[one] for one in dict.fromkeys(experiment_ids)] if is_walked else [experiment_ids]
        rows: list[Any] = []
        with self._db.read(snapshot=True) as connection:
            for scope in scopes:
                found_here = query.where(self._fits(scope, condition))
                if len(rows) > limit:
                    found_here = found_here.where(_TRACES.started_ms >= rows[limit][-2])
                rows += connection.execute(found_here)
                if len(scopes) > 1:
                    rows.sort(key=lambda row: (-row[-2], row[-1]))
        n_fields = len(TRACES.columns)
        found = tuple(TRACES.read(row[:n_fields]) for row in rows[:limit])
        if len(rows) <= limit or not found:
            return TracePage(found)
        return TracePage(found, write_token(order, rows[limit - 1][n_fields:]))

    def count_traces(self, experiment_ids: Sequence[str], condition: Condition | None = None) -> int:
        query = select(func.count()).select_from(traces).where(self._fits(experiment_ids, condition))
        with self._db.read() as connection:
            return connection.execute(query).scalar_one()

    def _fits(self, experiment_ids: Sequence[str], condition: Condition | None) -> ColumnElement[bool]:
        parts = conjuncts(condition)
        # What is asked of spans side by side must hold of one span.
        of_spans = [it for it in parts if isinstance(it, Comparison) and it.field.side is Side.SPAN]
        fits: list[ColumnElement[bool]] = [_TRACES.experiment_id.in_(experiment_ids)]
        if of_spans:
            each = [self._span(it.field.key, it.comparator, it.value) for it in of_spans]
            fits.append(exists().where(spans.c.trace_id == _TRACES.id, *each))
        others = tuple(it for it in parts if it not in of_spans)
        if others:
            fits.append(where(And(others), self._leaf))
        return and_(*fits)

    def _leaf(self, found: Comparison) -> ColumnElement[bool]:
        field, comparator, value = found.field, found.comparator, found.value
        if field.side is Side.ATTRIBUTE:
            return self._attribute(field.key, comparator, value)
        if field.side in _PAIRS:
            return self._pair(field, comparator, value)
        if field.side is Side.SPAN:
            fits = self._span(field.key, comparator, value)
            return exists().where(spans.c.trace_id == _TRACES.id, fits)
        if field.side is Side.ISSUE:
            is_it = (_JUDGED.kind == AssessmentKind.ISSUE, _JUDGED.name == value)
            return exists().where(_JUDGED.trace_id == _TRACES.id, *is_it)
        return self._judged(field, comparator, value)

    def _attribute(self, key: str, comparator: str, value: Any) -> ColumnElement[bool]:
        if key == "prompt":
            linked = (trace_prompts.c.trace_id == _TRACES.id, trace_prompts.c.prompt == value)
            return exists().where(*linked)
        if key == "run_id":
            linked = (run_traces.c.trace_id == _TRACES.id, run_traces.c.run_id == value)
            return or_(exists().where(*linked), self._pair(Field(Side.METADATA, RUN_KEY), "=", value))
        column = _ATTRIBUTES[key]
        fits = self._compare(column, comparator, value)
        return func.coalesce(fits, false()) if key in ("execution_time_ms", "client_request_id") else fits

    def _pair(self, field: Field, comparator: str, value: Any) -> ColumnElement[bool]:
        pairs = _PAIRS[field.side].c
        its = (pairs.trace_id == _TRACES.id, pairs.key == field.key)
        if comparator == "IS NULL":
            return not_(exists().where(*its))
        if comparator == "IS NOT NULL":
            return exists().where(*its)
        return exists().where(*its, self._compare(pairs.value, comparator, value))

    def _span(self, key: str, comparator: str, value: Any) -> ColumnElement[bool]:
        if not key.startswith(_OF_SPAN):
            column = {"name": spans.c.name, "type": spans.c.type, "status": spans.c.status}
            return self._compare(column.get(key, spans.c.content), comparator, value)
        # An attribute stands in the content as "KEY": "VALUE", the value being JSON itself.
        name = json.dumps(key.removeprefix(_OF_SPAN), ensure_ascii=False)
        if comparator in ("LIKE", "ILIKE"):
            return self._compare(spans.c.content, comparator, f"%{name}{value}%")
        if comparator == "RLIKE":
            return self._compare(spans.c.content, comparator, _pattern_of(name, value))
        values = value if isinstance(value, tuple) else (value,)
        fits = or_(*(self._holds(f"{name}: {text}") for one in values for text in _written(one)))
        if comparator in ("=", "IN"):
            return fits
        return and_(self._holds(f"{name}: "), not_(fits))

    def _judged(self, field: Field, comparator: str, value: Any) -> ColumnElement[bool]:
        its = [_JUDGED.kind == AssessmentKind(field.side.value), _JUDGED.name == field.key]
        its.append(_JUDGED.is_valid == true())
        if comparator in ("<", "<=", ">", ">="):
            its += [_JUDGED.number.is_not(None), _JUDGED.is_numeric == true()]
            its.append(self._compare(_JUDGED.number, comparator, value))
        elif comparator in ("=", "!="):
            same = _JUDGED.value.in_((value, json.dumps(value)))
            its.append(same if comparator == "=" else not_(same))
        elif comparator not in ("IS NULL", "IS NOT NULL"):
            its.append(self._compare(_JUDGED.value, comparator, value))
        fits = or_(exists().where(_JUDGED.trace_id == _TRACES.id, *its), _in_session(its))
        return not_(fits) if comparator == "IS NULL" else fits

    def _compare(self, column: Any, comparator: str, value: Any) -> ColumnElement[bool]:
        if comparator == "RLIKE":
            check_pattern(value)
            found: ColumnElement[bool] = column.regexp_match(value)
            return found
        return compare(self._db, column, comparator, value)

    def _holds(self, text: str) -> ColumnElement[bool]:
        at = func.instr if self._db.is_sqlite else func.strpos
        found: ColumnElement[bool] = at(spans.c.content, text) > 0
        return found


def _written(value: str) -> tuple[str, ...]:
    """Write a value as an attribute's: text is quoted in its own JSON, a number or a truth is not."""
    return tuple(
        json.dumps(text, ensure_ascii=False) for text in (json.dumps(value, ensure_ascii=False), value)
    )


def _pattern_of(name: str, pattern: str) -> str:
    """Write a pattern for an attribute's value as one for the content that it stands in."""
    begin = r'"\\"' if pattern.startswith("^") else r'"\\".*'
    end = r'\\"' if pattern.endswith("$") else ""
    return f"{name}: {begin}{pattern.removeprefix('^').removesuffix('$')}{end}"


def _in_session(its: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Give the condition that something was said of the whole session that a trace belongs to.

    It is said of one of its traces, and its metadata names the session.
    """
    mine, theirs, other = trace_metadata.alias(), trace_metadata.alias(), traces.alias()
    begin = func.substr(theirs.c.value, 1, INDEXED_LETTERS) == func.substr(mine.c.value, 1, INDEXED_LETTERS)
    # The innermost question is asked of the other trace, not of the one that is looked at.
    return exists().where(
        mine.c.trace_id == _TRACES.id,
        mine.c.key == SESSION_KEY,
        theirs.c.key == SESSION_KEY,
        begin,
        theirs.c.value == mine.c.value,
        other.c.id == theirs.c.trace_id,
        other.c.experiment_id == _TRACES.experiment_id,
        _JUDGED.trace_id == theirs.c.trace_id,
        type_coerce(_JUDGED.metadata, Text).like(f'%"{SESSION_KEY}":%'),
        *its,
    )


def _keys(orders: Sequence[Order]) -> list[Key]:
    """Sort by what is asked, what has no value of it last; then the newest first."""
    keys: list[Key] = []
    for order in orders:
        field, column = order.field, value_of(order.field)
        is_text = field.side in _PAIRS or field.key in _TEXTS
        if field.key == "experiment_id":
            # Clients take the ids of experiments for numbers that are counted up.
            made = select(experiments.c.created_at).where(experiments.c.id == _TRACES.experiment_id)
            keys.append(Key(made.correlate(traces).scalar_subquery(), order.ascending))
        elif field.side in _PAIRS or field.key == "execution_time_ms":
            keys.append(Key(case((column.is_(None), 1), else_=0)))
            column = func.coalesce(column, literal("", TEXT) if is_text else literal(0))
        keys.append(Key(column, order.ascending, is_text))
    return [*keys, Key(_TRACES.started_ms, ascending=False), Key(_TRACES.id, is_text=True)]


def value_of(field: Field) -> Any:
    """Give what a trace has of a field; NULL if it lacks it."""
    if field.side is Side.ATTRIBUTE:
        return _ATTRIBUTES[field.key]
    pairs = _PAIRS[field.side].c
    query = select(pairs.value).where(pairs.trace_id == _TRACES.id, pairs.key == field.key)
    return query.correlate(traces).scalar_subquery()
