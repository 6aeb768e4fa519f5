"""Spans and assessments of traces."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import case, delete, func, select

from relive.core.trace import Assessment, Span, Usage
from relive.ports.traces import SpanPage
from relive.stores.sql.keyset import Key, behind, read_token, write_token
from relive.stores.sql.part import StorePart, chunks
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.traces import assessments, spans

_SPANS: Final = Kept(Span, spans, "span")
_ASSESSMENTS: Final = Kept(Assessment, assessments, "assessment", fixed=("id", "trace_id", "kind"))
_SPAN_KEYS: Final = (
    Key(case((spans.c.parent_id == "", 0), else_=1)),
    Key(spans.c.started_ns),
    Key(spans.c.id, is_text=True),
)
_SPAN_ORDER: Final = "roots first"
_ROOTS_FIRST: Final = tuple(key.order for key in _SPAN_KEYS)


class SqlSpans(StorePart):
    """See `ports.traces.SpanStore`."""

    def record_spans(self, some_spans: Sequence[Span]) -> None:
        upsert = self._db.insert(spans)
        keys = ("trace_id", "id")
        later = {column.name: upsert.excluded[column.name] for column in spans.c if column.name not in keys}
        upsert = upsert.on_conflict_do_update(index_elements=keys, set_=later)
        if some_spans:
            with self._db.write() as connection:
                connection.execute(upsert, [_SPANS.values(span) for span in some_spans])

    def list_spans(self, trace_ids: Sequence[str]) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {}
        with self._db.read() as connection:
            for some in chunks(trace_ids):
                query = _SPANS.select(spans.c.trace_id.in_(some)).order_by(*_ROOTS_FIRST)
                for span in _SPANS.all(connection, query):
                    found.setdefault(span.trace_id, []).append(span)
        return found

    def page_spans(self, trace_id: str, *, limit: int = 100, after: str = "") -> SpanPage:
        place = read_token(_SPAN_ORDER, after, _SPAN_KEYS)
        # What a span says is read of those that are shown, not of all that are sorted.
        query = select(*(key.column for key in _SPAN_KEYS)).where(spans.c.trace_id == trace_id)
        if place is not None:
            query = query.where(behind(_SPAN_KEYS, place))
        query = query.order_by(*(key.order for key in _SPAN_KEYS)).limit(limit + 1)
        with self._db.read(snapshot=True) as connection:
            rows = connection.execute(query).all()
            ids = [row[-1] for row in rows[:limit]]
            found: dict[str, Span] = {}
            for some in chunks(ids):
                its = _SPANS.select(spans.c.trace_id == trace_id, spans.c.id.in_(some))
                found |= {span.id: span for span in _SPANS.all(connection, its)}
        shown = tuple(found[span_id] for span_id in ids)
        following = write_token(_SPAN_ORDER, rows[limit - 1]) if len(rows) > limit and ids else ""
        return SpanPage(shown, following)

    def name_spans(self, trace_id: str, span_ids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        with self._db.read() as connection:
            for some in chunks(list(dict.fromkeys(span_ids))):
                query = select(spans.c.id, spans.c.name).where(spans.c.trace_id == trace_id)
                found |= {row.id: row.name for row in connection.execute(query.where(spans.c.id.in_(some)))}
        return found

    def span_times(self, trace_id: str) -> tuple[int, int]:
        ended = func.max(func.coalesce(spans.c.ended_ns, spans.c.started_ns))
        query = select(func.min(spans.c.started_ns), ended).where(spans.c.trace_id == trace_id)
        with self._db.read() as connection:
            began, end = connection.execute(query).one()
        return began or 0, end or 0

    def count_spans(self, trace_ids: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        with self._db.read() as connection:
            for some in chunks(trace_ids):
                query = select(spans.c.trace_id, func.count()).where(spans.c.trace_id.in_(some))
                rows = connection.execute(query.group_by(spans.c.trace_id))
                found |= {trace_id: count for trace_id, count in rows.all()}  # noqa: C416 - rows are no pairs
        return found

    def list_usages(self, trace_id: str, *, cost: bool) -> list[Usage]:
        amounts = spans.c.cost if cost else spans.c.usage
        query = select(spans.c.id, spans.c.parent_id, amounts).where(spans.c.trace_id == trace_id)
        with self._db.read() as connection:
            return [Usage(*row) for row in connection.execute(query)]


class SqlAssessments(StorePart):
    """See `ports.traces.AssessmentStore`."""

    def create_assessment(self, assessment: Assessment) -> Assessment:
        with self._db.write() as connection:
            return _ASSESSMENTS.insert(connection, assessment)

    def find_assessment(self, trace_id: str, assessment_id: str) -> Assessment | None:
        with self._db.read() as connection:
            found = _ASSESSMENTS.find_id(connection, assessment_id)
        return found if found is not None and found.trace_id == trace_id else None

    def list_assessments(self, trace_ids: Sequence[str]) -> dict[str, list[Assessment]]:
        found: dict[str, list[Assessment]] = {}
        order = (assessments.c.created_ms, assessments.c.id)
        with self._db.read() as connection:
            for some in chunks(trace_ids):
                query = _ASSESSMENTS.select(assessments.c.trace_id.in_(some)).order_by(*order)
                for assessment in _ASSESSMENTS.all(connection, query):
                    found.setdefault(assessment.trace_id, []).append(assessment)
        return found

    def set_assessment(self, assessment_id: str, **changes: Any) -> Assessment:
        with self._db.write() as connection:
            changed = _ASSESSMENTS.change(connection, assessment_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def delete_assessment(self, trace_id: str, assessment_id: str) -> bool:
        gone = delete(assessments).where(assessments.c.id == assessment_id)
        with self._db.write() as connection:
            return connection.execute(gone.where(assessments.c.trace_id == trace_id)).rowcount == 1
