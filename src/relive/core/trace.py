"""Traces of applications: what one request made happen, span by span, and what was said of it since."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

# Tags and metadata with a meaning of their own; the words are those of MLflow's clients.
NAME_TAG: Final = "mlflow.traceName"
SESSION_KEY: Final = "mlflow.trace.session"
RUN_KEY: Final = "mlflow.sourceRun"
USAGE_KEY: Final = "mlflow.trace.tokenUsage"
COST_KEY: Final = "mlflow.trace.cost"
USAGE_PARTS: Final = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
)
COST_PARTS: Final = ("input_cost", "output_cost", "total_cost")


class TraceState(StrEnum):
    """Where a trace stands, in the words of its clients."""

    UNSPECIFIED = "STATE_UNSPECIFIED"
    OK = "OK"
    ERROR = "ERROR"
    IN_PROGRESS = "IN_PROGRESS"


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One request to an application.

    Attributes:
        id: As its client made it: "tr-" and 32 hex digits.
        started_ms: Milliseconds since the epoch.
        duration_ms: None while it goes on.
        client_request_id: How the application calls it; empty for nothing.
        request_preview: The beginning of what was asked; empty for nothing.
        created_by: Who sent it first.
    """

    id: str
    experiment_id: str
    started_ms: int
    duration_ms: int | None = None
    state: TraceState = TraceState.UNSPECIFIED
    client_request_id: str = ""
    request_preview: str = ""
    response_preview: str = ""
    created_by: str = ""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a trace.

    Attributes:
        id: 16 hex digits, unique within its trace.
        parent_id: The step that it is a part of; empty for the root.
        status: OK, ERROR or UNSET.
        started_ns: Nanoseconds since the epoch.
        ended_ns: None while it goes on.
        content: All of it as JSON, as clients read it.
        usage: Tokens by their kind (`USAGE_PARTS`), empty if it says nothing of them.
        cost: US dollars by their kind (`COST_PARTS`).
        model: The language model that it asked; empty for none.
    """

    trace_id: str
    id: str
    parent_id: str = ""
    name: str = ""
    type: str = ""
    status: str = "UNSET"
    started_ns: int
    ended_ns: int | None = None
    content: str
    usage: dict[str, float] = {}
    cost: dict[str, float] = {}
    model: str = ""
    provider: str = ""


class AssessmentKind(StrEnum):
    """What an assessment is: a judgement, what should have come out, or the problem that it shows."""

    FEEDBACK = "feedback"
    EXPECTATION = "expectation"
    ISSUE = "issue"


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """What a person, a program or a model said of a trace.

    Attributes:
        value: JSON; of an issue its name.
        number: What is averaged: the value as a number, yes and true as 1; None if it is none of these.
        is_numeric: Whether the value itself is a number.
        error: Why there is no value: `error_code`, `error_message`, `stack_trace`.
        source_type: HUMAN, LLM_JUDGE, CODE, ….
        source_run_id: The run that said it.
        span_id: The step it is about; empty for the whole trace.
        overrides: The assessment that it takes the place of, which then is not valid.
    """

    id: str
    trace_id: str
    name: str
    kind: AssessmentKind
    value: str
    number: float | None = None
    is_numeric: bool = False
    error: dict[str, str] = {}
    source_type: str = ""
    source_id: str = ""
    source_run_id: str = ""
    span_id: str = ""
    rationale: str = ""
    metadata: dict[str, str] = {}
    overrides: str = ""
    is_valid: bool = True
    created_ms: int = 0
    updated_ms: int = 0


def text_of(said: Assessment) -> str:
    """Write what was said as people read it: of a failure why there is no value, of an issue its name."""
    if said.error:
        return said.error.get("error_message") or said.error.get("error_code") or "error"
    value = json.loads(said.value)
    if said.kind is AssessmentKind.ISSUE and isinstance(value, dict):
        return str(value.get("issue_name", ""))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def amount_of(said: str, part: str) -> float | None:
    """Read one number of what metadata says under `USAGE_KEY` or `COST_KEY`; None if it says none."""
    try:
        found = json.loads(said).get(part)
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, int | float) else None


class Usage(msgspec.Struct, frozen=True):
    """What a span says of tokens or of money, and where it stands in its trace."""

    span_id: str
    parent_id: str
    amounts: dict[str, Any]


def total(spans: list[Usage]) -> dict[str, float]:
    """Sum what the spans of one trace say.

    What a span says covers all below it: a parent's figures are its children's together.
    """
    ids = {span.span_id for span in spans}
    children: dict[str, list[Usage]] = {}
    for span in spans:
        # What came without its parent is a root for now.
        children.setdefault(span.parent_id if span.parent_id in ids else "", []).append(span)
    sums: dict[str, float] = {}
    left, seen = list(children.get("", ())), set[str]()
    while left:
        span = left.pop()
        if span.span_id in seen:
            continue
        seen.add(span.span_id)
        for key, amount in span.amounts.items():
            sums[key] = sums.get(key, 0) + amount
        if not span.amounts:
            left += children.get(span.span_id, ())
    return sums


def as_tree(spans: Sequence[Span]) -> list[tuple[Span, int]]:
    """Lay spans out as a tree: each before those that lie in it, with how deep it lies, 0 for a root.

    What has no parent here is at the top, and so is one of those that name one another as parents.
    """
    ids = {span.id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda it: it.started_ns, reverse=True):
        children.setdefault(span.parent_id if span.parent_id in ids else "", []).append(span)
    found: list[tuple[Span, int]] = []
    seen: set[str] = set()
    for top in [*reversed(children.get("", ())), *spans]:
        left = [(top, 0)]
        while left:
            span, depth = left.pop()
            if span.id not in seen:
                seen.add(span.id)
                found.append((span, depth))
                left += [(child, depth + 1) for child in children.get(span.id, ())]
    return found
