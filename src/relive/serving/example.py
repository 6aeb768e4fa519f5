"""The example rows that a registration names, as input arrays.

Accepted are CSV with a header, JSON (a list of objects, of lists or of numbers, the body of an inference
request, or an input example as MLflow keeps it) and NPZ (one array an input, the first axis is the batch). A
*table* has named columns; whether it becomes one array or one input a column is decided by `inputs_for`.
"""

from __future__ import annotations

import csv
import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import tensors
from .faults import BadExample, BadPrediction, BadRequest

if TYPE_CHECKING:
    from .tensors import Array

ACCEPTED = "rows.csv (with a header), rows.json or rows.npz"
ARRAY_INPUT = "input-0"
MAX_FILE_BYTES = 64 << 20
# What is recorded and checked at each start: enough to notice a wrong model, small enough for a JSON file.
MAX_ROWS = 32
MAX_ELEMENTS = 1 << 16


@dataclass(frozen=True)
class Example:
    """Example inputs; `table` says that the arrays are columns of one table, each of shape (rows,)."""

    arrays: dict[str, Array]
    table: bool


def read(path: str) -> Example:
    """Read example rows, at most the first 32.

    Raises:
        BadExample: The file is of no accepted kind, empty, ragged, or over 64 MiB.
    """
    suffix = os.path.splitext(path)[1].lower()
    readers = {".csv": _read_csv, ".json": _read_json, ".npz": _read_npz}
    if suffix not in readers:
        raise BadExample(f"the example {path} is of no known kind, expected {ACCEPTED}")
    try:
        if os.path.getsize(path) > MAX_FILE_BYTES:
            raise BadExample(
                f"the example {path} is larger than {MAX_FILE_BYTES >> 20} MiB; a few rows are enough"
            )
        example = readers[suffix](path)
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile, csv.Error) as error:
        raise BadExample(f"the example {path} cannot be read: {error}") from error
    except (BadRequest, BadPrediction) as error:
        raise BadExample(f"the example {path} cannot be used: {error}") from error
    return _first_rows(path, example)


def inputs_for(
    example: Example, columns: Sequence[str], *, named: bool = False
) -> tuple[str, dict[str, Array]]:
    """Lay example rows out for a model: the layout of its signature, and its inputs.

    A model that takes tensors by name (`named`) gets all arrays as they are. A table stays columns if a
    column is not numeric or if the model was fitted on named columns (`columns`) that it has; else it becomes
    one FP64 array of shape (rows, columns), named "input-0".
    """
    if named and ARRAY_INPUT not in example.arrays:
        return "named", example.arrays
    if not example.table:
        return ("array" if len(example.arrays) == 1 else "named"), example.arrays
    numeric = all(array.dtype.kind in "iuf" for array in example.arrays.values())
    if numeric and not (columns and set(columns) <= set(example.arrays)):
        stacked = np.stack([array.astype(np.float64) for array in example.arrays.values()], axis=1)
        return "array", {ARRAY_INPUT: stacked}
    return "columns", example.arrays


def typed(inputs: dict[str, Array], datatypes: Mapping[str, str]) -> dict[str, Array]:
    """Give inputs the datatypes that the model declares; others keep theirs.

    Raises:
        BadExample: A value does not fit its declared type.
    """
    found = {name: datatypes.get(name) or datatypes.get("") for name in inputs}
    try:
        return {
            name: tensors.cast(name, array, found[name] or tensors.datatype_of(array))
            for name, array in inputs.items()
        }
    except BadRequest as error:
        raise BadExample(f"the example is not what the model declares: {error}") from error


def _read_csv(path: str) -> Example:
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        body = [row for row in rows if row]
    if not header or len(set(header)) != len(header) or "" in header:
        raise BadExample(f"the example {path} has the header {header!r:.120}, expected distinct column names")
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            raise BadExample(
                f"the example {path} has {len(row)} fields in row {number}, expected {len(header)}"
            )
    return Example({name: _column([row[i] for row in body]) for i, name in enumerate(header)}, table=True)


def _column(cells: list[str]) -> Array:
    """Type a CSV column: booleans, whole numbers, numbers (an empty cell is NaN), else text."""
    if cells and all(cell.lower() in ("true", "false") for cell in cells):
        return np.array([cell.lower() == "true" for cell in cells])
    if any("_" in cell for cell in cells):  # Python would read 1_000 as a number, no other tool does
        return np.array(cells, dtype=object)
    try:
        return np.array([int(cell) for cell in cells], dtype=np.int64)
    except (ValueError, OverflowError):
        pass  # not whole numbers: the next wider type is tried
    try:
        return np.array([float(cell) if cell else math.nan for cell in cells], dtype=np.float64)
    except ValueError:
        return np.array(cells, dtype=object)


def _read_json(path: str) -> Example:
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    if _is_request(content):
        return Example(dict(_tensor(path, item) for item in content["inputs"]), table=False)
    if isinstance(content, dict):
        content = _of_mlflow(content)
    if isinstance(content, dict) and content:
        arrays = {name: np.atleast_1d(tensors.normalize(name, value)) for name, value in content.items()}
        return Example(arrays, table=all(array.ndim == 1 for array in arrays.values()))
    if not isinstance(content, list) or not content:
        raise BadExample(f'the example {path} is no list of rows and no {{"inputs": […]}}')
    if isinstance(content[0], dict):
        return _records(path, content)
    array = tensors.normalize(ARRAY_INPUT, content)
    if array.ndim == 1 and array.dtype.kind == "O":
        return Example({ARRAY_INPUT: array}, table=False)
    if array.dtype.kind not in "iuf":
        raise BadExample(
            f"the example {path} mixes types in a row: give the rows as objects with column names"
        )
    return Example({ARRAY_INPUT: array.astype(np.float64)}, table=False)


def _is_request(content: Any) -> bool:
    inputs = content.get("inputs") if isinstance(content, dict) else None
    return isinstance(inputs, list) and all(
        isinstance(it, dict) and (not it or "datatype" in it) for it in inputs
    )


def _of_mlflow(content: dict[str, Any]) -> Any:
    """Give the rows or the named arrays of an input example; None if it is in none of MLflow's forms.

    Source: MLflow documentation, "Model Signatures and Input Examples". Params of a prediction are left out:
    the model then takes its own defaults.
    """
    split = content.get("dataframe_split", content)
    if isinstance(split, dict) and isinstance(split.get("data"), list):
        names = split.get("columns", [])
        if not names or not all(isinstance(name, str) for name in names):
            return split["data"]
        return [dict(zip(names, row)) for row in split["data"]]
    forms = ("dataframe_records", "instances", "inputs")
    return next((content[form] for form in forms if form in content), None)


def _tensor(path: str, item: Any) -> tuple[str, Array]:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise BadExample(f"the example {path} has an input without a name")
    name = item["name"]
    datatype, shape = (
        tensors.check_datatype(name, item.get("datatype")),
        tensors.check_shape(name, item.get("shape")),
    )
    return name, tensors.from_json(name, datatype, shape, item.get("data"))


def _records(path: str, rows: list[Any]) -> Example:
    names = list(rows[0])
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or set(row) != set(names):
            raise BadExample(f"the example {path}: row {number} has not the keys of row 1, {names!r:.200}")
    columns = {}
    for name in names:
        values = [row[name] for row in rows]
        if None in values and all(value is None or type(value) in (int, float) for value in values):
            values = [math.nan if value is None else float(value) for value in values]
        columns[name] = tensors.normalize(name, values)
    return Example(columns, table=True)


def _read_npz(path: str) -> Example:
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_FILE_BYTES:
            raise BadExample(f"the example {path} unpacks to more than {MAX_FILE_BYTES >> 20} MiB")
    with np.load(path, allow_pickle=False) as file:
        return Example({name: tensors.normalize(name, file[name]) for name in file.files}, table=False)


def _first_rows(path: str, example: Example) -> Example:
    if not example.arrays:
        raise BadExample(f"the example {path} holds no input")
    lengths = {name: array.shape[0] if array.ndim else -1 for name, array in example.arrays.items()}
    rows = min(lengths.values())
    if rows < 1 or len(set(lengths.values())) != 1:
        raise BadExample(
            f"the example {path} has inputs with {lengths} rows; expected the same number from 1 on, "
            "the first axis of each being the batch"
        )
    if any(array.size == 0 for array in example.arrays.values()):
        raise BadExample(f"the example {path} has rows without elements")
    row_elements = sum(array.size // rows for array in example.arrays.values())
    kept = max(1, min(rows, MAX_ROWS, MAX_ELEMENTS // max(1, row_elements)))
    return Example({name: array[:kept] for name, array in example.arrays.items()}, table=example.table)
