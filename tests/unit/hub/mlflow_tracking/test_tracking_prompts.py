"""Runs that try out a prompt, as MLflow's pages make them."""

import json
from typing import Any

import pytest
import yaml

from tests.unit.hub.mlflow_tracking.conftest import Tracking

CALL = "runs/create-promptlab-run"
ASKED: dict[str, Any] = {
    "prompt_template": "Say {{what}} {{times}} times.",
    "prompt_parameters": [{"key": "what", "value": "hello"}, {"key": "times", "value": 3}],
    "model_route": "chat",
    "model_input": "Say hello 3 times.",
    "mlflow_version": "3.17.2",
}


def read_file(tracking: Tracking, run_id: str, path: str) -> bytes:
    """Give a file of a run."""
    answer = tracking.live.ask("GET", f"/get-artifact?run_id={run_id}&path={path}")
    assert answer.status == 200, answer.body
    return answer.body


def test_an_answer_to_a_prompt_is_a_finished_run_with_a_table_and_a_model(tracking: Tracking) -> None:
    more = {
        "run_name": "try",
        "user_id": "ada",
        "start_time": 456,
        "tags": [{"key": "team", "value": "blue"}],
        "model_parameters": [{"key": "temperature", "value": 0.5}],
        "model_output": "hello hello hello",
        "model_output_parameters": [{"key": "latency", "value": "100"}],
    }
    run = tracking.post(CALL, experiment_id="0", **ASKED, **more)["run"]
    info = run["info"]
    assert (info["status"], info["run_name"], info["user_id"]) == ("FINISHED", "try", "ada")
    assert (info["start_time"], info["end_time"] > 456) == (456, True)
    data = {kind: {it["key"]: it["value"] for it in run["data"][kind]} for kind in ("params", "tags")}
    template = ASKED["prompt_template"]
    assert data["params"] == {"temperature": "0.5", "model_route": "chat", "prompt_template": template}
    assert data["tags"]["mlflow.runSourceType"] == "PROMPT_ENGINEERING"
    assert data["tags"]["team"] == "blue"
    shown = json.loads(data["tags"]["mlflow.loggedArtifacts"])
    assert shown == [{"path": "eval_results_table.json", "type": "table"}]
    table = json.loads(read_file(tracking, info["run_id"], "eval_results_table.json"))
    assert table == {
        "columns": ["what", "times", "prompt", "output", "latency"],
        "data": [["hello", "3", "Say hello 3 times.", "hello hello hello", "100"]],
    }
    said = json.loads(data["tags"]["mlflow.log-model.history"])[0]
    model = yaml.safe_load(read_file(tracking, info["run_id"], "model/MLmodel"))
    for field in ("run_id", "artifact_path", "utc_time_created", "model_uuid", "flavors"):
        assert model[field] == said[field]
    assert [it["name"] for it in json.loads(model["signature"]["inputs"])] == ["what", "times"]


def test_the_model_folder_holds_what_its_loader_reads(tracking: Tracking) -> None:
    run_id = tracking.post(CALL, experiment_id="0", **ASKED)["run"]["info"]["run_id"]
    listed = tracking.ask("GET", f"artifacts/list?run_id={run_id}&path=model")
    names = [it["path"] for it in listed.json["files"]]
    assert names == [
        f"model/{name}"
        for name in (
            "MLmodel",
            "conda.yaml",
            "input_example.json",
            "parameters.yaml",
            "python_env.yaml",
            "requirements.txt",
            "serving_input_example.json",
        )
    ]
    parameters = yaml.safe_load(read_file(tracking, run_id, "model/parameters.yaml"))
    assert parameters == {
        "prompt_template": ASKED["prompt_template"],
        "prompt_parameters": {"what": "hello", "times": "3"},
        "model_parameters": {},
        "model_route": "chat",
    }
    assert read_file(tracking, run_id, "model/requirements.txt") == b"mlflow[gateway]==3.17.2"
    example = json.loads(read_file(tracking, run_id, "model/input_example.json"))
    assert example == {"inputs": ["hello", "3"]}


@pytest.mark.parametrize("name", ["experiment_id", *ASKED])
def test_what_a_prompt_needs_is_named(tracking: Tracking, name: str) -> None:
    message = {"experiment_id": "0"} | ASKED
    del message[name]
    said = f"CreatePromptlabRun request must specify {name}."
    assert tracking.refused(CALL, message) == (400, "INVALID_PARAMETER_VALUE", said)


def test_an_answer_that_cannot_be_kept_leaves_a_failed_run(tracking: Tracking) -> None:
    experiment = tracking.experiment("prompts that fail")
    message = {"experiment_id": experiment, "model_parameters": [{"key": "../x", "value": "1"}], **ASKED}
    assert tracking.refused(CALL, message)[0] == 400
    (run,) = tracking.post("runs/search", experiment_ids=[experiment])["runs"]
    assert run["info"]["status"] == "FAILED"
