"""Records of data sets for evaluation: how they are read, merged and written.

What a client says of a record is any JSON, kept as text: the words that JSON has none for (NaN) stay what
they are in Python's JSON.

Source: mlflow.store.tracking.dbmodels.models, mlflow.entities.dataset_record.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from relive.core.evaluation import EvaluationRecord
from relive.services.ids import new_id
from relive.services.mlflow.faults import invalid
from relive.services.mlflow.values import milliseconds

USER: Final = "mlflow.user"
_SOURCE_TYPES: Final = ("UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE")
_SIDES: Final = ("inputs", "outputs", "expectations")
# What a record's parts may be besides absent; outputs may be anything.
_OBJECTS: Final = ("inputs", "expectations", "tags", "source")
_TYPES: Final = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "float",
    str: "string",
    list: "array",
    dict: "object",
}


def read_json(text: str, what: str) -> Any:
    """Read JSON that came as text.

    Raises:
        MlflowFault: It is none, or nested too deeply.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = error if isinstance(error, ValueError) else "it is nested too deeply"
        raise invalid(
            f"Invalid value for parameter '{what}' supplied: it must be JSON as text: {reason}"
        ) from None


def read_records(text: str) -> list[dict[str, Any]]:
    """Read records.

    Raises:
        MlflowFault: They are no list, or one of them is no record.
    """
    given = read_json(text, "records")
    if not isinstance(given, list):
        raise invalid("Invalid value for parameter 'records' supplied: it must be a list of records.")
    return [_checked(record, index) for index, record in enumerate(given)]


def digest_of(record: Mapping[str, Any]) -> str:
    """Give the digest of a record's inputs: what asks the same has the same."""
    return hashlib.sha256(_text(record.get("inputs", {}), sort_keys=True).encode()).hexdigest()


def new_record(dataset_id: str, given: Mapping[str, Any], digest: str, at: float) -> EvaluationRecord:
    """Make a record of what was given."""
    tags, source = given.get("tags"), given.get("source")
    outputs, expectations = given.get("outputs", {}), given.get("expectations")
    user = user_of(tags)
    return EvaluationRecord(
        id=f"dr-{new_id()}",
        dataset_id=dataset_id,
        input_digest=digest,
        inputs=_text(given.get("inputs", {})),
        outputs="" if outputs is None else _text(outputs),
        expectations="" if expectations is None else _text(expectations),
        tags="" if tags is None else _text(tags),
        source=_text(_source(source)) if source else "",
        author=user,
        last_author=user,
        created_at=at,
        updated_at=at,
    )


def merged(record: EvaluationRecord, given: Mapping[str, Any], at: float) -> EvaluationRecord:
    """Give a record with what came later: outputs replace those before, expectations and tags join them."""
    changes: dict[str, Any] = {"updated_at": at}
    if "outputs" in given:
        changes["outputs"] = "" if given["outputs"] is None else _text(given["outputs"])
    for part in ("expectations", "tags"):
        if given.get(part):
            before = getattr(record, part)
            changes[part] = _text((json.loads(before) if before else {}) | given[part])
    if user := user_of(given.get("tags")):
        changes["last_author"] = user
    return msgspec.structs.replace(record, **changes)


def user_of(tags: Mapping[str, Any] | None) -> str:
    """Give who a client says it works for; empty if it does not."""
    user = (tags or {}).get(USER)
    return "" if user is None else str(user)


def grown_schema(before: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Give a data set's schema with the fields of more records: a field's type is what it was first."""
    if not records:
        return before
    schema = json.loads(before) if before else {side: {} for side in _SIDES} | {"version": "1.0"}
    for record in records:
        for side in _SIDES:
            found = record.get(side)
            if isinstance(found, dict) and isinstance(schema[side], dict):
                for key, value in found.items():
                    schema[side].setdefault(key, _TYPES[type(value)])
            elif found is not None and not schema[side]:
                schema[side] = _TYPES[type(found)]
    return _text(schema)


def record_json(record: EvaluationRecord) -> dict[str, Any]:
    """Write a record as MLflow does."""
    written: dict[str, Any] = {
        "dataset_record_id": record.id,
        "dataset_id": record.dataset_id,
        "inputs": json.loads(record.inputs),
        "tags": json.loads(record.tags or "{}"),
        "created_time": milliseconds(record.created_at),
        "last_update_time": milliseconds(record.updated_at),
    }
    for part in ("outputs", "expectations"):
        if text := getattr(record, part):
            written[part] = json.loads(text)
    if record.source:
        source = json.loads(record.source)
        named = "trace_id" if source["source_type"] == "TRACE" else "source_id"
        written |= {"source": source, "source_type": source["source_type"]}
        if (source_id := source["source_data"].get(named)) is not None:
            written["source_id"] = str(source_id)
    users = {"created_by": record.author, "last_updated_by": record.last_author}
    return written | {name: user for name, user in users.items() if user}


def _checked(record: Any, index: int) -> dict[str, Any]:
    where = f"records[{index}]"
    if not isinstance(record, dict):
        raise invalid(f"Invalid value for parameter '{where}' supplied: it must be an object.")
    for part in _OBJECTS:
        value = record.get(part, {})
        if not isinstance(value, dict) and not (value is None and part != "inputs"):
            raise invalid(f"Invalid value for parameter '{where}.{part}' supplied: it must be an object.")
    if record.get("source"):
        _source(record["source"])
    return record


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    """Give where a record comes from, its type in capitals."""
    given = source.get("source_type")
    word = given.upper() if isinstance(given, str) else ""
    if word not in _SOURCE_TYPES:
        shown = word if isinstance(given, str) else given
        raise invalid(
            f"Invalid dataset record source type: {shown}. Valid source types: {list(_SOURCE_TYPES)}"
        )
    data = source.get("source_data")
    if data is not None and not isinstance(data, dict):
        raise invalid("Invalid value for parameter 'source_data' supplied: it must be an object.")
    return {"source_type": word, "source_data": data or {}}


def _text(value: Any, *, sort_keys: bool = False) -> str:
    try:
        return json.dumps(value, sort_keys=sort_keys)
    except RecursionError:
        raise invalid("A record is nested too deeply.") from None
