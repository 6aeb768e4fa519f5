"""What MLflow's own client does with experiments, runs, histories and inputs against a hub."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.test_mlflow_client import script
from tests.e2e.hub import RealHub, running_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """One hub for all: `--auth local` is its default."""
    with running_hub(tmp_path_factory.mktemp("home")) as running:
        yield running


CODE = """
def code(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except MlflowException as error:
        return error.error_code
    return "none"
"""


def test_the_life_of_an_experiment(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        CODE
        + """
one = client.create_experiment("one", artifact_location="s3://b/one", tags={"team": "blue"})
client.set_experiment_tag(one, "dataset", "birds")
client.delete_experiment_tag(one, "team")
client.rename_experiment(one, "two")
found = client.get_experiment(one)
again = code(client.create_experiment, "two")
client.delete_experiment(one)
deleted = client.get_experiment_by_name("two").lifecycle_stage
inside = code(client.create_run, one)
fluent = code(mlflow.set_experiment, "two")
client.restore_experiment(one)
print(json.dumps({
    "found": [found.name, found.artifact_location, found.tags, found.lifecycle_stage],
    "again": again, "deleted": deleted, "inside": inside, "fluent": fluent,
    "restored": client.get_experiment(one).lifecycle_stage,
    "default": client.get_experiment("0").name,
}))
""",
        tmp_path,
    )
    assert said == {
        "found": ["two", "s3://b/one", {"dataset": "birds"}, "active"],
        "again": "RESOURCE_ALREADY_EXISTS",
        "deleted": "deleted",
        "inside": "INVALID_PARAMETER_VALUE",
        "fluent": "INVALID_PARAMETER_VALUE",
        "restored": "active",
        "default": "Default",
    }


def test_the_life_of_a_run(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        CODE
        + """
made = client.create_run("0", start_time=456, run_name="my name", tags={"mlflow.user": "ann", "my": "tag"})
run_id = made.info.run_id
nameless = client.create_run("0").info
client.update_run(run_id, name="renamed")
client.set_terminated(run_id, "KILLED", end_time=789)
info = client.get_run(run_id).info
client.delete_run(run_id)
stage = client.get_run(run_id).info.lifecycle_stage
writes = [
    code(client.log_metric, run_id, "m", 1.0),
    code(client.log_param, run_id, "p", "1"),
    code(client.set_tag, run_id, "t", "1"),
    code(client.update_run, run_id, name="x"),
]
client.restore_run(run_id)
client.set_tag(run_id, "mlflow.runName", "tagged")
print(json.dumps({
    "made": [made.info.user_id, made.info.start_time, made.info.run_name, made.data.tags["my"]],
    "nameless": [nameless.user_id, bool(nameless.run_name)],
    "ended": [info.status, info.end_time, info.run_name],
    "stage": stage, "writes": writes,
    "tagged": client.get_run(run_id).info.run_name,
}))
""",
        tmp_path,
    )
    assert said["made"] == ["ann", 456, "my name", "tag"]
    assert said["nameless"] == ["unknown", True]
    assert said["ended"] == ["KILLED", 789, "renamed"]
    assert (said["stage"], said["tagged"]) == ("deleted", "tagged")
    assert said["writes"] == ["INVALID_PARAMETER_VALUE"] * 4


def test_batches_histories_and_what_a_run_read(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        CODE
        + """
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, LoggedModelOutput
run_id = client.create_run("0").info.run_id
points = [Metric("loss", 1.0 / (step + 1), step, step) for step in range(2500)]
client.log_batch(run_id, metrics=points[:1000], params=[Param("lr", "0.1")], tags=[RunTag("t", "é" * 9000)])
client.log_batch(run_id, metrics=points[1000:2000])
client.log_batch(run_id, metrics=points[1990:])  # what came already is not doubled
history = client.get_metric_history(run_id, "loss")
data = Dataset(name="iris", digest="d1", source_type="local", source="{}")
client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "train")])],
                  models=[LoggedModelInput("m-1")])
client.log_outputs(run_id, [LoggedModelOutput("m-2", step=3)])
run = client.get_run(run_id)
print(json.dumps({
    "points": [len(history), history[0].value, history[-1].step],
    "last": run.data.metrics, "params": run.data.params, "tag": len(run.data.tags["t"]),
    "read": [[i.dataset.name, i.dataset.digest, i.tags[0].value] for i in run.inputs.dataset_inputs],
    "models": [run.inputs.model_inputs[0].model_id, run.outputs.model_outputs[0].model_id,
               run.outputs.model_outputs[0].step],
    "name": code(client.log_metric, run_id, "a*b", 1.0),
    "changed": code(client.log_batch, run_id, params=[Param("lr", "0.2")]),
}))
""",
        tmp_path,
    )
    assert said["points"] == [2500, 1.0, 2499]
    assert (said["last"], said["params"], said["tag"]) == ({"loss": 1.0 / 2500}, {"lr": "0.1"}, 8000)
    assert said["read"] == [["iris", "d1", "train"]]
    assert said["models"] == ["m-1", "m-2", 3]
    assert (said["name"], said["changed"]) == ("INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE")


def test_a_runs_files_come_back_by_each_name_of_their_folder(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        CODE
        + """
from mlflow.artifacts import download_artifacts
source = os.path.join(os.getcwd(), "source")
os.makedirs(os.path.join(source, "deep er"))
for name in ("a+b.txt", "deep er/ü&.json"):
    with open(os.path.join(source, name), "w") as file:
        file.write(name)

def files(folder):
    return sorted(
        os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names
    )

proxied = client.tracking_uri + "/api/2.0/mlflow-artifacts/artifacts/own"
places = {"own": None, "address": "mlflow-artifacts:/below/it", "http": proxied}
found, folder = {}, {}
for word, location in places.items():
    experiment = client.create_experiment("files " + word, artifact_location=location)
    int(experiment)  # what is built on MLflow takes it for a number
    run_id = client.create_run(experiment).info.run_id
    client.log_artifacts(run_id, source)
    root = client.get_run(run_id).info.artifact_uri
    found[word] = [
        files(download_artifacts(run_id=run_id, artifact_path=path)) for path in ("", ".", "./")
    ] + [files(download_artifacts(artifact_uri=root))]
    folder[word] = [it.path for it in client.list_artifacts(run_id, "deep er")]
print(json.dumps({"found": found, "folder": folder}))
""",
        tmp_path,
    )
    whole = ["a+b.txt", "deep er/ü&.json"]
    for word in ("own", "address", "http"):
        assert said["found"][word] == [whole] * 4
        assert said["folder"][word] == whole[1:]
