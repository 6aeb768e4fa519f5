"""Inference requests and responses of the Open Inference Protocol v2, JSON and binary.

A request is JSON, or JSON followed by the raw bytes of tensors, with the length of the JSON part in the
header `Inference-Header-Content-Length`. Each tensor must fit the model's signature: its name, a datatype
that the model's can hold, and its shape in all but the batch.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import tensors
from .faults import BadRequest
from .signature import Signature, TensorSpec

if TYPE_CHECKING:
    from .tensors import Array

HEADER_LENGTH = "inference-header-content-length"
_UNSUPPORTED = ("shared_memory_region", "classification")


@dataclass(frozen=True)
class InferRequest:
    """A request that fits the signature.

    Attributes:
        id: Given by the client, echoed; None if it gave none.
        inputs: Arrays in the order of the signature, all with the same number of rows.
        outputs: Names of the outputs asked for, with True where the answer shall be binary.
    """

    id: str | None
    inputs: dict[str, Array]
    outputs: dict[str, bool]


def parse_request(body: bytes, header_length: str | None, signature: Signature) -> InferRequest:
    """Read the body of an inference request.

    Args:
        body: The whole body.
        header_length: Value of `Inference-Header-Content-Length`, None if the body is JSON alone.
        signature: What the model takes.

    Raises:
        BadRequest: It is malformed or does not fit; names the input, what was expected and what came.
    """
    head_bytes, binary = _split(body, header_length)
    head = read_json(head_bytes)
    request_id = head.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise BadRequest(f"id is {request_id!r:.80}, expected a string")
    given = _read_inputs(head.get("inputs"), binary)
    outputs = _read_outputs(head, signature)
    return InferRequest(request_id, fit(given, signature), outputs)


def read_json(body: bytes) -> dict[str, Any]:
    """Read a JSON object; NaN and Infinity, which JSON has no words for, are refused.

    Raises:
        BadRequest: It is none.
    """
    try:
        content = _DECODER.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the request is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadRequest(f"the request is a JSON {type(content).__name__}, expected an object")
    return content


def fit(given: dict[str, Array], signature: Signature) -> dict[str, Array]:
    """Give the inputs in the signature's order, with its datatypes and shapes.

    Raises:
        BadRequest: One is absent, unknown, or does not fit; or their rows differ in number.
    """
    expected = [spec.name for spec in signature.inputs]
    if set(given) != set(expected):
        raise BadRequest(f"inputs are {sorted(given)!r:.300}, expected {expected!r:.300}")
    fitted = {spec.name: _fit_one(given[spec.name], spec) for spec in signature.inputs}
    rows = {name: array.shape[0] for name, array in fitted.items()}
    if len(set(rows.values())) > 1:
        raise BadRequest(f"inputs have different numbers of rows: {rows!r:.300}")
    return fitted


def encode_response(
    outputs: dict[str, Array], binary: dict[str, bool], *, model: str, version: str, request_id: str | None
) -> tuple[bytes, int | None]:
    """Write an inference response.

    Returns:
        The body, and the length of its JSON part if binary tensors follow, else None.
    """
    described: list[dict[str, Any]] = []
    raws: list[bytes] = []
    for name, array in outputs.items():
        item: dict[str, Any] = {
            "name": name,
            "datatype": tensors.datatype_of(array),
            "shape": list(array.shape),
        }
        if binary.get(name, False):
            raws.append(tensors.to_bytes(array))
            item["parameters"] = {"binary_data_size": len(raws[-1])}
        else:
            item["data"] = tensors.to_json(array)
        described.append(item)
    response: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": described}
    if request_id is not None:
        response["id"] = request_id
    head = json.dumps(response, separators=(",", ":"), allow_nan=False).encode()
    return (b"".join([head, *raws]), len(head)) if raws else (head, None)


def encode_request(inputs: dict[str, Array], outputs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Give the JSON object of an inference request for arrays that `normalize` made."""
    described = [
        {
            "name": name,
            "datatype": tensors.datatype_of(array),
            "shape": list(array.shape),
            "data": tensors.to_json(array),
        }
        for name, array in inputs.items()
    ]
    return {"inputs": described, **({"outputs": [{"name": name} for name in outputs]} if outputs else {})}


def _refuse_constant(word: str) -> None:
    raise ValueError(f'{word} is not JSON; send the string "{word}" or null')


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _split(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    if not re.fullmatch("[0-9]{1,12}", header_length) or int(header_length) > len(body):
        raise BadRequest(
            f"Inference-Header-Content-Length is {header_length!r:.40}, "
            f"expected a number up to the body's length, {len(body)}"
        )
    length = int(header_length)
    return body[:length], memoryview(body)[length:]


def _parameters(item: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = item.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise BadRequest(f"{where}: parameters is {parameters!r:.80}, expected an object")
    for name in _UNSUPPORTED:
        if parameters.get(name):
            raise BadRequest(f"{where}: parameter {name!r} is not supported here")
    return parameters


def _named_items(items: Any, kind: str) -> dict[str, dict[str, Any]]:
    if not isinstance(items, list):
        raise BadRequest(f"{kind}s is {items!r:.80}, expected a list of objects with a name")
    named: dict[str, dict[str, Any]] = {}
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise BadRequest(f"an {kind} is {item!r:.80}, expected an object with a name")
        if item["name"] in named:
            raise BadRequest(f"{kind} {item['name']!r:.80} is given twice")
        named[item["name"]] = item
    return named


def _read_inputs(items: Any, binary: memoryview) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    offset = 0
    for name, item in _named_items(items, "input").items():
        datatype = tensors.check_datatype(name, item.get("datatype"))
        shape = tensors.check_shape(name, item.get("shape"))
        size = _parameters(item, f"input {name!r}").get("binary_data_size")
        if size is None:
            arrays[name] = tensors.from_json(name, datatype, shape, item.get("data"))
            continue
        if type(size) is not int or not 0 <= size <= len(binary) - offset:
            left = len(binary) - offset
            raise BadRequest(
                f"input {name!r}: binary_data_size is {size!r:.40}, {left} bytes are left in the body"
            )
        arrays[name] = tensors.from_bytes(name, datatype, shape, binary[offset : offset + size])
        offset += size
    if offset != len(binary):
        raise BadRequest(f"{len(binary) - offset} bytes of the body belong to no input")
    return arrays


def _read_outputs(head: dict[str, Any], signature: Signature) -> dict[str, bool]:
    all_binary = _parameters(head, "the request").get("binary_data_output", False) is True
    if not head.get("outputs"):
        return dict.fromkeys(signature.default_outputs, all_binary)
    known = [spec.name for spec in signature.outputs]
    asked = _named_items(head["outputs"], "output")
    for name in asked:
        if name not in known:
            raise BadRequest(f"output {name!r:.80} is unknown, expected some of {known!r:.300}")
    return {
        name: _parameters(item, f"output {name!r}").get("binary_data", all_binary) is True
        for name, item in asked.items()
    }


def _fit_one(array: Array, spec: TensorSpec) -> Array:
    if array.ndim == 2 and len(spec.shape) == 1 and array.shape[1] == 1:
        array = array[:, 0]  # a column as [rows, 1], which pandas codecs of other clients send
    if array.ndim != len(spec.shape) or any(
        size not in (-1, got) for size, got in zip(spec.shape, array.shape)
    ):
        raise BadRequest(f"input {spec.name!r}: shape is {list(array.shape)}, expected {list(spec.shape)}")
    if array.shape[0] == 0:
        raise BadRequest(f"input {spec.name!r}: shape is {list(array.shape)}, expected at least one row")
    return tensors.cast(spec.name, array, spec.datatype)
