"""Data sets and logged models that runs read or made."""

import json
from typing import Any

import pytest

from tests.unit.hub.mlflow_tracking.conftest import SEE, Tracking

BAD = "INVALID_PARAMETER_VALUE"
CONTEXT = "mlflow.data.context"


def dataset(**fields: str) -> dict[str, str]:
    """Make a data set."""
    return {"name": "iris", "digest": "d1", "source_type": "local", "source": "{}"} | fields


def use(context: str = "", **fields: str) -> dict[str, Any]:
    """Make the use of a data set."""
    tags = [{"key": CONTEXT, "value": context}] if context else []
    return {"dataset": dataset(**fields)} | ({"tags": tags} if tags else {})


def test_what_a_run_read_and_made_is_told_with_it(tracking: Tracking) -> None:
    run = tracking.run()
    uses = [use("train", schema="[]", profile="{}"), use(name="b")]
    tracking.post("runs/log-inputs", run_id=run, datasets=uses, models=[{"model_id": "m-1"}])
    tracking.post("runs/log-inputs", run_id=run, datasets=[use("eval"), use("eval", name="c")])
    made = [{"model_id": "m-3", "step": 7}, {"model_id": "m-2", "step": 0}]
    for _ in range(2):
        tracking.post("runs/outputs", run_id=run, models=made)
    read = tracking.get("runs/get", run_id=run)["run"]
    assert read["inputs"] == {
        "dataset_inputs": [*uses, use("eval", name="c")],
        "model_inputs": [{"model_id": "m-1"}],
    }
    assert read["outputs"] == {"model_outputs": made}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tags": []}, "Dataset cannot be None"),
        (use(name="x" * 501), "'name' exceeds the maximum length of 500 characters"),
        (use(digest="x" * 37), "'digest' exceeds the maximum length of 36 characters"),
        (use(source="x" * 65536), "'source' exceeds the maximum length of 65535 characters"),
        (
            use() | {"tags": [{"key": "k" * 256, "value": ""}]},
            "'key' exceeds the maximum length of 255 characters",
        ),
        (use("x" * 501), "'value' exceeds the maximum length of 500 characters"),
        (
            {"dataset": {"name": "a"}},
            f"Missing value for required parameter 'datasets[1].dataset.digest'.{SEE}",
        ),
        (5, "Invalid value 5 for parameter 'datasets[1]' supplied"),
    ],
)
def test_a_data_set_that_cannot_be_kept_keeps_the_others_out(
    tracking: Tracking, given: Any, said: str
) -> None:
    run = tracking.run()
    status, code, message = tracking.refused("runs/log-inputs", {"run_id": run, "datasets": [use(), given]})
    assert (status, code) == (400, BAD)
    assert message.startswith(said)
    assert tracking.get("runs/get", run_id=run)["run"]["inputs"] == {}


def test_the_data_sets_of_an_experiment_are_told_once(tracking: Tracking) -> None:
    experiment = tracking.experiment("of data")
    for context in ("train", "train", "eval"):
        run = tracking.run(experiment_id=experiment)
        tracking.post("runs/log-inputs", run_id=run, datasets=[use(context), use(name="b")])
    found = tracking.post("experiments/search-datasets", experiment_ids=[experiment, "none"])
    told = {(it["name"], it["digest"], it.get("context")) for it in found["dataset_summaries"]}
    assert told == {("iris", "d1", "train"), ("iris", "d1", "eval"), ("b", "d1", None)}
    assert len(found["dataset_summaries"]) == 3
    none = "SearchDatasets request must specify at least one experiment_id."
    assert tracking.refused("experiments/search-datasets", {}) == (400, BAD, none)
    many = "SearchDatasets request cannot specify more than 20 experiment_ids. Received 21 experiment_ids."
    ids = {"experiment_ids": ["x"] * 21}
    assert tracking.refused("experiments/search-datasets", ids) == (400, BAD, many)


def test_models_among_artifacts_are_listed_in_a_tag(tracking: Tracking) -> None:
    run = tracking.run()
    model = {
        "artifact_path": "model",
        "flavors": {"sklearn": {"version": "1", "config": {}}, "python_function": {"env": "x"}},
        "utc_time_created": "2026-01-01",
        "run_id": run,
        "model_uuid": "u",
        "signature": {},
    }
    for path in ("model", "again"):
        tracking.post("runs/log-model", run_id=run, model_json=json.dumps(model | {"artifact_path": path}))
    kept = json.loads(tracking.read(run)["data"]["tags"]["mlflow.log-model.history"])
    assert [it["artifact_path"] for it in kept] == ["model", "again"]
    assert kept[0] == {
        "artifact_path": "model",
        "flavors": {"sklearn": {"version": "1"}, "python_function": {"env": "x"}},
        "utc_time_created": "2026-01-01",
        "run_id": run,
        "model_uuid": "u",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{bad", "Malformed model info. \n {bad \n is not a valid JSON."),
        ("[]", "Malformed model info."),
        (
            '{"artifact_path": 1, "flavors": {}, "run_id": ""}',
            "Model json is missing mandatory fields: {'utc",
        ),
        ("", f"Missing value for required parameter 'model_json'.{SEE}"),
    ],
)
def test_what_is_no_model_is_refused(tracking: Tracking, text: str, said: str) -> None:
    status, code, message = tracking.refused("runs/log-model", {"run_id": tracking.run(), "model_json": text})
    assert (status, code) == (400, BAD)
    assert message.startswith(said)
