"""The contract test passes what agrees and names the first value that does not."""

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.serving import contract
from relive.serving.faults import ContractBroken


def response(*outputs: Any) -> Any:
    return {"model_name": "m", "outputs": list(outputs)}


def output(data: Any, name: Any = "predict", datatype: Any = "FP64", shape: Any = None) -> Any:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def test_equal_responses_agree_exactly():
    outputs = response(output([1.5, "NaN"]), output(["a"], name="label", datatype="BYTES"))
    agreement = contract.compare(outputs, outputs)
    assert agreement.exact
    assert agreement.values == 3


def test_model_names_and_further_outputs_do_not_matter():
    actual = {"model_name": "other", "outputs": [output([9], name="more"), output([1.0])]}
    assert contract.compare(response(output([1.0])), actual).exact


@pytest.mark.parametrize(
    ("datatype", "left", "right"),
    [("FP64", 1.0, 1.0 + 5e-7), ("FP32", -1e9, -1e9 - 500), ("FP64", 0.0, 5e-9), ("FP16", 1.0, 1.001)],
)
def test_floats_may_differ_a_little_and_the_largest_difference_is_told(datatype, left, right):
    agreement = contract.compare(
        response(output([left, 2.0], datatype=datatype)), response(output([right, 2.0], datatype=datatype))
    )
    assert not agreement.exact
    assert agreement.largest == pytest.approx(abs(left - right) / max(abs(left), abs(right)))


@pytest.mark.parametrize(
    ("expected", "actual", "said"),
    [
        (
            output([1.0]),
            output([1.00001]),
            "'predict', element 0: 1.00001, recorded was 1.0 (tolerance: relative 1e-06)",
        ),
        (output([1.0, "NaN"]), output([1.0, 2.0]), "element 1: 2.0, recorded was 'NaN'"),
        (output(["Infinity"]), output(["-Infinity"]), "element 0"),
        (output([1], datatype="INT64"), output([2], datatype="INT64"), "element 0: 2, recorded was 1"),
        (output(["a"], datatype="BYTES"), output(["b"], datatype="BYTES"), "'b', recorded was 'a'"),
        (output([True], datatype="BOOL"), output([False], datatype="BOOL"), "False, recorded was True"),
        (output([1.0]), output([1.0], datatype="FP32"), "datatype is FP32, recorded was FP64"),
        (output([1.0]), output([1.0], shape=[1, 1]), "shape is [1, 1], recorded was [1]"),
        (output([1.0]), output([1.0], name="other"), "'predict' is absent; the model gave ['other']"),
        (output([1.0, 2.0]), output([1.0], shape=[2]), "1 values, recorded were 2"),
        (output([1.0]), {"name": "predict", "datatype": "FP64", "shape": [1]}, "0 values, recorded were 1"),
    ],
)
def test_what_differs_is_named_with_both_values(expected, actual, said):
    with pytest.raises(ContractBroken) as caught:
        contract.compare(response(expected), response(actual))
    assert said in str(caught.value)


def test_an_answer_that_is_no_response_breaks_the_contract():
    with pytest.raises(ContractBroken, match="absent"):
        contract.compare(response(output([1.0])), {"error": "no"})


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**64 - 1))
def test_any_other_double_is_judged_as_the_documented_tolerance_says(left, bits):
    right = struct.unpack("<d", struct.pack("<Q", bits))[0]
    if not math.isfinite(right):
        return
    within = abs(left - right) <= max(1e-6 * max(abs(left), abs(right)), 1e-8)
    try:
        contract.compare(response(output([left])), response(output([right])))
    except ContractBroken:
        assert not within
    else:
        assert within
