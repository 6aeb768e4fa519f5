"""Metrics, params and tags: what is kept, what is refused, and that a batch is all or nothing."""

from typing import Any

import pytest

from tests.unit.hub.mlflow_tracking.conftest import SEE, Tracking

BAD, GONE = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"
CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon"
)


def point(**fields: Any) -> dict[str, Any]:
    """Make a point of a metric."""
    return {"key": "m", "value": 1.0, "timestamp": 5, "step": 0} | fields


HALF_NAMED = "Both dataset_name and dataset_digest must be provided if one is provided"


def resolves(name: str) -> str:
    """Say what is wrong with a name that would be another as the name of a file."""
    return (
        "Names may be treated as files in certain cases, and must not resolve to other names when treated as"
        f" such. This name would resolve to {name!r}"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"key": "a*"}, f"Invalid value \"a*\" for parameter 'name' supplied: {CHARACTERS}"),
        ({"key": "../a"}, f"Invalid value \"../a\" for parameter 'name' supplied: {resolves('../a')}"),
        ({"key": "/a"}, f"Invalid value \"/a\" for parameter 'name' supplied: {resolves('/a')}"),
        ({"key": "a//b"}, f"Invalid value \"a//b\" for parameter 'name' supplied: {resolves('a/b')}"),
        ({"key": "."}, f"Invalid value \".\" for parameter 'name' supplied: {resolves('.')}"),
        ({"key": "k" * 251}, "'Metric name' exceeds the maximum length of 250 characters"),
        ({"key": ""}, f"Missing value for required parameter 'key'.{SEE}"),
        ({"value": None}, f"Missing value for required parameter 'value'.{SEE}"),
        ({"value": "abc"}, "Invalid value \"abc\" for parameter 'value' supplied"),
        ({"value": True}, "Invalid value true for parameter 'value' supplied"),
        ({"timestamp": None}, f"Missing value for required parameter 'timestamp'.{SEE}"),
        (
            {"timestamp": -1},
            (
                "Invalid value -1 for parameter 'timestamp' supplied: metric 'm' (value=1.0). Timestamp must"
                " be a nonnegative long (64-bit integer) "
            ),
        ),
        ({"step": 2**63}, "Invalid value 9223372036854775808 for parameter 'step' supplied"),
        ({"run_id": 31}, "Invalid value 31 for parameter 'run_id' supplied"),
        ({"dataset_name": "d"}, HALF_NAMED),
        ({"dataset_digest": "d"}, HALF_NAMED),
    ],
)
def test_what_cannot_be_a_point_is_refused(tracking: Tracking, fields: dict[str, Any], said: str) -> None:
    status, code, message = tracking.refused("runs/log-metric", point(run_id=tracking.run()) | fields)
    assert (status, code) == (400, BAD)
    assert message.startswith(said)


def test_the_last_point_is_that_of_the_greatest_step_time_and_value(tracking: Tracking) -> None:
    run = tracking.run()
    for step, at, value in ((1, 10, 1.5), (1, 10, 2.0), (0, 20, 9.0), (-5, 30, 7.0), (1, 10, 1.5)):
        tracking.post("runs/log-metric", run_id=run, key="a/b c:d", value=value, timestamp=at, step=step)
    assert tracking.get("runs/get", run_id=run)["run"]["data"]["metrics"] == [
        {"key": "a/b c:d", "value": 2.0, "timestamp": 10, "step": 1}
    ]


def test_a_param_is_set_once(tracking: Tracking) -> None:
    run = tracking.run()
    for _ in range(2):
        tracking.post("runs/log-parameter", run_id=run, key="lr", value="0.1")
    tracking.post("runs/log-parameter", run_id=run, key="empty")
    said = (
        "Changing param values is not allowed. Param with key='lr' was already logged with value='0.1' for"
        f" run ID='{run}'. Attempted logging new value '0.2'."
    )
    assert tracking.refused("runs/log-parameter", {"run_id": run, "key": "lr", "value": "0.2"}) == (
        400,
        BAD,
        said,
    )
    assert tracking.read(run)["data"]["params"] == {"empty": "", "lr": "0.1"}


def test_what_is_too_long_is_cut_and_a_key_refused(tracking: Tracking) -> None:
    run = tracking.run()
    tracking.post("runs/log-parameter", run_id=run, key="p" * 250, value="é" * 6001)
    tracking.post("runs/set-tag", run_id=run, key="t", value="é" * 8001)
    tracking.post("runs/log-parameter", run_id=run, key="p" * 250, value="é" * 6000)
    data = tracking.read(run)["data"]
    assert (len(data["params"]["p" * 250]), len(data["tags"]["t"])) == (6000, 8000)
    for path, what in (("runs/log-parameter", "Param key"), ("runs/set-tag", "key")):
        said = (400, BAD, f"'{what}' exceeds the maximum length of 250 characters")
        assert tracking.refused(path, {"run_id": run, "key": "k" * 251, "value": ""}) == said


def test_a_tag_is_taken_away_once(tracking: Tracking) -> None:
    run = tracking.run()
    tracking.post("runs/set-tag", run_id=run, key="t", value="1")
    tracking.post("runs/delete-tag", run_id=run, key="t")
    said = f"No tag with name: t in run with id {run}"
    assert tracking.refused("runs/delete-tag", {"run_id": run, "key": "t"}) == (404, GONE, said)


def test_a_batch_keeps_all(tracking: Tracking) -> None:
    run = tracking.run()
    points = [point(step=step, value=step / 2) for step in range(500)] + [point(key="n", value="NaN")]
    params = [{"key": f"p{index}", "value": str(index)} for index in range(100)]
    tags = [{"key": "t", "value": "1"}, {"key": "t", "value": "2"}]
    for _ in range(2):
        tracking.post("runs/log-batch", run_id=run, metrics=points, params=params, tags=tags)
    data = tracking.read(run)["data"]
    assert data["metrics"] == {"m": 249.5, "n": "NaN"}
    assert data["params"] == {f"p{index}": str(index) for index in range(100)}
    assert data["tags"]["t"] == "2"
    assert len(tracking.get("metrics/get-history", run_id=run, metric_key="m")["metrics"]) == 500


def too_many(most: int, what: str, count: int) -> str:
    """Say that a batch is too large."""
    return (
        f"A batch logging request can contain at most {most} {what}. Got {count} {what}. Please split up"
        f" {what} across multiple requests and try again."
    )


PAIRS = [{"key": f"k{index}", "value": ""} for index in range(101)]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"run_id": "no/pe"}, "Invalid value \"no/pe\" for parameter 'run_id' supplied."),
        ({"metrics": "foo"}, "Invalid value \"foo\" for parameter 'metrics' supplied"),
        (
            {"metrics": [{"key": "mae", "value": 2.5}]},
            f"Missing value for required parameter 'metrics[0].timestamp'.{SEE}",
        ),
        ({"metrics": [point(key="")]}, f"Missing value for required parameter 'metrics[0].key'.{SEE}"),
        (
            {"metrics": [point(), point(key="a*")]},
            "Invalid value \"a*\" for parameter 'metrics[1].name' supplied",
        ),
        (
            {"metrics": [point(timestamp=-1)]},
            "Invalid value -1 for parameter 'metrics[0].timestamp' supplied",
        ),
        (
            {"metrics": [point(value="abc")]},
            "Invalid value \"abc\" for parameter 'metrics[0].value' supplied",
        ),
        ({"metrics": [5]}, "Invalid value 5 for parameter 'metrics[0]' supplied"),
        ({"params": [{"value": "1"}]}, f"Missing value for required parameter 'params[0].key'.{SEE}"),
        ({"params": [{"key": "../a"}]}, "Invalid value \"../a\" for parameter 'params[0].key' supplied"),
        ({"tags": [{"key": "a*"}]}, "Invalid value \"a*\" for parameter 'tags[0].key' supplied"),
        ({"tags": [{"key": "k" * 251}]}, "'tags[0].key' exceeds the maximum length of 250 characters"),
        ({"metrics": [point()] * 1001}, too_many(1000, "metrics", 1001)),
        ({"params": PAIRS}, too_many(100, "params", 101)),
        ({"tags": PAIRS}, too_many(100, "tags", 101)),
        (
            {"metrics": [point()] * 949, "params": PAIRS[:51]},
            too_many(1000, "metrics, params, and tags", 1001),
        ),
        (
            {"params": [{"key": "q", "value": str(index)} for index in range(3)]},
            (
                "Duplicate parameter keys have been submitted: ['q', 'q']. Please ensure the request contains"
                " only one param value per param key."
            ),
        ),
        (
            {"params": [{"key": "lr", "value": "2"}, {"key": "new", "value": "1"}]},
            (
                "Changing param values is not allowed. Params were already logged='[{'key': 'lr',"
                " 'old_value': '1', 'new_value': '2'}]' for run ID="
            ),
        ),
    ],
)
def test_of_a_batch_that_is_wrong_nothing_is_kept(
    tracking: Tracking, fields: dict[str, Any], said: str
) -> None:
    run = tracking.run()
    tracking.post("runs/log-parameter", run_id=run, key="lr", value="1")
    before = tracking.read(run)
    rest = {"metrics": [point(key="rest")], "tags": [{"key": "rest", "value": "1"}]}
    status, code, message = tracking.refused("runs/log-batch", {"run_id": run} | rest | fields)
    assert (status, code) == (400, BAD)
    assert message.startswith(said)
    assert tracking.read(run) == before


def test_a_point_may_judge_a_logged_model(tracking: Tracking) -> None:
    run = tracking.run()
    model = tracking.post("logged-models", experiment_id="0", name="m")["model"]["info"]["model_id"]
    on_data = {"model_id": model, "dataset_name": "iris", "dataset_digest": "d1"}
    tracking.post("runs/log-metric", run_id=run, key="acc", value=0.5, timestamp=10, step=1, **on_data)
    tracking.post("runs/log-batch", run_id=run, metrics=[point(key="f1", model_id=model), point(key="plain")])
    assert tracking.read(run)["data"]["metrics"] == {"acc": 0.5, "f1": 1.0, "plain": 1.0}
    judged = tracking.get(f"logged-models/{model}")["model"]["data"]["metrics"]
    told = {(it["key"], it["value"], it.get("dataset_name")) for it in judged}
    assert told == {("acc", 0.5, "iris"), ("f1", 1.0, None)}
    unknown = {"run_id": run, "metrics": [point(key="lost", model_id="m-none")]}
    said = (404, GONE, "Logged model with ID 'm-none' not found.")
    assert tracking.refused("runs/log-batch", unknown) == said
    assert "lost" not in tracking.read(run)["data"]["metrics"]


def test_a_param_that_a_stage_declared_may_be_said_again_as_text(tracking: Tracking) -> None:
    created = tracking.bench.by_hand(project="declared")
    declared = {"lr": 0.1, "deep": True, "layers": [1, 2]}
    tracking.bench.services.store.record_params(created.run_id, declared)
    same = [{"key": "lr", "value": "0.1"}, {"key": "deep", "value": "True"}, {"key": "new", "value": "x"}]
    tracking.post("runs/log-batch", run_id=created.run_id, params=same, metrics=[point()])
    data = tracking.read(created.run_id)["data"]
    assert data["params"] == {"deep": "True", "layers": "[1, 2]", "lr": "0.1", "new": "x"}
    assert data["metrics"] == {"m": 1.0}
    other = {"run_id": created.run_id, "key": "lr", "value": "0.2"}
    assert tracking.refused("runs/log-parameter", other)[1] == BAD
