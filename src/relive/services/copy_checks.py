"""What an import may bring: only what clients and pages can read again.

One trace or data set that cannot be written out would hide all others of its page.
"""

import json
from typing import Any

from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.core.ids import check_name
from relive.core.trace import Assessment, Span
from relive.errors import InvalidInput
from relive.services.mlflow.faults import MlflowFault
from relive.services.mlflow.trace_json import assessment_json, span_json
from relive.services.mlflow.trace_times import stamp
from relive.wire.copies import TraceCopy

_LONGEST_SHOWN = 200
_LARGEST_NUMBER = 1 << 53  # others can follow it


def check_trace(copy: TraceCopy) -> None:
    """Refuse a trace without an id, or what was said of it at no time, or is no JSON.

    Raises:
        InvalidInput: It is one.
    """
    if not copy.trace.id:
        raise InvalidInput(field="id of a trace", value="", wanted="at least one character")
    try:
        stamp(copy.trace.started_ms)
    except MlflowFault as fault:
        value = copy.trace.started_ms
        raise InvalidInput(field="start of a trace", value=value, wanted=fault.message) from fault
    for said in copy.said:
        _check_said(said)


def check_span(span: Span) -> None:
    """Refuse a span whose content is not what `services.mlflow.spans` keeps.

    Raises:
        InvalidInput: It is another.
    """
    _read("span", span.content)
    try:
        span_json(span)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _unreadable("span", span.content, f"a span as this hub keeps it ({error!r})") from error


def check_dataset(dataset: EvaluationDataset) -> None:
    """Refuse a data set whose id cannot be a folder's name, or whose fields are no JSON.

    Raises:
        InvalidName: The id is none.
        InvalidInput: The fields are none.
    """
    check_name("evaluation data set", dataset.id)
    _read("fields of a data set", dataset.schema or "{}")


def check_record(record: EvaluationRecord) -> None:
    """Refuse a record without a place, or of which a part is no JSON, or no object where it must be one.

    Raises:
        InvalidInput: It is one.
    """
    if not 0 <= record.number < _LARGEST_NUMBER:
        wanted = f"0 to {_LARGEST_NUMBER - 1}"
        raise InvalidInput(field="number of a record", value=record.number, wanted=wanted)
    for name in ("inputs", "expectations", "tags", "source"):
        _read(f"{name} of a record", getattr(record, name) or "{}")
    if not isinstance(json.loads(record.source or "{}").get("source_data", {}), dict):
        raise _unreadable("source of a record", record.source, "an object as its source_data")
    _json("outputs of a record", record.outputs or "{}")


def _check_said(said: Assessment) -> None:
    _json("assessment", said.value)
    try:
        assessment_json(said)
    except MlflowFault as fault:
        raise InvalidInput(field="assessment", value=said.id, wanted=fault.message) from fault


def _read(what: str, text: str) -> dict[str, Any]:
    found = _json(what, text)
    if not isinstance(found, dict):
        raise _unreadable(what, text, "a JSON object")
    return found


def _json(what: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(what, text, f"JSON ({error})") from error


def _unreadable(what: str, text: str, wanted: str) -> InvalidInput:
    return InvalidInput(field=what, value=text[:_LONGEST_SHOWN], wanted=wanted)
