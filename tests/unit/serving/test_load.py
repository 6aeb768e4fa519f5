"""A model folder is told by what lies in it, and never guessed at."""

import pickle  # noqa: TID251 - as a user's script would write one
import sys
from typing import Any

import joblib
import numpy as np
import pytest

from relive.serving import load
from relive.serving.faults import AmbiguousModel, CannotLoad, PackageMissing, UnknownFormat
from tests.unit.serving.models import custom, iris_classifier


def write(folder: Any, **files: Any) -> Any:
    """Write files whose names have `__` for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return str(folder)


@pytest.mark.parametrize(
    ("name", "content", "platform"),
    [
        ("model.joblib", b"", "sklearn_joblib"),
        ("clf.pkl", b"", "sklearn_joblib"),
        ("net.pt", b"", "torch_torchscript"),
        ("net.pt2", b"", "torch_export"),
        ("trees.ubj", b"", "xgboost"),
        ("trees.json", b'{"learner":{}}', "xgboost"),
        ("trees.json", b'\n{"version":[3,0,0]}', "xgboost"),
        ("trees.txt", b"tree\nversion=v4\n", "lightgbm"),
        ("net.onnx", b"", "onnx"),
        ("MLmodel", b"", "mlflow"),
    ],
)
def test_each_kind_is_told_by_its_file(tmp_path, name, content, platform):
    (tmp_path / name).write_bytes(content)
    assert load.detect(str(tmp_path)).platform == platform


def test_what_lies_beside_the_model_does_not_matter(tmp_path):
    folder = write(
        tmp_path / "model",
        model__joblib=b"",
        metrics__json=b'{"accuracy": 1}',
        notes__txt=b"about trees",
        __hidden__pkl=b"",
        README__md=b"",
    )
    (tmp_path / "model/plots.pkl").mkdir()
    assert load.detect(folder).path.endswith("model.joblib")


def test_an_mlflow_folder_wins_over_the_files_it_names(tmp_path):
    assert load.detect(write(tmp_path, MLmodel=b"", model__pkl=b"")).platform == "mlflow"


def test_a_folder_without_a_model_says_what_is_there_and_what_is_accepted(tmp_path):
    folder = write(tmp_path, weights__bin=b"", metrics__json=b"{}")
    with pytest.raises(UnknownFormat) as caught:
        load.detect(folder)
    assert caught.value.found == ("metrics.json", "weights.bin")
    for word in (
        folder,
        "metrics.json, weights.bin",
        "*.joblib",
        "MLmodel",
        "*.onnx",
        "loader: module:function",
    ):
        assert word in str(caught.value)


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(UnknownFormat, match="found nothing"):
        load.detect(str(tmp_path))


def test_two_models_are_ambiguous_even_if_one_has_the_usual_name(tmp_path):
    folder = write(tmp_path, model__ubj=b"", scaler__joblib=b"")
    with pytest.raises(AmbiguousModel) as caught:
        load.detect(folder)
    assert caught.value.candidates == ("model.ubj", "scaler.joblib")
    assert "loader" in str(caught.value)


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(CannotLoad, match="does not exist or is no folder"):
        load.detect(str(tmp_path / "absent"))


def test_a_joblib_file_predicts_and_has_probabilities(tmp_path):
    loaded = load.load(str(iris_classifier(tmp_path)))
    rows = np.array([[5.0, 3.5, 1.4, 0.2]])
    assert loaded.predict(rows).tolist() == [0]
    assert loaded.predict_proba is not None
    assert loaded.predict_proba(rows).shape == (1, 3)


def test_a_plain_pickle_loads_without_joblib(tmp_path, monkeypatch):
    model = joblib.load(iris_classifier(tmp_path) / "model.joblib")
    (tmp_path / "plain").mkdir()
    with open(tmp_path / "plain/model.pkl", "wb") as file:
        pickle.dump(model, file)
    monkeypatch.setitem(sys.modules, "joblib", None)
    assert load.load(str(tmp_path / "plain")).predict(np.ones((1, 4))).shape == (1,)


def test_a_damaged_file_says_which_and_why(tmp_path):
    folder = write(tmp_path, model__joblib=b"not a pickle")
    with pytest.raises(CannotLoad, match=r"model\.joblib cannot be loaded as sklearn_joblib: \w+"):
        load.load(folder)


def test_an_object_that_cannot_predict_is_refused(tmp_path):
    joblib.dump({"weights": [1]}, tmp_path / "model.joblib")
    with pytest.raises(CannotLoad, match="an object of type dict, expected one with a predict method"):
        load.load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "package"),
    [
        ("net.onnx", b"", "onnxruntime"),
        ("trees.txt", b"tree\n", "lightgbm"),
        ("trees.ubj", b"", "xgboost"),
        ("net.pt", b"", "torch"),
    ],
)
def test_a_missing_package_is_named_with_what_needs_it(tmp_path, monkeypatch, name, content, package):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PackageMissing) as caught:
        load.load(str(tmp_path))
    assert caught.value.package == package
    assert name in str(caught.value)
    assert f"add {package} to the lock" in str(caught.value)


@pytest.fixture
def clean_path(monkeypatch):
    """Leave `sys.path` and the module `own` as they were."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own", raising=False)
    yield
    sys.modules.pop("own", None)


SCALE = """
import json, pathlib
class Scale:
    def __init__(self, factor): self.factor = factor
    def predict(self, rows): return rows * self.factor
def build(folder): return Scale(json.loads((pathlib.Path(folder) / "factor.json").read_text()))
def function(folder): return lambda rows: rows + 1
class inner:
    make = staticmethod(build)
number = 3
def broken(folder): raise ValueError("no weights")
def none(folder): return None
"""


@pytest.mark.usefixtures("clean_path")
@pytest.mark.parametrize(
    ("function", "result"), [("build", [4.0]), ("function", [3.0]), ("inner.make", [4.0])]
)
def test_the_repositorys_own_loader_gets_the_folder(tmp_path, function, result):
    folder, code = custom(tmp_path, SCALE)
    (folder / "factor.json").write_text("2")
    loaded = load.load(str(folder), loader=f"own:{function}", code=code)
    assert loaded.platform == "custom"
    assert loaded.predict(np.array([2.0])).tolist() == result


@pytest.mark.usefixtures("clean_path")
@pytest.mark.parametrize(
    ("loader", "said"),
    [
        ("own", "expected module:function"),
        (":build", "expected module:function"),
        ("own:", "expected module:function"),
        ("absent:build", "'absent' cannot be imported"),
        ("own:absent", "AttributeError"),
        ("own:number", "TypeError"),
        ("own:broken", "ValueError: no weights"),
        ("own:none", "an object of type NoneType"),
    ],
)
def test_a_loader_that_does_not_work_is_named_with_the_reason(tmp_path, loader, said):
    folder, code = custom(tmp_path, SCALE)
    with pytest.raises(CannotLoad) as caught:
        load.load(str(folder), loader=loader, code=code)
    assert said in str(caught.value)
    assert loader in str(caught.value)


@pytest.mark.usefixtures("clean_path")
def test_a_pickle_finds_the_repositorys_classes(tmp_path):
    folder, code = custom(tmp_path, SCALE)
    sys.path.insert(0, code)
    own = __import__("own")
    joblib.dump(own.Scale(3), folder / "model.joblib")
    sys.path.remove(code)
    del sys.modules["own"]
    assert load.load(str(folder), code=code).predict(np.array([2])).tolist() == [6]
