"""Runs: begun, named, ended, taken up again, put aside."""

import re
from typing import Any

import pytest

from relive.core.run import RunStatus
from tests.unit.hub.mlflow_tracking.conftest import Tracking

BAD, GONE = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"


def test_a_run_comes_back_as_it_was_made(tracking: Tracking) -> None:
    experiment = tracking.experiment("of runs", artifact_location="s3://bucket/x?a=b")
    tags = [{"key": "mlflow.user", "value": "ann"}, {"key": "my", "value": "tag"}]
    made = tracking.post(
        "runs/create", experiment_id=experiment, start_time=456, run_name="ünï", user_id="ann", tags=tags
    )["run"]
    run_id = made["info"]["run_id"]
    assert made == {
        "info": {
            "run_id": run_id,
            "run_uuid": run_id,
            "run_name": "ünï",
            "experiment_id": experiment,
            "user_id": "ann",
            "status": "RUNNING",
            "start_time": 456,
            "artifact_uri": f"s3://bucket/x/{run_id}/artifacts?a=b",
            "lifecycle_stage": "active",
        },
        "data": {
            "tags": [
                {"key": "mlflow.runName", "value": "ünï"},
                {"key": "mlflow.user", "value": "ann"},
                {"key": "my", "value": "tag"},
            ]
        },
        "inputs": {},
    }
    assert tracking.get("runs/get", run_id=run_id)["run"] == made | {"outputs": {}}


def test_a_run_without_a_name_gets_one_and_who_made_it_need_not_be_known(tracking: Tracking) -> None:
    info = tracking.post("runs/create", user_id="unknown")["run"]["info"]
    assert re.fullmatch(r"[a-z]+-[a-z]+-\d+", info["run_name"])
    assert len(info["run_name"]) <= 20
    assert info["user_id"] == "unknown"
    assert tracking.read(tracking.run(user_id="bob"))["info"]["user_id"] == "bob"


def test_a_run_has_one_name_and_its_tag_says_it(tracking: Tracking) -> None:
    tagged = {"tags": [{"key": "mlflow.runName", "value": "b"}]}
    run = tracking.run(**tagged)
    said = (
        "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values"
        " (run_name='a', mlflow.runName='b')."
    )
    assert tracking.refused("runs/create", {"run_name": "a"} | tagged) == (400, BAD, said)
    for name, path, fields in (
        ("one", "runs/update", {"run_name": "one"}),
        ("two", "runs/set-tag", {"key": "mlflow.runName", "value": "two"}),
        ("two", "runs/update", {"run_name": ""}),
        ("three", "runs/log-batch", {"tags": [{"key": "mlflow.runName", "value": "three"}]}),
    ):
        tracking.post(path, run_id=run, **fields)
        read = tracking.read(run)
        assert read["info"]["run_name"] == read["data"]["tags"]["mlflow.runName"] == name
        assert tracking.bench.services.store.get_run(run).name == name


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED", 3])
def test_a_run_ends_as_its_client_says_and_is_taken_up_again(tracking: Tracking, status: Any) -> None:
    run = tracking.run()
    info = tracking.post("runs/update", run_id=run, status=status, end_time="789")["run_info"]
    assert (info["status"], info["end_time"]) == ("FINISHED" if status == 3 else status, 789)
    assert tracking.post("runs/update", run_id=run, end_time=800)["run_info"]["end_time"] == 800
    again = tracking.post("runs/update", run_id=run, status="RUNNING")["run_info"]
    assert (again["status"], "end_time" in again) == ("RUNNING", False)
    ended = tracking.post("runs/update", run_id=run, status="FAILED")["run_info"]
    assert ended["end_time"] >= ended["start_time"]
    kinds = [it.kind for it in tracking.bench.services.store.list_events(subject=f"run:{run}")]
    assert kinds == ["run.started", f"run.{'finished' if status == 3 else status.lower()}", "run.failed"]


def test_an_unknown_status_changes_nothing(tracking: Tracking) -> None:
    run = tracking.run(run_name="as it was")
    for status in ("NONSENSE", 9, ""):
        message = {"run_id": run, "status": status, "run_name": "another"}
        assert tracking.refused("runs/update", message)[:2] == (400, BAD)
    assert tracking.read(run)["info"]["run_name"] == "as it was"


def test_the_status_of_a_client_does_not_end_a_run_that_is_not_its_own(tracking: Tracking) -> None:
    created = tracking.bench.by_hand(project="attached")
    command = Tracking(tracking.bench, tracking.live, created.token)
    info = command.post("runs/update", run_id=created.run_id, status="FINISHED", run_name="named")["run_info"]
    assert (info["status"], info["run_name"]) == ("RUNNING", "named")
    kept = tracking.bench.services.store.get_run(created.run_id)
    assert (kept.status, kept.ended_at) == (RunStatus.RUNNING, None)
    child = command.read(command.run())
    assert child["data"]["tags"]["mlflow.parentRunId"] == created.run_id
    assert child["info"]["experiment_id"] == kept.experiment_id
    done = command.post("runs/update", run_id=child["info"]["run_id"], status="FINISHED")
    assert done["run_info"]["status"] == "FINISHED"


def test_a_run_is_found_by_its_whole_id_alone(tracking: Tracking) -> None:
    run = tracking.run()
    for given in (run[:8], "", "x" * 300):
        if given:
            missing = (404, GONE, f"Run with id={given} not found")
            assert tracking.refused_query("runs/get", run_id=given) == missing
    for path in ("update", "delete", "restore", "log-metric", "set-tag", "delete-tag", "log-batch"):
        message = {"run_id": "none", "key": "a", "value": "1", "timestamp": 1}
        assert tracking.refused(f"runs/{path}", message) == (404, GONE, "Run with id=none not found")


WRITES: list[tuple[str, dict[str, Any]]] = [
    ("log-metric", {"key": "m", "value": 1, "timestamp": 1}),
    ("log-parameter", {"key": "p", "value": "1"}),
    ("set-tag", {"key": "t", "value": "1"}),
    ("delete-tag", {"key": "t"}),
    ("log-batch", {}),
    ("update", {"status": "FAILED"}),
    ("log-inputs", {}),
    ("outputs", {"models": []}),
    (
        "log-model",
        {"model_json": '{"artifact_path": "m", "flavors": {}, "utc_time_created": "", "run_id": ""}'},
    ),
]


def test_nothing_is_written_to_a_deleted_run(tracking: Tracking) -> None:
    run = tracking.run()
    tracking.post("runs/delete", run_id=run)
    tracking.post("runs/delete", run_id=run)
    before = tracking.read(run)
    assert before["info"]["lifecycle_stage"] == "deleted"
    said = f"The run {run} must be in the 'active' state. Current state is deleted."
    for path, fields in WRITES:
        assert tracking.refused(f"runs/{path}", {"run_id": run} | fields) == (400, BAD, said), path
    assert tracking.read(run) == before
    listed = tracking.live.ask("GET", "/api/v1/runs?limit=1000").json
    assert run not in {it["id"] for it in listed}
    tracking.post("runs/restore", run_id=run)
    tracking.post("runs/restore", run_id=run)
    assert tracking.read(run)["info"]["lifecycle_stage"] == "active"
    kinds = [it.kind for it in tracking.bench.services.store.list_events(subject=f"run:{run}")]
    assert kinds == ["run.started", "run.deleted", "run.restored"]
