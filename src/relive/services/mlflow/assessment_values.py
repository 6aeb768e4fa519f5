"""Reading what is said of traces.

Source: mlflow.entities.assessment, mlflow.store.tracking.utils.trace_analytics.
"""

import json
import math
import secrets
from typing import Any

import msgspec

from relive.core.trace import Assessment, AssessmentKind
from relive.services.context import Services
from relive.services.mlflow.faults import invalid
from relive.services.mlflow.trace_times import milliseconds_of
from relive.services.mlflow.values import milliseconds
from relive.wire.mlflow import traces as wire


def assessment_of(services: Services, said: wire.AssessmentMessage, trace_id: str) -> Assessment:
    """Read what is said of a trace.

    Raises:
        MlflowFault: It says nothing, or what cannot be read.
    """
    now = milliseconds(services.store.now())
    kind, value = value_of(said)
    number, is_numeric = number_of(value)
    error = said.feedback.error if said.feedback is not None else None
    return Assessment(
        id=said.assessment_id or f"a-{secrets.token_hex(16)}",
        trace_id=trace_id,
        name=said.assessment_name,
        kind=kind,
        value=json.dumps(value),
        number=number,
        is_numeric=is_numeric,
        error=error_of(error),
        source_type=_source_type(said.source.source_type),
        source_id=said.source.source_id,
        source_run_id="",
        span_id=said.span_id,
        rationale=said.rationale,
        metadata=said.metadata,
        overrides=said.overrides,
        created_ms=milliseconds_of(said.create_time, "create_time") or now,
        updated_ms=milliseconds_of(said.last_update_time, "last_update_time") or now,
    )


def number_of(value: Any) -> tuple[float | None, bool]:
    """Give a value as what is averaged, and whether it is a number itself."""
    if isinstance(value, bool):
        return float(value), False
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return None, False
        return (number, True) if math.isfinite(number) else (None, False)
    word = value.strip().lower() if isinstance(value, str) else ""
    return (float(word == "yes") if word in ("yes", "no") else None), False


def value_of(said: wire.AssessmentMessage) -> tuple[AssessmentKind, Any]:
    """Give what kind of thing is said, and what.

    Raises:
        MlflowFault: Nothing is said, or it cannot be read.
    """
    if said.expectation is not None:
        return AssessmentKind.EXPECTATION, _expected(said.expectation)
    if said.feedback is not None:
        return AssessmentKind.FEEDBACK, said.feedback.value
    if said.issue is not None:
        return AssessmentKind.ISSUE, {"issue_name": said.issue.issue_name}
    raise invalid("Unknown assessment type: None")


def _expected(said: wire.ExpectationValue) -> Any:
    value = said.value
    if said.serialized_value is not None:
        if said.serialized_value.serialization_format != "JSON_FORMAT":
            given = said.serialized_value.serialization_format
            raise invalid(f"Unknown serialization format: {given}. Only JSON_FORMAT is supported.")
        try:
            value = json.loads(said.serialized_value.value)
        except (ValueError, RecursionError) as error:
            raise invalid(f"The value of an expectation is no JSON: {error}") from None
    if value is None:
        raise invalid("The `value` field must be specified.")
    return value


def error_of(error: wire.AssessmentError | None) -> dict[str, str]:
    """Give why there is no value; empty for no reason."""
    if error is None:
        return {}
    return {key: text for key, text in msgspec.to_builtins(error).items() if text}


def _source_type(said: str) -> str:
    # The word that older clients have for it.
    return "LLM_JUDGE" if said == "AI_JUDGE" else said
