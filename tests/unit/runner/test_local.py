"""A run by hand: recorded as it lies there, without changing what the person sees."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.core.artifact import Manifest
from relive.core.pipeline import EnvSpec
from relive.core.recipe import Recipe
from relive.core.run import FailureReason, RunKind, RunStatus
from relive.errors import HubUnreachable, NotFound
from relive.runner.local import HandRun, run_here
from relive.runner.results import Expected
from tests.support.fake_hub import FakeHub, running_hub, wait_for
from tests.support.wheels import make_wheel


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def client(hub):
    return HubClient(Transport(hub.url))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RELIVE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    found = tmp_path / "project"
    found.mkdir()
    for step in (["init", "-q"], ["config", "user.email", "t@t"], ["config", "user.name", "t"]):
        subprocess.run(["git", "-C", str(found), *step], check=True)
    return found


def commit(folder: Path) -> str:
    for step in (["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", str(folder), *step], check=True)
    done = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip()


def asked(folder: Path, *command: str, **fields) -> HandRun:
    return HandRun(command=command, folder=folder, project="demo", **fields)


def recipe(hub: FakeHub, digest: str) -> Recipe:
    return msgspec.json.decode(hub.read(digest), type=Recipe)


def test_the_code_is_kept_as_it_lies_there(hub, client, folder, capfdbinary):
    (folder / "train.py").write_text("print('before')")
    (folder / "gone.py").write_text("")
    head = commit(folder)
    (folder / "train.py").write_text("import sys; print('now', sys.argv[1:])")
    (folder / "new.py").write_text("untracked")
    (folder / "gone.py").unlink()
    result = run_here(asked(folder, sys.executable, "train.py", "a b", "$HOME"), client)
    assert result.report.status is RunStatus.FINISHED
    assert capfdbinary.readouterr().out == b"now ['a b', '$HOME']\n"
    state = hub.jobs[result.run.run_id]
    assert state.created is not None
    assert (state.created.kind, state.created.commit) == (RunKind.MANUAL, head)
    assert state.created.command == f"{sys.executable} train.py 'a b' '$HOME'"
    kept = recipe(hub, result.report.recipe).declared
    assert (kept.code.commit, kept.code.dirty) == (head, True)
    assert set(hub.tree(kept.code.manifest)) == {"train.py", "new.py"}
    assert state.report == result.report
    assert bytes(state.log) == b"now ['a b', '$HOME']\n"


def test_links_in_the_code_stay_links(hub, client, folder, monkeypatch):
    (folder / "v2").mkdir()
    (folder / "v2/a.py").write_text("1")
    (folder / "latest").symlink_to("v2")
    commit(folder)
    monkeypatch.chdir(folder)
    result = run_here(asked(Path(), "test", "-e", "latest/a.py"), client, echo=False)
    assert result.report.status is RunStatus.FINISHED
    manifest = Manifest.from_bytes(hub.read(recipe(hub, result.report.recipe).declared.code.manifest))
    assert {it.path: it.link for it in manifest.entries} == {"latest": "v2", "v2/a.py": None}


def test_it_runs_in_the_environment_it_finds(hub, client, folder, monkeypatch, capfd):
    monkeypatch.setenv("MY_OWN", "kept")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    script = "import json, os, sys; print(json.dumps([sys.executable, os.environ.copy()]))"
    result = run_here(asked(folder, sys.executable, "-c", script), client)
    executable, seen = json.loads(capfd.readouterr().out)
    assert executable == sys.executable
    assert seen["MY_OWN"] == "kept"
    assert seen["OMP_NUM_THREADS"] == "7"
    assert seen["RELIVE_RUN_ID"] == result.run.run_id
    assert seen["RELIVE_TOKEN"] == "***", "the command's token is masked where it is shown"
    kept = recipe(hub, result.report.recipe)
    assert kept.declared.environment == ""
    assert kept.declared.env["OMP_NUM_THREADS"] == "7"
    assert kept.observed is not None
    assert "pytest" in {it.name for it in kept.observed.distributions}


def test_deps_outs_and_metrics_are_kept_relative_to_the_repository(hub, client, folder):
    (folder / "sub/data").mkdir(parents=True)
    (folder / "sub/data/a.csv").write_text("1")
    commit(folder)
    expected = Expected(outs=("out",), metrics_files=("m.json",))
    script = "mkdir out; cp data/a.csv out/b; echo '{\"acc\": 0.5}' > m.json"
    run = asked(folder / "sub", "sh", "-c", script, deps=("data",), expected=expected)
    report = run_here(run, client, echo=False).report
    assert report.status is RunStatus.FINISHED, report.reason
    assert {it.path: set(hub.tree(it.manifest)) for it in report.artifacts} == {
        "sub/out": {"sub/out/b"},
        "sub/m.json": {"sub/m.json"},
    }
    assert [(it.path, it.origin) for it in report.inputs] == [("sub/data", "file")]
    assert hub.tree(report.inputs[0].manifest) == {"sub/data/a.csv": b"1"}
    assert [(it.key, it.value) for it in report.metrics] == [("acc", 0.5)]
    declared = recipe(hub, report.recipe).declared
    assert (declared.workdir, declared.outs) == ("sub", ("sub/out",))


def test_data_changed_by_the_run_taints_it(hub, client, folder):
    (folder / "data.csv").write_text("1")
    run = asked(folder, "sh", "-c", "echo 2 > data.csv", deps=("data.csv",))
    report = run_here(run, client, echo=False).report
    assert report.tainted
    assert "data.csv" in report.reason


def test_the_exit_code_is_told(hub, client, folder):
    report = run_here(asked(folder, "sh", "-c", "exit 7"), client, echo=False).report
    assert (report.status, report.exit_code) == (RunStatus.FAILED, 7)


def test_a_program_that_is_not_there_fails_the_run(hub, client, folder):
    report = run_here(asked(folder, "no-such-program"), client, echo=False).report
    assert (report.status, report.exit_code) == (RunStatus.FAILED, 127)
    assert "no-such-program" in report.reason


def test_a_time_limit_holds(hub, client, folder):
    report = run_here(asked(folder, "sleep", "1000", timeout_s=0.5), client, echo=False).report
    assert report.failure is FailureReason.TIMEOUT


def test_an_environment_is_built_if_one_is_asked_for(hub, client, folder, capfd):
    wheel = make_wheel(folder / "wheels", "rlv-hand", "3.1")
    (folder / "requirements.txt").write_text(f"./wheels/{wheel.name}\n")
    script = "import rlv_hand; print(rlv_hand.VERSION)"
    run = asked(folder, "python", "-c", script, env=EnvSpec(lock="requirements.txt"))
    report = run_here(run, client).report
    assert capfd.readouterr().out == "3.1\n"
    lock = json.loads(hub.read(recipe(hub, report.recipe).declared.environment))
    assert [it["name"] for it in lock["packages"]] == ["rlv-hand"]


def test_a_dep_that_is_not_there_makes_no_run(hub, client, folder):
    with pytest.raises(NotFound):
        run_here(asked(folder, "true", deps=("nowhere.csv",)), client)
    assert hub.jobs == {}


def test_a_hub_that_is_not_there_runs_nothing(hub, client, folder, monkeypatch):
    monkeypatch.setattr("relive.runner.local._PATIENCE_S", 0.0)
    hub.go_away()
    with pytest.raises(HubUnreachable):
        run_here(asked(folder, "touch", "ran"), client)
    assert not (folder / "ran").exists()


BY_HAND = """
import sys
from pathlib import Path
from relive.client.hub import connect
from relive.runner.local import HandRun, run_here
asked = HandRun(command=("sh", "-c", "touch started; sleep 1000"), folder=Path.cwd(), project="demo")
print(run_here(asked, connect(sys.argv[1]), echo=False).report.status)
"""


def test_ctrl_c_ends_the_command_and_the_run_is_reported(hub, folder):
    process = subprocess.Popen(
        [sys.executable, "-c", BY_HAND, hub.url], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for((folder / "started").exists, "the command runs")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert out == "killed\n"
    (state,) = hub.jobs.values()
    assert state.report.failure is FailureReason.CANCELLED


def test_a_second_ctrl_c_gives_up_waiting_for_a_hub_that_is_away(hub, folder, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", BY_HAND, hub.url],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        wait_for((folder / "started").exists, "the command runs")
        hub.go_away()
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert "what was recorded is kept in" in said
    (kept,) = tmp_path.glob("relive-run-*")
    assert (kept / "log/output.log").exists()


def test_a_run_that_was_reported_leaves_nothing(hub, client, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run_here(asked(folder, "true"), client, echo=False)
    assert list(tmp_path.glob("relive-run-*")) == []


def test_it_works_in_a_thread_too(hub, client, folder):
    found: list[RunStatus] = []
    thread = threading.Thread(
        target=lambda: found.append(run_here(asked(folder, "true"), client, echo=False).report.status)
    )
    thread.start()
    thread.join(60)
    assert found == [RunStatus.FINISHED]
