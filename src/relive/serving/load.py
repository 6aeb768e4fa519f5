"""From a model folder to something that predicts: which file is the model, and what loads it."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any, Callable

from . import flavors, mlflow_folder
from .faults import AmbiguousModel, CannotLoad, PackageMissing, UnknownFormat
from .flavors import Loaded


@dataclass(frozen=True)
class Format:
    """A kind of model file: `begins` are the bytes one starts with, none if they do not tell."""

    platform: str
    suffixes: tuple[str, ...]
    load: Callable[[str], Loaded]
    begins: tuple[bytes, ...] = ()

    def fits(self, path: str) -> bool:
        """Tell whether the file is of this kind, by its name and first bytes."""
        if not path.endswith(self.suffixes):
            return False
        if not self.begins:
            return True
        with open(path, "rb") as file:
            return file.read(64).lstrip().startswith(self.begins)


FORMATS = (
    Format("sklearn_joblib", (".joblib", ".pkl"), flavors.load_joblib),
    Format("torch_torchscript", (".pt",), flavors.load_torchscript),
    Format("torch_export", (".pt2",), flavors.load_torch_export),
    Format("xgboost", (".ubj",), flavors.load_xgboost),
    # Other JSON and text files lie beside models, so these two are told by how they begin.
    Format("xgboost", (".json",), flavors.load_xgboost, begins=(b'{"learner"', b'{"version"')),
    Format("lightgbm", (".txt",), flavors.load_lightgbm, begins=(b"tree\n", b"tree\r\n")),
    Format("onnx", (".onnx",), flavors.load_onnx),
)
ACCEPTED = (
    "an MLflow folder (MLmodel)",
    "scikit-learn (*.joblib, *.pkl)",
    "TorchScript (*.pt)",
    "torch.export (*.pt2)",
    "XGBoost (*.ubj, *.json)",
    "LightGBM (*.txt)",
    "ONNX (*.onnx)",
)


@dataclass(frozen=True)
class Found:
    """What a folder holds: the platform and the file it was told by."""

    platform: str
    path: str
    load: Callable[[str], Loaded]


def detect(folder: str) -> Found:
    """Say what kind of model a folder holds, without loading it.

    Raises:
        CannotLoad: It is no folder.
        UnknownFormat: No file at its top is a known model file.
        AmbiguousModel: Several are.
    """
    if not os.path.isdir(folder):
        raise CannotLoad(f"The model folder {folder} does not exist or is no folder.")
    names = sorted(entry.name for entry in os.scandir(folder))
    if mlflow_folder.FILE_NAME in names:
        return Found("mlflow", folder, mlflow_folder.load)
    found: list[Found] = []
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and not name.startswith("."):
            found.extend(Found(kind.platform, path, kind.load) for kind in FORMATS if kind.fits(path))
    if not found:
        raise UnknownFormat(folder, names, ACCEPTED)
    if len(found) > 1:
        raise AmbiguousModel(folder, [os.path.basename(each.path) for each in found])
    return found[0]


def load(folder: str, *, loader: str = "auto", code: str = "") -> Loaded:
    """Load the model of a folder.

    Args:
        folder: The model artifact.
        loader: "auto", or "module:function"; the function gets the folder's path and returns an object with
            `predict` or a callable.
        code: Folder of the repository's code, put on `sys.path` first: pickles and loaders refer to it.

    Raises:
        CannotLoad: It cannot be loaded; names the file and the reason.
    """
    if code:
        sys.path.insert(0, os.path.abspath(code))
    if loader and loader != "auto":
        return _load_custom(folder, loader)
    found = detect(folder)
    try:
        return found.load(found.path)
    except CannotLoad:
        raise
    except Exception as error:  # whatever a foreign library raises on a file it cannot read
        raise CannotLoad(
            f"{found.path} cannot be loaded as {found.platform}: {type(error).__name__}: {error}"
        ) from error


def _load_custom(folder: str, loader: str) -> Loaded:
    module_name, colon, function_name = loader.partition(":")
    if not colon or not module_name or not function_name:
        raise CannotLoad(f"The loader is {loader!r}, expected module:function.")
    try:
        function: Any = importlib.import_module(module_name)
        for part in function_name.split("."):
            function = getattr(function, part)
        model = function(folder)
    except ImportError as error:
        raise PackageMissing(error.name or module_name, f"the loader {loader}", str(error)) from error
    except Exception as error:  # the repository's own code
        raise CannotLoad(
            f"The loader {loader} failed on {folder}: {type(error).__name__}: {error}"
        ) from error
    return flavors.wrap("custom", loader, model)
