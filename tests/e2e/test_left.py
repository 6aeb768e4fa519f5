"""A script that no hook knows and that declares nothing: what it leaves is what a replay is judged by."""

import json
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.hub import RealHub, running_hub

# A model of a library that relive never heard of; written beside its place and renamed, as careful ones do.
TRAIN = """
import os, random
random.seed(4)
with open("model.tmp", "wb") as file:
    file.write(random.randbytes(200_000))
os.replace("model.tmp", "model.bin")
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    with running_hub(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    venv.create(tmp_path / "theirs", with_pip=False)
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def record(hub: RealHub, project: Path, train: str, *options: str) -> str:
    (project / "train.py").write_text(train)
    python = project.parent / "theirs/bin/python"
    done = hub.relive("run", "--json", *options, "--", str(python), "train.py", folder=project)
    found: str = json.loads(done.stdout)["run_id"]
    return found


def replay(hub: RealHub, run_id: str) -> Any:
    done = hub.relive("replay", run_id, "--json", check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_equal_files_are_bit_exact(hub: RealHub, project: Path) -> None:
    run_id = record(hub, project, TRAIN)
    verdict = replay(hub, run_id)
    assert (verdict["level"], verdict["reason"]) == ("bit_exact", "Equal: 1 file that it wrote.")
    assert verdict["files"] == {"model.bin": "same bytes"}
    shown = hub.relive("show", run_id).stdout
    assert "wrote      1 file, not declared: model.bin" in shown


def test_an_environment_without_packages_is_made_without_any(hub: RealHub, project: Path) -> None:
    names = "' '.join(d.name for d in metadata.distributions())"
    listed = f"from importlib import metadata\nopen('packages', 'w').write({names})\n"
    verdict = replay(hub, record(hub, project, listed))
    assert (verdict["level"], verdict.get("inputs_differ", [])) == ("bit_exact", []), verdict


def test_of_other_bytes_nobody_says_what_they_mean(hub: RealHub, project: Path) -> None:
    verdict = replay(hub, record(hub, project, TRAIN.replace("random.seed(4)", "")))
    assert verdict["level"] == "not_comparable"
    assert verdict["files"] == {"model.bin": "differs"}
    assert "model.bin (differs)" in verdict["reason"]


def test_a_folder_named_by_the_time_is_found_again(hub: RealHub, project: Path) -> None:
    train = """
import json, os, time
folder = time.strftime("outputs/%Y%m%d_%H%M%S")
os.makedirs(folder)
json.dump({"acc": 0.5, "fit_seconds": time.time()}, open(folder + "/metrics.json", "w"))
open(folder + "/model.bin", "w").write("learned")
"""
    run_id = record(hub, project, train)
    verdict = replay(hub, run_id)
    assert verdict["level"] == "bit_exact", verdict
    assert verdict["reason"] == "Equal: 1 metric, 1 file. Not judged is how long it took: fit_seconds."
    ((path, word),) = verdict["files"].items()
    assert (path.startswith("outputs/20"), word) == (True, "same bytes")


def test_a_metrics_file_that_it_leaves_is_read_without_being_named(hub: RealHub, project: Path) -> None:
    scores = 'import json\njson.dump({"acc": random.random()}, open("metrics.json", "w"))\n'
    run_id = record(hub, project, TRAIN + scores)
    detail = json.loads(hub.relive("show", run_id, "--json").stdout)
    assert [metric["key"] for metric in detail["detail"]["metrics"]] == ["acc"]
    verdict = replay(hub, run_id)
    assert (verdict["level"], verdict["reason"]) == ("bit_exact", "Equal: 1 metric, 1 file.")
    # What an earlier run left does not stand for what the next one leaves.
    (project / "metrics.json").write_text('{"acc": 7}')
    late = record(hub, project, TRAIN)
    assert not json.loads(hub.relive("show", late, "--json").stdout)["detail"]["metrics"]


def test_who_names_outs_is_judged_by_these(hub: RealHub, project: Path) -> None:
    more = 'open("log.txt", "w").write(str(os.getpid()))\n'
    verdict = replay(hub, record(hub, project, TRAIN + more, "--out", "model.bin"))
    assert (verdict["level"], verdict["reason"]) == ("bit_exact", "Equal: 1 out.")
    assert not verdict.get("files")


def test_a_replay_lies_in_a_repository_at_the_recorded_commit(hub: RealHub, project: Path) -> None:
    train = """
import subprocess
say = lambda *words: subprocess.check_output(["git", *words], text=True)
open("said.txt", "w").write(say("rev-parse", "HEAD") + say("branch", "--show-current") + say("status", "-s"))
"""
    for words in (
        ("init", "-q", "-b", "trial"),
        ("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", "one"),
    ):
        subprocess.run(["git", *words], cwd=project, check=True)
    (project / "train.py").write_text(train)
    (project / ".gitignore").write_text("said.txt\n")
    subprocess.run(["git", "add", "."], cwd=project, check=True)
    second = ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "two"]
    subprocess.run(["git", *second], cwd=project, check=True)
    verdict = replay(hub, record(hub, project, train))
    assert (verdict["level"], verdict["files"]) == ("bit_exact", {"said.txt": "same bytes"}), verdict
