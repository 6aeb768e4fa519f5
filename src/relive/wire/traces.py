"""Traces of applications, as they are listed and shown.

    GET /api/v1/traces?project=&experiment=&filter=   → TraceItem, …
    GET /api/v1/traces/{id}                           → TraceDetail

They are recorded by MLflow's clients and by OpenTelemetry: see `wire.mlflow.traces` and `formats.otlp`.
"""

import msgspec

from relive.core.trace import Assessment, Span, Trace


class TraceItem(msgspec.Struct, frozen=True, kw_only=True):
    """A trace and what is known of it without its spans.

    Attributes:
        name: What its client calls it; empty for nothing.
        n_spans: How many of its spans are here.
        said: Feedback, expectations and issues, as they came.
    """

    trace: Trace
    project: str
    experiment: str
    name: str = ""
    n_spans: int = 0
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    said: tuple[Assessment, ...] = ()


class TraceDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A trace with its spans: roots first, then as they began."""

    item: TraceItem
    url: str
    spans: tuple[Span, ...] = ()
