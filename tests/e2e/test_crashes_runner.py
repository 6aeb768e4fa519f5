"""A runner is killed, stopped or replaced: its stage is tried again, and its late words are refused."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relive.client.calls.reports import ReportClient
from relive.client.transport import Transport
from relive.core.access import Scope
from relive.core.event import Event
from relive.core.job import Job, JobKind, JobState
from relive.core.pipeline import PipelineStatus, Stage, StageStatus
from relive.core.run import FailureReason, Metric, RunStatus
from relive.errors import Superseded
from relive.hub.build import build_services
from relive.hub.config import HubConfig
from relive.services.accounts import create_job_token
from relive.wire.jobs import StageReport
from tests.e2e.hub import RealHub, Repository, make_repository, running_hub, wait_for
from tests.e2e.invariants import assert_sound, await_rest, facts_of
from tests.e2e.tiny import Gate, waiting

CHILDREN = """\
import subprocess, sys, time
children = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=it)
            for it in (False, True)]
with open({listed!r}, "w") as file:
    file.write(" ".join(str(child.pid) for child in children) + "\\n")
time.sleep(600)
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub whose leases are short."""
    with running_hub(tmp_path_factory.mktemp("home"), RELIVE_LEASE_S="6") as running:
        yield running


def test_a_killed_runner_is_missed_at_once_and_its_stage_is_tried_again(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    repository = begin(hub, place / "killed", gate)
    first = gate.await_start()
    os.kill(runner_of(hub, stage_of(repository)), signal.SIGKILL)
    wait_for(lambda: is_gone(first))  # nobody would take its results
    gate.await_start(2)
    gate.open()
    await_rest(hub, "killed", pipelines=1)
    assert_sound(hub)
    stage = stage_of(repository)
    assert (stage.status, stage.attempts, len(gate.starts())) == (StageStatus.SUCCEEDED, 2, 2)
    lost = [run for run in hub.client().list_runs(project="killed") if run.status is RunStatus.LOST]
    assert [(run.failure, run.superseded_by) for run in lost] == [(FailureReason.WORKER_LOST, stage.run_id)]
    assert len(told(hub, "job.lost", stage)) == 1


def test_after_two_more_tries_a_stage_whose_runner_always_dies_fails_with_the_reason(
    hub: RealHub, place: Path
) -> None:
    gate = Gate(place / "gate")
    repository = begin(hub, place / "dies", gate)
    for attempt in (1, 2, 3):
        gate.await_start(attempt)
        os.kill(runner_of(hub, stage_of(repository)), signal.SIGKILL)
    await_rest(hub, "dies", pipelines=1)
    assert_sound(hub)
    stage = stage_of(repository)
    assert (stage.status, stage.attempts, len(gate.starts())) == (StageStatus.FAILED, 3, 3)
    assert "without a report" in stage.reason
    assert repository.pipeline(1).pipeline.status is PipelineStatus.FAILED


def test_a_retry_rule_of_none_is_kept(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    repository = begin(hub, place / "once", gate, stage="    retry: {max: 0}\n")
    gate.await_start()
    os.kill(runner_of(hub, stage_of(repository)), signal.SIGKILL)
    await_rest(hub, "once", pipelines=1)
    assert (stage_of(repository).status, len(gate.starts())) == (StageStatus.FAILED, 1)


def test_a_runner_that_slept_through_its_lease_is_refused_and_takes_its_command_with_it(
    hub: RealHub, place: Path
) -> None:
    gate = Gate(place / "gate")
    repository = begin(hub, place / "slept", gate)
    first = gate.await_start()
    sleeper = stage_of(repository)
    runner = runner_of(hub, sleeper)
    os.kill(runner, signal.SIGSTOP)
    try:
        wait_for(lambda: told(hub, "job.lost", sleeper))
    finally:
        os.kill(runner, signal.SIGCONT)
    wait_for(lambda: is_gone(first) and is_gone(runner))
    gate.await_start(2)
    gate.open()
    await_rest(hub, "slept", pipelines=1)
    assert_sound(hub)
    assert stage_of(repository).attempts == 2


def test_every_late_word_of_a_lost_claim_is_refused_changes_nothing_and_is_shown_once(
    hub: RealHub, place: Path
) -> None:
    gate = Gate(place / "gate")
    repository = begin(hub, place / "late", gate)
    gate.await_start()
    stage = stage_of(repository)
    stale = speaker(hub, stage.job_id)
    stale.log(0, b"")  # while the claim holds, it is heard
    os.kill(runner_of(hub, stage), signal.SIGKILL)
    gate.await_start(2)
    late: dict[str, Callable[[], object]] = {
        "log": lambda: stale.log(0, b"late"),
        "metrics": lambda: stale.records("late", metrics=(Metric("accuracy", 1.0),)),
        "tags": lambda: stale.records("late", tags={"late": "yes"}),
        "phase": lambda: stale.progress("upload"),
        "heartbeat": stale.heartbeat,
        "report": lambda: stale.finish(StageReport(fence=stale.fence, status=RunStatus.FINISHED)),
    }
    for word, say in late.items():
        with pytest.raises(Superseded):
            say()
        assert word
    gate.open()
    await_rest(hub, "late", pipelines=1)
    assert_sound(hub)
    old = hub.client().get_run(stage.run_id)
    assert (old.run.status, old.metrics, old.tags) == (RunStatus.LOST, (), {})
    shown = [(event.facts["job"], event.facts["fence"]) for event in told(hub, "job.superseded", stage)]
    assert shown == [(stage.job_id, 1)]


def test_a_report_that_comes_twice_is_taken_once(hub: RealHub, place: Path) -> None:
    """As after a hub that died between taking it and answering."""
    gate = Gate(place / "gate")
    gate.open()
    repository = begin(hub, place / "twice", gate)
    await_rest(hub, "twice", pipelines=1)
    stage = stage_of(repository)
    again = speaker(hub, stage.job_id)
    again.finish(StageReport(fence=1, status=RunStatus.FAILED, reason="another word"))
    assert_sound(hub)
    assert hub.client().get_run(stage.run_id).run.status is RunStatus.FINISHED
    assert told(hub, "job.superseded", stage) == []


def test_a_cancelled_pipeline_ends_the_whole_tree_of_its_command(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    gate.open()
    listed = place / "children"
    repository = begin(hub, place / "cancelled", gate, after=CHILDREN.format(listed=str(listed)))
    command = gate.await_start()
    wait_for(lambda: listed.exists() and listed.read_text().endswith("\n"))
    children = [int(pid) for pid in listed.read_text().split()]
    hub.relive("pipeline", "cancel", "cancelled:1")
    await_rest(hub, "cancelled", pipelines=1)
    assert_sound(hub)
    wait_for(lambda: all(is_gone(pid) for pid in (command, *children)))
    detail = repository.pipeline(1)
    assert detail.pipeline.status is PipelineStatus.CANCELLED
    run = hub.client().get_run(detail.stages[-1].run_id).run
    assert (run.status, run.failure) == (RunStatus.KILLED, FailureReason.CANCELLED)


def test_a_runner_that_dies_after_its_end_was_asked_for_is_not_tried_again(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    repository = begin(hub, place / "asked", gate)
    gate.await_start()
    runner = runner_of(hub, stage_of(repository))
    os.kill(runner, signal.SIGSTOP)  # it must not hear of it first
    hub.relive("pipeline", "cancel", "asked:1")
    os.kill(runner, signal.SIGKILL)
    await_rest(hub, "asked", pipelines=1)
    assert_sound(hub)
    assert stage_of(repository).status is StageStatus.CANCELLED
    assert len(gate.starts()) == 1


def begin(hub: RealHub, folder: Path, gate: Gate, *, after: str = "", stage: str = "") -> Repository:
    """Push a project of one stage that waits."""
    repository = make_repository(hub, folder, waiting(gate, after=after, stage=stage))
    repository.push("-o", "nowait")
    return repository


def stage_of(repository: Repository) -> Stage:
    """Give the stage of the first pipeline that runs the command."""
    last: Stage = repository.pipeline(1).stages[-1]
    return last


def subject(stage: Stage) -> str:
    """Give what events about a stage's jobs are about."""
    return f"stage:{stage.id}"


def told(hub: RealHub, kind: str, stage: Stage) -> list[Event]:
    """Give the events of a kind about a stage's jobs."""
    events = hub.client().list_events(kind=kind, limit=1000)
    return [event for event in events if event.subject == subject(stage)]


def runner_of(hub: RealHub, stage: Stage) -> int:
    """Give the process that works for a stage now."""

    def find() -> Job | None:
        jobs = hub.client().list_jobs(limit=1000)
        mine = [it for it in jobs if it.subject == subject(stage) and it.state is JobState.RUNNING]
        return next((it for it in mine if it.kind is JobKind.STAGE and it.handle), None)

    pid: int = wait_for(find).handle["pid"]
    return pid


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def speaker(hub: RealHub, job_id: str) -> ReportClient:
    """Speak as the process of a job's first claim, with a token as its own."""
    services = build_services(HubConfig(data_dir=hub.home / "hub", port=hub.port))
    try:
        with facts_of(hub) as facts:
            job = facts.store.get_job(job_id)
        token = create_job_token(services, job, Scope.RUNNER)
    finally:
        services.store.close()
    return ReportClient(Transport(hub.address, token), "jobs", job_id, fence=1)
