"""A loaded model gets its inputs as it wants them, and what it gives becomes named outputs."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relive.serving.faults import BadPrediction
from relive.serving.flavors import Loaded
from relive.serving.predictor import predict

X = np.array([[1.0, 2.0], [3.0, 4.0]])
COLUMNS = {"age": np.array([30, 40]), "city": np.array(["Ulm", "Rom"], dtype=object)}


def model(function: Any, platform: Any = "custom", proba: Any = None) -> Any:
    return Loaded(platform, "here", function, proba)


def noting(seen: list[Any], result: Any) -> Callable[[Any], Any]:
    """Make a model that notes what it gets, and gives `result`, or what it got if that is None."""

    def function(argument: Any) -> Any:
        seen.append(argument)
        return argument if result is None else result

    return function


def test_a_single_array_is_handed_over_as_it_is():
    seen: list[Any] = []
    predict(model(noting(seen, None)), "array", {"x": X})
    assert seen[0] is X


def test_named_inputs_are_handed_over_as_a_dict():
    outputs = predict(model(lambda inputs: inputs["b"] - inputs["a"]), "named", {"a": X, "b": X + 1})
    assert outputs["predict"].tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_columns_become_a_data_frame_where_pandas_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda columns: ("frame", columns)))
    seen: list[Any] = []
    predict(model(noting(seen, [1, 2]), platform="sklearn_joblib"), "columns", COLUMNS)
    assert seen == [("frame", COLUMNS)]


def test_without_pandas_own_code_gets_the_columns_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    outputs = predict(model(lambda columns: columns["age"] + 1), "columns", COLUMNS)
    assert outputs["predict"].tolist() == [31, 41]


def test_without_pandas_libraries_get_one_matrix(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    seen: list[Any] = []
    other = model(noting(seen, [1, 2]), platform="sklearn_joblib")
    predict(other, "columns", COLUMNS)
    predict(other, "columns", {"a": np.array([1, 2]), "b": np.array([0.5, 1.5])})
    assert seen[0].tolist() == [[30, "Ulm"], [40, "Rom"]]
    assert seen[1].dtype == np.float64


@pytest.mark.parametrize(
    ("given", "outputs"),
    [
        ([1, 2], {"predict": [1, 2]}),
        ({"a": [1, 2], "b": [[1], [2]]}, {"a": [1, 2], "b": [[1], [2]]}),
        (([1, 2], [3.5, 4]), {"output-0": [1, 2], "output-1": [3.5, 4.0]}),
        (["x", "y"], {"predict": ["x", "y"]}),
    ],
)
def test_what_a_model_gives_gets_names(given, outputs):
    made = predict(model(lambda _: given), "array", {"x": X})
    assert {name: array.tolist() for name, array in made.items()} == outputs


def test_a_data_frame_gives_an_output_a_column():
    frame = SimpleNamespace(columns=["p", "q"], iloc=None)
    columns = {"p": np.array([1, 2]), "q": np.array([0.5, 1.0])}

    class Frame:
        columns = frame.columns
        iloc = None

        def __getitem__(self, name: Any) -> Any:
            return SimpleNamespace(to_numpy=lambda: columns[name])

    made = predict(model(lambda _: Frame()), "array", {"x": X})
    assert {name: array.tolist() for name, array in made.items()} == {"p": [1, 2], "q": [0.5, 1.0]}


def test_probabilities_are_computed_only_when_asked_for():
    calls: list[Any] = []
    both = model(
        lambda _: noting(calls, [0, 1])("predict"), proba=lambda _: noting(calls, [[1], [1]])("proba")
    )
    assert list(predict(both, "array", {"x": X}, wanted=("predict",))) == ["predict"]
    assert calls == ["predict"]
    assert list(predict(both, "array", {"x": X}, wanted=("probabilities",))) == ["probabilities"]
    assert calls == ["predict", "proba"]
    assert list(predict(both, "array", {"x": X}, wanted=("predict", "probabilities"))) == [
        "predict",
        "probabilities",
    ]


@pytest.mark.parametrize("given", [[1], [1, 2, 3], 5, [[1, 2]]])
def test_another_number_of_results_than_rows_is_refused(given):
    with pytest.raises(BadPrediction, match="for 2 rows, expected one result a row"):
        predict(model(lambda _: given), "array", {"x": X})
