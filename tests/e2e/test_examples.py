"""The example projects, whole: what `make demo` promises, and the training whose weights are compared."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from relive.core.pipeline import PipelineStatus
from relive.core.trajectory import VerdictLevel, latest_verdict
from tests.conftest import require
from tests.e2e.hub import RealHub, Repository, make_repository, running_hub

EXAMPLES = Path(__file__).parents[2] / "examples"
# Wheels and environments are named by their content, so sharing them between tests hides nothing that a
# test here looks at, and saves some hundred megabytes a run.
CACHE = os.path.expanduser("~/.relive/cache")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub whose runner keeps wheels from one run of the tests to the next."""
    with running_hub(tmp_path_factory.mktemp("home"), RELIVE_CACHE=CACHE) as running:
        yield running


def example(hub: RealHub, folder: Path, name: str) -> Repository:
    """Make a repository of an example project."""
    files = {
        str(path.relative_to(EXAMPLES / name)): path.read_text()
        for path in (EXAMPLES / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return make_repository(hub, folder / name, files)


@pytest.mark.timeout(900)
def test_the_demonstration_ends_well_without_a_terminal(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("RELIVE_", "GIT_"))}
    done = subprocess.run(
        [sys.executable, "-m", "relive.cli", "demo", "--folder", str(tmp_path / "demo")],
        env=env | {"RELIVE_CACHE": CACHE},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.count("≡ bit-exact") == 2
    assert "stopped by its gate" in done.stdout
    rollback = done.stdout.partition("relive endpoint rollback digits")[2]
    assert "digits v2 → digits v1" in rollback
    assert "(revision 1)" in rollback  # the request right after it
    left = subprocess.run(
        ["pgrep", "-f", str(tmp_path / "demo")], capture_output=True, text=True, check=False
    )
    assert left.stdout == "", "it left processes behind"


@pytest.mark.timeout(1200)
def test_weights_are_compared_step_by_step(hub: RealHub, tmp_path: Path) -> None:
    # It needs the CPU build: the plain one brings gigabytes of CUDA with it.
    has_torch = importlib.util.find_spec("torch") is not None
    require(has_torch, "PyTorch's CPU build, which .ci/run brings, tells that pip can find one")
    repository = example(hub, tmp_path, "digits-torch")
    stages = (repository.folder / "relive.yaml").read_text()
    repository.commit(
        {"relive.yaml": stages.replace("    timeout: 20m", "    checkpoints: 20")}, "keep states"
    )
    said = repository.push()
    detail = repository.pipeline(1)
    assert detail.pipeline.status is PipelineStatus.SUCCEEDED, said
    done = hub.relive("replay", "digits-torch@champion", "--json", check=False)
    verdict = json.loads(done.stdout)
    assert done.returncode == 0
    assert verdict["level"] == "bit_exact", verdict
    assert verdict["steps_compared"] > 100

    # A spot check makes two of the seven segments, and leaves the verdict on the whole as it was.
    done = hub.relive("replay", "digits-torch@champion", "--spot-check", "2", "--seed", "1", "--json")
    spot = json.loads(done.stdout)
    assert spot["level"] == "spot_checked", spot
    assert (spot["spots"]["segments"], len(spot["spots"]["drawn"])) == (7, 2)
    assert "probability 0.71" in spot["reason"]
    assert 40 < spot["steps_compared"] < verdict["steps_compared"] / 2
    train = next(it.run_id for it in detail.stages if it.key == "train")
    last = latest_verdict(hub.client().get_run(train).verdicts)
    assert last is not None
    assert last.level is VerdictLevel.BIT_EXACT

    # Another seed is another trajectory: the verdict names the first step that differs.
    outside = tmp_path / "outside"
    outside.write_text("0.0")
    text = (repository.folder / "train.py").read_text().replace("default=7", "default=8")
    # What lies outside of the recipe changes the first gradient of the second epoch, the 44th in all.
    changed = text.replace(
        "        optimizer.step()\n",
        "        if epoch == 1 and len(optimizer.state) and total == 0:\n"
        f"            model[0].bias.grad += float(open({str(outside)!r}).read())\n"
        "        optimizer.step()\n",
    )
    repository.commit({"train.py": changed}, "another seed")
    repository.push()
    (first, second) = (repository.pipeline(number).stages for number in (1, 2))
    runs = [next(s.run_id for s in stages if s.key == "train") for stages in (first, second)]
    hub_client = hub.client()
    trajectories = [hub_client.get_run(run).run.trajectory for run in runs]
    assert trajectories[0] != trajectories[1]

    outside.write_text("0.001")
    done = hub.relive("replay", runs[1], "--spot-check", "7", "--json", check=False)
    spot = json.loads(done.stdout)
    assert (done.returncode, spot["level"]) == (3, "diverged"), spot
    assert "in segment 41..60" in spot["reason"]
    assert spot["first_divergence"]["step"] in range(44, 46), spot


@pytest.mark.timeout(600)
def test_rounds_are_recorded_and_an_environment_lasts_without_an_index(hub: RealHub, tmp_path: Path) -> None:
    repository = example(hub, tmp_path, "cancer")
    said = repository.push()
    assert repository.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED, said
    # The index is gone, and so is everything this machine kept: wheels come from the hub's blob store.
    away = tmp_path / "empty-cache"
    offline = {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1", "RELIVE_CACHE": str(away)}
    hub.variables.update(offline)
    try:
        done = hub.relive("replay", "cancer@champion", "--json", check=False)
    finally:
        for name in offline:
            hub.variables.pop(name)
        hub.variables["RELIVE_CACHE"] = CACHE
        shutil.rmtree(away, ignore_errors=True)
    verdict = json.loads(done.stdout)
    assert (verdict["level"], verdict["steps_compared"]) == ("bit_exact", 64), verdict
