"""Traces: the list of a project's, narrowed by a filter, and the page of one with the tree of its spans."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from relive.core.search import Comparison, Condition, Field, Or, Side
from relive.core.trace import (
    COST_KEY,
    NAME_TAG,
    RUN_KEY,
    SESSION_KEY,
    USAGE_KEY,
    Assessment,
    Span,
    Trace,
    amount_of,
    as_tree,
    text_of,
)
from relive.core.trace_filter import parse_trace_filter
from relive.errors import InvalidInput, NotFound
from relive.hub.web.marks import SPANS, TRACES, Mark
from relive.hub.web.words import clip, duration, number
from relive.ports.traces import TracePage as Found
from relive.services.context import Services

PAGE: Final = 25
# A page of more is slow in any browser.
MOST_SPANS: Final = 500
_LONGEST: Final = 4000
_DEEPEST: Final = 12
_ROOM: Final = 1000
_CONDITION: Final = re.compile(r"[=<>]|\b(?:like|ilike|rlike|in|is)\b", re.IGNORECASE)
_INPUTS, _OUTPUTS = "mlflow.spanInputs", "mlflow.spanOutputs"
_SHOWN_ELSEWHERE: Final = (_INPUTS, _OUTPUTS, "mlflow.traceRequestId", "mlflow.spanType")


class TraceLine(msgspec.Struct, frozen=True, kw_only=True):
    """A trace in one row; `said` is what was said of it, shortly."""

    id: str
    name: str
    mark: Mark
    request: str
    response: str
    took: str
    tokens: str
    spans: int
    said: tuple[str, ...]
    at: float


class TracesPage(msgspec.Struct, frozen=True, kw_only=True):
    """The traces of a project, the newest first.

    Attributes:
        q: What they are narrowed by: a condition, or words that stand in their spans.
        problem: Why `q` cannot be read; empty if it can.
        next: Where the next page begins; empty at the end.
    """

    project: str
    address: str
    q: str
    problem: str
    lines: tuple[TraceLine, ...]
    is_first: bool
    next: str


class SpanLine(msgspec.Struct, frozen=True, kw_only=True):
    """One step in the tree.

    Attributes:
        depth: How deep it lies, 0 for a root.
        bar: Where in the trace's time it ran: start and length in thousandths.
        blocks: What it was given, gave, and how it failed: titles and texts.
    """

    id: str
    name: str
    type: str
    mark: Mark
    depth: int
    took: str
    bar: tuple[int, int]
    tokens: str
    blocks: tuple[tuple[str, str], ...]
    attributes: tuple[tuple[str, str], ...]
    events: tuple[tuple[str, str], ...]


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of the trace."""

    name: str
    kind: str
    value: str
    source: str
    rationale: str
    span: str
    is_valid: bool
    at: float


class TracePage(msgspec.Struct, frozen=True, kw_only=True):
    """A trace with some of its spans.

    Attributes:
        n_spans: How many it has.
        is_first: Whether its first spans are shown.
        next: Where the next spans begin; empty at the end.
    """

    project: str
    id: str
    name: str
    mark: Mark
    experiment: str
    at: float
    took: str
    tokens: str
    cost: str
    session: str
    run_id: str
    request: str
    response: str
    spans: tuple[SpanLine, ...]
    n_spans: int
    is_first: bool
    next: str
    judgements: tuple[Judgement, ...]
    tags: tuple[tuple[str, str], ...]
    metadata: tuple[tuple[str, str], ...]


def list_traces(services: Services, project_name: str, *, q: str = "", after: str = "") -> TracesPage:
    """Give one page of a project's traces.

    Raises:
        NotFound: There is no such project.
    """
    store, project = services.store, services.store.get_project(project_name)
    problem, found = "", Found(())
    experiments = [experiment.id for experiment in store.list_experiments(project.id)]
    try:
        condition = _condition(q.strip())
        found = store.search_traces(experiments, condition, limit=PAGE, after=after)
    except InvalidInput as error:
        problem = str(error)
    return TracesPage(
        project=project.name,
        address=services.place.public_url,
        q=q,
        problem=problem,
        lines=tuple(_lines(services, found.traces)),
        is_first=not after,
        next=found.next,
    )


def get_trace(services: Services, project_name: str, trace_id: str, *, after: str = "") -> TracePage:
    """Give a trace with its first spans, or those behind a place.

    Raises:
        NotFound: There is no such project, or no such trace in it.
        InvalidInput: `after` is no place.
    """
    store, project = services.store, services.store.get_project(project_name)
    trace = store.find_trace(trace_id)
    experiment = store.get_experiment(trace.experiment_id) if trace is not None else None
    if trace is None or experiment is None or experiment.project_id != project.id:
        raise NotFound(kind="trace", name=trace_id)
    tags = store.list_trace_tags([trace.id]).get(trace.id, {})
    metadata = store.list_trace_metadata([trace.id]).get(trace.id, {})
    page = store.page_spans(trace.id, limit=MOST_SPANS, after=after)
    is_whole = not after and not page.next
    said = store.list_assessments([trace.id]).get(trace.id, ())
    names = store.name_spans(trace.id, [it.span_id for it in said if it.span_id])
    run_id = metadata.get(RUN_KEY, "")
    return TracePage(
        project=project.name,
        id=trace.id,
        name=_name(trace, tags),
        mark=TRACES[trace.state],
        experiment=experiment.name,
        at=trace.started_ms / 1000,
        took=_took(trace.duration_ms),
        tokens=_amount(metadata.get(USAGE_KEY, ""), "total_tokens"),
        cost=_amount(metadata.get(COST_KEY, ""), "total_cost"),
        session=metadata.get(SESSION_KEY, ""),
        run_id=run_id if run_id and store.find_run(run_id) is not None else "",
        request=clip(trace.request_preview, _LONGEST),
        response=clip(trace.response_preview, _LONGEST),
        spans=tuple(tree_of(page.spans, None if is_whole else store.span_times(trace.id))),
        n_spans=len(page.spans) if is_whole else store.count_spans([trace.id]).get(trace.id, 0),
        is_first=not after,
        next=page.next,
        judgements=tuple(_judgement(it, names) for it in said),
        tags=tuple((key, value) for key, value in tags.items() if not key.startswith("mlflow.")),
        metadata=tuple(metadata.items()),
    )


def tree_of(spans: Sequence[Span], times: tuple[int, int] | None = None) -> list[SpanLine]:
    """Give spans as a tree laid flat; what has no parent here is at the top, however it is named.

    Args:
        spans: Some of a trace.
        times: When the whole trace began and ended, if there are more spans than these.
    """
    if not spans:
        return []
    if times is None:
        ends = (span.ended_ns or span.started_ns for span in spans)
        times = min(span.started_ns for span in spans), max(ends)
    begin = times[0]
    room = max(1, times[1] - begin)
    return [_span_line(span, depth, begin, room) for span, depth in as_tree(spans)]


def _lines(services: Services, traces: Sequence[Trace]) -> list[TraceLine]:
    store, ids = services.store, [trace.id for trace in traces]
    tags, metadata = store.list_trace_tags(ids), store.list_trace_metadata(ids)
    spans, said = store.count_spans(ids), store.list_assessments(ids)
    return [
        TraceLine(
            id=trace.id,
            name=_name(trace, tags.get(trace.id, {})),
            mark=TRACES[trace.state],
            request=clip(trace.request_preview, 120),
            response=clip(trace.response_preview, 120),
            took=_took(trace.duration_ms),
            tokens=_amount(metadata.get(trace.id, {}).get(USAGE_KEY, ""), "total_tokens"),
            spans=spans.get(trace.id, 0),
            said=tuple(_shortly(it) for it in said.get(trace.id, ()) if it.is_valid)[:4],
            at=trace.started_ms / 1000,
        )
        for trace in traces
    ]


def _condition(q: str) -> Condition | None:
    """Read what a person typed: a condition if it looks like one, else words of the spans, or of the name."""
    if not q:
        return None
    if _CONDITION.search(q):
        return parse_trace_filter(q)
    words = f"%{q}%"
    fields = (Field(Side.SPAN, "content"), Field(Side.TAG, NAME_TAG))
    return Or(tuple(Comparison(field, "ILIKE", words) for field in fields))


def _span_line(span: Span, depth: int, begin: int, room: int) -> SpanLine:
    content = json.loads(span.content)
    attributes: dict[str, Any] = content.get("attributes", {})
    blocks = [
        (title, _pretty(attributes[key]))
        for title, key in (("Inputs", _INPUTS), ("Outputs", _OUTPUTS))
        if key in attributes
    ]
    if message := content.get("status", {}).get("message"):
        blocks.insert(0, ("Error", clip(message, _LONGEST)))
    took = None if span.ended_ns is None else span.ended_ns - span.started_ns
    at = (span.started_ns - begin) * _ROOM // room
    return SpanLine(
        id=span.id,
        name=span.name,
        type=span.type,
        mark=SPANS.get(span.status, SPANS["UNSET"]),
        depth=min(depth, _DEEPEST),
        took=_took(None if took is None else took / 1e6),
        bar=(at, max(4, min(_ROOM - at, (took or 0) * _ROOM // room))),
        tokens=number(int(span.usage["total_tokens"])) if "total_tokens" in span.usage else "",
        blocks=tuple(blocks),
        attributes=tuple(
            (key, clip(_pretty(value), 600))
            for key, value in attributes.items()
            if key not in _SHOWN_ELSEWHERE
        ),
        events=tuple(
            (event.get("name", ""), clip(json.dumps(event.get("attributes", {}), ensure_ascii=False), 600))
            for event in content.get("events", ())
        ),
    )


def _judgement(said: Assessment, names: dict[str, str]) -> Judgement:
    return Judgement(
        name=said.name,
        kind=said.kind,
        value=clip(text_of(said), 600),
        source=" ".join(filter(None, (said.source_type, said.source_id))),
        rationale=clip(said.rationale, 2000),
        span=names.get(said.span_id, ""),
        is_valid=said.is_valid,
        at=said.created_ms / 1000,
    )


def _shortly(said: Assessment) -> str:
    return clip(f"{said.name}: {text_of(said)}", 40)


def _pretty(text: Any) -> str:
    """Write an attribute for people: text as it is, other JSON over several lines."""
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        value = text
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return clip(shown, _LONGEST)


def _name(trace: Trace, tags: dict[str, str]) -> str:
    return clip(tags.get(NAME_TAG) or trace.id, 120)


def _took(milliseconds: float | None) -> str:
    """Write how long something took: most steps take less than a second."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{number(round(milliseconds, 1) if milliseconds < 10 else round(milliseconds))} ms"
    return duration(milliseconds / 1000)


def _amount(said: str, part: str) -> str:
    found = amount_of(said, part)
    return "" if found is None else number(found)
