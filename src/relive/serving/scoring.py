"""MLflow's scoring protocol, `POST /invocations`: other words for the same inputs.

Source: MLflow documentation, "Local Inference Server Specification": exactly one of `dataframe_split`,
`dataframe_records`, `instances` and `inputs`; the answer is {"predictions": …}, a list with one entry a row.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import tensors
from .faults import BadRequest
from .oip import fit, read_json
from .signature import Signature, TensorSpec

if TYPE_CHECKING:
    from .tensors import Array

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def parse_request(body: bytes, signature: Signature) -> dict[str, Array]:
    """Read a scoring request into the inputs of the signature.

    Raises:
        BadRequest: It is malformed or does not fit.
    """
    content = read_json(body)
    forms = [form for form in FORMS if form in content]
    if len(forms) != 1:
        raise BadRequest(f"the request has {forms or 'none'} of {', '.join(FORMS)}, expected exactly one")
    if content.get("params"):
        raise BadRequest("params are not supported here: the model takes inputs only")
    form = forms[0]
    readers = {
        "dataframe_split": _split,
        "dataframe_records": _records,
        "instances": _rows,
        "inputs": _columns,
    }
    given = readers[form](content[form], signature)
    return fit(given, signature)


def encode_response(outputs: dict[str, Array]) -> bytes:
    """Write predictions: one list for one output, one object a row for several."""
    rows = {name: _nested(tensors.to_json(array), array.shape) for name, array in outputs.items()}
    if len(rows) == 1:
        predictions: list[Any] = next(iter(rows.values()))
    else:
        predictions = [dict(zip(rows, values)) for values in zip(*rows.values())]
    return json.dumps({"predictions": predictions}, separators=(",", ":"), allow_nan=False).encode()


def _split(value: Any, signature: Signature) -> dict[str, Array]:
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise BadRequest('dataframe_split: expected {"columns": [names], "data": [rows]}')
    columns = value.get("columns")
    if columns is None and signature.layout != "columns":
        return _rows(value["data"], signature)
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise BadRequest(f"dataframe_split: columns is {columns!r:.80}, expected a list of names")
    for number, row in enumerate(value["data"]):
        if not isinstance(row, list) or len(row) != len(columns):
            raise BadRequest(
                f"dataframe_split: row {number} has not the {len(columns)} values of its columns"
            )
    if signature.layout != "columns":
        return _rows(value["data"], signature)
    return _columns({name: [row[i] for row in value["data"]] for i, name in enumerate(columns)}, signature)


def _records(value: Any, signature: Signature) -> dict[str, Array]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value) or not value:
        raise BadRequest("dataframe_records: expected a list of objects, one a row")
    names = list(value[0])
    for number, row in enumerate(value):
        if set(row) != set(names):
            raise BadRequest(f"dataframe_records: row {number} has not the keys of row 0, {names!r:.300}")
    if signature.layout == "array":
        return _rows([[row[name] for name in names] for row in value], signature)
    return _columns({name: [row[name] for row in value] for name in names}, signature)


def _rows(value: Any, signature: Signature) -> dict[str, Array]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return _records(value, signature)
    if (
        signature.layout == "columns"
        and isinstance(value, list)
        and all(isinstance(row, list) for row in value)
    ):
        return _split({"columns": [spec.name for spec in signature.inputs], "data": value}, signature)
    if len(signature.inputs) != 1:
        raise BadRequest(
            f"the model has the inputs {[spec.name for spec in signature.inputs]!r:.300}: name them"
        )
    spec = signature.inputs[0]
    return {spec.name: _array(spec, value)}


def _columns(value: Any, signature: Signature) -> dict[str, Array]:
    if not isinstance(value, dict):
        return _rows(value, signature)
    specs = {spec.name: spec for spec in signature.inputs}
    unknown = sorted(set(value) - set(specs))
    if unknown:
        raise BadRequest(f"inputs {unknown!r:.300} are unknown, expected {list(specs)!r:.300}")
    return {name: _array(specs[name], column) for name, column in value.items()}


def _array(spec: TensorSpec, value: Any) -> Array:
    """Read nested lists; unlike in the inference protocol their shape is not told, only found."""
    shape: list[int] = []
    level = value
    while isinstance(level, list) and len(shape) < len(spec.shape):
        shape.append(len(level))
        level = level[0] if level else None
    if not shape:
        raise BadRequest(f"input {spec.name!r} is {value!r:.80}, expected a list with one entry a row")
    return tensors.from_json(spec.name, spec.datatype, tensors.check_shape(spec.name, shape), value)


def _nested(flat: list[Any], shape: tuple[int, ...]) -> list[Any]:
    for size in reversed(shape[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)] if size else []
    return flat
