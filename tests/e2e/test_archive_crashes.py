"""An archive that is written and taken in while everything dies: whole or not there, and once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from relive.replay.standalone.contents import DOCUMENT
from tests.e2e.hub import PATIENCE_S, RealHub, running_hub

FILES = 150
KILLS = 5
TRAIN = """\
import json, os
json.dump({"accuracy": len(os.listdir("data")) / 1000}, open("metrics.json", "w"))
open("model.bin", "wb").write(bytes(200_000))
"""


@pytest.fixture
def run_id(hub: RealHub, tmp_path: Path) -> str:
    """A finished run with enough of data that writing it takes some time."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    for number in range(FILES):
        (folder / f"data/rows{number}").write_bytes(os.urandom(20_000))
    (folder / "train.py").write_text(TRAIN)
    (folder / ".gitignore").write_text("data\n")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    options = ("--project", "demo", "--dep", "data", "--out", "model.bin", "--metrics", "metrics.json")
    done = hub.relive("run", "--json", *options, "--", sys.executable, "train.py", folder=folder)
    return str(json.loads(done.stdout)["run_id"])


def begin(hub: RealHub, *args: str) -> subprocess.Popen[bytes]:
    """Start a command."""
    command = [sys.executable, "-m", "relive.cli", *args]
    return subprocess.Popen(
        command, env=hub.env, cwd=hub.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def end_or_kill(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Give a command so long, then kill it; tells whether it was killed."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=PATIENCE_S)
        return True
    return False


def took(hub: RealHub, *args: str) -> float:
    """Run a command to its end; gives the seconds it took."""
    began = time.monotonic()
    hub.relive(*args)
    return time.monotonic() - began


def assert_whole(archive: Path) -> None:
    """Let the archive check itself, as somebody without relive would."""
    done = subprocess.run(
        [sys.executable, "-I", str(archive), "verify"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def imported(hub: RealHub, project: str) -> list[str]:
    """Name the runs of a project; none if there is no such project."""
    client = hub.client()
    known = any(it.project.name == project for it in client.list_projects())
    return [run.id for run in client.each_run(project)] if known else []


@pytest.mark.timeout(600)
def test_a_killed_export_leaves_the_file_that_was_there_or_a_whole_one(
    hub: RealHub, run_id: str, tmp_path: Path
) -> None:
    chance = random.Random(11)
    path, whole = tmp_path / "run.zip", tmp_path / "whole.zip"
    export = ("export", run_id, "--self-contained", "-o")
    long = took(hub, *export, str(whole))
    for _ in range(KILLS):
        killed = end_or_kill(begin(hub, *export, str(path)), chance.uniform(0.3, 0.95) * long)
        if path.exists():
            assert path.read_bytes() == whole.read_bytes()
            path.unlink()
        else:
            assert killed, "a command that ended has written its file"
    path.write_text("what was there before")
    end_or_kill(begin(hub, *export, str(path)), 0.5 * long)
    assert path.read_bytes() in (b"what was there before", whole.read_bytes())
    hub.relive(*export, str(path))
    assert path.read_bytes() == whole.read_bytes()
    assert_whole(path)


@pytest.mark.timeout(600)
def test_a_hub_that_dies_under_an_export_leaves_no_file(hub: RealHub, run_id: str, tmp_path: Path) -> None:
    path = tmp_path / "run.zip"
    export = ("export", run_id, "--self-contained", "-o", str(path))
    long = took(hub, *export)
    path.unlink()
    writing = begin(hub, *export)
    time.sleep(0.5 * long)
    hub.kill()
    code = writing.wait(timeout=PATIENCE_S)
    assert path.exists() == (code == 0)
    hub.start()
    hub.relive(*export)
    assert_whole(path)


@pytest.mark.timeout(900)
def test_an_import_goes_on_where_client_or_hub_was_killed(hub: RealHub, run_id: str, tmp_path: Path) -> None:
    chance = random.Random(12)
    path = tmp_path / "run.zip"
    hub.relive("export", run_id, "--self-contained", "-o", str(path))
    with running_hub(tmp_path / "other") as other:
        long = took(other, "import", str(path), "--project", "measured")
    with running_hub(tmp_path / "third") as third:
        take = ("import", str(path), "--project", "back")
        for _ in range(KILLS):
            end_or_kill(begin(third, *take), chance.uniform(0.3, 0.95) * long)
            assert len(imported(third, "back")) <= 1
        taking = begin(third, *take)
        time.sleep(0.5 * long)
        third.kill()
        taking.wait(timeout=PATIENCE_S)
        third.start()
        hub.stop()  # nobody may ask the hub that it came from
        (received,) = json.loads(third.relive(*take, "--json").stdout)["runs"]
        assert imported(third, "back") == [received["run_id"]]
        client = third.client()
        with zipfile.ZipFile(path) as file:
            document = json.loads(file.read(DOCUMENT))
        for manifest in (document["code_manifest"], *(it["manifest"] for it in document["inputs"])):
            tree = client.blobs.fetch_manifest(manifest)
            assert not client.blobs.missing(tree.digests)
        run = client.get_run(received["run_id"])
        assert {it.key: it.last for it in run.metrics} == {"accuracy": FILES / 1000}
        assert [(it.key, it.count) for it in run.metrics] == [("accuracy", 1)], "no point came twice"
