"""`relive replay --offline`: no package index is asked, no network is reached, what lacks is said first."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import require
from tests.contract.test_recorder import can_listen
from tests.e2e.hub import RealHub, running_hub
from tests.e2e.test_unlocked import environment
from tests.support.counting_index import CountingIndex
from tests.support.wheels import make_wheel

# It asks an address, as programs do that look for a newer model; its result does not depend on the answer.
TRAIN = """
import json, socket, thing
try:
    socket.create_connection(("127.0.0.1", {port}), timeout=5).close()
    print("reached it")
except OSError as error:
    print("not reached:", error)
json.dump({{"score": float(thing.VERSION)}}, open("metrics.json", "w"))
"""
NEEDS_IT = """
import json, socket, thing
socket.create_connection(("127.0.0.1", {port}), timeout=5).close()
json.dump({{"score": 1.0}}, open("metrics.json", "w"))
"""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[CountingIndex]:
    for version in ("1.5", "2.0"):
        make_wheel(tmp_path / "index", "thing", version)
    with CountingIndex(tmp_path / "index").served() as serving:
        yield serving


@pytest.fixture
def hub(tmp_path: Path, index: CountingIndex) -> Iterator[RealHub]:
    with running_hub(tmp_path / "home", PIP_INDEX_URL=index.url, UV_NO_CACHE="1") as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def record(hub: RealHub, project: Path, index: CountingIndex, *how: str, script: str = TRAIN) -> str:
    (project / "train.py").write_text(script.format(port=index.port))
    options = ("run", "--project", "p", "--metrics", "metrics.json", "--json")
    done = hub.relive(*options, *how, "train.py", folder=project)
    (project / "metrics.json").unlink()
    found: str = json.loads(done.stdout)["run_id"]
    return found


def locked(hub: RealHub, project: Path, index: CountingIndex, **more: str) -> str:
    (project / "requirements.txt").write_text("thing==1.5\n")
    return record(hub, project, index, "--env", "requirements.txt", "--", "python", **more)


def replay(hub: RealHub, run_id: str, *more: str, code: int = 0) -> Any:
    done = hub.relive("replay", run_id, "--offline", "--json", *more, check=False)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout if code in (0, 3) else done.stdout or done.stderr)


def test_a_locked_run_is_made_again_and_nothing_asks_the_index(
    hub: RealHub, project: Path, index: CountingIndex
) -> None:
    run_id = locked(hub, project, index)
    assert index.asked, "the environment came from it"
    index.asked.clear()
    verdict = replay(hub, run_id)
    assert verdict["level"] == "bit_exact", verdict
    assert index.asked == []
    shown = hub.relive("logs", verdict["replay_run_id"]).stdout
    if can_listen():
        assert verdict["facts"]["offline"] == "no index was asked, and the command had no network"
        assert "not reached:" in shown
        assert f"Refused without a network: 127.0.0.1:{index.port}" in shown
        recipe = json.loads(hub.relive("show", verdict["replay_run_id"], "--json").stdout)["recipe"]
        assert (recipe["observed"]["isolation"], recipe["observed"].get("hermetic", False)) == (
            "network",
            False,
        )
    else:
        assert "not walled off" in verdict["facts"]["offline"]
    online = json.loads(hub.relive("replay", run_id, "--json").stdout)
    assert "reached it" in hub.relive("logs", online["replay_run_id"]).stdout, "without it nothing is shut"
    assert "offline" not in online.get("facts", {})


def test_a_run_without_a_lock_needs_one_replay_that_keeps_its_wheels(
    hub: RealHub, project: Path, index: CountingIndex, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    (project / "src/mine").mkdir(parents=True)
    (project / "src/mine/__init__.py").write_text("")
    python = environment(own, index.folder, project)
    run_id = record(hub, project, index, "--", str(python))
    index.asked.clear()
    runs = len(json.loads(hub.relive("runs", "--json").stdout))
    refused = replay(hub, run_id, code=1)
    assert refused["error"] == "cannot_replay"
    assert "no replay has kept its wheels yet: thing==1.5" in refused["message"]
    assert "once without --offline" in refused["facts"]["hint"]
    assert index.asked == []
    assert len(json.loads(hub.relive("runs", "--json").stdout)) == runs, "nothing was started"
    assert json.loads(hub.relive("replay", run_id, "--json").stdout)["level"] == "bit_exact"
    assert index.asked
    index.asked.clear()
    assert replay(hub, run_id)["level"] == "bit_exact"
    said = hub.relive("replay", run_id, "--quiet").stdout
    assert "that an earlier replay kept" in said, "online the kept ones come first, too"
    assert index.asked == []


def test_a_substitute_is_had_from_an_earlier_replay_or_not_at_all(
    hub: RealHub, project: Path, index: CountingIndex
) -> None:
    run_id = locked(hub, project, index)
    index.asked.clear()
    refused = replay(hub, run_id, "--substitute", "thing==2.0", code=1)
    assert "no replay has kept the wheels of thing==2.0" in refused["message"]
    assert index.asked == []
    hub.relive("replay", run_id, "--substitute", "thing==2.0", check=False)
    assert index.asked
    index.asked.clear()
    again = replay(hub, run_id, "--substitute", "thing==2.0", code=3)
    assert (again["level"], index.asked) == ("diverged", [])


def test_a_command_that_cannot_do_without_is_unresolved_and_the_address_told(
    hub: RealHub, project: Path, index: CountingIndex
) -> None:
    require(can_listen(), "the kernel has no user notification of seccomp, or forbids it here (Linux 5.0)")
    run_id = locked(hub, project, index, script=NEEDS_IT)
    verdict = replay(hub, run_id, code=1)
    assert verdict["level"] == "unresolved"
    assert f"Refused without a network: 127.0.0.1:{index.port}" in verdict["reason"]


def test_a_pool_replays_offline_too(hub: RealHub, project: Path, index: CountingIndex) -> None:
    run_id = locked(hub, project, index)
    index.asked.clear()
    verdict = replay(hub, run_id, "--pool", "local")
    assert (verdict["level"], index.asked) == ("bit_exact", [])
    assert "offline" in verdict["facts"]
    refused = replay(hub, run_id, "--pool", "local", "--substitute", "thing==2.0", code=1)
    assert "no replay has kept the wheels of thing==2.0" in refused["reason"]


def test_what_the_hub_lost_is_named_file_by_file_before_anything_starts(
    hub: RealHub, project: Path, index: CountingIndex, tmp_path: Path
) -> None:
    run_id = locked(hub, project, index)
    for store in (hub.home / "hub" / "blobs", hub.home / "cache"):
        for path in sorted(store.rglob("*")):
            if path.is_file() and b"create_connection" in path.read_bytes()[:4096]:
                path.unlink()
    assert "the hub no longer has its code: train.py" in replay(hub, run_id, code=1)["message"]


def test_without_a_hub_an_archive_is_named(hub: RealHub, project: Path, index: CountingIndex) -> None:
    run_id = locked(hub, project, index)
    hub.kill()
    gone = hub.relive("replay", run_id, "--offline", check=False)
    assert gone.returncode == 5, gone.stderr
    assert "--self-contained" in gone.stderr
