"""What is measured of traces, their spans and their assessments, and which of them count."""

from enum import StrEnum
from typing import Final

import msgspec

from relive.core.search import Condition


class SampleView(StrEnum):
    """What is measured."""

    TRACES = "TRACES"
    SPANS = "SPANS"
    ASSESSMENTS = "ASSESSMENTS"


class Samples(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: one number of each thing, beside what it is grouped by.

    Attributes:
        metric: One of `METRICS[view]`.
        dimensions: Of `DIMENSIONS[view]`; what lacks one does not count.
        condition: Which traces count; None for all.
        own: What the spans or assessments must be equal in: `name`, `type`, `status`.
        since_ms: Traces that began from then on, milliseconds since the epoch.
        until_ms: Traces that began up to then.
    """

    view: SampleView
    metric: str
    dimensions: tuple[str, ...] = ()
    condition: Condition | None = None
    own: dict[str, str] = {}
    since_ms: int | None = None
    until_ms: int | None = None


class Sample(msgspec.Struct, frozen=True):
    """One number: of a count 1, of a session its name, a latency in milliseconds, money in US dollars."""

    at_ms: int
    dimensions: tuple[str, ...]
    value: float | str


COUNTS: Final = frozenset({"trace_count", "session_count", "span_count", "assessment_count"})
METRICS: Final = {
    SampleView.TRACES: (
        *("trace_count", "session_count", "latency", "input_tokens", "output_tokens", "total_tokens"),
        *("cache_read_input_tokens", "cache_creation_input_tokens"),
    ),
    SampleView.SPANS: ("span_count", "latency", "input_cost", "output_cost", "total_cost"),
    SampleView.ASSESSMENTS: ("assessment_count", "assessment_value"),
}
DIMENSIONS: Final = {
    SampleView.TRACES: ("trace_name", "trace_status"),
    SampleView.SPANS: ("span_name", "span_type", "span_status", "span_model_name", "span_model_provider"),
    SampleView.ASSESSMENTS: ("assessment_name", "assessment_value"),
}
