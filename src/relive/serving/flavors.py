"""One loader a kind of model file: each gives a `Loaded`, whose `predict` takes what the layout says.

The libraries are imported only when a file needs them: most environments have one of them.
"""

from __future__ import annotations

import importlib
import json
import pickle  # noqa: TID251 - these modules are the model's own process
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from .faults import CannotLoad, PackageMissing


@dataclass(frozen=True)
class Loaded:
    """A model in memory.

    Attributes:
        platform: What it is, for metadata and reports.
        source: The file or loader it came from.
        predict: Takes an array, a data frame or a dict of arrays; gives anything array-like, a data frame,
            or a dict or tuple of such.
        predict_proba: Class probabilities for the same argument, if the model has them.
        columns: Names of the columns it was fitted on, if it knows them.
        datatypes: What inputs must be by their name, if it says so; one without a name is "".
        named: Whether it takes tensors by name, even if it is only one.
    """

    platform: str
    source: str
    predict: Callable[[Any], Any]
    predict_proba: Callable[[Any], Any] | None = None
    columns: tuple[str, ...] = ()
    datatypes: Mapping[str, str] = field(default_factory=dict)
    named: bool = False


def require(package: str, needed_for: str) -> Any:
    """Import a package of the model's environment.

    Raises:
        PackageMissing: It is not there.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise PackageMissing(package.partition(".")[0], needed_for, str(error)) from error


def wrap(platform: str, source: str, model: Any) -> Loaded:
    """Take an object with `predict` (and perhaps `predict_proba`), or a callable, as the model.

    Raises:
        CannotLoad: It is neither.
    """
    predict = getattr(model, "predict", model)
    if not callable(predict):
        raise CannotLoad(
            f"{source} gave an object of type {type(model).__name__}, "
            "expected one with a predict method or a callable."
        )
    proba = getattr(model, "predict_proba", None)
    columns = getattr(model, "feature_names_in_", ())
    return Loaded(
        platform=platform,
        source=source,
        predict=predict,
        predict_proba=proba if callable(proba) else None,
        columns=tuple(str(name) for name in columns),
    )


def load_joblib(path: str) -> Loaded:
    """Load a pickle written by joblib or pickle."""
    try:
        joblib = require("joblib", f"the model file {path}")
    except PackageMissing:
        # joblib writes plain pickles too, and a pickle needs no more than the standard library.
        with open(path, "rb") as file:
            return wrap("sklearn_joblib", path, pickle.load(file))  # noqa: S301 - only the model's own process does
    return wrap("sklearn_joblib", path, joblib.load(path))


def load_xgboost(path: str) -> Loaded:
    """Load an XGBoost model file: as the scikit-learn estimator that wrote it, else as a booster."""
    xgboost = require("xgboost", f"the model file {path}")
    booster = xgboost.Booster()
    booster.load_model(path)
    note = json.loads(booster.attr("scikit_learn") or "{}")
    estimators = {"classifier": "XGBClassifier", "regressor": "XGBRegressor", "ranker": "XGBRanker"}
    name = estimators.get(note.get("_estimator_type", ""))
    if name is None:
        return wrap_booster("xgboost_booster", path, booster)
    model = getattr(xgboost, name)()
    model.load_model(path)
    columns = tuple(booster.feature_names or ())
    # A plain regressor has no predict_proba, but a booster of the wrong objective would only fail when asked.
    proba = model.predict_proba if name == "XGBClassifier" else None
    return Loaded("xgboost_sklearn", path, model.predict, proba, columns)


def wrap_booster(platform: str, source: str, booster: Any) -> Loaded:
    """Take an `xgboost.Booster` as the model; names of columns are checked where a data frame brings them."""

    def predict(argument: Any) -> Any:
        return booster.inplace_predict(argument, validate_features=hasattr(argument, "columns"))

    return Loaded(platform, source, predict, columns=tuple(booster.feature_names or ()))


def load_lightgbm(path: str) -> Loaded:
    """Load a LightGBM text model."""
    booster = require("lightgbm", f"the model file {path}").Booster(model_file=path)
    return wrap_lightgbm("lightgbm", path, booster)


def wrap_lightgbm(platform: str, source: str, booster: Any) -> Loaded:
    """Take a `lightgbm.Booster` as the model; columns without a name it calls Column_0 and so on."""
    names = tuple(name for name in booster.feature_name() if not name.startswith("Column_"))
    return Loaded(platform, source, booster.predict, columns=names)


def load_onnx(path: str) -> Loaded:
    """Load an ONNX model into ONNX Runtime; arrays are cast to the types that its graph declares."""
    onnxruntime = require("onnxruntime", f"the model file {path}")
    numpy = require("numpy", f"the model file {path}")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {each.name: _ONNX_DTYPES.get(each.type) for each in session.get_inputs()}
    outputs = [each.name for each in session.get_outputs()]

    def predict(argument: Any) -> Any:
        arrays = argument if isinstance(argument, dict) else {next(iter(inputs)): argument}
        feeds = {name: numpy.asarray(array, dtype=inputs.get(name)) for name, array in arrays.items()}
        return dict(zip(outputs, session.run(outputs, feeds)))

    return Loaded("onnx", path, predict)


_ONNX_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}


def load_torchscript(path: str) -> Loaded:
    """Load a TorchScript file.

    Raises:
        CannotLoad: The file is another kind of .pt, such as a state dict.
    """
    torch = require("torch", f"the model file {path}")
    try:
        module = torch.jit.load(path, map_location="cpu")
    except RuntimeError as error:
        raise CannotLoad(
            f"{path} is no TorchScript: {str(error).splitlines()[0]}\n"
            "  expected: a file written by torch.jit.save\n"
            "  try:      torch.jit.script(model).save(path), torch.export.save(program, 'model.pt2'),\n"
            "            or register: {loader: module:function}"
        ) from error
    module.eval()
    return wrap_torch("torch_torchscript", path, torch, module)


def load_torch_export(path: str) -> Loaded:
    """Load a program written by torch.export.save."""
    torch = require("torch", f"the model file {path}")
    return wrap_torch("torch_export", path, torch, torch.export.load(path).module())


def wrap_torch(platform: str, source: str, torch: Any, module: Any) -> Loaded:
    """Take a module as the model: inputs are positional, floats are cast to the type of its parameters."""
    floats = [parameter.dtype for parameter in module.parameters() if parameter.dtype.is_floating_point]
    dtype = floats[0] if floats else torch.get_default_dtype()

    def tensor(array: Any) -> Any:
        made = torch.as_tensor(array)
        return made.to(dtype) if made.is_floating_point() else made

    def predict(argument: Any) -> Any:
        arrays = argument.values() if isinstance(argument, dict) else [argument]
        with torch.inference_mode():
            return _torch_result(torch, module(*[tensor(array) for array in arrays]))

    return Loaded(platform, source, predict)


def _torch_result(torch: Any, result: Any) -> Any:
    if isinstance(result, dict):
        return {name: _torch_result(torch, each) for name, each in result.items()}
    if isinstance(result, (tuple, list)):
        return tuple(_torch_result(torch, each) for each in result)
    made = result.detach().cpu()
    # NumPy has no bfloat16; every bfloat16 is a float32.
    return (made.float() if made.dtype == torch.bfloat16 else made).numpy()
