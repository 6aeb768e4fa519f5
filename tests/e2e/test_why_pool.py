"""`relive why --pool` against a real hub and the processes that it starts: also when they are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relive.core.job import Job, JobKind, JobState
from relive.core.run import Run, RunStatus
from tests.e2e.hub import RealHub, running_hub, wait_for
from tests.e2e.test_why import KEYS, SUM, names, recorded

TRIES = ("--pool", "local", "--shares", "0")
# Long enough that two of them are seen at once, and that one can be killed while it runs.
SLOW = "import time\ntime.sleep(1)\n" + SUM
OPEN = (JobState.QUEUED, JobState.RUNNING)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RealHub]:
    """A hub that hears soon of what died, and asks no index."""
    with running_hub(tmp_path / "home", PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1") as running:
        yield running


@pytest.fixture
def pair(hub: RealHub, tmp_path: Path) -> tuple[str, str]:
    """Two runs of eight params, of which two act."""
    folder = tmp_path / "sums"
    folder.mkdir()
    (folder / "train.py").write_text(SLOW)
    (folder / "requirements.txt").write_text("")
    found = []
    for value in (0, 1):
        (folder / "params.json").write_text(json.dumps(dict.fromkeys(KEYS, 0) | {"c": value, "f": value}))
        options = ("--env", "requirements.txt", "--metrics", "m.json", "--", "python", "train.py")
        found.append(recorded(hub, folder, "sums", *options))
    return found[0], found[1]


def asked(hub: RealHub, pair: tuple[str, str], *more: str) -> subprocess.Popen[str]:
    """Type the command, and do not wait for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "relive.cli", "why", *pair, *TRIES, *more],
        env=hub.env,
        cwd=hub.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def jobs_of(hub: RealHub, kind: JobKind, *states: JobState) -> list[Job]:
    found = hub.client().transport.get("/api/v1/jobs", list[Job], {"limit": 500})
    return [it for it in found if it.kind is kind and it.state in (states or tuple(JobState))]


def running_pid(hub: RealHub, kind: JobKind) -> int:
    """Wait for a job of this kind that runs, and give its process."""

    def pid() -> int | None:
        found = [it.handle.get("pid") for it in jobs_of(hub, kind, JobState.RUNNING)]
        return next((int(it) for it in found if it), None)

    found: int = wait_for(pid)
    return found


def trials_of(hub: RealHub) -> list[Run]:
    return hub.client().list_runs(project="sums", filter="attributes.kind = 'replay'", limit=200)


def test_trials_are_jobs_side_by_side_and_are_never_made_twice(hub: RealHub, pair: tuple[str, str]) -> None:
    done = hub.relive("why", *pair, *TRIES, "--json")
    said = json.loads(done.stdout)
    assert sorted(names(said["report"])) == ["params.json:c", "params.json:f"]
    jobs = jobs_of(hub, JobKind.TRIAL)
    assert {it.state for it in jobs} == {JobState.DONE}
    assert len(jobs) == len(trials_of(hub)) == len(said["report"]["tried"])
    spans = sorted((it.started_at or 0.0, it.ended_at or 0.0) for it in jobs)
    assert spans[1][0] < spans[0][1], "both copies at once"
    answer = hub.client().get_run(said["url"].rpartition("/")[2])
    assert answer.run.status is RunStatus.FINISHED
    log = b"".join(hub.client().read_log(answer.run.id)).decode()
    assert "the first with params.json:c → otherwise" in log
    assert log.endswith(f"{said['report']['reason']}\n")
    again = json.loads(hub.relive("why", *pair, *TRIES, "--json").stdout)
    assert all(it["reused"] for it in again["report"]["tried"])
    assert len(jobs_of(hub, JobKind.TRIAL)) == len(jobs)
    assert again["report"]["causes"] == said["report"]["causes"]


def test_a_trial_that_is_killed_is_made_again_and_is_never_different(
    hub: RealHub, pair: tuple[str, str]
) -> None:
    asking = asked(hub, pair, "--json")
    pid = running_pid(hub, JobKind.TRIAL)
    os.kill(pid, signal.SIGKILL)
    said, errors = asking.communicate(timeout=120)
    assert asking.returncode == 0, errors
    report = json.loads(said)["report"]
    assert sorted(names(report)) == ["params.json:c", "params.json:f"]
    assert {it["outcome"] for it in report["tried"]} <= {"as the first", "as the second", "otherwise"}
    (lost,) = jobs_of(hub, JobKind.TRIAL, JobState.LOST)
    run_id = lost.subject.removeprefix("run:")
    assert hub.client().get_run(run_id).run.status is RunStatus.LOST
    assert run_id not in [it["run_id"] for it in report["tried"]]
    assert len(trials_of(hub)) == len(report["tried"]) + 1


def test_a_search_that_is_killed_goes_on_in_the_same_run(hub: RealHub, pair: tuple[str, str]) -> None:
    asking = asked(hub, pair, "--json")
    wait_for(lambda: jobs_of(hub, JobKind.TRIAL, JobState.DONE))
    os.kill(running_pid(hub, JobKind.WHY), signal.SIGKILL)
    said, errors = asking.communicate(timeout=120)
    assert asking.returncode == 0, errors
    report = json.loads(said)["report"]
    assert sorted(names(report)) == ["params.json:c", "params.json:f"]
    assert any(it["reused"] for it in report["tried"]), "what was tried before it died is known"
    searches = jobs_of(hub, JobKind.WHY)
    assert sorted(it.state for it in searches) == [JobState.DONE, JobState.LOST]
    assert len({it.subject for it in searches}) == 1
    trials = jobs_of(hub, JobKind.TRIAL)
    assert len({it.payload["work"]["key"] for it in trials}) == len(trials), "nothing was tried twice"


def test_ctrl_c_ends_the_search_with_its_trials_and_the_same_command_goes_on(
    hub: RealHub, pair: tuple[str, str]
) -> None:
    asking = asked(hub, pair, "--json")
    wait_for(lambda: len(jobs_of(hub, JobKind.TRIAL)) >= 3)
    asking.send_signal(signal.SIGINT)
    said, errors = asking.communicate(timeout=60)
    assert asking.returncode == 1, errors
    stopped = json.loads(said)["report"]
    assert stopped["status"] == "stopped"
    assert "goes on from here" in stopped["reason"]
    wait_for(lambda: not jobs_of(hub, JobKind.TRIAL, *OPEN) and not jobs_of(hub, JobKind.WHY, *OPEN))
    made = len(trials_of(hub))
    report = json.loads(hub.relive("why", *pair, *TRIES, "--json").stdout)["report"]
    assert sorted(names(report)) == ["params.json:c", "params.json:f"]
    reused = sum(it["reused"] for it in report["tried"])
    assert reused >= 2
    assert len(trials_of(hub)) == made + len(report["tried"]) - reused


def test_a_machine_that_goes_away_leaves_the_search_to_the_hub(hub: RealHub, pair: tuple[str, str]) -> None:
    asking = asked(hub, pair)
    (search,) = wait_for(lambda: jobs_of(hub, JobKind.WHY, JobState.RUNNING))
    asking.kill()
    asking.communicate()
    run_id = search.subject.removeprefix("run:")
    ended = wait_for(lambda: (run := hub.client().get_run(run_id).run).status.is_final and run)
    assert (ended.status, ended.reason) == (
        RunStatus.FINISHED,
        "2 inputs make the second out of the first.",
    )


def test_a_hub_that_is_killed_finds_the_search_again(hub: RealHub, pair: tuple[str, str]) -> None:
    asking = asked(hub, pair, "--json")
    wait_for(lambda: jobs_of(hub, JobKind.TRIAL, JobState.DONE))
    hub.kill()
    time.sleep(1)
    hub.start()
    said, errors = asking.communicate(timeout=120)
    assert asking.returncode == 0, errors
    assert sorted(names(json.loads(said)["report"])) == ["params.json:c", "params.json:f"]
    assert [it.state for it in jobs_of(hub, JobKind.WHY)] == [JobState.DONE]


def test_what_cannot_be_searched_is_said(hub: RealHub, pair: tuple[str, str]) -> None:
    assert "none" in hub.relive("why", *pair, "--pool", "none", check=False).stderr
    refused = hub.relive("why", *pair, *TRIES, "--dry-run", check=False)
    assert (refused.returncode, "--dry-run runs nothing" in refused.stderr) == (2, True)
