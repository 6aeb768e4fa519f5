"""Traces of an application, as clients leave them."""

import base64
import json
from typing import Any

from relive.core.trace import (
    COST_KEY,
    NAME_TAG,
    SESSION_KEY,
    USAGE_KEY,
    Assessment,
    AssessmentKind,
    Span,
    Trace,
    TraceState,
)
from relive.ports.stores import Store

ANSWERED = "tr-" + "1" * 32
_NS = 1_000_000
_STEPS: tuple[tuple[str, str, str, int, int], ...] = (
    ("a", "", "answer", 0, 420),
    ("b", "a", "find documents", 10, 120),
    ("c", "a", "ask model", 130, 400),
)


def tell_traces(store: Store, experiment_id: str, *, now: float) -> None:
    """Keep one trace that went well and was judged, one that failed, and one that goes on."""
    start = int(now * 1000) - 60_000
    answered = Trace(
        id=ANSWERED,
        experiment_id=experiment_id,
        started_ms=start,
        duration_ms=420,
        state=TraceState.OK,
        request_preview='{"question": "Which digit is this?"}',
        response_preview="A seven.",
    )
    store.create_trace(answered)
    store.set_trace_tags(ANSWERED, {NAME_TAG: "answer", "channel": "web"})
    usage = '{"input_tokens": 120, "output_tokens": 18, "total_tokens": 138}'
    said = {SESSION_KEY: "s-ann", USAGE_KEY: usage, COST_KEY: '{"total_cost": 0.0004}'}
    store.set_trace_metadata(ANSWERED, said)
    store.record_spans([_span(start, *step) for step in _STEPS])
    for name, value, kind in (
        ("correct", "true", AssessmentKind.FEEDBACK),
        ("answer", '"seven"', AssessmentKind.EXPECTATION),
    ):
        assessment = Assessment(
            id=f"a-{name}",
            trace_id=ANSWERED,
            name=name,
            kind=kind,
            value=value,
            source_type="HUMAN",
            source_id="ada",
            rationale="It has a bar.",
            created_ms=start + 9000,
        )
        store.create_assessment(assessment)
    for number, state in ((2, TraceState.ERROR), (3, TraceState.IN_PROGRESS)):
        other = Trace(id=f"tr-{number}", experiment_id=experiment_id, started_ms=start - number, state=state)
        store.create_trace(other)


def _span(start: int, key: str, parent: str, name: str, begin: int, end: int) -> Span:
    attributes: dict[str, Any] = {
        "mlflow.spanInputs": json.dumps({"messages": [{"role": "user", "content": "Which digit is this?"}]}),
        "mlflow.spanOutputs": json.dumps("A seven."),
        "temperature": "0.2",
    }
    content = {
        "trace_id": base64.b64encode(bytes.fromhex("1" * 32)).decode(),
        "span_id": base64.b64encode(bytes.fromhex(key * 16)).decode(),
        "parent_span_id": base64.b64encode(bytes.fromhex(parent * 16)).decode() or None,
        "attributes": attributes,
        "events": [{"name": "retried", "time_unix_nano": start * _NS, "attributes": {"times": 1}}],
        "status": {"code": "STATUS_CODE_UNSET", "message": "too slow" if key == "b" else ""},
        "links": [],
    }
    return Span(
        trace_id=ANSWERED,
        id=key * 16,
        parent_id=parent * 16,
        name=name,
        type="LLM" if key == "c" else "CHAIN",
        status="ERROR" if key == "b" else "OK",
        started_ns=(start + begin) * _NS,
        ended_ns=(start + end) * _NS,
        content=json.dumps(content),
        usage={"total_tokens": 138} if key == "c" else {},
        model="gpt" if key == "c" else "",
    )
