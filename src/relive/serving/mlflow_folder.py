"""An MLflow model folder: through `mlflow.pyfunc` where MLflow is installed, else by its own flavor.

MLmodel is YAML, and a model's environment need not have a YAML reader: what is needed of it are nested
mappings of plain scalars, which `read_mlmodel` understands; all else in the file is passed over.
"""

from __future__ import annotations

import importlib
import os
import pickle  # noqa: TID251 - these modules are the model's own process
import sys
from typing import Any

import numpy as np

from . import flavors, tensors
from .faults import CannotLoad, PackageMissing
from .flavors import Loaded

FILE_NAME = "MLmodel"


def load(folder: str) -> Loaded:
    """Load an MLflow model folder.

    Raises:
        CannotLoad: MLflow is not installed, and the folder has no flavor that can be loaded without it.
    """
    try:
        pyfunc = importlib.import_module("mlflow.pyfunc")
    except ImportError as error:
        # Also where mlflow is the skinny one and lacks pandas.
        return _load_flavor(folder, str(error))
    model = pyfunc.load_model(folder)
    schema = model.metadata.get_input_schema() if model.metadata else None
    if schema is None:
        return Loaded("mlflow_pyfunc", folder, model.predict)
    names = tuple(schema.input_names()) if schema.has_input_names() else ()
    named = bool(names) and schema.is_tensor_spec()
    return Loaded(
        "mlflow_pyfunc", folder, model.predict, columns=names, datatypes=_datatypes(schema), named=named
    )


def read_mlmodel(text: str) -> dict[str, Any]:
    """Read nested mappings of plain scalars; lists and block texts are passed over."""
    root: dict[str, Any] = {}
    levels: list[tuple[int, dict[str, Any]]] = [(-1, root)]
    for line in text.splitlines():
        stripped = line.strip()
        key, colon, value = stripped.partition(":")
        if not colon or stripped.startswith(("#", "- ", "'", '"')):
            continue
        indent = len(line) - len(line.lstrip())
        while indent <= levels[-1][0]:
            levels.pop()
        value = value.strip()
        if value:
            levels[-1][1][key] = value.strip("'\"")
        else:
            inner: dict[str, Any] = {}
            levels[-1][1][key] = inner
            levels.append((indent, inner))
    return root


def _datatypes(schema: Any) -> dict[str, str]:
    """Give the datatype of each input; MLflow refuses others, also where only the width differs."""
    found = {}
    for spec in schema.inputs:
        kind = spec.type.to_numpy() if hasattr(spec.type, "to_numpy") else spec.type
        # Text, dates and nested types are what they are.
        if getattr(kind, "kind", "") in ("b", "i", "u", "f") and (spec.name or len(schema.inputs) == 1):
            found[spec.name or ""] = tensors.datatype_of(np.empty(0, kind))
    return found


def _load_flavor(folder: str, reason: str) -> Loaded:
    with open(os.path.join(folder, FILE_NAME), encoding="utf-8") as file:
        found = read_mlmodel(file.read()).get("flavors") or {}
    code = (found.get("python_function") or {}).get("code")
    if code:
        sys.path.insert(0, _inside(folder, code))
    for name, loader in (
        ("sklearn", _sklearn),
        ("xgboost", _xgboost),
        ("lightgbm", _lightgbm),
        ("onnx", _onnx),
    ):
        if name in found:
            return loader(folder, found[name])
    raise PackageMissing(
        "mlflow", f"the model folder {folder} with flavors {', '.join(sorted(found))}", reason
    )


def _inside(folder: str, name: str) -> str:
    path = os.path.realpath(os.path.join(folder, name))
    if os.path.commonpath([path, os.path.realpath(folder)]) != os.path.realpath(folder):
        raise CannotLoad(f"{folder}/{FILE_NAME} points outside of its folder: {name}")
    return path


def _sklearn(folder: str, flavor: dict[str, Any]) -> Loaded:
    if flavor.get("serialization_format") == "skops":
        path = _inside(folder, flavor["pickled_model"])
        return flavors.wrap("mlflow_sklearn", path, _load_skops(path))
    if flavor.get("serialization_format") not in ("pickle", "cloudpickle"):
        raise PackageMissing(
            "mlflow", f"its scikit-learn format {flavor.get('serialization_format')!r}", folder
        )
    path = _inside(folder, flavor["pickled_model"])
    with open(path, "rb") as file:
        return flavors.wrap("mlflow_sklearn", path, pickle.load(file))  # noqa: S301 - only the model's own process does


def _load_skops(path: str) -> Any:
    skops = flavors.require("skops.io", f"the model file {path}")
    # As with a pickle: whoever deploys a model trusts its code, and it has this process to itself.
    return skops.load(path, trusted=skops.get_untrusted_types(file=path))


def _xgboost(folder: str, flavor: dict[str, Any]) -> Loaded:
    # MLflow 1 had no model_class and kept boosters only.
    return flavors.load_xgboost(_inside(folder, flavor["data"]))


def _lightgbm(folder: str, flavor: dict[str, Any]) -> Loaded:
    path = _inside(folder, flavor["data"])
    if flavor.get("model_class", "lightgbm.basic.Booster") == "lightgbm.basic.Booster":
        return flavors.load_lightgbm(path)
    with open(path, "rb") as file:
        return flavors.wrap("mlflow_lightgbm", path, pickle.load(file))  # noqa: S301 - only the model's own process does


def _onnx(folder: str, flavor: dict[str, Any]) -> Loaded:
    return flavors.load_onnx(_inside(folder, flavor["data"]))
