"""Spans as OpenTelemetry sends them, made by its own classes."""

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.live import Answer
from tests.unit.hub.mlflow_registry.conftest import Registry

SECOND = 10**9
PROTOBUF = "application/x-protobuf"


def request_of(*spans: dict[str, Any], resource: dict[str, str] | None = None) -> ExportTraceServiceRequest:
    """Make a request to export spans; a span's `attributes` are texts or whole numbers."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    for key, value in (resource or {}).items():
        of_resource.resource.attributes.add(key=key).value.string_value = value
    scope = of_resource.scope_spans.add()
    for given in spans:
        fields = dict(given)
        attributes = fields.pop("attributes", {})
        status = fields.pop("status", 0)
        span = scope.spans.add(**fields)
        span.status.code = status
        for key, value in attributes.items():
            held = span.attributes.add(key=key).value
            if isinstance(value, str):
                held.string_value = value
            elif isinstance(value, dict):
                for name, number in value.items():
                    held.kvlist_value.values.add(key=name).value.int_value = number
            else:
                held.int_value = value
    return request


def a_span(number: int, span: int = 1, parent: int = 0, **fields: Any) -> dict[str, Any]:
    """Give the fields of a span that runs from second 1 to second 2."""
    found: dict[str, Any] = {
        "trace_id": number.to_bytes(16, "big"),
        "span_id": span.to_bytes(8, "big"),
        "name": f"step {span}",
        "start_time_unix_nano": SECOND,
        "end_time_unix_nano": 2 * SECOND,
    }
    if parent:
        found["parent_span_id"] = parent.to_bytes(8, "big")
    return found | fields


def trace_id(number: int) -> str:
    """Give the id under which the hub keeps a trace."""
    return f"tr-{number:032x}"


def send(
    registry: Registry,
    body: bytes,
    experiment: str = "0",
    *,
    kind: str = PROTOBUF,
    token: str | None = None,
    **headers: str,
) -> Answer:
    """Send a body to where OpenTelemetry sends it."""
    named = headers | {"content_type": kind}
    if experiment:
        named["x_mlflow_experiment_id"] = experiment
    who = registry.token if token is None else token
    return registry.live.ask("POST", "/v1/traces", body=body, token=who, **named)


def sent(registry: Registry, *spans: dict[str, Any], **options: Any) -> None:
    """Send spans that must be taken."""
    resource = options.pop("resource", None)
    answer = send(registry, request_of(*spans, resource=resource).SerializeToString(), **options)
    assert answer.status == 200, answer.body
