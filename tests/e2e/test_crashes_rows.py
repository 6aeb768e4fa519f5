"""Exact moments that no kill hits: services on real stores, another's step between two of one's own."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest

from relive.core.digest import canonical_json
from relive.core.job import Job, JobKind, JobState
from relive.core.pipeline import PipelineStatus, Stage, StageStatus
from relive.core.project import Project
from relive.core.recipe import EnvironmentLock
from relive.core.run import RunStatus
from relive.errors import StoreFull, Superseded
from relive.hub.build import build_services
from relive.hub.config import HubConfig
from relive.services import jobs, pushes
from relive.services.context import Services
from relive.services.planning import plan_commit
from relive.services.pushes import Push
from relive.services.scheduling import advance, cancel_pipeline
from relive.services.stages import environment, run
from relive.services.view import PipelineView, load_view
from relive.wire.jobs import EnvironmentReport, Progress, StageReport

BRANCH = "refs/heads/main"
FILE = "version: 1\nstages:\n  train: {cmd: 'true'}\n"
LOOK = """
import sys
from relive.stores.sql.store import open_store
store = open_store(sys.argv[1])
print([project.name for project in store.list_projects()])
store.close()
"""


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """What a hub works with; no hub runs."""
    built = build_services(HubConfig(data_dir=tmp_path / "hub"))
    yield built
    built.store.close()


class Remote:
    """A project's bare repository that moves without a hook being heard."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.services, self.folder = services, folder
        self.project: Project = services.store.create_project("remote")
        services.repositories.ensure("remote", default_branch="main")
        folder.mkdir()
        self._git("init", "--quiet", "--initial-branch=main")

    def move(self) -> str:
        """Make a commit and move the branch to it."""
        (self.folder / "relive.yaml").write_text(FILE)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", "change")
        self._git("push", "--quiet", str(self.services.place.data_dir / "git/remote.git"), "main")
        return self._git("rev-parse", "HEAD")

    def tell(self, old: str, new: str) -> list[Job]:
        """Say what a hook says."""
        push = Push(ref=BRANCH, old=old, new=new)
        return pushes.record_push(self.services, self.project, [push], actor="ada")

    def planned(self) -> list[str]:
        """Give the commits that were queued to be planned, oldest first."""
        found = self.services.store.list_jobs(kinds=(JobKind.PLAN,))
        return [job.payload["commit"] for job in reversed(found)]

    def _git(self, *args: str) -> str:
        names = [f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
        env = {**os.environ, **dict.fromkeys(names, "ada"), "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(
            ["git", *args], cwd=self.folder, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()


@pytest.fixture
def remote(services: Services, tmp_path: Path) -> Remote:
    """An empty project."""
    return Remote(services, tmp_path / "work")


def test_another_process_that_looks_at_the_database_takes_no_acknowledged_write_with_it(
    services: Services,
) -> None:
    """SQLite deletes the log if nobody locks the file; closing it once frees all locks of a process."""
    store, url = services.store, f"sqlite:///{services.place.data_dir / 'relive.db'}"

    def look() -> str:
        command = [sys.executable, "-c", LOOK, url]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    store.create_project("before")
    with store.transaction():
        other = threading.Thread(target=store.list_projects)  # on a connection of its own
        other.start()
        other.join()
        store.create_project("during")
    assert look() == "['before', 'during']\n"
    store.create_project("after")
    assert look() == "['after', 'before', 'during']\n"


class TestPushes:
    def test_hooks_that_report_in_the_wrong_order_are_each_planned_once(self, remote: Remote) -> None:
        a, b, c = remote.move(), remote.move(), remote.move()
        remote.tell("", a)
        remote.tell(b, c)
        remote.tell(a, b)
        assert remote.planned() == [a, c, b]
        assert remote.services.store.list_refs(remote.project.id) == {BRANCH: c}
        assert pushes.reconcile(remote.services) == 0

    def test_a_lost_hook_is_found_once_whoever_looks_how_often(self, remote: Remote) -> None:
        a = remote.move()
        assert [pushes.reconcile(remote.services) for _ in range(3)] == [1, 0, 0]
        assert remote.planned() == [a]

    def test_a_hook_that_comes_after_the_reconciler_follows_its_pipeline(self, remote: Remote) -> None:
        a = remote.move()
        pushes.reconcile(remote.services)
        (job,) = remote.tell("", a)
        assert job.payload["commit"] == a
        assert remote.planned() == [a]

    def test_the_reconciler_does_not_move_back_what_a_hook_told_meanwhile(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a = remote.move()
        remote.tell("", a)
        b = remote.move()
        look = remote.services.repositories.refs
        moved: list[str] = []

        def look_late(project: str) -> dict[str, str]:
            found = look(project)
            if not moved:  # right after the look the hook is heard, and a second push
                moved.append(remote.move())
                remote.tell(a, b)
                remote.tell(b, moved[0])
            return found

        monkeypatch.setattr(remote.services.repositories, "refs", look_late)
        pushes.reconcile(remote.services)
        assert remote.planned() == [a, b, *moved]
        assert remote.services.store.list_refs(remote.project.id) == {BRANCH: moved[0]}
        assert pushes.reconcile(remote.services) == 0


class TestStages:
    @pytest.fixture
    def view(self, remote: Remote) -> PipelineView:
        """A pipeline whose stage waits for its environment."""
        (job,) = remote.tell("", remote.move())
        planned = plan_commit(remote.services, job)
        assert planned is not None
        advance(remote.services, planned.id)
        return load_view(remote.services, planned.id)

    def test_a_tick_that_looked_before_the_report_came_does_not_run_the_stage_again(
        self, services: Services, view: PipelineView
    ) -> None:
        stale = settle_environment(services, view)
        job = claim(services, JobKind.STAGE)
        jobs.finish(services, job.id, StageReport(fence=job.fence, status=RunStatus.FINISHED))
        run.check(services, stale, stale.stages["train"])
        stage = services.store.get_stage(stale.stages["train"].id)
        assert (stage.status, stage.attempts) == (StageStatus.SUCCEEDED, 1)
        advance(services, view.pipeline.id)
        assert services.store.get_pipeline(view.pipeline.id).status is PipelineStatus.SUCCEEDED
        assert services.store.list_jobs(states=(JobState.QUEUED,), kinds=(JobKind.STAGE,)) == []

    def test_of_two_hubs_that_see_a_worker_lost_one_tries_again(
        self, services: Services, view: PipelineView
    ) -> None:
        stale = settle_environment(services, view)
        job = claim(services, JobKind.STAGE)
        services.store.finish(job.id, job.fence, JobState.LOST, result={}, error="gone")
        advance(services, view.pipeline.id)
        run.check(services, stale, stale.stages["train"])
        advance(services, view.pipeline.id)
        stage = services.store.get_stage(stale.stages["train"].id)
        assert (stage.status, stage.attempts) == (StageStatus.QUEUED, 2)
        queued = services.store.list_jobs(states=(JobState.QUEUED,), kinds=(JobKind.STAGE,))
        assert [it.id for it in queued] == [stage.job_id]

    def test_a_stage_that_two_hubs_find_ready_is_queued_once(
        self, services: Services, view: PipelineView
    ) -> None:
        waiting = msgspec.structs.replace(view.stages["environment"], status=StageStatus.WAITING, job_id="")
        environment.start(services, view, waiting)
        assert len(services.store.list_jobs(kinds=(JobKind.ENVIRONMENT,))) == 1

    def test_what_runs_when_a_pipeline_is_cancelled_starts_nothing_more(
        self, services: Services, view: PipelineView
    ) -> None:
        job = claim(services, JobKind.ENVIRONMENT)
        cancel_pipeline(services, view.pipeline.id, by="ada")
        assert services.store.get_job(job.id).cancel_requested
        jobs.finish(services, job.id, EnvironmentReport(fence=job.fence, lock=a_lock(services)))
        advance(services, view.pipeline.id)
        assert services.store.get_pipeline(view.pipeline.id).status is PipelineStatus.CANCELLED
        assert services.store.list_jobs(kinds=(JobKind.STAGE,)) == []

    def test_a_full_disk_fails_no_stage_and_no_plan(
        self, services: Services, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (job,) = remote.tell("", remote.move())
        with monkeypatch.context() as patch:
            patch.setattr("relive.services.planning.read_spec", full)
            with pytest.raises(StoreFull):
                plan_commit(services, job)
        planned = plan_commit(services, job)
        assert planned is not None
        advance(services, planned.id)
        finish_environment(services)
        with monkeypatch.context() as patch:
            patch.setattr("relive.services.inputs.keep_manifest", full)
            with pytest.raises(StoreFull):
                advance(services, planned.id)
        assert stage_of(services, planned.id).status is StageStatus.WAITING
        advance(services, planned.id)
        assert stage_of(services, planned.id).status is StageStatus.QUEUED

    def test_the_first_word_of_a_job_that_was_tried_again_meanwhile_changes_nothing(
        self, services: Services, view: PipelineView
    ) -> None:
        settle_environment(services, view)
        job = claim(services, JobKind.STAGE)
        services.store.finish(job.id, job.fence, JobState.LOST, result={}, error="gone")
        advance(services, view.pipeline.id)
        for _ in range(2):
            with pytest.raises(Superseded):
                jobs.progress(services, job.id, Progress(fence=job.fence, phase="checkout"))
        assert stage_of(services, view.pipeline.id).status is StageStatus.QUEUED
        assert len(services.store.list_events(kind="job.superseded")) == 1


def settle_environment(services: Services, view: PipelineView) -> PipelineView:
    """Bring a pipeline to where its stage is queued, and give it as it is then."""
    finish_environment(services)
    advance(services, view.pipeline.id)
    return load_view(services, view.pipeline.id)


def finish_environment(services: Services) -> None:
    """Do the environment's job."""
    job = claim(services, JobKind.ENVIRONMENT)
    jobs.finish(services, job.id, EnvironmentReport(fence=job.fence, lock=a_lock(services)))


def claim(services: Services, kind: JobKind) -> Job:
    """Claim the one job of a kind."""
    job = services.store.claim("another", pools=("local",), kinds=(kind,), lease_s=60.0)
    assert job is not None
    return job


def a_lock(services: Services) -> str:
    """Keep an environment without packages."""
    lock = EnvironmentLock(python="3.11", implementation="cpython", platform="linux", source="", packages=())
    return services.blobs.put(canonical_json(lock)).digest


def stage_of(services: Services, pipeline_id: str) -> Stage:
    """Give the stage that runs the command."""
    return load_view(services, pipeline_id).stages["train"]


def full(*_: object) -> NoReturn:
    """Say that the disk is full."""
    raise StoreFull(where="the disk")
