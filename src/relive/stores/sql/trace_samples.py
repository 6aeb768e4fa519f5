"""Numbers of traces, spans and assessments, to be summed up."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Select, func, literal, select, true

from relive.core.search import Field, Side
from relive.core.trace import NAME_TAG, SESSION_KEY
from relive.core.trace_samples import Sample, Samples, SampleView
from relive.stores.sql.tables.traces import assessments, spans, trace_numbers, traces
from relive.stores.sql.trace_search import SqlTraceSearch, value_of

_NS: Final = 1_000_000
_ROWS_A_FETCH: Final = 1000
_DIMENSIONS: Final[dict[str, Any]] = {
    "trace_name": value_of(Field(Side.TAG, NAME_TAG)),
    "trace_status": traces.c.state,
    "span_name": spans.c.name,
    "span_type": spans.c.type,
    "span_status": spans.c.status,
    "span_model_name": func.nullif(spans.c.model, ""),
    "span_model_provider": func.nullif(spans.c.provider, ""),
    "assessment_name": assessments.c.name,
    "assessment_value": assessments.c.value,
}
_OWN: Final[dict[SampleView, dict[str, Any]]] = {
    SampleView.TRACES: {},
    SampleView.SPANS: {"name": spans.c.name, "type": spans.c.type, "status": spans.c.status},
    SampleView.ASSESSMENTS: {"name": assessments.c.name, "type": assessments.c.kind},
}


class SqlTraceSamples(SqlTraceSearch):
    """See `ports.traces.TraceStore`."""

    def list_samples(self, experiment_ids: Sequence[str], asked: Samples) -> Iterator[Sample]:
        query = _from(asked, [traces.c.started_ms, _value(asked), *_dimensions(asked)])
        query = query.where(self._fits(experiment_ids, asked.condition))
        query = query.where(*(_OWN[asked.view][name] == value for name, value in asked.own.items()))
        if asked.since_ms is not None:
            query = query.where(traces.c.started_ms >= asked.since_ms)
        if asked.until_ms is not None:
            query = query.where(traces.c.started_ms <= asked.until_ms)
        with (
            self._db.read(snapshot=True) as connection,
            connection.execute(query.execution_options(yield_per=_ROWS_A_FETCH)) as rows,
        ):
            for at_ms, value, *dimensions in rows:
                found = value.get(asked.metric) if isinstance(value, dict) else value
                if found is not None and None not in dimensions:
                    yield Sample(at_ms, tuple(map(str, dimensions)), found)


def _from(asked: Samples, columns: list[Any]) -> Select[Any]:
    query = select(*columns)
    if asked.view is SampleView.SPANS:
        return query.join(spans, spans.c.trace_id == traces.c.id)
    if asked.view is SampleView.ASSESSMENTS:
        query = query.join(assessments, assessments.c.trace_id == traces.c.id)
        return query.where(assessments.c.is_valid == true())
    return query


def _dimensions(asked: Samples) -> list[Any]:
    return [_DIMENSIONS[name] for name in asked.dimensions]


def _value(asked: Samples) -> Any:
    if asked.metric == "session_count":
        return value_of(Field(Side.METADATA, SESSION_KEY))
    if asked.metric.endswith("_count"):
        return literal(1)
    if asked.view is SampleView.ASSESSMENTS:
        return assessments.c.number
    if asked.view is SampleView.SPANS:
        return (spans.c.ended_ns - spans.c.started_ns) // _NS if asked.metric == "latency" else spans.c.cost
    if asked.metric == "latency":
        return traces.c.duration_ms
    numbers = trace_numbers.c
    query = select(numbers.value).where(numbers.trace_id == traces.c.id, numbers.key == asked.metric)
    return query.correlate(traces).scalar_subquery()
