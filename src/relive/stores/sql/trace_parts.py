"""Spans and assessments of traces."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import case, delete, func, select

from relive.core.trace import Assessment, Span, Usage
from relive.stores.sql.part import StorePart, chunks
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.traces import assessments, spans

_SPANS: Final = Kept(Span, spans, "span")
_ASSESSMENTS: Final = Kept(Assessment, assessments, "assessment", fixed=("id", "trace_id", "kind"))
_ROOTS_FIRST: Final = (case((spans.c.parent_id == "", 0), else_=1), spans.c.started_ns, spans.c.id)


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
