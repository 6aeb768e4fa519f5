"""Traces, spans and assessments, written as MLflow does: many at once take as few questions as one."""

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

from relive.core.trace import Assessment, AssessmentKind, Span, Trace, TraceState
from relive.services.context import Services
from relive.services.mlflow.trace_times import duration, stamp
from relive.services.mlflow.values import pairs

_LARGEST = 2**63


def infos_json(services: Services, traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """Write traces without their spans, in their order."""
    store, ids = services.store, [trace.id for trace in traces]
    tags, metadata = store.list_trace_tags(ids), store.list_trace_metadata(ids)
    judged = store.list_assessments(ids)
    return [
        _info(trace, tags.get(trace.id, {}), metadata.get(trace.id, {}), judged.get(trace.id, ()))
        for trace in traces
    ]


def infos_json_v2(services: Services, traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """Write traces as the older version of the protocol has them."""
    ids = [trace.id for trace in traces]
    tags, metadata = services.store.list_trace_tags(ids), services.store.list_trace_metadata(ids)
    return [
        {
            "request_id": trace.id,
            "experiment_id": trace.experiment_id,
            "timestamp_ms": trace.started_ms,
            "execution_time_ms": trace.duration_ms or 0,
            "status": "TRACE_STATUS_UNSPECIFIED" if trace.state is TraceState.UNSPECIFIED else trace.state,
            "request_metadata": pairs(metadata.get(trace.id, {})),
            "tags": pairs(tags.get(trace.id, {})),
        }
        for trace in traces
    ]


def assessment_json(found: Assessment) -> dict[str, Any]:
    """Write an assessment."""
    written: dict[str, Any] = {
        "assessment_id": found.id,
        "assessment_name": found.name,
        "trace_id": found.trace_id,
        "span_id": found.span_id,
        "source": {"source_type": found.source_type, "source_id": found.source_id},
        "create_time": stamp(found.created_ms),
        "last_update_time": stamp(found.updated_ms),
        **_judged(found),
        "rationale": found.rationale,
        "metadata": found.metadata,
        "overrides": found.overrides,
        "valid": found.is_valid,
    }
    return {key: value for key, value in written.items() if value not in ("", {})}


def span_json(span: Span) -> dict[str, Any]:
    """Write a span as OTLP has it in JSON, with protobuf's own names."""
    content = json.loads(span.content)
    written: dict[str, Any] = {
        "trace_id": content["trace_id"],
        "span_id": content["span_id"],
        "parent_span_id": content["parent_span_id"],
        "name": span.name,
        "start_time_unix_nano": span.started_ns,
        "end_time_unix_nano": span.ended_ns,
        "attributes": _keyed({key: _loaded(text) for key, text in content["attributes"].items()}),
        "events": [
            {
                "time_unix_nano": event["time_unix_nano"],
                "name": event["name"],
                "attributes": _keyed(event["attributes"]),
            }
            for event in content["events"]
        ],
        "links": [_link(link) for link in content["links"]],
        "status": _status(content["status"]),
    }
    return {key: value for key, value in written.items() if value not in (None, "", [])}


def _info(
    trace: Trace, tags: dict[str, str], metadata: dict[str, str], judged: Sequence[Assessment]
) -> dict[str, Any]:
    took = None if trace.duration_ms is None else duration(trace.duration_ms)
    written: dict[str, Any] = {
        "trace_id": trace.id,
        "client_request_id": trace.client_request_id,
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": trace.experiment_id},
        },
        "request_preview": trace.request_preview,
        "response_preview": trace.response_preview,
        "request_time": stamp(trace.started_ms),
        "execution_duration": took,
        "state": trace.state,
        "trace_metadata": metadata,
        "tags": tags,
        "assessments": [assessment_json(assessment) for assessment in judged],
    }
    return {key: value for key, value in written.items() if value not in (None, "", {}, [])}


def _judged(found: Assessment) -> dict[str, Any]:
    value = json.loads(found.value)
    if found.kind is AssessmentKind.ISSUE:
        return {"issue": value}
    if found.kind is AssessmentKind.FEEDBACK:
        said = {"value": _plain(value)}
        return {"feedback": said | ({"error": found.error} if found.error else {})}
    if isinstance(value, bool | int | float | str):
        return {"expectation": {"value": _plain(value)}}
    return {
        "expectation": {
            "serialized_value": {"serialization_format": "JSON_FORMAT", "value": json.dumps(value)}
        }
    }


def _plain(value: Any) -> Any:
    """Write a value as protobuf does, which knows floats only."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _loaded(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return text


def _keyed(values: dict[str, Any]) -> list[dict[str, Any]]:
    written = []
    for key, value in values.items():
        said = _any(value)
        written.append({"key": key, "value": said} if said else {"key": key})
    return written


def _any(value: Any) -> dict[str, Any]:
    """Write a value as OTLP's AnyValue; an absent one says nothing."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, int) and -_LARGEST <= value < _LARGEST:
        return {"int_value": value}
    if isinstance(value, float):
        return {"double_value": value if math.isfinite(value) else _word_of(value)}
    if isinstance(value, list):
        return {"array_value": {"values": [_any(item) for item in value]} if value else {}}
    if isinstance(value, dict):
        return {"kvlist_value": {"values": _keyed(value)} if value else {}}
    return {"string_value": str(value)}


def _word_of(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _link(link: dict[str, Any]) -> dict[str, Any]:
    ids = {"trace_id": link["trace_id"].removeprefix("tr-"), "span_id": link["span_id"]}
    written: dict[str, Any] = {name: _base64(text) for name, text in ids.items()}
    return written | ({"attributes": _keyed(link["attributes"])} if link["attributes"] else {})


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def _status(status: dict[str, str]) -> dict[str, str]:
    written = {"message": status["message"], "code": status["code"]}
    return {key: value for key, value in written.items() if value not in ("", "STATUS_CODE_UNSET")}
