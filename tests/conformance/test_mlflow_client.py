"""MLflow's own client, unchanged, against a real hub: what a training run calls works, the rest says so."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from relive.core.run import RunKind, RunStatus
from relive.wire.runs import CreateRun
from tests.e2e.hub import RealHub, make_repository, running_hub

PATIENCE_S = 240.0
# Run as a person's script would be: with MLflow's variables, in a process of its own.
PRELUDE = """
import json, math, os, sys, tempfile
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
client = MlflowClient()
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """One hub for all: `--auth local` is its default."""
    with running_hub(tmp_path_factory.mktemp("home")) as running:
        yield running


def script(hub: RealHub, code: str, folder: Path, **variables: str) -> Any:
    """Run a script that prints JSON as its last line; without a token, as `--auth local` allows."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "RELIVE", "COV_"))
    }
    env |= {"MLFLOW_TRACKING_URI": hub.address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "HOME": str(folder)}
    env |= {"GIT_PYTHON_REFRESH": "quiet", "MLFLOW_DISABLE_TELEMETRY": "true"} | variables
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_an_ordinary_training_run(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
mlflow.set_experiment("churn")
with mlflow.start_run(run_name="first", tags={"team": "blue"}) as run:
    mlflow.log_param("lr", 0.1)
    mlflow.log_params({"depth": 3, "name": "ünïcode"})
    for step in range(5):
        mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
    mlflow.log_metrics({"accuracy": 0.9, "f1": 0.8}, step=5)
    mlflow.set_tag("stage", "dev")
    mlflow.set_tags({"a": "1", "b": "2"})
    mlflow.delete_tag("b") if hasattr(mlflow, "delete_tag") else None
    mlflow.log_text("hello", "notes/hello.txt")
    mlflow.log_dict({"x": [1, 2]}, "config.json")
back = mlflow.get_run(run.info.run_id)
print(json.dumps({
    "id": run.info.run_id,
    "experiment": mlflow.get_experiment_by_name("churn").experiment_id,
    "run_experiment": back.info.experiment_id,
    "status": back.info.status,
    "name": back.info.run_name,
    "times": [back.info.start_time, back.info.end_time],
    "params": back.data.params,
    "metrics": back.data.metrics,
    "tags": back.data.tags,
    "history": [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, "loss")],
    "files": sorted(f.path for f in client.list_artifacts(run.info.run_id)),
    "folders": [f.path for f in client.list_artifacts(run.info.run_id) if f.is_dir],
    "inside": [f.path for f in client.list_artifacts(run.info.run_id, "notes")],
    "text": mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/hello.txt"),
}))
""",
        tmp_path,
    )
    assert (said["status"], said["name"]) == ("FINISHED", "first")
    assert said["experiment"] == said["run_experiment"]
    assert said["times"][0] <= said["times"][1]
    assert said["params"] == {"lr": "0.1", "depth": "3", "name": "ünïcode"}
    assert said["metrics"] == {"loss": 0.2, "accuracy": 0.9, "f1": 0.8}
    assert {"team": "blue", "stage": "dev", "a": "1"}.items() <= said["tags"].items()
    assert "b" not in said["tags"]
    assert said["history"] == [[step, 1.0 / (step + 1)] for step in range(5)]
    assert said["files"] == ["config.json", "notes"]
    assert said["folders"] == ["notes"]
    assert said["inside"] == ["notes/hello.txt"]
    assert said["text"] == "hello"
    detail = hub.client().get_run(said["id"])
    assert (detail.run.kind, detail.run.status, detail.run.actor) == (
        RunKind.CLIENT,
        RunStatus.FINISHED,
        "local",
    )
    assert {artifact.path for artifact in detail.artifacts} == {"notes/hello.txt", "config.json"}


def test_nan_and_infinities_are_kept(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
with mlflow.start_run() as run:
    for step, value in enumerate([math.nan, math.inf, -math.inf, 1.5]):
        mlflow.log_metric("m", value, step=step)
    client.log_batch(run.info.run_id, metrics=[Metric("n", math.nan, 1700000000123, 0)])
points = client.get_metric_history(run.info.run_id, "m")
batch = client.get_metric_history(run.info.run_id, "n")
print(json.dumps({"id": run.info.run_id, "points": [str(p.value) for p in points],
                  "batch": [str(batch[0].value), batch[0].timestamp]}))
""",
        tmp_path,
    )
    assert said["points"] == ["nan", "inf", "-inf", "1.5"]
    assert said["batch"] == ["nan", 1700000000123]
    assert math.isnan(hub.client().get_series(said["id"], "m")[0].value)


def test_nested_runs_have_their_parent_and_failed_ones_say_so(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
try:
    with mlflow.start_run() as parent:
        with mlflow.start_run(nested=True) as child:
            mlflow.log_metric("m", 1)
        raise RuntimeError("broken")
except RuntimeError:
    pass
again = mlflow.start_run(run_id=parent.info.run_id)
resumed = client.get_run(parent.info.run_id).info
mlflow.end_run("KILLED")
print(json.dumps({
    "parent": parent.info.run_id,
    "child_parent": client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"],
    "child": client.get_run(child.info.run_id).info.status,
    "resumed": [resumed.status, resumed.end_time],
    "end": client.get_run(parent.info.run_id).info.status,
}))
""",
        tmp_path,
    )
    assert said["child_parent"] == said["parent"]
    assert (said["child"], said["resumed"], said["end"]) == ("FINISHED", ["RUNNING", None], "KILLED")


def test_what_is_wrong_is_said_in_the_words_that_the_client_reads(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
def code(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except MlflowException as error:
        return [error.error_code, str(error)]
    return ["none", ""]

with mlflow.start_run() as run:
    mlflow.log_param("lr", 1)
    twice = code(mlflow.log_param, "lr", 2)
    same = code(mlflow.log_param, "lr", 1)
print(json.dumps({
    "missing": code(client.get_run, "f" * 32),
    "experiment": code(client.get_experiment, "f" * 32),
    "by_name": client.get_experiment_by_name("there is none") is None,
    "twice": twice,
    "same": same,
}))
""",
        tmp_path,
    )
    assert said["missing"][0] == "RESOURCE_DOES_NOT_EXIST"
    assert said["experiment"][0] == "RESOURCE_DOES_NOT_EXIST"
    assert said["by_name"]
    assert said["twice"][0] == "INVALID_PARAMETER_VALUE"
    assert "Changing param values is not allowed" in said["twice"][1]
    assert said["same"][0] == "none"
    answer = urllib3.request("GET", f"{hub.address}/api/2.0/mlflow/none/such")
    assert (answer.status, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
    assert "does not serve" in answer.json()["message"]


def test_large_files_and_whole_folders_are_stored(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
import hashlib
os.makedirs("out/deep/er")
open("out/top.txt", "w").write("top")
open("out/deep/er/one.bin", "wb").write(b"1" * 1000)
big = os.urandom(1 << 20) * 80
open("big.bin", "wb").write(big)
with mlflow.start_run() as run:
    mlflow.log_artifact("big.bin")
    mlflow.log_artifacts("out", artifact_path="kept")
    mlflow.log_artifact("out/top.txt", artifact_path="kept")  # again: the later one counts
where = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="kept", dst_path="back")
got = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="big.bin", dst_path="back")
print(json.dumps({
    "same": hashlib.sha256(open(got, "rb").read()).hexdigest() == hashlib.sha256(big).hexdigest(),
    "files": sorted(os.path.relpath(os.path.join(d, f), where) for d, _, fs in os.walk(where) for f in fs),
    "sizes": {f.path: f.file_size for f in client.list_artifacts(run.info.run_id)},
}))
""",
        tmp_path,
    )
    assert said["same"]
    assert said["files"] == ["deep/er/one.bin", "top.txt"]
    assert said["sizes"] == {"big.bin": 80 << 20, "kept": None}


IN_STAGE = """\
import json, os
import mlflow
from mlflow import MlflowClient

variable = os.environ["MLFLOW_RUN_ID"]  # the client takes it away once it has read it
with mlflow.start_run() as run:
    mlflow.log_param("lr", 0.1)
    mlflow.log_metric("accuracy", 0.875)
    mlflow.log_text("hello", "notes.txt")
    with mlflow.start_run(nested=True, run_name="trial") as child:
        mlflow.log_metric("accuracy", 0.5)
print("status now:", MlflowClient().get_run(run.info.run_id).info.status)
with open("said.json", "w") as file:
    json.dump({"run": run.info.run_id, "child": child.info.run_id, "variable": variable}, file)
"""


@pytest.fixture(scope="module")
def stage(hub: RealHub, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A pushed project whose only stage speaks MLflow, with the interpreter that has the client."""
    text = (
        f"version: 1\nstages:\n  train:\n    cmd: {sys.executable} train.py\n    outs: [said.json]\n"
        "  gate: {needs: [train], gates: [{metric: accuracy, min: 0.8}]}\n"
    )
    folder = tmp_path_factory.mktemp("work") / "tracked"
    repository = make_repository(hub, folder, {"relive.yaml": text, "train.py": IN_STAGE})
    repository.push()
    return repository.pipeline(1)


def test_inside_a_stage_the_client_attaches_to_the_stages_run(hub: RealHub, stage: Any) -> None:
    train, gate = (next(s for s in stage.stages if s.key == key) for key in ("train", "gate"))
    assert (train.status, gate.status) == ("succeeded", "succeeded"), train.reason
    client = hub.client()
    detail = client.get_run(train.run_id)
    assert {metric.key: metric.last for metric in detail.metrics} == {"accuracy": 0.875}
    assert detail.params["lr"] == "0.1"
    assert "notes.txt" in {artifact.path for artifact in detail.artifacts}


def test_the_status_that_the_client_sets_does_not_end_the_stage(hub: RealHub, stage: Any) -> None:
    (train,) = [s for s in stage.stages if s.key == "train"]
    log = b"".join(hub.client().read_log(train.run_id)).decode()
    assert "status now: RUNNING" in log
    run = hub.client().get_run(train.run_id).run
    assert (run.status, run.kind) == (RunStatus.FINISHED, RunKind.STAGE)
    assert run.recipe


def test_a_nested_run_inside_a_stage_is_its_child(hub: RealHub, stage: Any) -> None:
    (train,) = [s for s in stage.stages if s.key == "train"]
    client = hub.client()
    said = json.loads(b"".join(client.transport.stream(f"/api/v1/runs/{train.run_id}/file?path=said.json")))
    assert said["run"] == said["variable"] == train.run_id
    child = client.get_run(said["child"])
    assert (child.run.kind, child.run.status, child.run.name) == (RunKind.CLIENT, RunStatus.FINISHED, "trial")
    assert child.tags["mlflow.parentRunId"] == train.run_id
    assert child.project == "tracked"


def test_without_a_token_this_machine_gets_in_with_a_bad_one_nobody(hub: RealHub, tmp_path: Path) -> None:
    path = f"{hub.address}/api/2.0/mlflow/experiments/get?experiment_id=0"
    assert urllib3.request("GET", path).status == 200
    assert urllib3.request("GET", path, headers={"host": "evil.example"}).status == 403
    said = script(
        hub,
        """
try:
    client.get_experiment("0")
    said = "let in"
except MlflowException as error:
    said = str(error)
print(json.dumps(said))
""",
        tmp_path,
        MLFLOW_TRACKING_TOKEN="rlv_0123456789abcdef_wrong",
    )
    assert "a token that this hub knows" in said


def test_a_token_of_a_user_records_under_the_users_name(hub: RealHub, tmp_path: Path) -> None:
    token = json.loads((hub.home / "tokens.json").read_text())["tokens"][hub.address]
    code = "run = mlflow.start_run()\nmlflow.end_run()\nprint(json.dumps(run.info.run_id))"
    run_id = script(hub, code, tmp_path, MLFLOW_TRACKING_TOKEN=token)
    assert hub.client().get_run(run_id).run.actor == "admin"


def test_the_token_of_a_run_by_hand_writes_that_run_alone(hub: RealHub, tmp_path: Path) -> None:
    client = hub.client()
    own = client.create_run(CreateRun(project="byhand"))
    other = client.create_run(CreateRun(project="byhand"))
    said = script(
        hub,
        f"""
mlflow.start_run()
mlflow.log_metric("m", 1)
try:
    client.log_metric("{other.run_id}", "m", 1)
    said = "written"
except MlflowException as error:
    said = error.error_code
run_id = mlflow.active_run().info.run_id
mlflow.end_run()  # else the client says goodbye after our last line
print(json.dumps([run_id, said]))
""",
        tmp_path,
        MLFLOW_TRACKING_TOKEN=own.token,
        MLFLOW_RUN_ID=own.run_id,
    )
    assert said == [own.run_id, "PERMISSION_DENIED"]
