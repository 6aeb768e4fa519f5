"""signature.json is read back as written, and a broken one is named."""

import json

import msgspec
import pytest

from relive.core import model
from relive.serving import signature
from relive.serving.faults import BadSignature
from relive.serving.signature import Signature, TensorSpec

LEARNT = Signature(
    inputs=(TensorSpec("input-0", "FP64", (-1, 4)),),
    outputs=(TensorSpec("predict", "INT64", (-1,)),),
    default_outputs=("predict",),
    layout="array",
    platform="sklearn_joblib",
    example={"inputs": []},
)


def test_what_is_written_reads_back(tmp_path):
    assert signature.read(signature.write(LEARNT, str(tmp_path))) == LEARNT


def test_nothing_but_the_file_is_left_behind(tmp_path):
    signature.write(LEARNT, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["signature.json"]


def test_the_hub_reads_inputs_and_outputs_of_it(tmp_path):
    path = signature.write(LEARNT, str(tmp_path))
    with open(path, "rb") as file:
        read = msgspec.json.decode(file.read(), type=model.Signature)
    assert read.inputs == (model.TensorSpec(name="input-0", datatype="FP64", shape=(-1, 4)),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2, expected 1"),
        ({"format": None}, "format None"),
        ({"inputs": None}, "lacks or garbles"),
        ({"inputs": [{"name": "x"}]}, "'datatype'"),
        ({"outputs": [{"name": "x", "datatype": "FP64", "shape": ["a"]}]}, "lacks or garbles"),
        ({"layout": "rows"}, "layout is 'rows', expected one of array, columns, named"),
    ],
)
def test_a_broken_signature_is_named(tmp_path, change, said):
    path = signature.write(LEARNT, str(tmp_path))
    with open(path, encoding="utf-8") as file:
        content = {**json.load(file), **change}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)
    with pytest.raises(BadSignature) as caught:
        signature.read(path)
    assert said in str(caught.value)
    assert path in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", "[" * 100_000])
def test_what_is_no_json_object_is_refused(tmp_path, text):
    path = tmp_path / "signature.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(BadSignature, match=r"signature\.json"):
        signature.read(str(path))


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(BadSignature, match="cannot be read"):
        signature.read(str(tmp_path / "signature.json"))
