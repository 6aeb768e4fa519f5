"""A whole project in a few lines: it trains in a moment, is gated, registered and deployed, or waits.

The model is one number; its own loader makes it a predictor. A stage that waits says so in a file beside its
gate, so that a test kills what it means to kill, and counts how often a command really began.
"""

import json
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import urllib3

from tests.e2e.hub import RealHub, Repository, wait_for

PIPELINE = """\
version: 1
env: {{lock: requirements.txt}}
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    outs: [model/, rows.csv]
    metrics: [metrics.json]
  gate:
    needs: [train]
    gates: [{{metric: accuracy, min: 0.5}}]
  register:
    needs: [gate]
    register: {{model: {name}, artifact: model/, example: rows.csv, loader: "loader:load"}}
  deploy:
    needs: [register]
    deploy: {{endpoint: {name}}}
"""
LOADER = """\
import os, time
import numpy

class Model:
    def __init__(self, folder):
        with open(os.path.join(folder, "weight.txt")) as file:
            self.weight = float(file.read())

    def predict(self, rows):
        return numpy.asarray(rows, dtype=float).sum(axis=1) * self.weight

def load(folder):
    return Model(str(folder))
"""
TRAIN = """\
import json, os
os.makedirs("model", exist_ok=True)
with open("model/weight.txt", "w") as file:
    file.write("{weight}")
with open("rows.csv", "w") as file:
    file.write("x\\n1\\n2\\n")
with open("metrics.json", "w") as file:
    json.dump({{"accuracy": {accuracy}}}, file)
print("trained {weight}", flush=True)
"""
WAIT = """\
import os, sys, time
with open({started!r}, "a") as file:
    file.write(f"{{os.getpid()}} {{os.getppid()}}\\n")
print("waiting", flush=True)
while not os.path.exists({opened!r}):
    time.sleep(0.05)
"""
REQUIREMENTS = f"numpy=={version('numpy')}\n"


@dataclass(frozen=True)
class Gate:
    """Holds a command up until it is opened; in a folder that outlives the command."""

    path: Path

    @property
    def started(self) -> Path:
        """Give the file with a line for each time a command came here: its process and its parent."""
        return self.path.with_name(f"{self.path.name}.started")

    @property
    def script(self) -> str:
        """Give the Python that waits."""
        return WAIT.format(started=str(self.started), opened=str(self.path))

    def starts(self) -> list[int]:
        """Give the processes that came here, in order."""
        lines = self.started.read_text().splitlines() if self.started.exists() else []
        return [int(line.split()[0]) for line in lines if line.count(" ")]

    def await_start(self, count: int = 1) -> int:
        """Wait until a command has come here for the `count`th time; give its process."""
        wait_for(lambda: len(self.starts()) >= count)
        return self.starts()[count - 1]

    def open(self) -> None:
        """Let all go on."""
        self.path.touch()


def tiny(
    name: str, *, weight: float = 2.0, accuracy: float = 0.9, gate: Gate | None = None
) -> dict[str, str]:
    """Give the files of the project; `gate` holds its training up."""
    train = TRAIN.format(weight=weight, accuracy=json.dumps(accuracy))
    return {
        "relive.yaml": PIPELINE.format(name=name),
        "requirements.txt": REQUIREMENTS,
        "loader.py": LOADER,
        "train.py": (gate.script if gate else "") + train,
    }


def waiting(gate: Gate, *, after: str = "", stage: str = "") -> dict[str, str]:
    """Give the files of a project with one stage that waits, on the plain interpreter.

    Args:
        after: Python that it runs once the gate is open.
        stage: More keys of the stage, indented by four.
    """
    return {
        "relive.yaml": f"version: 1\nstages:\n  work:\n    cmd: python3 work.py\n{stage}",
        "work.py": gate.script + after,
    }


def infer(hub: RealHub, endpoint: str, *values: float) -> list[float]:
    """Ask an endpoint through the hub; fails unless it answers well."""
    answer = ask(hub, endpoint, *values)
    assert answer.status == 200, answer.data
    outputs: list[float] = answer.json()["outputs"][0]["data"]
    return outputs


def ask(
    hub: RealHub, endpoint: str, *values: float, body: dict[str, Any] | None = None
) -> urllib3.BaseHTTPResponse:
    """Ask an endpoint through the hub, once; of another model than the tiny one by a whole request."""
    rows = values or (3.0,)
    column = {"name": "input-0", "shape": [len(rows), 1], "datatype": "FP64", "data": [*rows]}
    body = body or {"inputs": [column]}
    url = f"{hub.address}/v2/models/{endpoint}/infer"
    return urllib3.request("POST", url, json=body, timeout=60.0, retries=False)


def push_in_background(repository: Repository, *args: str) -> "subprocess.Popen[str]":
    """Begin a push."""
    return subprocess.Popen(
        ["git", "push", *args, "relive", "main"],
        cwd=repository.folder,
        env=repository.hub.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def waiting_loader(gate: Gate) -> str:
    """Give the loader, which waits at the gate from the second load on: the first describes the model."""
    described = f"{gate.path}.described"
    lines = [f"DESCRIBED = {described!r}", f"WAIT = {gate.script!r}"]
    wait = ["if os.path.exists(DESCRIBED):", "    exec(WAIT)", "open(DESCRIBED, 'w').close()", ""]
    return "\n".join(["import os", *lines, *wait]) + LOADER
