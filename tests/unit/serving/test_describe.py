"""Registration learns a signature and predictions; the contract test holds a model to them."""

import json
from typing import Any

import numpy as np
import pytest

from relive.serving import describe, load, signature
from relive.serving.faults import BadExample, BadPrediction, BadSignature, ContractBroken
from relive.serving.flavors import Loaded
from relive.serving.signature import TensorSpec
from tests.unit.serving.models import iris_classifier, iris_regressor, iris_rows


def test_a_classifiers_signature_names_inputs_outputs_and_the_example(tmp_path):
    rows = iris_rows(tmp_path / "rows.csv")
    learnt = describe.describe(load.load(str(iris_classifier(tmp_path))), str(rows)).signature
    assert learnt.inputs == (TensorSpec("input-0", "FP64", (-1, 4)),)
    assert learnt.outputs == (
        TensorSpec("predict", "INT64", (-1,)),
        TensorSpec("probabilities", "FP64", (-1, 3)),
    )
    assert learnt.default_outputs == ("predict",)
    assert learnt.example["inputs"][0]["shape"] == [6, 4]


def test_what_is_written_holds_the_model_to_its_contract(tmp_path):
    model = load.load(str(iris_regressor(tmp_path)))
    describe.describe(model, str(iris_rows(tmp_path / "rows.csv"))).write(str(tmp_path / "contract"))
    learnt = signature.read(str(tmp_path / "contract/signature.json"))
    expected = json.loads((tmp_path / "contract/expected.json").read_text())
    agreement = describe.check(model, learnt, expected)
    assert agreement.exact
    assert agreement.values == 6
    assert learnt.default_outputs == ("predict",)


def test_another_model_breaks_the_contract(tmp_path):
    model = load.load(str(iris_regressor(tmp_path)))
    description = describe.describe(model, str(iris_rows(tmp_path / "rows.csv")))
    shifted = Loaded("custom", "here", lambda rows: model.predict(rows) + 0.001)
    with pytest.raises(ContractBroken, match="'predict', element 0"):
        describe.check(shifted, description.signature, description.expected)


def test_a_model_with_randomness_is_refused_at_registration(tmp_path):
    generator = np.random.default_rng()
    noisy = Loaded("custom", "here", lambda rows: rows.sum(axis=1) + generator.random(len(rows)))
    with pytest.raises(ContractBroken) as caught:
        describe.describe(noisy, str(iris_rows(tmp_path / "rows.csv")))
    assert "does not give the same predictions for the same rows twice" in str(caught.value)
    assert "dropout" in str(caught.value)


def test_a_model_that_aggregates_rows_is_refused(tmp_path):
    with pytest.raises(BadPrediction, match="expected one result a row"):
        describe.describe(Loaded("custom", "here", np.sum), str(iris_rows(tmp_path / "rows.csv")))


def test_a_bad_example_is_refused(tmp_path):
    with pytest.raises(BadExample):
        describe.describe(Loaded("custom", "here", np.sum), str(tmp_path / "absent.csv"))


def test_text_in_and_text_out(tmp_path):
    (tmp_path / "rows.json").write_text('[{"word": "né", "times": 2}, {"word": "x", "times": 3}]')

    def repeat(columns: Any) -> Any:
        return [word * times for word, times in zip(columns["word"], columns["times"], strict=True)]

    description = describe.describe(Loaded("custom", "here", repeat), str(tmp_path / "rows.json"))
    assert description.signature.layout == "columns"
    assert description.expected["outputs"][0]["data"] == ["néné", "xxx"]
    assert description.signature.outputs == (TensorSpec("predict", "BYTES", (-1,)),)


def test_an_example_that_does_not_fit_its_signature_is_a_bad_signature(tmp_path):
    model = load.load(str(iris_regressor(tmp_path)))
    learnt = describe.describe(model, str(iris_rows(tmp_path / "rows.csv"))).signature
    learnt.example["inputs"][0]["shape"] = [24]
    with pytest.raises(BadSignature, match="does not fit its signature: input 'input-0'"):
        describe.respond(model, learnt)
