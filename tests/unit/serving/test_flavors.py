"""Each kind of model file gives the predictions of the library that wrote it."""

from typing import Any

import numpy as np
import pytest
import xgboost

from relive.serving import describe, load
from relive.serving.faults import CannotLoad
from relive.serving.predictor import predict
from tests.unit.serving.models import cancer_data

ROWS = 12


def test_an_xgboost_classifier_comes_back_as_one(tmp_path):
    data, labels = cancer_data()
    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(data, labels)
    for name in ("model.ubj", "model.json"):
        folder = tmp_path / name
        folder.mkdir()
        model.save_model(folder / name)
        loaded = load.load(str(folder))
        outputs = predict(loaded, "array", {"x": data[:ROWS]}, wanted=("predict", "probabilities"))
        assert loaded.platform == "xgboost_sklearn"
        assert np.array_equal(outputs["predict"], model.predict(data[:ROWS]))
        assert np.array_equal(outputs["probabilities"], model.predict_proba(data[:ROWS]))


def test_an_xgboost_regressor_has_no_probabilities(tmp_path):
    data, labels = cancer_data()
    model = xgboost.XGBRegressor(n_estimators=5, n_jobs=1).fit(data, labels.astype(float))
    model.save_model(tmp_path / "model.ubj")
    loaded = load.load(str(tmp_path))
    assert loaded.predict_proba is None
    assert np.array_equal(loaded.predict(data[:ROWS]), model.predict(data[:ROWS]))


def test_an_xgboost_booster_with_named_columns_takes_a_plain_array(tmp_path):
    data, labels = cancer_data()
    names = [f"f{i}" for i in range(data.shape[1])]
    matrix = xgboost.DMatrix(data, labels, feature_names=names)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, num_boost_round=5)
    booster.save_model(tmp_path / "model.json")
    loaded = load.load(str(tmp_path))
    assert loaded.platform == "xgboost_booster"
    assert loaded.columns == tuple(names)
    rows = xgboost.DMatrix(data[:ROWS], feature_names=names)
    assert np.array_equal(loaded.predict(data[:ROWS]), booster.predict(rows))


def test_missing_values_reach_xgboost(tmp_path):
    data, labels = cancer_data()
    holes = np.where(np.random.default_rng(0).random(data.shape) < 0.2, np.nan, data)
    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(holes, labels)
    (tmp_path / "model").mkdir()
    model.save_model(tmp_path / "model/model.ubj")
    np.savez(tmp_path / "rows.npz", x=holes[:ROWS])
    loaded = load.load(str(tmp_path / "model"))
    description = describe.describe(loaded, str(tmp_path / "rows.npz"))
    assert "NaN" in description.signature.example["inputs"][0]["data"]
    assert description.expected["outputs"][0]["data"] == model.predict(holes[:ROWS]).tolist()


def test_a_damaged_xgboost_file_is_named(tmp_path):
    (tmp_path / "model.json").write_text('{"learner": 3}')
    with pytest.raises(CannotLoad, match=r"model\.json cannot be loaded as xgboost"):
        load.load(str(tmp_path))


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: its CPU build is 750 MB")


def save_torchscript(torch: Any, module: Any, path: Any) -> Any:
    torch.jit.trace(module, torch.zeros(1, 4)).save(str(path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_takes_doubles_and_gives_what_the_module_gives(torch, tmp_path):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5), torch.nn.ReLU()).eval()
    save_torchscript(torch, module, tmp_path / "model.pt")
    rows = np.random.default_rng(0).random((5, 4))
    outputs = predict(load.load(str(tmp_path)), "array", {"x": rows})
    with torch.inference_mode():
        expected = module(torch.as_tensor(rows, dtype=torch.float32)).numpy()
    assert outputs["predict"].dtype == np.float32
    assert np.array_equal(outputs["predict"], expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_exported_program_loads(torch, tmp_path):
    torch.manual_seed(0)
    module = torch.nn.Linear(4, 2).eval()
    rows = torch.export.Dim("rows", min=1, max=64)
    program = torch.export.export(module, (torch.zeros(3, 4),), dynamic_shapes=({0: rows},))
    torch.export.save(program, str(tmp_path / "model.pt2"))
    outputs = predict(load.load(str(tmp_path)), "array", {"x": np.ones((5, 4))})
    assert outputs["predict"].shape == (5, 2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_state_dict_is_no_torchscript_and_says_what_to_do(torch, tmp_path):
    torch.save(torch.nn.Linear(4, 2).state_dict(), tmp_path / "model.pt")
    with pytest.raises(CannotLoad) as caught:
        load.load(str(tmp_path))
    assert "is no TorchScript" in str(caught.value)
    assert "torch.export.save" in str(caught.value)


def test_lightgbm_text_models_load(tmp_path):
    lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is not installed")
    data, labels = cancer_data()
    params = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(params, lightgbm.Dataset(data, labels), num_boost_round=5)
    booster.save_model(tmp_path / "model.txt")
    loaded = load.load(str(tmp_path))
    assert loaded.columns == ()
    assert np.array_equal(loaded.predict(data[:ROWS]), booster.predict(data[:ROWS]))


def test_onnx_models_take_doubles_and_name_their_outputs(tmp_path):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: nothing here can write a model file")
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["twice"])],
        "twice",
        [helper.make_tensor_value_info("x", kinds.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info("twice", kinds.FLOAT, ["rows", 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(tmp_path / "model.onnx"))
    outputs = predict(load.load(str(tmp_path)), "array", {"x": np.array([[1.5, 2.0]])})
    assert {name: array.tolist() for name, array in outputs.items()} == {"twice": [[3.0, 4.0]]}
    assert outputs["twice"].dtype == np.float32
