"""What a model version takes and gives, as its signature.json says it.

The file is written at registration. The hub reads `inputs` and `outputs` of it; the rest is for the model's
process: how inputs are handed to the model, which outputs it gives unasked, and the example, which is the
body of a real inference request.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from .faults import BadSignature

FILE_NAME = "signature.json"
FORMAT = 1
LAYOUTS = ("array", "columns", "named")


@dataclass(frozen=True)
class TensorSpec:
    """One input or output; -1 in `shape` is the batch."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """What a model takes and gives.

    Attributes:
        inputs: In the order in which the model gets them.
        outputs: All it can give.
        default_outputs: Names of those a request gets that asks for none.
        layout: How the model wants its inputs: "array" (one array), "columns" (a data frame, one input a
            column) or "named" (a dict of arrays).
        platform: What loaded the model, such as "sklearn_joblib".
        example: Body of an inference request with the example rows.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    default_outputs: tuple[str, ...]
    layout: str
    platform: str
    example: dict[str, Any]


def write(signature: Signature, folder: str) -> str:
    """Write signature.json into the folder and give its path."""
    return write_json(os.path.join(folder, FILE_NAME), {"format": FORMAT, **asdict(signature)})


def read(path: str) -> Signature:
    """Read a signature.json.

    Raises:
        BadSignature: It is absent, no JSON, of a newer format, or lacks a part.
    """
    content = read_json(path)
    if content.get("format") != FORMAT:
        raise BadSignature(
            f"{path} has format {content.get('format')!r}, expected {FORMAT}; register the model again"
        )
    try:
        signature = Signature(
            inputs=_specs(content["inputs"]),
            outputs=_specs(content["outputs"]),
            default_outputs=tuple(content["default_outputs"]),
            layout=content["layout"],
            platform=str(content["platform"]),
            example=content["example"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadSignature(f"{path} lacks or garbles a part: {error!r}; register the model again") from error
    if signature.layout not in LAYOUTS or not isinstance(signature.example, dict):
        raise BadSignature(f"{path}: layout is {signature.layout!r}, expected one of {', '.join(LAYOUTS)}")
    return signature


def read_json(path: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        BadSignature: There is none.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise BadSignature(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise BadSignature(f"{path} holds a {type(content).__name__}, expected a JSON object")
    return content


def write_json(path: str, content: dict[str, Any]) -> str:
    """Write a JSON object to a file that is never seen half-written, and give its path."""
    partial = f"{path}.{os.getpid()}.partial"
    with open(partial, "w", encoding="utf-8") as file:
        json.dump(content, file, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    return path


def _specs(items: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(str(item["name"]), str(item["datatype"]), tuple(int(size) for size in item["shape"]))
        for item in items
    )
