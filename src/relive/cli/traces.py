"""`relive traces`: what one request to an application made happen, and what was said of it."""

import time

import click

from relive.cli.output import (
    Group,
    ago,
    duration,
    escape,
    json_option,
    number,
    out,
    print_json,
    print_table,
)
from relive.client.hub import connect
from relive.core.trace import (
    COST_KEY,
    SESSION_KEY,
    USAGE_KEY,
    TraceState,
    amount_of,
    as_tree,
    text_of,
)
from relive.wire.traces import TraceDetail, TraceItem

_STATES = {
    TraceState.OK: "● ok",
    TraceState.ERROR: "✗ error",
    TraceState.IN_PROGRESS: "▶ in progress",
    TraceState.UNSPECIFIED: "–",
}
_LONGEST = 60
# On its own line there is room for more, but no screen for all.
_LONGEST_LINE = 1000


@click.group(cls=Group)
def traces() -> None:
    """Traces of applications: list them, show one with its spans.

    They are recorded by MLflow's tracing (`@mlflow.trace`, autologging) and by exporters of OpenTelemetry.
    """


@traces.command("list")
@click.option("--project", default="", help="Only traces of this project.")
@click.option("--experiment", default="", help="Only traces of this experiment: its name or id.")
@click.option(
    "--filter", "filter_text", default="", help="Only traces that fit, such as \"status = 'ERROR'\"."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@json_option
def list_(project: str, experiment: str, filter_text: str, limit: int, as_json: bool) -> None:
    """List traces that fit, newest first.

    A filter compares status, name, execution_time_ms, timestamp_ms, run_id, tag.KEY, metadata.KEY, span.name,
    span.type, span.attributes.KEY, feedback.NAME and expectation.NAME, joined by AND, OR, NOT and brackets.

    \b
    Examples:
      relive traces list --project assistant
      relive traces list --filter "status = 'ERROR' and execution_time_ms > 2000"
      relive traces list --filter "feedback.correct = 'false'" --json
    """
    found = connect().list_traces(project=project, experiment=experiment, filter=filter_text, limit=limit)
    if as_json:
        print_json(found)
        return
    now = time.time()
    print_table(
        ("TRACE", "NAME", "STATUS", "TOOK", "TOKENS", "SPANS", "SAID", "REQUEST", "STARTED"),
        (
            (
                item.trace.id,
                _short(item.name),
                _STATES[item.trace.state],
                _took(item.trace.duration_ms),
                _part(item.metadata.get(USAGE_KEY, ""), "total_tokens"),
                item.n_spans,
                _short(", ".join(f"{it.name}: {text_of(it)}" for it in item.said if it.is_valid)),
                _short(item.trace.request_preview),
                ago(item.trace.started_ms / 1000, now),
            )
            for item in found
        ),
        empty="No traces." if experiment or filter_text else "No traces yet: applications send them.",
    )


@traces.command()
@click.argument("trace")
@json_option
def show(trace: str, as_json: bool) -> None:
    """Show a trace: what was asked and answered, its spans as a tree, what was said of it.

    TRACE is a whole id.

    \b
    Example:
      relive traces show tr-7f3a5c0e9b1d4a6f8e2c7d0b5a9f1e3c
    """
    detail = connect().get_trace(trace)
    if as_json:
        print_json(detail)
        return
    _print_head(detail.item)
    print_table(
        ("SPAN", "TYPE", "STATUS", "TOOK", "TOKENS", "MODEL"),
        (
            (
                "  " * depth + span.name,
                span.type,
                span.status.lower(),
                _took(None if span.ended_ns is None else (span.ended_ns - span.started_ns) / 1e6),
                number(span.usage["total_tokens"]) if "total_tokens" in span.usage else "",
                span.model,
            )
            for span, depth in as_tree(detail.spans)
        ),
        empty="No spans yet.",
    )
    _print_said(detail)
    out.print(escape(detail.url))


def _print_head(item: TraceItem) -> None:
    trace = item.trace
    usage, cost = item.metadata.get(USAGE_KEY, ""), item.metadata.get(COST_KEY, "")
    out.print(escape(" ".join(filter(None, (item.name, trace.id)))))
    lines = {
        "status": _STATES[trace.state],
        "in": f"{item.project}, experiment {item.experiment}",
        "started": ago(trace.started_ms / 1000, time.time()),
        "took": _took(trace.duration_ms),
        "tokens": _part(usage, "total_tokens"),
        "cost": _part(cost, "total_cost"),
        "session": item.metadata.get(SESSION_KEY, ""),
        "request": trace.request_preview,
        "response": trace.response_preview,
    }
    for name, text in lines.items():
        if text:
            out.print(escape(f"{name:<10} {_short(text, _LONGEST_LINE)}"))


def _print_said(detail: TraceDetail) -> None:
    names = {span.id: span.name for span in detail.spans}
    print_table(
        ("SAID", "KIND", "VALUE", "BY", "OF", "WHY"),
        (
            (
                it.name if it.is_valid else f"{it.name} (replaced)",
                it.kind.value,
                _short(text_of(it)),
                " ".join(filter(None, (it.source_type.lower(), it.source_id))),
                names.get(it.span_id, it.span_id),
                _short(it.rationale),
            )
            for it in detail.item.said
        ),
        empty="",
    )


def _part(said: str, name: str) -> str:
    found = amount_of(said, name)
    return "" if found is None else number(found)


def _took(milliseconds: float | None) -> str:
    if milliseconds is None:
        return ""
    return duration(milliseconds / 1000) if milliseconds >= 1000 else f"{milliseconds:.3g} ms"


def _short(text: str, longest: int = _LONGEST) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
