"""The hub is killed with kill -9, at exact points and at any moment; a new one goes on from the rows."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from relive.core.job import Job, JobState
from relive.core.pipeline import Pipeline, PipelineStatus, StageStatus
from tests.e2e import doomed
from tests.e2e.hub import PATIENCE_S, RealHub, make_repository, running_hub, wait_for
from tests.e2e.invariants import MANY, Facts, assert_sound, await_rest, facts_of
from tests.e2e.tiny import Gate, infer, push_in_background, tiny, waiting

ROUNDS = 40 if os.environ.get("RELIVE_SLOW") == "1" else 6

STORE = "relive.stores.sql.store:SqlStore"
# Where the hub dies: what is called, and whether its work is done by then.
POINTS = {
    "the-hook-has-come": ("relive.hub.pushing:PushHandler._record", "before"),
    "the-push-is-written-but-not-answered": ("relive.hub.pushing:PushHandler._record", "after"),
    "a-commit-is-half-planned": (f"{STORE}.create_stages", "before"),
    "a-commit-is-planned": ("relive.services.planning:_create", "after"),
    "an-environment-is-known": (f"{STORE}.record_environment", "after"),
    "a-job-is-claimed": ("relive.services.placing:_launch", "before"),
    "a-job-is-launched": (f"{STORE}.set_handle", "before"),
    "a-report-has-come": ("relive.services.jobs:finish_stage", "before"),
    "a-report-is-half-written": ("relive.services.finishing:close_run", "after"),
    "a-report-is-taken-but-not-answered": ("relive.services.jobs:finish_stage", "after"),
    "before-the-version-row": (f"{STORE}.create_version", "before"),
    "after-the-version-row": (f"{STORE}.create_version", "after"),
    "before-the-signature-is-kept": (f"{STORE}.set_version", "before"),
    "after-the-signature-is-kept": ("relive.services.stages.register:create_version", "after"),
    "before-the-alias-moves": (f"{STORE}.set_alias", "before"),
    "after-the-alias-moved": ("relive.services.registry:_settle", "after"),
    "a-revision-is-half-written": ("relive.services.stages.deploy:create_revision", "after"),
    "a-revision-is-ready": ("relive.services.stages.deploy:move_traffic", "before"),
    "the-traffic-has-moved": ("relive.services.stages.deploy:move_traffic", "after"),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """One hub that dies and comes back all the time; its environment is built once, in about 5 s."""
    with running_hub(tmp_path_factory.mktemp("home")) as running:
        repository = make_repository(running, running.home / "warm", tiny("warm"))
        repository.push()
        yield running


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_an_exact_point_everything_goes_on_and_nothing_happens_twice(
    hub: RealHub, place: Path, point: str
) -> None:
    die_at(hub, place, point)


def die_at(hub: RealHub, place: Path, point: str) -> None:
    """Let a hub die at a point of a pipeline; the next one must bring it to its end."""
    gate = Gate(place / "gate")
    gate.open()
    files = tiny(point, gate=gate)
    if point == "an-environment-is-known":  # else it is taken from the cache
        files["requirements.txt"] += "# another\n"
    repository = make_repository(hub, place / point, files)
    hub.stop()
    hub.start(doomed.__file__, *POINTS[point])
    repository.push("-o", "nowait", check=False)
    await_death(hub)

    hub.start()
    repository.push("-o", "nowait")
    await_rest(hub, point, pipelines=1)
    assert_sound(hub)
    assert len(gate.starts()) == 1
    detail = repository.pipeline(1)
    assert detail.pipeline.status is PipelineStatus.SUCCEEDED
    assert infer(hub, point) == [6.0]
    hub.client().delete_endpoint(point)


@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_killed_again_and_again_at_any_moment(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    gate.open()
    repository = make_repository(hub, place / "anywhere", tiny("anywhere", gate=gate))
    moment = random.Random(7)
    for number in range(ROUNDS):
        repository.commit(tiny("anywhere", gate=gate, weight=float(number)))
        push = push_in_background(repository, "-o", "nowait")
        time.sleep(moment.uniform(0.0, 4.0))  # not to synchronise: to die anywhere
        hub.kill()
        push.communicate(timeout=PATIENCE_S)
        hub.start()
        repository.push("-o", "nowait")
    await_rest(hub, "anywhere", pipelines=ROUNDS)
    assert_sound(hub)
    assert len(gate.starts()) == ROUNDS
    assert {it.status for it in pipelines(hub, "anywhere")} == {PipelineStatus.SUCCEEDED}
    assert infer(hub, "anywhere") == [3.0 * (ROUNDS - 1)]  # whichever of two that were cut off ended last


@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_killed_in_the_middle_of_pushes_each_commit_is_planned_once(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    gate.open()
    repository = make_repository(hub, place / "pushes", waiting(gate))
    moment = random.Random(11)
    for _ in range(ROUNDS):
        (repository.folder / "large.bin").write_bytes(os.urandom(3 << 20))
        commit = repository.commit({})
        push = push_in_background(repository, "-o", "nowait")
        with pytest.raises(subprocess.TimeoutExpired):
            raise_if_alive(push, moment.uniform(0.0, 0.5))
        hub.kill()
        push.communicate(timeout=PATIENCE_S)
        hub.start()
        repository.push("-o", "nowait")
        wait_for(partial(is_planned, hub, "pushes", commit))
    await_rest(hub, "pushes", pipelines=ROUNDS)
    assert_sound(hub)
    assert len(pipelines(hub, "pushes")) == ROUNDS


def test_a_stage_that_runs_goes_on_and_its_report_is_taken_by_the_next_hub(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    repository = make_repository(hub, place / "goes-on", tiny("goes-on", gate=gate))
    push = push_in_background(repository)
    command = gate.await_start()
    hub.kill()
    push.communicate(timeout=PATIENCE_S)  # git says that the other end hung up
    os.kill(command, 0)  # the command did not notice

    hub.start()
    assert "Everything up-to-date" in repository.push()
    gate.open()
    await_rest(hub, "goes-on", pipelines=1)
    assert_sound(hub)
    assert gate.starts() == [command]
    assert repository.pipeline(1).pipeline.status is PipelineStatus.SUCCEEDED


def test_a_stage_that_ends_while_no_hub_is_there_is_taken_by_the_next(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "gate")
    repository = make_repository(hub, place / "ends", waiting(gate, after="print('after the hub')\n"))
    repository.push("-o", "nowait")
    command = gate.await_start()
    hub.kill()
    gate.open()
    wait_for(lambda: not Path(f"/proc/{command}").exists())
    hub.start()
    await_rest(hub, "ends", pipelines=1)
    assert_sound(hub)
    stage = repository.pipeline(1).stages[-1]
    assert (stage.status, stage.attempts) == (StageStatus.SUCCEEDED, 1)
    assert b"after the hub" in b"".join(hub.client().read_log(stage.run_id))


def test_a_hub_that_was_away_for_longer_than_a_lease_loses_nobody(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    with running_hub(tmp_path / "home", RELIVE_LEASE_S="3") as hub:
        repository = make_repository(hub, tmp_path / "away", waiting(gate))
        repository.push("-o", "nowait")
        command = gate.await_start()
        hub.kill()
        await_expired_leases(hub)
        hub.start()
        gate.open()
        await_rest(hub, "away", pipelines=1)
        assert_sound(hub)
        assert gate.starts() == [command]


def test_a_process_that_a_dying_hub_had_no_time_to_note_is_adopted_all_the_same(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    # Longer than the pause between two tries of a process whose hub is away: a lease holds for several.
    with running_hub(tmp_path / "home", RELIVE_LEASE_S="8") as hub:
        make_repository(hub, tmp_path / "warm", waiting(gate)).push("-o", "nowait")
        gate.await_start()
        gate.open()
        await_rest(hub, "warm", pipelines=1)  # from now on the environment is known, and no job of its own
        closed = Gate(tmp_path / "closed")
        repository = make_repository(hub, tmp_path / "unnoted", waiting(closed))
        hub.stop()
        hub.start(doomed.__file__, *POINTS["a-job-is-launched"])
        repository.push("-o", "nowait", check=False)
        await_death(hub)
        await_expired_leases(hub)  # the process waits for a hub that tells it what to do
        hub.start()
        closed.open()
        await_rest(hub, "unnoted", pipelines=1)
        assert_sound(hub)
        assert repository.pipeline(1).stages[-1].attempts == 1


def test_a_hub_that_was_asleep_for_longer_than_a_lease_loses_nobody(tmp_path: Path) -> None:
    """As a laptop that was closed: its clock went on, its processes did not, or not all at the same time."""
    gate = Gate(tmp_path / "gate")
    with running_hub(tmp_path / "home", RELIVE_LEASE_S="3") as hub:
        repository = make_repository(hub, tmp_path / "asleep", waiting(gate))
        repository.push("-o", "nowait")
        command = gate.await_start()
        assert hub.process is not None
        os.kill(hub.process.pid, signal.SIGSTOP)
        try:
            await_expired_leases(hub, by_s=8.0)
        finally:
            os.kill(hub.process.pid, signal.SIGCONT)
        await_heartbeat(hub)
        gate.open()
        await_rest(hub, "asleep", pipelines=1)
        assert_sound(hub)
        assert gate.starts() == [command]


def await_death(hub: RealHub) -> None:
    """Wait until a doomed hub has met its end."""
    assert hub.process is not None
    assert hub.process.wait(timeout=PATIENCE_S) == -signal.SIGKILL, hub.log()[-2000:]


def await_expired_leases(hub: RealHub, *, by_s: float = 1.0) -> None:
    """Wait until every lease of a running job has been over for so long."""
    with facts_of(hub) as facts:
        wait_for(lambda: all(it.lease_until + by_s < facts.store.now() for it in running(facts)))


def await_heartbeat(hub: RealHub) -> None:
    """Wait until every running job has a lease again, or there is none."""
    with facts_of(hub) as facts:
        wait_for(lambda: all(it.lease_until > facts.store.now() for it in running(facts)))


def running(facts: Facts) -> list[Job]:
    """Give the jobs that run."""
    return facts.store.list_jobs(states=(JobState.RUNNING,))


def pipelines(hub: RealHub, project: str) -> list[Pipeline]:
    """Give a project's pipelines."""
    with facts_of(hub) as facts:
        return facts.store.list_pipelines(project_id=facts.store.get_project(project).id, limit=MANY)


def is_planned(hub: RealHub, project: str, commit: str) -> bool:
    """Tell whether a commit has a pipeline."""
    return commit in [it.commit for it in pipelines(hub, project)]


def raise_if_alive(push: "subprocess.Popen[str]", delay_s: float) -> None:
    """Wait so long, unless the push ends before; always raises TimeoutExpired."""
    push.wait(delay_s)
    raise subprocess.TimeoutExpired(push.args, delay_s)
