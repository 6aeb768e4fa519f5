"""Inference requests are read strictly, and answers say what the protocol wants."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.serving import oip, tensors
from relive.serving.faults import BadRequest
from relive.serving.signature import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(TensorSpec("x", "FP32", (-1, 2)), TensorSpec("who", "BYTES", (-1,))),
    outputs=(TensorSpec("predict", "INT64", (-1,)), TensorSpec("probabilities", "FP64", (-1, 2))),
    default_outputs=("predict",),
    layout="named",
    platform="custom",
    example={},
)
X = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}
WHO = {"name": "who", "datatype": "BYTES", "shape": [2], "data": ["ann", "bo"]}


def parse(content: Any, binary: Any = b"", **more: Any) -> Any:
    head = json.dumps({"inputs": content, **more}).encode()
    return oip.parse_request(head + binary, str(len(head)) if binary else None, SIGNATURE)


def changed(item: Any, **more: Any) -> Any:
    return {**item, **more}


def test_a_request_gives_arrays_in_the_signatures_order():
    request = parse([WHO, X], id="abc")
    assert list(request.inputs) == ["x", "who"]
    assert request.inputs["x"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert request.inputs["x"].dtype == np.float32
    assert request.inputs["who"].tolist() == ["ann", "bo"]
    assert request.id == "abc"
    assert request.outputs == {"predict": False}


def test_binary_tensors_follow_the_json_in_its_order():
    x = np.array([[1, 2], [3, 4]], dtype="<f4")
    who = tensors.to_bytes(np.array(["ann", "bo"], dtype=object))
    described = [
        changed(WHO, data=None, parameters={"binary_data_size": len(who)}),
        changed(X, data=None, parameters={"binary_data_size": x.nbytes}),
    ]
    request = parse(described, who + x.tobytes())
    assert np.array_equal(request.inputs["x"], x)
    assert request.inputs["who"].tolist() == ["ann", "bo"]


def test_json_and_binary_tensors_may_be_mixed():
    x = np.array([[1, 2], [3, 4]], dtype="<f4")
    described = [changed(X, data=None, parameters={"binary_data_size": x.nbytes}), WHO]
    request = parse(described, x.tobytes())
    assert request.inputs["who"].tolist() == ["ann", "bo"]


@pytest.mark.parametrize(
    ("asked", "more", "outputs"),
    [
        (None, {}, {"predict": False}),
        ([], {}, {"predict": False}),
        (None, {"parameters": {"binary_data_output": True}}, {"predict": True}),
        ([{"name": "probabilities"}], {}, {"probabilities": False}),
        (
            [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "predict"}],
            {},
            {"probabilities": True, "predict": False},
        ),
        (
            [{"name": "predict", "parameters": {"binary_data": False}}],
            {"parameters": {"binary_data_output": True}},
            {"predict": False},
        ),
    ],
)
def test_outputs_are_those_asked_for_each_in_its_encoding(asked, more, outputs):
    request = parse([X, WHO], **more, **({} if asked is None else {"outputs": asked}))
    assert request.outputs == outputs


@pytest.mark.parametrize(
    ("inputs", "more", "said"),
    [
        (None, {}, "inputs is None"),
        ({}, {}, "inputs is {}"),
        (["x"], {}, "an input is 'x'"),
        ([{"name": 1}], {}, "expected an object with a name"),
        ([X, X, WHO], {}, "'x' is given twice"),
        ([X], {}, "inputs are ['x'], expected ['x', 'who']"),
        ([X, WHO, changed(X, name="z")], {}, "expected ['x', 'who']"),
        ([changed(X, shape=[4]), WHO], {}, "input 'x': shape is [4], expected [-1, 2]"),
        ([changed(X, shape=[1, 4]), WHO], {}, "input 'x': shape is [1, 4], expected [-1, 2]"),
        ([changed(X, shape=[0, 2], data=[]), WHO], {}, "expected at least one row"),
        ([changed(X, shape=[1, 2], data=[1, 2]), WHO], {}, "different numbers of rows: {'x': 1, 'who': 2}"),
        ([changed(X, datatype="BYTES", data=list("abcd")), WHO], {}, "datatype is BYTES, expected FP32"),
        ([changed(X, parameters=[]), WHO], {}, "parameters is []"),
        (
            [changed(X, parameters={"binary_data_size": 4}), WHO],
            {},
            "binary_data_size is 4, 0 bytes are left",
        ),
        ([changed(X, parameters={"binary_data_size": True}), WHO], {}, "binary_data_size is True"),
        ([changed(X, parameters={"shared_memory_region": "r"}), WHO], {}, "'shared_memory_region' is not"),
        ([X, WHO], {"id": 7}, "id is 7"),
        ([X, WHO], {"outputs": "predict"}, "outputs is 'predict'"),
        ([X, WHO], {"outputs": [{"name": "nope"}]}, "output 'nope' is unknown, expected some of ['predict'"),
        (
            [X, WHO],
            {"outputs": [{"name": "predict", "parameters": {"classification": 2}}]},
            "'classification'",
        ),
        ([X, WHO], {"parameters": 3}, "parameters is 3"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_and_what_was_expected(inputs, more, said):
    with pytest.raises(BadRequest) as caught:
        parse(inputs, **more)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON"),
        (b"[]", "a JSON list, expected an object"),
        (b"{", "not valid JSON"),
        (b'{"inputs": NaN}', 'NaN is not JSON; send the string "NaN" or null'),
        (b'{"inputs": -Infinity}', "-Infinity is not JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"inputs": ' + b"9" * 10_000 + b"}", "not valid JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(body, said):
    with pytest.raises(BadRequest) as caught:
        oip.parse_request(body, None, SIGNATURE)
    assert said in str(caught.value)


@pytest.mark.parametrize("length", ["-1", "1e3", "", " 5", "99", "9" * 5000, "5.0"])
def test_a_wrong_header_length_is_refused(length):
    with pytest.raises(BadRequest, match="Inference-Header-Content-Length"):
        oip.parse_request(b"{}", length, SIGNATURE)


def test_bytes_of_no_input_are_refused():
    with pytest.raises(BadRequest, match="3 bytes of the body belong to no input"):
        parse([X, WHO], b"abc")


def test_a_column_may_come_as_a_matrix_of_one_column():
    request = parse([X, changed(WHO, shape=[2, 1])])
    assert request.inputs["who"].shape == (2,)


def test_floats_of_another_width_are_taken():
    request = parse([changed(X, datatype="FP64"), WHO])
    assert request.inputs["x"].dtype == np.float32


def test_an_answer_in_json_echoes_the_id():
    body, header_length = oip.encode_response(
        {"predict": np.array([1, 0])}, {"predict": False}, model="m", version="3", request_id="abc"
    )
    assert header_length is None
    assert json.loads(body) == {
        "model_name": "m",
        "model_version": "3",
        "id": "abc",
        "outputs": [{"name": "predict", "datatype": "INT64", "shape": [2], "data": [1, 0]}],
    }


def test_a_binary_answer_gives_the_sizes_and_then_the_bytes():
    outputs = {"predict": np.array([1, 0]), "probabilities": np.array([[0.25, 0.75]])}
    body, header_length = oip.encode_response(
        outputs, {"predict": True, "probabilities": True}, model="m", version="3", request_id=None
    )
    assert header_length is not None
    head = json.loads(body[:header_length])
    assert [item["parameters"] for item in head["outputs"]] == [{"binary_data_size": 16}] * 2
    assert "id" not in head
    assert body[header_length:] == outputs["predict"].tobytes() + outputs["probabilities"].tobytes()


def test_what_is_not_finite_is_answered_in_valid_json():
    body, _ = oip.encode_response(
        {"y": np.array([np.nan, np.inf])}, {}, model="m", version="1", request_id=None
    )
    assert b'["NaN","Infinity"]' in body


def test_a_recorded_request_reads_back():
    arrays = {"x": np.array([[0.1, np.nan]], dtype=np.float32), "who": np.array(["é"], dtype=object)}
    body = json.dumps(oip.encode_request(arrays, ("predict", "probabilities"))).encode()
    request = oip.parse_request(body, None, SIGNATURE)
    assert np.array_equal(request.inputs["x"], arrays["x"], equal_nan=True)
    assert request.outputs == {"predict": False, "probabilities": False}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["x", "FP32", "who"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "outputs", "name", "datatype", "shape", "data", "parameters", "id"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["inputs", "outputs", "parameters", "id"]), JSON))
def test_no_json_crashes_the_parser(content):
    with suppress(BadRequest):
        request = oip.parse_request(json.dumps(content).encode(), None, SIGNATURE)
        assert list(request.inputs) == ["x", "who"]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(["x", "who"]),
                "datatype": st.sampled_from(list(tensors.DTYPES)),
                "shape": st.lists(st.integers(0, 3), max_size=3),
                "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 20)}),
            }
        ),
        max_size=3,
    ),
    st.binary(max_size=40),
)
def test_no_binary_request_crashes_the_parser(described, binary):
    head = json.dumps({"inputs": described}).encode()
    with suppress(BadRequest):
        request = oip.parse_request(head + binary, str(len(head)), SIGNATURE)
        assert len(request.inputs["x"]) == len(request.inputs["who"])


@given(st.binary(max_size=200), st.none() | st.text(max_size=6))
def test_no_bytes_crash_the_parser(body, length):
    with pytest.raises(BadRequest):
        oip.parse_request(body, length, SIGNATURE)
