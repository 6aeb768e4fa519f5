"""Tensors survive both encodings, and what is no tensor is refused with the input's name."""

import json
import math
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from relive.serving import tensors
from relive.serving.faults import BadPrediction, BadRequest

NUMERIC = [name for name in tensors.DTYPES if name != "BYTES"]


def arrays(datatype: Any) -> Any:
    """Arrays of a datatype, in shapes as requests have them."""
    shapes = npst.array_shapes(min_dims=1, max_dims=3, max_side=4)
    if datatype == "BYTES":
        text = st.text(max_size=8)
        return shapes.flatmap(
            lambda shape: st.lists(text, min_size=math.prod(shape), max_size=math.prod(shape)).map(
                lambda items: as_texts(items).reshape(shape)
            )
        )
    return npst.arrays(np.dtype(tensors.DTYPES[datatype]), shapes)


def as_texts(items: Any) -> Any:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def same(left: Any, right: Any) -> Any:
    """Equal in dtype, shape and every bit, any NaN being like any other."""
    if left.dtype.kind == "f":
        equal = np.array_equal(left, right, equal_nan=True)
        return left.dtype == right.dtype and equal and np.array_equal(np.signbit(left), np.signbit(right))
    return left.dtype == right.dtype and np.array_equal(left, right)


ANY_ARRAY = st.sampled_from(list(tensors.DTYPES)).flatmap(
    lambda datatype: st.tuples(st.just(datatype), arrays(datatype))
)


@given(ANY_ARRAY)
def test_json_gives_the_same_bits_back(drawn):
    datatype, array = drawn
    text = json.dumps(tensors.to_json(array), allow_nan=False)
    read = tensors.from_json("x", datatype, array.shape, json.loads(text))
    assert same(np.where(np.isnan(read), np.nan, read) if read.dtype.kind == "f" else read, cleaned(array))


def cleaned(array: Any) -> Any:
    """Without the sign of a NaN, which JSON does not carry."""
    return np.where(np.isnan(array), array.dtype.type(np.nan), array) if array.dtype.kind == "f" else array


@given(ANY_ARRAY)
def test_bytes_give_the_same_bits_back(drawn):
    datatype, array = drawn
    raw = tensors.to_bytes(array)
    read = tensors.from_bytes("x", datatype, array.shape, memoryview(raw))
    assert same(read, array)
    assert read.flags.writeable


@given(ANY_ARRAY)
def test_normalize_changes_nothing_that_the_protocol_can_hold(drawn):
    datatype, array = drawn
    made = tensors.normalize("x", array)
    assert tensors.datatype_of(made) == datatype
    assert same(made, array)


@given(st.sampled_from(list(tensors.DTYPES)), st.lists(st.integers(0, 3), max_size=3), st.binary(max_size=64))
def test_no_bytes_crash_the_reader(datatype, shape, raw):
    with suppress(BadRequest):
        read = tensors.from_bytes("x", datatype, tuple(shape), memoryview(raw))
        assert read.shape == tuple(shape)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=12,
)


@given(st.sampled_from(list(tensors.DTYPES)), st.lists(st.integers(0, 3), max_size=3), JSON)
def test_no_json_crashes_the_reader(datatype, shape, data):
    with suppress(BadRequest):
        read = tensors.from_json("x", datatype, tuple(shape), data)
        assert read.shape == tuple(shape)
        assert tensors.datatype_of(tensors.normalize("x", read)) == datatype


@given(JSON)
def test_no_shape_crashes_the_check(shape):
    with suppress(BadRequest):
        assert tensors.check_shape("x", shape) == tuple(shape)


def test_nested_data_are_read_in_row_major_order():
    read = tensors.from_json("x", "INT32", (2, 3), [[1, 2, 3], [4, 5, 6]])
    assert read.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read.dtype == np.int32


def test_what_is_not_finite_has_words_and_null_is_nan():
    read = tensors.from_json("x", "FP64", (5,), [1, "NaN", "Infinity", "-Infinity", None])
    assert read.tolist()[0] == 1.0
    assert np.isnan(read[[1, 4]]).all()
    assert read.tolist()[2:4] == [math.inf, -math.inf]
    assert tensors.to_json(read) == [1.0, "NaN", "Infinity", "-Infinity", "NaN"]


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "said"),
    [
        ("FP64", (2,), [1.0], "1 elements, expected 2"),
        ("FP64", (2,), None, "data is missing"),
        ("FP64", (2,), {"0": 1}, "no list"),
        ("FP64", (1,), ["1.5"], "element 0 is '1.5', expected a number"),
        ("FP64", (2,), [1.0, True], "element 1 is True"),
        ("FP64", (1,), [[1.0]], "element 0 is [1.0]"),
        ("FP64", (1,), [1e999], "too large for FP64"),
        ("FP64", (1,), [10**400], "too large for FP64"),
        ("FP64", (2,), [None, 10**400], "element 1"),
        ("FP32", (1,), [1e300], "too large for FP32"),
        ("FP16", (1,), [70000], "too large for FP16"),
        ("INT8", (2,), [1, 128], "outside -128 … 127"),
        ("UINT64", (1,), [-1], "outside 0 …"),
        ("INT64", (1,), [1.0], "element 0 is 1.0, expected a whole number"),
        ("INT64", (1,), [True], "element 0 is True"),
        ("BOOL", (1,), [1], "expected true or false"),
        ("BYTES", (1,), [1], "expected a string"),
        ("BYTES", (1,), ["\ud800"], "surrogate"),
        ("INT32", (2, 2), [[1, 2], [3]], "nesting"),
        ("INT32", (2, 2), [[1, 2], 3], "nesting"),
        ("INT32", (2, 2), [[1, 2]], "nesting"),
    ],
)
def test_json_that_does_not_fit_is_refused_with_what_was_expected(datatype, shape, data, said):
    with pytest.raises(BadRequest) as caught:
        tensors.from_json("x", datatype, shape, data)
    assert said in str(caught.value)
    assert "input 'x'" in str(caught.value)


def test_large_unsigned_integers_keep_every_bit():
    read = tensors.from_json("x", "UINT64", (2,), [2**63, 1])
    assert read.tolist() == [2**63, 1]


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "said"),
    [
        ("FP32", (2,), b"\0" * 7, "7 bytes of binary data, expected 8 for FP32 of shape [2]"),
        ("BYTES", (1,), b"\x05\0\0\0ab", "exactly 1 BYTES"),
        ("BYTES", (2,), b"\x01\0\0\0a", "exactly 2 BYTES"),
        ("BYTES", (1,), b"\x01\0\0\0a\0", "exactly 1 BYTES"),
        ("BYTES", (1,), b"\x01\0\0", "exactly 1 BYTES"),
        ("BYTES", (1,), b"\x01\0\0\0\xff", "element 0 is not UTF-8"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(datatype, shape, raw, said):
    with pytest.raises(BadRequest) as caught:
        tensors.from_bytes("x", datatype, shape, memoryview(raw))
    assert said in str(caught.value)


def test_bytes_elements_stand_after_their_length():
    assert tensors.to_bytes(as_texts(["é", ""])) == struct.pack("<I", 2) + "é".encode() + struct.pack("<I", 0)


@pytest.mark.parametrize("shape", ["[1]", [1.0], [True], [-1], [1] * 33, [2**31, 2**31], None, {}])
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises(BadRequest, match="'x'"):
        tensors.check_shape("x", shape)


@pytest.mark.parametrize("datatype", ["FLOAT", "fp32", "", None, 1, ["FP32"]])
def test_an_unknown_datatype_is_refused_with_the_known_ones(datatype):
    with pytest.raises(BadRequest, match="BOOL, UINT8") as caught:
        tensors.check_datatype("x", datatype)
    assert repr(datatype) in str(caught.value)


@pytest.mark.parametrize(
    ("value", "datatype", "data"),
    [
        ([1, 2], "INT64", [1, 2]),
        (["a", "b"], "BYTES", ["a", "b"]),
        (np.array(["a"]), "BYTES", ["a"]),
        (np.array([b"a"]), "BYTES", ["a"]),
        (np.array([1, 2.5], dtype=object), "FP64", [1.0, 2.5]),
        (np.array([True, False], dtype=object), "BOOL", [True, False]),
        (np.array([np.float32(1.5)], dtype=object), "FP32", [1.5]),
        (np.array([1.5], dtype=np.longdouble), "FP64", [1.5]),
        (np.array([1, 2], dtype=">i4"), "INT32", [1, 2]),
        (np.array(["2026-11-23"], dtype="datetime64[D]"), "BYTES", ["2026-11-23"]),
        (np.arange(6).reshape(2, 3).T, "INT64", [0, 3, 1, 4, 2, 5]),
    ],
)
def test_what_models_give_becomes_a_tensor(value, datatype, data):
    made = tensors.normalize("y", value)
    assert tensors.datatype_of(made) == datatype
    assert tensors.to_json(made) == data
    assert made.flags.c_contiguous


def test_a_sparse_matrix_becomes_a_dense_tensor():
    sparse = pytest.importorskip("scipy.sparse")
    assert tensors.normalize("y", sparse.csr_matrix([[0, 1], [2, 0]])).tolist() == [[0, 1], [2, 0]]


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2], [3]],
        np.array([1j]),
        np.array([{"a": 1}]),
        np.array([None, "a"], dtype=object),
        np.array([1, "a"], dtype=object),
    ],
)
def test_what_is_no_tensor_is_named(value):
    with pytest.raises(BadPrediction, match="'y'"):
        tensors.normalize("y", value)


@pytest.mark.parametrize(
    ("given_datatype", "data", "wanted"),
    [
        ("FP64", [1.5], "FP32"),
        ("INT64", [3], "FP64"),
        ("INT64", [127], "INT8"),
        ("UINT8", [255], "INT64"),
        ("FP32", [math.inf], "FP16"),
        ("FP64", [], "FP32"),
    ],
)
def test_numbers_are_cast_where_the_values_stay(given_datatype, data, wanted):
    array = np.array(data, dtype=tensors.DTYPES[given_datatype])
    made = tensors.cast("x", array, wanted)
    assert tensors.datatype_of(made) == wanted
    assert made.tolist() == data


@pytest.mark.parametrize(
    ("given_datatype", "data", "wanted"),
    [
        ("FP64", [1.0], "INT64"),
        ("INT64", [128], "INT8"),
        ("INT64", [-1], "UINT64"),
        ("FP64", [1e300], "FP32"),
        ("BOOL", [True], "FP64"),
        ("FP64", [1.0], "BYTES"),
        ("BYTES", ["1"], "FP64"),
    ],
)
def test_a_cast_that_would_change_values_is_refused(given_datatype, data, wanted):
    array = np.array(data, dtype=tensors.DTYPES[given_datatype])
    with pytest.raises(BadRequest, match=f"datatype is {given_datatype}, expected {wanted}"):
        tensors.cast("x", array, wanted)
