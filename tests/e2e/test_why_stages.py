"""`relive why` on runs of stages: an out of the stage before, a key of the params file, a word typed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relive.core.pipeline import PipelineStatus
from tests.e2e.hub import RealHub, Repository, make_repository, running_hub, wait_for

PIPELINE = """\
version: 1
env: {lock: requirements.txt}
stages:
  prepare:
    cmd: python prepare.py
    deps: [prepare.py, raw.csv]
    outs: [ready]
  train:
    cmd: python train.py --power POWER
    deps: [train.py, ready]
    params: [params.yaml]
    metrics: [m.json]
"""
PREPARE = """\
import pathlib
pathlib.Path("ready").mkdir()
rows = pathlib.Path("raw.csv").read_text().split()
pathlib.Path("ready/rows.csv").write_text("\\n".join(rows))
pathlib.Path("ready/names.csv").write_text(f"{len(rows)} rows, the first is {rows[0]}")
"""
TRAIN = """\
import argparse, json, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--power", type=int)
power = parser.parse_args().power
params = dict(line.split(": ") for line in pathlib.Path("params.yaml").read_text().split("\\n") if line)
pathlib.Path("ready/names.csv").read_text()
rows = [float(row) for row in pathlib.Path("ready/rows.csv").read_text().split()]
found = sum(row**power for row in rows) * float(params["rate"])
json.dump({"found": found}, open("m.json", "w"))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub that needs no index: the stages have no packages."""
    with running_hub(tmp_path_factory.mktemp("home"), PIP_NO_INDEX="1") as running:
        yield running


def trained(repository: Repository, number: int, **files: str) -> str:
    """Push, and give the run that trained."""
    repository.commit(files, f"push {number}")
    repository.push()

    def ended() -> Any:
        pipeline = repository.pipeline(number)
        return pipeline if pipeline.pipeline.status is PipelineStatus.SUCCEEDED else None

    stages = {it.key: it for it in wait_for(ended).stages}
    return str(stages["train"].run_id)


def test_names_what_came_out_of_an_earlier_stage(hub: RealHub, tmp_path: Path) -> None:
    files = {
        "relive.yaml": PIPELINE.replace("POWER", "1"),
        "requirements.txt": "",
        "prepare.py": PREPARE,
        "train.py": TRAIN,
        "raw.csv": "1\n2\n3\n",
        "params.yaml": "rate: 1e-1\nunused: 1\n",
    }
    repository = make_repository(hub, tmp_path / "staged", files)
    first = trained(repository, 1)
    changed = {
        "relive.yaml": PIPELINE.replace("POWER", "2"),
        "raw.csv": "2\n2\n3\n",
        "params.yaml": "rate: 1e-2\nunused: 2\n",
        "README.md": "new\n",
    }
    second = trained(repository, 2, **changed)
    done = hub.relive("why", first, second, "--json", check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["report"]
    causes = {it["name"]: (it["before"], it["after"]) for it in report["causes"]}
    assert set(causes) == {"ready/rows.csv", "params.yaml:rate", "--power"}
    assert causes["params.yaml:rate"] == ("1e-1", "1e-2")
    assert causes["--power"] == ("1", "2")
    cleared = {it["name"]: it["reason"] for it in report["cleared"]}
    assert cleared["relive.yaml"] == "relive reads it, not the command"
    assert cleared["raw.csv"] == cleared["README.md"] == "neither run read it"
    assert sum(it["shares"]["found"] for it in report["causes"]) == pytest.approx(
        report["metrics"][0]["after"] - report["metrics"][0]["before"]
    )
