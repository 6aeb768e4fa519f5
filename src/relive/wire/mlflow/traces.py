"""Traces and assessments.

Source: MLflow's REST API, versions 2.0 and 3.0, traces; mlflow/protos/service.proto, assessments.proto.
"""

from typing import Any

import msgspec

from relive.wire.mlflow.common import Int32, Int64, KeyValue, Request


class ExperimentPlace(msgspec.Struct, frozen=True):
    """An experiment that traces are in."""

    experiment_id: str = ""


class TracePlace(msgspec.Struct, frozen=True):
    """Where traces are; this server knows experiments only."""

    type: str | int = ""
    mlflow_experiment: ExperimentPlace | None = None


class AssessmentSource(msgspec.Struct, frozen=True):
    """Who said it."""

    source_type: str = ""
    source_id: str = ""


class AssessmentError(msgspec.Struct, frozen=True):
    """Why there is no value."""

    error_code: str = ""
    error_message: str = ""
    stack_trace: str = ""


class FeedbackValue(msgspec.Struct, frozen=True):
    """A judgement: any JSON."""

    value: Any = None
    error: AssessmentError | None = None


class SerializedValue(msgspec.Struct, frozen=True):
    """A value that is no plain one, as JSON."""

    serialization_format: str = ""
    value: str = ""


class ExpectationValue(msgspec.Struct, frozen=True):
    """What should have come out."""

    value: Any = None
    serialized_value: SerializedValue | None = None


class IssueValue(msgspec.Struct, frozen=True):
    """The problem that a trace shows."""

    issue_name: str = ""


class AssessmentMessage(msgspec.Struct, frozen=True):
    """What was said of a trace; one of feedback, expectation and issue."""

    assessment_id: str = ""
    assessment_name: str = ""
    trace_id: str = ""
    span_id: str = ""
    source: AssessmentSource = AssessmentSource()
    create_time: str = ""
    last_update_time: str = ""
    feedback: FeedbackValue | None = None
    expectation: ExpectationValue | None = None
    issue: IssueValue | None = None
    rationale: str = ""
    metadata: dict[str, str] = {}
    overrides: str = ""
    valid: bool = True


class TraceInfo(msgspec.Struct, frozen=True):
    """A trace without its spans; times as protobuf writes them in JSON."""

    trace_id: str = ""
    client_request_id: str = ""
    trace_location: TracePlace = TracePlace()
    request_preview: str = ""
    response_preview: str = ""
    request_time: str = ""
    execution_duration: str | None = None
    state: str | int = "STATE_UNSPECIFIED"
    trace_metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    assessments: tuple[AssessmentMessage, ...] = ()


class TraceMessage(msgspec.Struct, frozen=True):
    """A trace; its spans come by OTLP."""

    trace_info: TraceInfo = TraceInfo()


class StartTrace(Request, frozen=True):
    """POST traces: `trace` in version 3.0 of the protocol, called at a trace's end; in 2.0 the rest."""

    trace: TraceMessage | None = None
    experiment_id: str = ""
    timestamp_ms: Int64 = 0
    request_metadata: tuple[KeyValue, ...] = ()
    tags: tuple[KeyValue, ...] = ()


class EndTraceV2(Request, frozen=True):
    """PATCH 2.0 traces/ID."""

    request_id: str
    timestamp_ms: Int64 = 0
    status: str | int = ""
    request_metadata: tuple[KeyValue, ...] = ()
    tags: tuple[KeyValue, ...] = ()


class TraceId(Request, frozen=True):
    """GET 3.0 traces/ID."""

    trace_id: str


class TraceIdV2(Request, frozen=True):
    """GET 2.0 traces/ID/info."""

    request_id: str


class GetTrace(Request, frozen=True):
    """GET 3.0 traces/get."""

    trace_id: str
    allow_partial: bool = False


class BatchGetTraces(Request, frozen=True):
    """GET traces/batchGet and POST traces/batchGetInfos."""

    trace_ids: tuple[str, ...]
    experiment_ids: tuple[str, ...] | None = None


class SearchTraces(Request, frozen=True):
    """POST 3.0 traces/search."""

    locations: tuple[TracePlace, ...]
    filter: str = ""
    max_results: Int32 = 100
    order_by: tuple[str, ...] = ()
    page_token: str = ""


class SearchTracesV2(Request, frozen=True):
    """GET 2.0 traces."""

    experiment_ids: tuple[str, ...]
    filter: str = ""
    max_results: Int32 = 100
    order_by: tuple[str, ...] = ()
    page_token: str = ""


class DeleteTraces(Request, frozen=True):
    """POST traces/delete-traces."""

    experiment_id: str
    max_timestamp_millis: Int64 | None = None
    max_traces: Int32 | None = None
    request_ids: tuple[str, ...] = ()


class SetTraceTag(Request, frozen=True):
    """PATCH traces/ID/tags."""

    trace_id: str
    key: str
    value: str = ""


class DeleteTraceTag(Request, frozen=True):
    """DELETE traces/ID/tags."""

    trace_id: str
    key: str


class LinkTraces(Request, frozen=True):
    """POST traces/link-to-run."""

    trace_ids: tuple[str, ...]
    run_id: str


class PromptVersion(msgspec.Struct, frozen=True):
    """A version of a prompt."""

    name: str = ""
    version: str = ""


class LinkPrompts(Request, frozen=True):
    """POST traces/link-prompts."""

    trace_id: str
    prompt_versions: tuple[PromptVersion, ...]


class Correlation(Request, frozen=True):
    """POST traces/calculate-filter-correlation."""

    experiment_ids: tuple[str, ...]
    filter_string1: str
    filter_string2: str
    base_filter: str = ""


class CreateAssessment(Request, frozen=True):
    """POST traces/ID/assessments."""

    trace_id: str
    assessment: AssessmentMessage


class AssessmentId(Request, frozen=True):
    """GET and DELETE traces/ID/assessments/ID."""

    trace_id: str
    assessment_id: str


class UpdateAssessment(Request, frozen=True):
    """PATCH traces/ID/assessments/ID; the mask names the fields that change, with commas between them."""

    trace_id: str
    assessment_id: str
    assessment: AssessmentMessage
    update_mask: str


class Aggregation(msgspec.Struct, frozen=True):
    """How values become one: COUNT, SUM, AVG, MIN, MAX, or a PERCENTILE from 0 to 100."""

    aggregation_type: str | int = ""
    percentile_value: float | None = None


class TraceMetrics(Request, frozen=True):
    """POST traces/metrics."""

    experiment_ids: tuple[str, ...]
    view_type: str | int
    metric_name: str
    aggregations: tuple[Aggregation, ...]
    dimensions: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    time_interval_seconds: Int64 | None = None
    start_time_ms: Int64 | None = None
    end_time_ms: Int64 | None = None
    max_results: Int32 = 1000
    page_token: str = ""
