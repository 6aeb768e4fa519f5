"""Runs by hand whose process is killed: a real hub misses them, and takes what comes of them later."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from relive.core.run import FailureReason, Run, RunKind, RunStatus
from tests.e2e.hub import RealHub, running_hub, wait_for

SILENCE_S = 3
# As a script is that logs, and then is long quiet: relive's threads speak for it.
SCRIPT = """
import sys, time, relive
run = relive.init(name=sys.argv[1])
run.log({"loss": 0.5}, step=1)
print("logged", flush=True)
time.sleep(600)
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def missing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub that misses a run by hand after seconds."""
    home = tmp_path_factory.mktemp("home")
    with running_hub(home, RELIVE_SILENCE_S=str(SILENCE_S)) as hub:
        yield hub


@pytest.fixture
def start(missing: RealHub, place: Path) -> Iterator[Start]:
    """Start programs, none of which outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*command: str, **variables: str) -> "subprocess.Popen[str]":
        env = missing.env | variables
        child = subprocess.Popen(
            [sys.executable, *command], env=env, cwd=place, stdout=subprocess.PIPE, text=True
        )
        started.append(child)
        return child

    yield begin
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()


def named(hub: RealHub, name: str) -> Run:
    found: Run = wait_for(lambda: next((it for it in hub.client().list_runs() if it.name == name), None))
    return found


def wait_until(hub: RealHub, run: Run, status: RunStatus) -> Run:
    def look() -> Run | None:
        found = hub.client().get_run(run.id).run
        return found if found.status is status else None

    reached: Run = wait_for(look)
    return reached


def test_a_killed_script_is_lost_a_quiet_one_is_not_and_sync_brings_its_end(missing, start, place):
    (place / "train.py").write_text(SCRIPT)
    killed, quiet = start("train.py", "killed"), start("train.py", "quiet")
    runs = {name: named(missing, name) for name in ("killed", "quiet")}
    by_mlflow = missing.client().transport.post(
        "/api/2.0/mlflow/runs/create",
        {"experiment_id": runs["quiet"].experiment_id, "run_name": "by mlflow"},
        dict,
    )
    killed.send_signal(signal.SIGKILL)
    lost = wait_until(missing, runs["killed"], RunStatus.LOST)
    assert lost.failure is FailureReason.WORKER_LOST
    shown = missing.relive("show", lost.id[:8]).stdout
    assert "lost: silent: nothing was heard of its process for 3 s" in shown
    assert "heard of   " in shown
    events = [it.facts["reason"] for it in missing.client().list_events(kind="run.lost")]
    assert lost.reason in events
    time.sleep(SILENCE_S)
    assert quiet.poll() is None
    assert missing.client().get_run(runs["quiet"].id).run.status is RunStatus.RUNNING
    by_mlflow_id = by_mlflow["run"]["info"]["run_id"]
    assert missing.client().get_run(by_mlflow_id).run.status is RunStatus.RUNNING
    missing.relive("sync")
    ended = wait_until(missing, runs["killed"], RunStatus.KILLED)
    assert (ended.failure, ended.reason) == (None, "Its process ended without finishing the run.")


def test_a_stopped_script_is_lost_and_found(missing, start, place):
    (place / "train.py").write_text(SCRIPT)
    child = start("train.py", "stopped")
    run = named(missing, "stopped")
    wait_for(lambda: missing.client().get_run(run.id).metrics)
    child.send_signal(signal.SIGSTOP)
    wait_until(missing, run, RunStatus.LOST)
    child.send_signal(signal.SIGCONT)
    found = wait_until(missing, run, RunStatus.RUNNING)
    assert (found.failure, found.reason, found.ended_at) == (None, "", None)
    assert [it.subject for it in missing.client().list_events(kind="run.found")] == [f"run:{run.id}"]


def test_an_offline_script_is_heard_of_by_sync(missing, start, place):
    (place / "train.py").write_text(SCRIPT)
    child = start("train.py", "offline", RELIVE_MODE="offline")
    assert child.stdout.readline() == "logged\n"
    missing.relive("sync")
    run = named(missing, "offline")
    wait_until(missing, run, RunStatus.LOST)
    missing.relive("sync")
    assert missing.client().get_run(run.id).run.status is RunStatus.RUNNING
    assert child.poll() is None


def running_of(hub: RealHub, kind: RunKind) -> Run | None:
    found = (it for it in hub.client().list_runs() if it.kind is kind and it.status is RunStatus.RUNNING)
    return next(found, None)


def test_a_killed_run_of_a_command_and_a_killed_replay_are_lost(missing, start, place):
    subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    (place / "wait.sh").write_text("echo begun\nsleep 5\n")
    done = missing.relive("run", "--name", "done", "--", "sh", "wait.sh", folder=place)
    assert "begun" in done.stdout
    original = named(missing, "done")
    programs = {
        RunKind.MANUAL: ("run", "--name", "killed by hand", "--", "sh", "wait.sh"),
        RunKind.REPLAY: ("replay", original.id),
    }
    for kind, words in programs.items():
        child = start("-m", "relive.cli", *words)
        run = wait_for(partial(running_of, missing, kind))
        os.kill(child.pid, signal.SIGKILL)
        lost = wait_until(missing, run, RunStatus.LOST)
        assert lost.reason.startswith("silent: ")
    assert missing.client().get_run(original.id).verdicts == ()
