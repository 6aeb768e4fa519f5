"""Spans that arrive by OTLP: kept as MLflow's clients read them, and summed up in their traces.

Source: mlflow.server.otel_api, mlflow.store.tracking.sqlalchemy_store, mlflow.entities.span.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, Final

from relive.core.access import Caller
from relive.core.run import Run
from relive.core.trace import (
    COST_KEY,
    COST_PARTS,
    NAME_TAG,
    SESSION_KEY,
    USAGE_KEY,
    USAGE_PARTS,
    Span,
    Trace,
    TraceState,
    total,
)
from relive.formats.otlp import OtlpSpan
from relive.services.context import Services
from relive.services.mlflow import keys
from relive.services.mlflow.conventions import COST, INPUTS, MODEL, OUTPUTS, PROVIDER, TYPE, USAGE, translated
from relive.services.mlflow.experiments import check_active, get_experiment
from relive.services.mlflow.faults import MlflowFault
from relive.services.mlflow.previews import preview
from relive.services.mlflow.rights import maker_name
from relive.services.mlflow.runs import get_run
from relive.services.mlflow.trace_numbers import amounts, numbers_of, written
from relive.services.mlflow.traces import (
    FINAL_KEY,
    LOCATION_TAG,
    SPANS_HERE,
    SPANS_TAG,
    location_tag,
    writable,
)

_ID: Final = "mlflow.traceRequestId"
_TAG_PREFIX: Final = "mlflow.traceTag."
_USER_KEY: Final = "mlflow.trace.user"
_SESSIONS: Final = ("session.id", "gen_ai.conversation.id")
_NOT_TAGS: Final = ("telemetry.sdk.", "mlflow.")
_NS: Final = 1_000_000
_LONGEST_SESSION: Final = 250
_OPEN: Final = (TraceState.IN_PROGRESS, TraceState.UNSPECIFIED)


def record_spans(
    services: Services, experiment_id: str, sent: Sequence[OtlpSpan], caller: Caller, *, run_id: str = ""
) -> None:
    """Keep spans, all or none; a trace that is not there yet begins with them.

    Args:
        services: What the hub works with.
        experiment_id: Where new traces go.
        sent: The spans, of one trace or of many.
        caller: Who sends them.
        run_id: A run that traces whose root is among them are linked with; empty for none.

    Raises:
        MlflowFault: There is no such experiment, or it is deleted.
        AccessDenied: A trace is another's, or a command names a run of another project.
    """
    experiment = get_experiment(services, experiment_id, caller)
    check_active(experiment)
    by_trace: dict[str, list[OtlpSpan]] = {}
    for span in sent:
        by_trace.setdefault(f"tr-{span.trace_id}", []).append(span)
    kept = {trace_id: [_kept(trace_id, span) for span in some] for trace_id, some in by_trace.items()}
    run = _run(services, run_id, caller)
    with services.store.transaction():
        for trace_id in sorted(by_trace):
            _record(services, experiment.id, caller, by_trace[trace_id], kept[trace_id])
        if run is not None:
            roots = (span.trace_id for some in kept.values() for span in some if not span.parent_id)
            services.store.link_traces(run.id, list(roots))


def _record(
    services: Services, experiment_id: str, caller: Caller, sent: Sequence[OtlpSpan], kept: Sequence[Span]
) -> None:
    store, trace_id = services.store, kept[0].trace_id
    new = Trace(
        id=trace_id,
        experiment_id=experiment_id,
        started_ms=min(span.started_ns for span in kept) // _NS,
        state=TraceState.IN_PROGRESS,
        created_by=maker_name(caller),
    )
    trace = store.create_trace(new)
    tags = {SPANS_TAG: SPANS_HERE} | _resource_tags(sent)
    if trace is None:
        trace = writable(services, trace_id, caller)
    else:
        tags[LOCATION_TAG] = location_tag(services, experiment_id, trace_id)
    store.record_spans(kept)
    metadata = store.list_trace_metadata([trace_id]).get(trace_id, {})
    root = next((span for span in kept if not span.parent_id), None)
    if changes := _changes(trace, kept, root, is_final=FINAL_KEY in metadata):
        store.set_trace(trace_id, **changes)
    store.set_trace_tags(trace_id, tags | _named_tags(sent))
    found = _sums(services, kept, metadata) | _who(sent, metadata)
    store.set_trace_metadata(trace_id, found)
    store.set_trace_numbers(trace_id, numbers_of(found))


def _kept(trace_id: str, sent: OtlpSpan) -> Span:
    said = translated(sent.attributes)
    attributes = {key: dumped(value) for key, value in said.items()} | {_ID: dumped(trace_id)}
    content = {
        "trace_id": _base64(sent.trace_id),
        "span_id": _base64(sent.id),
        "parent_span_id": _base64(sent.parent_id) if sent.parent_id else None,
        "name": sent.name,
        "start_time_unix_nano": sent.started_ns,
        "end_time_unix_nano": sent.ended_ns or None,
        "events": [
            {"name": event.name, "time_unix_nano": event.at_ns, "attributes": event.attributes}
            for event in sent.events
        ],
        "status": {"code": f"STATUS_CODE_{sent.status}", "message": sent.message},
        "attributes": attributes,
        "links": [
            {
                "trace_id": f"tr-{link.trace_id}",
                "span_id": link.span_id,
                "attributes": link.attributes or None,
            }
            for link in sent.links
        ],
    }
    return Span(
        trace_id=trace_id,
        id=sent.id,
        parent_id=sent.parent_id,
        name=sent.name,
        type=_text(said.get(TYPE)),
        status=sent.status,
        started_ns=sent.started_ns,
        ended_ns=sent.ended_ns or None,
        content=dumped(content),
        usage=amounts(said.get(USAGE), USAGE_PARTS),
        cost=amounts(said.get(COST), COST_PARTS),
        model=_text(said.get(MODEL))[: keys.LONGEST_EXPERIMENT_NAME],
        provider=_text(said.get(PROVIDER))[: keys.LONGEST_EXPERIMENT_NAME],
    )


def dumped(value: Any) -> str:
    """Write a value as clients write attributes."""
    return json.dumps(value, ensure_ascii=False)


def _changes(trace: Trace, kept: Sequence[Span], root: Span | None, *, is_final: bool) -> dict[str, Any]:
    """Give what spans tell of their trace; what its client said itself stands."""
    changes: dict[str, Any] = {}
    if not is_final:
        started = min(trace.started_ms, min(span.started_ns for span in kept) // _NS)
        ends = [span.ended_ns // _NS for span in kept if span.ended_ns]
        if trace.duration_ms is not None:
            ends.append(trace.started_ms + trace.duration_ms)
        changes["started_ms"] = started
        if ends:
            changes["duration_ms"] = max(ends) - started
    if root is None:
        return changes
    if trace.state in _OPEN:
        changes["state"] = TraceState.ERROR if root.status == "ERROR" else TraceState.OK
    attributes = json.loads(root.content)["attributes"]
    if not trace.request_preview and INPUTS in attributes:
        changes["request_preview"] = preview(attributes[INPUTS], "user")
    if not trace.response_preview and OUTPUTS in attributes:
        changes["response_preview"] = preview(attributes[OUTPUTS], "assistant")
    return changes


def _sums(services: Services, kept: Sequence[Span], metadata: dict[str, str]) -> dict[str, str]:
    """Give the trace's tokens and money, summed over all its spans, if these spans tell of any."""
    found: dict[str, str] = {}
    for key, parts, is_cost in ((USAGE_KEY, USAGE_PARTS, False), (COST_KEY, COST_PARTS, True)):
        told = any(span.cost if is_cost else span.usage for span in kept)
        if told and not (FINAL_KEY in metadata and key in metadata):
            sums = total(services.store.list_usages(kept[0].trace_id, cost=is_cost))
            found |= written(key, amounts(sums, parts))
    return found


def _who(sent: Sequence[OtlpSpan], metadata: dict[str, str]) -> dict[str, str]:
    """Give whose request it was and of which session, if that is not known yet."""
    found: dict[str, str] = {}
    for key, names in ((SESSION_KEY, _SESSIONS), (_USER_KEY, ("user.id",))):
        said = (span.attributes.get(name) for span in sent for name in names)
        text = next((_text(value) for value in said if value), "")
        if text and key not in metadata:
            found[key] = text[:_LONGEST_SESSION]
    return found


def _resource_tags(sent: Sequence[OtlpSpan]) -> dict[str, str]:
    resource = next((span.resource for span in sent if span.resource), {})
    return _tags({key: value for key, value in resource.items() if not key.startswith(_NOT_TAGS)})


def _named_tags(sent: Sequence[OtlpSpan]) -> dict[str, str]:
    """Give the tags that the root brings along as attributes."""
    found: dict[str, Any] = {}
    for span in sent:
        if not span.parent_id:
            for key, value in span.attributes.items():
                if key.startswith(_TAG_PREFIX):
                    found[key.removeprefix(_TAG_PREFIX)] = value
    return _tags(found)


def _tags(values: dict[str, Any]) -> dict[str, str]:
    """Give what can be tags; what can be none is left out, for the spans are worth more."""
    longest = {NAME_TAG: 4096}
    return {
        key: _text(value)[: longest.get(key, keys.LONGEST_TAG)]
        for key, value in values.items()
        if key and not keys.is_bad(key)
    }


def _run(services: Services, run_id: str, caller: Caller) -> Run | None:
    """Give the run that traces are linked with; one that is not there is no reason to lose spans."""
    try:
        return get_run(services, run_id, caller) if run_id else None
    except MlflowFault:
        return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else dumped(value)


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()
