"""A model that an MLflow client registered is served: from a laptop, from `relive run`, from a stage."""

import json
import os
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from relive.core.endpoint import RevisionState
from relive.core.job import JobKind
from relive.core.pipeline import PipelineStatus
from relive.core.provenance import UPLOAD_TYPE
from relive.runner.environment.uv import find_uv
from tests.e2e.hub import RealHub, make_repository, running_hub, wait_for
from tests.e2e.invariants import facts_of
from tests.e2e.test_examples import CACHE
from tests.e2e.tiny import Gate, ask

# MLflow would name its whole server, of 670 MB with all it needs; these load the same pickle.
NAMES = ("mlflow-skinny", "numpy", "scikit-learn", "cloudpickle")
PINS = [f"{name}=={version(name)}" for name in NAMES]
CLIENT = ["pandas", *PINS]
SCRIPT = """\
import os, sys, time
import mlflow, mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

class Waiting(LogisticRegression):
    \"\"\"Waits at a gate while it is loaded, once there is one.\"\"\"

    def __setstate__(self, state):
        super().__setstate__(state)
        if os.path.exists({armed!r}):
            exec({wait!r})

X, y = load_iris(return_X_y=True)
with mlflow.start_run():
    model = Waiting(max_iter=500).fit(X, y)
    extra = {{}} if "--no-example" in sys.argv else {{"input_example": X[:5]}}
    mlflow.sklearn.log_model(
        model, name="model", registered_model_name=sys.argv[1], serialization_format="cloudpickle",
        pip_requirements={pins!r}, **extra,
    )
"""
PIPELINE = """\
version: 1
env: {lock: requirements.txt}
stages:
  train: {cmd: python train.py staged}
"""
BODY = {"inputs": [{"name": "input-0", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]}


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of somebody who has MLflow's client and scikit-learn: some seconds, once for all tests."""
    folder = tmp_path_factory.mktemp("laptop") / "env"
    subprocess.run([find_uv(), "venv", "--quiet", "--python", "3.11", str(folder)], check=True)
    python = folder / "bin/python"
    subprocess.run(
        [find_uv(), "pip", "install", "--quiet", "--python", str(python), *CLIENT], check=True, timeout=600
    )
    return python


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub on each database."""
    options = ("--db", request.getfixturevalue("postgres_url")()) if request.param == "postgresql" else ()
    with running_hub(tmp_path_factory.mktemp("home"), *options, RELIVE_CACHE=CACHE) as running:
        yield running


@pytest.fixture
def gate(place: Path) -> Gate:
    """Where a model waits while it is loaded, once `arm` was called."""
    return Gate(place / "gate")


def script(place: Path, gate: Gate) -> Path:
    """Write the script."""
    path = place / "train.py"
    path.write_text(SCRIPT.format(armed=str(gate.path) + ".armed", wait=gate.script, pins=PINS))
    return path


def arm(gate: Gate) -> None:
    """Hold up whoever loads the model from now on."""
    Path(f"{gate.path}.armed").touch()


def train(hub: RealHub, laptop: Path, path: Path, *args: str) -> None:
    """Run the script as on a laptop, which knows the hub's address and nothing else."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("RELIVE_", "MLFLOW_"))}
    done = subprocess.run(
        [str(laptop), str(path), *args],
        env=env | {"MLFLOW_TRACKING_URI": hub.address},
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def answer(hub: RealHub, endpoint: str) -> Any:
    """Ask an endpoint for the kind of one flower."""
    reply = ask(hub, endpoint, body=BODY)
    assert reply.status == 200, reply.data
    return reply.json()["outputs"][0]["data"]


def facts_about(hub: RealHub, model: str) -> dict[str, Any]:
    """Give what the event says of who had a model's version described, and how."""
    with facts_of(hub) as facts:
        (event,) = [it for it in facts.events("model.described") if it.facts["model"] == model]
        return {"actor": event.actor, **event.facts}


@pytest.mark.timeout(900)
def test_a_script_on_a_laptop_registers_and_one_command_serves(
    hub: RealHub, laptop: Path, place: Path, gate: Gate
) -> None:
    path = script(place, gate)
    train(hub, laptop, path, "laptop")
    train(hub, laptop, path, "laptop", "--no-example")
    said = hub.relive("deploy", "laptop@1", "laptop")
    assert answer(hub, "laptop") == [0]
    assert "resolving requirements.txt" in said.stderr
    assert "loading the model and predicting its example" in said.stderr
    refused = hub.relive("deploy", "laptop@2", "laptop", check=False)
    assert refused.returncode == 1
    assert "mlflow.sklearn.log_model(..., input_example=X[:5]" in refused.stderr
    assert answer(hub, "laptop") == [0]
    found = facts_about(hub, "laptop")
    assert (found["registered_by"], found["environment_from"]) == ("local", "requirements.txt")
    provenance = json.loads(hub.relive("model", "verify", "laptop@1", "--json").stdout)
    assert provenance["files"] > 3
    with facts_of(hub) as facts:
        envelope = facts.blobs.read(facts.store.get_version("laptop", "1").provenance)
        statement = json.loads(facts.signer.verify(envelope))
        assert statement["predicate"]["buildDefinition"]["buildType"] == UPLOAD_TYPE
        assert facts.store.list_aliases("laptop") == []


@pytest.mark.timeout(900)
def test_a_hub_killed_while_the_model_is_described_goes_on(
    hub: RealHub, laptop: Path, place: Path, gate: Gate
) -> None:
    train(hub, laptop, script(place, gate), "killed")
    arm(gate)
    hub.relive("deploy", "killed@1", "killed", "--no-wait")
    process = gate.await_start()
    hub.kill()
    gate.open()
    hub.start()
    wait_for(lambda: ask(hub, "killed", body=BODY).status == 200)  # once the router has heard of it
    assert answer(hub, "killed") == [0]
    assert gate.starts()[0] == process
    with facts_of(hub) as facts:
        subject = f"revision:{facts.store.get_endpoint('killed').live}"
        jobs = [it for it in facts.store.list_jobs(limit=1000) if it.subject == subject]
        assert [it.kind for it in jobs].count(JobKind.DESCRIBE) == 1


@pytest.mark.timeout(900)
def test_a_deployment_is_cancelled_while_its_model_is_described(
    hub: RealHub, laptop: Path, place: Path, gate: Gate
) -> None:
    train(hub, laptop, script(place, gate), "cancelled")
    arm(gate)
    hub.relive("deploy", "cancelled@1", "cancelled", "--no-wait")
    process = gate.await_start()
    said = hub.relive("endpoint", "cancel", "cancelled")
    assert "cancelled by" in said.stdout
    wait_for(lambda: not Path(f"/proc/{process}").exists())
    (revision,) = hub.client().get_endpoint("cancelled").revisions
    assert revision.state is RevisionState.STOPPED
    gate.open()
    hub.relive("deploy", "cancelled@1", "cancelled")  # asking again is the retry
    assert answer(hub, "cancelled") == [0]


@pytest.mark.timeout(900)
def test_what_a_stage_registered_by_mlflow_is_served_in_the_environment_of_its_run(
    hub: RealHub, place: Path, gate: Gate
) -> None:
    path = script(place, gate)
    files = {"relive.yaml": PIPELINE, "requirements.txt": "\n".join(CLIENT), "train.py": path.read_text()}
    repository = make_repository(hub, place / "staged", files)
    said = repository.push()
    assert repository.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED, said
    hub.relive("deploy", "staged@1", "staged")
    assert answer(hub, "staged") == [0]
    assert facts_about(hub, "staged")["environment_from"] == "its run"


@pytest.mark.timeout(900)
def test_what_was_registered_in_a_run_by_hand_is_served(
    hub: RealHub, laptop: Path, place: Path, gate: Gate
) -> None:
    path = script(place, gate)
    hub.relive("run", "--project", "hand", "--", str(laptop), path.name, "hand", folder=place)
    hub.relive("deploy", "hand@1", "hand")
    assert answer(hub, "hand") == [0]
    assert facts_about(hub, "hand")["registered_by"].startswith("run:")
