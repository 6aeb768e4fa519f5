"""Traces of applications, what is said of them, and the spans that OpenTelemetry sends."""

import asyncio
import zlib
from typing import Any, Final

from litestar import Response, get, post
from litestar.status_codes import HTTP_200_OK

from relive.core.access import Caller
from relive.errors import InvalidInput
from relive.formats.otlp import SPAN, read_spans
from relive.hub.http import HubRequest, services_of
from relive.hub.routes.mlflow.answers import failure, in_mlflows_words
from relive.hub.routes.mlflow.files import located, sent
from relive.hub.routes.mlflow.table import Table, client_of
from relive.services.context import Services
from relive.services.mlflow import assessments, spans, trace_metrics, trace_search, traces
from relive.services.mlflow.faults import MlflowFault
from relive.services.mlflow.places import SCHEME, safe_path
from relive.wire.mlflow import traces as wire

Reply = dict[str, Any]

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
# Once unpacked; what is sent is bounded as every message.
_LARGEST: Final = 64 << 20


def _start(services: Services, caller: Caller, message: wire.StartTrace) -> Reply:
    """Keep what is known of a trace."""
    if message.trace is None and (message.experiment_id or message.timestamp_ms):
        return {"trace_info": traces.start_trace_v2(services, message, caller)}
    return {"trace": {"trace_info": traces.start_trace(services, message, caller)}}


def _end(services: Services, caller: Caller, message: wire.EndTraceV2) -> Reply:
    """End a trace, in version 2.0 of the protocol."""
    return {"trace_info": traces.end_trace_v2(services, message, caller)}


def _get_info(services: Services, caller: Caller, message: wire.TraceId) -> Reply:
    """Give what is known of a trace, without its spans."""
    return {"trace": {"trace_info": traces.get_info(services, message.trace_id, caller)}}


def _get_info_v2(services: Services, caller: Caller, message: wire.TraceIdV2) -> Reply:
    """Give what is known of a trace, in version 2.0 of the protocol."""
    return {"trace_info": traces.get_info_v2(services, message.request_id, caller)}


def _get(services: Services, caller: Caller, message: wire.GetTrace) -> Reply:
    """Give a trace with its spans."""
    return {"trace": traces.get_trace(services, message, caller)}


def _list(services: Services, caller: Caller, message: wire.BatchGetTraces) -> Reply:
    """Give many traces with their spans."""
    found = traces.list_traces(services, message, caller)
    return {"traces": found} if found else {}


def _list_infos(services: Services, caller: Caller, message: wire.BatchGetTraces) -> Reply:
    """Give what is known of many traces, without their spans."""
    found = traces.list_infos(services, message, caller)
    return {"trace_infos": found} if found else {}


def _search(services: Services, caller: Caller, message: wire.SearchTraces) -> Reply:
    """Search the traces of experiments."""
    return trace_search.search_traces(services, message, caller)


def _search_v2(services: Services, caller: Caller, message: wire.SearchTracesV2) -> Reply:
    """Search the traces of experiments, in version 2.0 of the protocol."""
    return trace_search.search_traces_v2(services, message, caller)


def _correlate(services: Services, caller: Caller, message: wire.Correlation) -> Reply:
    """Say how much two filters find the same traces."""
    return trace_search.correlate(services, message, caller)


def _query_metrics(services: Services, caller: Caller, message: wire.TraceMetrics) -> Reply:
    """Count, sum up and average what traces, spans and assessments say."""
    return trace_metrics.query_metrics(services, message, caller)


def _delete(services: Services, caller: Caller, message: wire.DeleteTraces) -> Reply:
    """Delete traces."""
    return {"traces_deleted": traces.delete_traces(services, message, caller)}


def _set_tag(services: Services, caller: Caller, message: wire.SetTraceTag) -> Reply:
    """Set a trace's tag."""
    traces.set_tag(services, message, caller)
    return {}


def _delete_tag(services: Services, caller: Caller, message: wire.DeleteTraceTag) -> Reply:
    """Take a trace's tag away."""
    traces.delete_tag(services, message, caller)
    return {}


def _link_to_run(services: Services, caller: Caller, message: wire.LinkTraces) -> Reply:
    """Link traces with a run."""
    traces.link_to_run(services, message, caller)
    return {}


def _link_prompts(services: Services, caller: Caller, message: wire.LinkPrompts) -> Reply:
    """Link a trace with versions of prompts."""
    traces.link_prompts(services, message, caller)
    return {}


def _create_assessment(services: Services, caller: Caller, message: wire.CreateAssessment) -> Reply:
    """Say something of a trace."""
    return {"assessment": assessments.create_assessment(services, message, caller)}


def _get_assessment(services: Services, caller: Caller, message: wire.AssessmentId) -> Reply:
    """Give what was said of a trace."""
    return {"assessment": assessments.get_assessment(services, message, caller)}


def _update_assessment(services: Services, caller: Caller, message: wire.UpdateAssessment) -> Reply:
    """Change what was said of a trace."""
    return {"assessment": assessments.update_assessment(services, message, caller)}


def _delete_assessment(services: Services, caller: Caller, message: wire.AssessmentId) -> Reply:
    """Take back what was said of a trace."""
    assessments.delete_assessment(services, message, caller)
    return {}


@post("/v1/traces", include_in_schema=False, status_code=HTTP_200_OK)
@in_mlflows_words
async def export_spans(request: HubRequest) -> Response[Any]:
    """Keep spans that OpenTelemetry sends, as protobuf or JSON; the header names their experiment."""
    caller = client_of(request, "record spans")
    experiment_id = request.headers.get("x-mlflow-experiment-id")
    if experiment_id is None:
        return failure(422, "The header x-mlflow-experiment-id is missing: it names the experiment.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in (_PROTOBUF, _JSON):
        return failure(400, f"Invalid Content-Type: {kind}. Expected: {_PROTOBUF} or {_JSON}")
    body = _unpacked(await request.body(), request.headers.get("content-encoding", "").lower())
    run_id = request.headers.get("x-mlflow-run-id", "")

    def keep() -> None:
        try:
            found = read_spans(body, is_json=kind == _JSON)
        except InvalidInput as error:
            said = f"Invalid OpenTelemetry format: {error}"
            # Whoever sends a span without an id reads 422; what is no message at all is a bad request.
            if error.field == SPAN:
                raise MlflowFault(error_code="UNPROCESSABLE_ENTITY", message=said) from error
            raise _bad(said) from error
        if not found:
            raise _bad("Invalid OpenTelemetry format - no spans found")
        spans.record_spans(services_of(request), experiment_id, found, caller, run_id=run_id)

    await asyncio.to_thread(keep)
    # An empty ExportTraceServiceResponse, which says that all were taken.
    return Response(b"{}" if kind == _JSON else b"", media_type=kind, status_code=HTTP_200_OK)


@get([f"/ajax-api/{n}.0/mlflow/get-trace-artifact" for n in (2, 3)], include_in_schema=False)
@in_mlflows_words
async def get_trace_artifact(request: HubRequest) -> Response[Any]:
    """Give the spans of a trace as a file, or one file that is attached to it."""
    caller, query = client_of(request, "read traces"), request.query_params
    if not query.get("request_id"):
        raise _bad('Request must include the "request_id" query parameter.')
    services, trace_id = services_of(request), query["request_id"]
    if query.get("path"):
        trace = await asyncio.to_thread(traces.readable, services, trace_id, caller)
        folder = await asyncio.to_thread(traces.location_tag, services, trace.experiment_id, trace.id)
        address = f"{folder.removeprefix(SCHEME)}/attachments/{safe_path(query['path'])}"
        return await asyncio.to_thread(sent, request, await located(request, address, "read artifacts"))
    data = await asyncio.to_thread(traces.spans_of, services, trace_id, caller)
    as_file = {
        "content-disposition": 'attachment; filename="traces.json"',
        "x-content-type-options": "nosniff",
    }
    return Response(data.encode(errors="replace"), media_type="application/octet-stream", headers=as_file)


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Unpack a body, without ever holding more than a message may have."""
    if encoding in ("", "identity"):
        return body
    kinds = {"gzip": (zlib.MAX_WBITS | 16,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}
    if encoding not in kinds:
        raise _bad(f"Unsupported Content-Encoding: {encoding}")
    for bits in kinds[encoding]:
        unpacker = zlib.decompressobj(bits)
        try:
            data = unpacker.decompress(body, _LARGEST)
        except zlib.error:
            continue
        if unpacker.unconsumed_tail:
            raise _bad(f"The body has more than {_LARGEST} bytes once it is unpacked.")
        if unpacker.eof:
            return data
    raise _bad(f"Failed to decompress {encoding} payload")


def _bad(message: str) -> MlflowFault:
    return MlflowFault(error_code="BAD_REQUEST", message=message)


_ASSESSMENT: Final = "traces/{trace_id}/assessments/{assessment_id}"
TABLE: Table = {
    ("POST", "traces"): (wire.StartTrace, _start),
    ("GET", "traces"): (wire.SearchTracesV2, _search_v2),
    ("PATCH", "traces/{request_id}"): (wire.EndTraceV2, _end),
    ("GET", "traces/{request_id}/info"): (wire.TraceIdV2, _get_info_v2),
    ("GET", "traces/get"): (wire.GetTrace, _get),
    ("GET", "traces/batchGet"): (wire.BatchGetTraces, _list),
    ("POST", "traces/batchGetInfos"): (wire.BatchGetTraces, _list_infos),
    ("POST", "traces/search"): (wire.SearchTraces, _search),
    ("POST", "traces/calculate-filter-correlation"): (wire.Correlation, _correlate),
    ("POST", "traces/metrics"): (wire.TraceMetrics, _query_metrics),
    ("POST", "traces/delete-traces"): (wire.DeleteTraces, _delete),
    ("POST", "traces/link-to-run"): (wire.LinkTraces, _link_to_run),
    ("POST", "traces/link-prompts"): (wire.LinkPrompts, _link_prompts),
    ("GET", "traces/{trace_id}"): (wire.TraceId, _get_info),
    ("PATCH", "traces/{trace_id}/tags"): (wire.SetTraceTag, _set_tag),
    ("DELETE", "traces/{trace_id}/tags"): (wire.DeleteTraceTag, _delete_tag),
    ("POST", "traces/{trace_id}/assessments"): (wire.CreateAssessment, _create_assessment),
    ("GET", _ASSESSMENT): (wire.AssessmentId, _get_assessment),
    ("PATCH", _ASSESSMENT): (wire.UpdateAssessment, _update_assessment),
    ("DELETE", _ASSESSMENT): (wire.AssessmentId, _delete_assessment),
}
ROUTES = [export_spans, get_trace_artifact]
