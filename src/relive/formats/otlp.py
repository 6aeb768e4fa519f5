"""Spans as OpenTelemetry exports them (OTLP), read from protobuf or JSON.

Source: OpenTelemetry protocol 1.x, opentelemetry/proto/collector/trace/v1, and its JSON encoding.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from relive.errors import InvalidInput

# Packed, millions fit into a small message. Exporters send 512 at once.
MOST_SPANS: Final = 50_000
# The field that `InvalidInput` names if a message is one, but a span in it is none.
SPAN: Final = "span"
_HEX_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


class OtlpEvent(msgspec.Struct, frozen=True):
    """What happened at one moment of a span; nanoseconds since the epoch."""

    name: str
    at_ns: int
    attributes: dict[str, Any]


class OtlpLink(msgspec.Struct, frozen=True):
    """Another span that this one has to do with; ids in hex."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


class OtlpSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One span; ids in hex, times in nanoseconds since the epoch, 0 for an end that is not yet.

    Attributes:
        status: UNSET, OK or ERROR.
        resource: What made it, such as a service's name.
    """

    trace_id: str
    id: str
    parent_id: str
    name: str
    started_ns: int
    ended_ns: int
    status: str
    message: str
    attributes: dict[str, Any]
    events: tuple[OtlpEvent, ...]
    links: tuple[OtlpLink, ...]
    resource: dict[str, Any]


def read_spans(body: bytes, *, is_json: bool) -> list[OtlpSpan]:
    """Read a request to export spans.

    Raises:
        InvalidInput: It is none, or has more than 50,000 spans, or a span has no id.
    """
    # Imported on first use: it would add a tenth to every start of a hub.
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    try:
        if is_json:
            json_format.Parse(_with_base64_ids(body), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, json_format.Error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(field="spans", value=str(error), wanted="an OTLP export request") from error
    count = sum(len(of_scope.spans) for it in request.resource_spans for of_scope in it.scope_spans)
    if count > MOST_SPANS:
        raise InvalidInput(field="spans", value=count, wanted=f"at most {MOST_SPANS:,} in one request")
    return list(_spans(request))


def _spans(request: Any) -> Iterator[OtlpSpan]:
    for of_resource in request.resource_spans:
        resource = _values(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _span(span, resource)


def _span(span: Any, resource: dict[str, Any]) -> OtlpSpan:
    if not 0 < len(span.trace_id) <= 16 or not 0 < len(span.span_id) <= 8 or len(span.parent_span_id) > 8:
        raise InvalidInput(field=SPAN, value=span.name, wanted="ids of 16 and of 8 bytes")
    return OtlpSpan(
        trace_id=_hex(span.trace_id, 16),
        id=_hex(span.span_id, 8),
        parent_id=_hex(span.parent_span_id, 8) if any(span.parent_span_id) else "",
        name=span.name,
        started_ns=_nanoseconds(span.start_time_unix_nano),
        ended_ns=_nanoseconds(span.end_time_unix_nano),
        status={1: "OK", 2: "ERROR"}.get(span.status.code, "UNSET"),
        message=span.status.message,
        attributes=_values(span.attributes),
        events=tuple(
            OtlpEvent(event.name, _nanoseconds(event.time_unix_nano), _values(event.attributes))
            for event in span.events
        ),
        links=tuple(
            OtlpLink(_hex(link.trace_id, 16), _hex(link.span_id, 8), _values(link.attributes))
            for link in span.links
        ),
        resource=resource,
    )


def _values(attributes: Iterable[Any]) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _values(value.kvlist_value.values)
    plain = getattr(value, kind)
    return base64.b64encode(plain).decode() if isinstance(plain, bytes) else plain


def _hex(raw: bytes, size: int) -> str:
    return raw.rjust(size, b"\0").hex()


def _nanoseconds(found: int) -> int:
    if found >= 1 << 63:
        raise InvalidInput(field="time of a span", value=found, wanted="nanoseconds since the epoch")
    return found


def _with_base64_ids(body: bytes) -> str:
    """Write ids as protobuf has them in JSON: OTLP's own JSON has them in hex."""
    asked = json.loads(body)
    for of_resource in asked.get("resourceSpans") or asked.get("resource_spans") or ():
        for of_scope in of_resource.get("scopeSpans") or of_resource.get("scope_spans") or ():
            for span in of_scope.get("spans") or ():
                for thing in (span, *(span.get("links") or ())):
                    _to_base64(thing)
    return json.dumps(asked)


def _to_base64(thing: dict[str, Any]) -> None:
    for name in _HEX_IDS:
        if thing.get(name):
            try:
                thing[name] = base64.b64encode(bytes.fromhex(thing[name])).decode("ascii")
            except (ValueError, binascii.Error) as error:
                raise InvalidInput(field=name, value=thing[name], wanted="hex digits") from error
