"""MLflow's model folders load with MLflow and, for the common flavors, without it."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
import xgboost

from relive.serving import load, mlflow_folder
from relive.serving.faults import CannotLoad, PackageMissing
from tests.unit.serving.models import cancer_data, iris_classifier

# As MLflow 3 writes it for a scikit-learn model, lists and all.
MLMODEL = """\
artifact_path: model
flavors:
  python_function:
    code: code
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.11.7
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.9.1
is_signature_from_type_hint: false
mlflow_version: 3.17.2
model_size_bytes: 1122
prompts: null
saved_input_example_info:
  artifact_path: input_example.json
  pandas_orient: split
  type: dataframe
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
type_hint_from_example: false
utc_time_created: '2026-11-23 09:00:00.000000'
"""


@pytest.fixture
def without_mlflow(monkeypatch):
    """As where mlflow is not installed, or is the skinny one without pandas."""
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc", None)
    monkeypatch.setattr(sys, "path", list(sys.path))


def written(tmp_path: Any, text: Any, name: Any = "model.pkl", model: Any = None) -> Any:
    folder = tmp_path / "mlflow"
    folder.mkdir()
    (folder / "MLmodel").write_text(text)
    if model is not None:
        with open(folder / name, "wb") as file:
            cloudpickle.dump(model, file)
    return folder


def test_mlmodel_is_read_without_a_yaml_reader():
    read = mlflow_folder.read_mlmodel(MLMODEL)
    assert read["flavors"]["sklearn"]["pickled_model"] == "model.pkl"
    assert read["flavors"]["python_function"]["env"] == {
        "conda": "conda.yaml",
        "virtualenv": "python_env.yaml",
    }
    assert read["utc_time_created"] == "2026-11-23 09:00:00.000000"
    assert read["mlflow_version"] == "3.17.2"


def test_lists_and_comments_in_mlmodel_are_passed_over():
    read = mlflow_folder.read_mlmodel(
        "# made by hand\nflavors:\n  onnx:\n    providers:\n    - CPU: x\n    data: m.onnx\n"
    )
    assert read["flavors"]["onnx"]["data"] == "m.onnx"


@pytest.mark.usefixtures("without_mlflow")
def test_a_scikit_learn_flavor_loads_with_its_probabilities(tmp_path):
    model = joblib.load(iris_classifier(tmp_path) / "model.joblib")
    folder = written(tmp_path, MLMODEL, model=model)
    loaded = load.load(str(folder))
    assert loaded.platform == "mlflow_sklearn"
    assert loaded.predict(np.ones((2, 4))).shape == (2,)
    assert loaded.predict_proba is not None
    assert str(folder / "code") in sys.path


@pytest.mark.usefixtures("without_mlflow")
def test_an_xgboost_flavor_loads(tmp_path):
    data, labels = cancer_data()
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(data, labels)
    text = "flavors:\n  xgboost:\n    data: model.ubj\n    model_class: xgboost.sklearn.XGBClassifier\n"
    folder = written(tmp_path, text)
    model.save_model(folder / "model.ubj")
    loaded = load.load(str(folder))
    assert np.array_equal(loaded.predict(data[:9]), model.predict(data[:9]))


@pytest.mark.usefixtures("without_mlflow")
def test_a_flavor_that_only_mlflow_can_load_says_so(tmp_path):
    folder = written(tmp_path, "flavors:\n  pytorch:\n    model_data: data\n")
    with pytest.raises(PackageMissing) as caught:
        load.load(str(folder))
    assert caught.value.package == "mlflow"
    assert "pytorch" in str(caught.value)


@pytest.mark.usefixtures("without_mlflow")
def test_another_serialization_needs_mlflow(tmp_path):
    folder = written(tmp_path, MLMODEL.replace("cloudpickle", "skops"), model={})
    with pytest.raises(PackageMissing, match="skops"):
        load.load(str(folder))


@pytest.mark.usefixtures("without_mlflow")
@pytest.mark.parametrize("path", ["../other.pkl", "/etc/passwd"])
def test_a_path_out_of_the_folder_is_refused(tmp_path, path):
    folder = written(tmp_path, MLMODEL.replace("pickled_model: model.pkl", f"pickled_model: {path}"))
    with pytest.raises(CannotLoad, match="points outside"):
        load.load(str(folder))


def test_mlflow_itself_is_used_where_it_can_be_imported(tmp_path, monkeypatch):
    inputs = [SimpleNamespace(name="a", type=np.dtype("float32")), SimpleNamespace(name="b", type="any")]
    schema = SimpleNamespace(
        has_input_names=lambda: True,
        input_names=lambda: ["a", "b"],
        is_tensor_spec=lambda: False,
        inputs=inputs,
    )
    model = SimpleNamespace(
        predict=lambda rows: rows.sum(axis=1), metadata=SimpleNamespace(get_input_schema=lambda: schema)
    )
    pyfunc = ModuleType("mlflow.pyfunc")
    monkeypatch.setattr(pyfunc, "load_model", lambda folder: model, raising=False)
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc", pyfunc)
    loaded = load.load(str(written(tmp_path, MLMODEL)))
    assert loaded.platform == "mlflow_pyfunc"
    assert (loaded.columns, loaded.datatypes, loaded.named) == (("a", "b"), {"a": "FP32"}, False)
    assert loaded.predict(np.ones((2, 3))).tolist() == [3.0, 3.0]


@pytest.mark.usefixtures("without_mlflow")
def test_a_skops_file_loads_where_skops_is_installed(tmp_path, monkeypatch):
    asked = []
    skops = ModuleType("skops.io")
    monkeypatch.setattr(skops, "get_untrusted_types", lambda file: ["mine.Type"], raising=False)
    model = SimpleNamespace(predict=lambda rows: rows.sum(axis=1))

    def loads(*names, **options):
        asked.append((names, options))
        return model

    monkeypatch.setattr(skops, "load", loads, raising=False)
    monkeypatch.setitem(sys.modules, "skops", ModuleType("skops"))
    monkeypatch.setitem(sys.modules, "skops.io", skops)
    folder = written(tmp_path, MLMODEL.replace("cloudpickle", "skops"), model={})
    assert load.load(str(folder)).predict(np.ones((1, 2))).tolist() == [2.0]
    assert asked == [((str(folder / "model.pkl"),), {"trusted": ["mine.Type"]})]


def test_a_folder_that_the_real_mlflow_saved_loads_through_pyfunc(tmp_path):
    mlflow_sklearn = pytest.importorskip(
        "mlflow.sklearn", reason="the full mlflow is not installed", exc_type=ImportError
    )
    pytest.importorskip("mlflow.pyfunc", reason="pandas is not installed", exc_type=ImportError)
    model = joblib.load(iris_classifier(tmp_path) / "model.joblib")
    mlflow_sklearn.save_model(model, str(tmp_path / "saved"))
    loaded = load.load(str(tmp_path / "saved"))
    assert loaded.platform == "mlflow_pyfunc"
    assert loaded.predict(np.ones((2, 4))).shape == (2,)
