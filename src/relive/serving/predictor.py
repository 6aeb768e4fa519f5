"""A loaded model behind named arrays: inputs as its layout wants them, outputs as tensors of the protocol."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from . import tensors
from .faults import BadPrediction
from .flavors import Loaded

if TYPE_CHECKING:
    from .tensors import Array

PREDICT = "predict"
PROBABILITIES = "probabilities"


def predict(
    model: Loaded, layout: str, inputs: dict[str, Array], *, wanted: Collection[str] = ()
) -> dict[str, Array]:
    """Predict and give all outputs by name, each with the batch as its first axis.

    Args:
        model: The loaded model.
        layout: "array", "columns" or "named", as in the signature.
        inputs: One array an input; all have the same number of rows.
        wanted: Names of the outputs needed; "probabilities" are computed only if named.

    Raises:
        BadPrediction: The model gave what is no tensor, or not one result a row.
    """
    argument = _arrange(model, layout, inputs)
    rows = len(next(iter(inputs.values())))
    only_probabilities = set(wanted) == {PROBABILITIES} and model.predict_proba is not None
    outputs = {} if only_probabilities else _named(model.predict(argument))
    if model.predict_proba is not None and PROBABILITIES in wanted:
        outputs[PROBABILITIES] = model.predict_proba(argument)
    made = {name: tensors.normalize(name, value) for name, value in outputs.items()}
    for name, array in made.items():
        if array.ndim == 0 or array.shape[0] != rows:
            raise BadPrediction(
                f"the model gave {name!r} of shape {list(array.shape)} for {rows} rows, "
                "expected one result a row"
            )
    return made


def _arrange(model: Loaded, layout: str, inputs: dict[str, Array]) -> Any:
    if layout == "array":
        return next(iter(inputs.values()))
    if layout == "named":
        return inputs
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        # Without pandas nothing here was fitted on data frames; own code gets the columns by name.
        return inputs if model.platform == "custom" else _matrix(inputs)
    return pandas.DataFrame(inputs)


def _matrix(columns: dict[str, Array]) -> Array:
    arrays = list(columns.values())
    mixed = any(array.dtype.kind == "O" for array in arrays)
    matrix: Array = np.stack([array.astype(object) if mixed else array for array in arrays], axis=1)
    return matrix


def _named(result: Any) -> dict[str, Any]:
    if isinstance(result, dict):
        return {str(name): value for name, value in result.items()}
    if isinstance(result, tuple):
        return {f"output-{index}": value for index, value in enumerate(result)}
    if hasattr(result, "columns") and hasattr(result, "iloc"):  # a pandas data frame
        return {str(name): result[name].to_numpy() for name in result.columns}
    return {PREDICT: result}
