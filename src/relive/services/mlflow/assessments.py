"""What is said of traces: feedback, expectations, issues.

Source: mlflow.store.tracking.sqlalchemy_store, mlflow.entities.assessment.
"""

import json
from typing import Any, Final

from relive.core.access import Caller
from relive.core.trace import Assessment
from relive.errors import Conflict
from relive.services.context import Services
from relive.services.mlflow import traces
from relive.services.mlflow.assessment_values import assessment_of, error_of, number_of, value_of
from relive.services.mlflow.faults import MlflowFault, invalid, missing
from relive.services.mlflow.trace_json import assessment_json
from relive.services.mlflow.values import milliseconds
from relive.wire.mlflow import traces as wire

_FIELDS: Final = ("assessment_name", "expectation", "feedback", "rationale", "metadata", "valid")


def create_assessment(services: Services, message: wire.CreateAssessment, caller: Caller) -> dict[str, Any]:
    """Say something of a trace, perhaps in the place of what was said before.

    Raises:
        MlflowFault: It says nothing, or there is no such trace, or nothing that it could take the place of.
        AccessDenied: A command names a trace of another project, or it would take the place of something and
            the trace is another's.
    """
    find = traces.writable if message.assessment.overrides else traces.readable
    trace = find(services, message.trace_id, caller)
    made = assessment_of(services, message.assessment, trace.id)
    with services.store.transaction():
        if made.overrides:
            if services.store.find_assessment(trace.id, made.overrides) is None:
                raise _missing(trace.id, made.overrides)
            services.store.set_assessment(made.overrides, is_valid=False)
        try:
            return assessment_json(services.store.create_assessment(made))
        except Conflict:
            text = f"Failed to create assessment for trace '{trace.id}' due to a constraint violation."
            raise MlflowFault(error_code="RESOURCE_ALREADY_EXISTS", message=text) from None


def get_assessment(services: Services, message: wire.AssessmentId, caller: Caller) -> dict[str, Any]:
    """Give what was said.

    Raises:
        MlflowFault: It is not there.
    """
    return assessment_json(_found(services, message, caller))


def update_assessment(services: Services, message: wire.UpdateAssessment, caller: Caller) -> dict[str, Any]:
    """Change what was said; who said it and of what stays.

    Raises:
        MlflowFault: It is not there, or is of another kind.
        AccessDenied: The trace is another's.
    """
    ids = wire.AssessmentId(trace_id=message.trace_id, assessment_id=message.assessment_id)
    earlier = _found(services, ids, caller)
    traces.writable(services, message.trace_id, caller)
    mask = [_snake(field.strip()) for field in message.update_mask.split(",")]
    changes = _changes(earlier, message.assessment, [field for field in mask if field in _FIELDS])
    changes["updated_ms"] = milliseconds(services.store.now())
    return assessment_json(services.store.set_assessment(earlier.id, **changes))


def delete_assessment(services: Services, message: wire.AssessmentId, caller: Caller) -> None:
    """Take back what was said; what it had taken the place of holds again. Again changes nothing.

    Raises:
        AccessDenied: The trace is another's.
    """
    store = services.store
    if store.find_trace(message.trace_id) is None:
        return
    trace = traces.writable(services, message.trace_id, caller)
    with store.transaction():
        found = store.find_assessment(trace.id, message.assessment_id)
        if found is None:
            return
        store.delete_assessment(trace.id, found.id)
        if found.overrides and store.find_assessment(trace.id, found.overrides) is not None:
            store.set_assessment(found.overrides, is_valid=True)


def _changes(earlier: Assessment, said: wire.AssessmentMessage, mask: list[str]) -> dict[str, Any]:
    if "expectation" in mask and "feedback" in mask:
        raise invalid("Cannot specify both `expectation` and `feedback` parameters.")
    for kind, other in (("expectation", "Feedback"), ("feedback", "Expectation")):
        if kind in mask and earlier.kind != kind:
            article = "a" if other == "Feedback" else "an"
            raise invalid(f"Cannot update {kind} value on {article} {other} assessment.")
    changes: dict[str, Any] = {}
    if "assessment_name" in mask:
        changes["name"] = said.assessment_name
    if "rationale" in mask:
        changes["rationale"] = said.rationale
    if "metadata" in mask:
        changes["metadata"] = earlier.metadata | said.metadata
    if "valid" in mask:
        changes["is_valid"] = said.valid
    if earlier.kind in mask:
        _, value = value_of(said)
        number, is_numeric = number_of(value)
        changes |= {"value": json.dumps(value), "number": number, "is_numeric": is_numeric}
        error = said.feedback.error if said.feedback is not None else None
        changes["error"] = error_of(error)
    return changes


def _found(services: Services, message: wire.AssessmentId, caller: Caller) -> Assessment:
    said = f"Trace with request_id '{message.trace_id}' not found"
    trace = traces.readable(services, message.trace_id, caller, said)
    found = services.store.find_assessment(trace.id, message.assessment_id)
    if found is None:
        raise _missing(trace.id, message.assessment_id)
    return found


def _missing(trace_id: str, assessment_id: str) -> Exception:
    return missing(f"Assessment with ID '{assessment_id}' not found for trace '{trace_id}'")


def _snake(field: str) -> str:
    """Give a field's name as we write it: a mask in JSON has it in camelCase."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field)
