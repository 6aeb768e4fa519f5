"""MLflow's words for inputs give the same arrays as the inference protocol's."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.serving import scoring
from relive.serving.faults import BadRequest
from relive.serving.signature import Signature, TensorSpec

PREDICT = (TensorSpec("predict", "INT64", (-1,)),)


def signature(layout: Any, *inputs: Any) -> Any:
    return Signature(inputs, PREDICT, ("predict",), layout, "custom", {})


ARRAY = signature("array", TensorSpec("input-0", "FP64", (-1, 2)))
COLUMNS = signature("columns", TensorSpec("age", "INT64", (-1,)), TensorSpec("city", "BYTES", (-1,)))
NAMED = signature("named", TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "INT64", (-1,)))


def parse(content: Any, of: Any) -> Any:
    parsed = scoring.parse_request(json.dumps(content).encode(), of)
    return {name: array.tolist() for name, array in parsed.items()}


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_split": {"columns": ["p", "q"], "data": [[1, 2.5], [3, 4]]}},
        {"dataframe_split": {"data": [[1, 2.5], [3, 4]]}},
        {"dataframe_split": {"columns": ["p", "q"], "index": [0, 1], "data": [[1, 2.5], [3, 4]]}},
        {"dataframe_records": [{"p": 1, "q": 2.5}, {"p": 3, "q": 4}]},
        {"instances": [[1, 2.5], [3, 4]]},
        {"instances": [{"p": 1, "q": 2.5}, {"p": 3, "q": 4}]},
        {"inputs": [[1, 2.5], [3, 4]]},
        {"inputs": {"input-0": [[1, 2.5], [3, 4]]}},
        {"inputs": [[1, 2.5], [3, 4]], "params": None},
    ],
)
def test_every_form_fills_a_single_array(content):
    assert parse(content, ARRAY) == {"input-0": [[1.0, 2.5], [3.0, 4.0]]}


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_split": {"columns": ["city", "age"], "data": [["Ulm", 30], ["Rom", 40]]}},
        {"dataframe_records": [{"city": "Ulm", "age": 30}, {"age": 40, "city": "Rom"}]},
        {"instances": [{"city": "Ulm", "age": 30}, {"age": 40, "city": "Rom"}]},
        {"instances": [[30, "Ulm"], [40, "Rom"]]},
        {"inputs": {"city": ["Ulm", "Rom"], "age": [30, 40]}},
    ],
)
def test_every_form_fills_columns_by_name(content):
    assert parse(content, COLUMNS) == {"age": [30, 40], "city": ["Ulm", "Rom"]}


@pytest.mark.parametrize(
    "content",
    [
        {"inputs": {"a": [[1, 2], [3, 4]], "b": [5, 6]}},
        {"instances": [{"a": [1, 2], "b": 5}, {"a": [3, 4], "b": 6}]},
    ],
)
def test_named_inputs_are_taken_by_name(content):
    assert parse(content, NAMED) == {"a": [[1.0, 2.0], [3.0, 4.0]], "b": [5, 6]}


@pytest.mark.parametrize(
    ("content", "of", "said"),
    [
        ({}, ARRAY, "none of dataframe_split, dataframe_records, instances, inputs"),
        ({"inputs": [], "instances": []}, ARRAY, "expected exactly one"),
        ({"inputs": [[1, 2]], "params": {"t": 1}}, ARRAY, "params are not supported"),
        ({"inputs": 3}, ARRAY, "input 'input-0' is 3, expected a list"),
        ({"inputs": []}, ARRAY, "expected [-1, 2]"),
        ({"inputs": [[1, 2, 3]]}, ARRAY, "shape is [1, 3], expected [-1, 2]"),
        ({"inputs": [[1, "x"]]}, ARRAY, "element 1 is 'x'"),
        ({"inputs": [[1, 2], [3]]}, ARRAY, "nesting"),
        ({"inputs": {"z": [1]}}, ARRAY, "['z'] are unknown, expected ['input-0']"),
        ({"instances": [[1, 2]]}, NAMED, "the model has the inputs ['a', 'b']: name them"),
        ({"dataframe_records": {}}, ARRAY, "expected a list of objects"),
        ({"dataframe_records": []}, ARRAY, "expected a list of objects"),
        ({"dataframe_records": [{"p": 1}, {"q": 1}]}, ARRAY, "row 1 has not the keys of row 0, ['p']"),
        ({"dataframe_split": []}, ARRAY, "dataframe_split: expected"),
        ({"dataframe_split": {"columns": [1], "data": [[1]]}}, COLUMNS, "columns is [1]"),
        ({"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}}, COLUMNS, "row 0 has not the 1 values"),
        ({"dataframe_split": {"columns": ["age"], "data": [[1]]}}, COLUMNS, "inputs are ['age'], expected"),
        ({"dataframe_records": [{"age": 1.5, "city": "Ulm"}]}, COLUMNS, "element 0 is 1.5, expected a whole"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_expected(content, of, said):
    with pytest.raises(BadRequest) as caught:
        parse(content, of)
    assert said in str(caught.value)


def test_one_output_is_a_list_and_several_are_objects():
    one = {"predict": np.array([[1, 2], [3, 4]])}
    two = {"label": np.array(["a", "b"], dtype=object), "score": np.array([0.5, np.nan])}
    assert json.loads(scoring.encode_response(one)) == {"predictions": [[1, 2], [3, 4]]}
    assert json.loads(scoring.encode_response(two)) == {
        "predictions": [{"label": "a", "score": 0.5}, {"label": "b", "score": "NaN"}]
    }


def test_a_scalar_a_row_is_no_list():
    assert json.loads(scoring.encode_response({"predict": np.array([7, 8])})) == {"predictions": [7, 8]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["age", "city", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["columns", "data", "age", "city", "a", "b"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(
    st.dictionaries(st.sampled_from([*scoring.FORMS, "params"]), JSON, max_size=2),
    st.sampled_from([ARRAY, COLUMNS, NAMED]),
)
def test_no_json_crashes_the_parser(content, of):
    with suppress(BadRequest):
        parsed = scoring.parse_request(json.dumps(content).encode(), of)
        assert set(parsed) == {spec.name for spec in of.inputs}
