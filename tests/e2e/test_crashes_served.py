"""Exact moments of what is registered and served, and of what a dead hub still holds."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relive.core.artifact import Manifest
from relive.core.digest import canonical_json
from relive.core.endpoint import Endpoint, Revision, RevisionState
from relive.core.job import Job, JobKind, JobState
from relive.core.pipeline import Action, PlannedStage, Register, StageSpec, StageStatus
from relive.core.recipe import Code, Declared, Recipe
from relive.errors import Conflict
from relive.executors.processes import identify
from relive.hub.build import build_services
from relive.hub.config import HubConfig
from relive.hub.peers import Peers
from relive.services import endpoints, jobs
from relive.services.context import Services
from relive.services.registry import settle_promotions
from relive.services.scheduling import LOCK
from relive.services.view import load_view
from relive.testing.stores_samples import a_job, a_pipeline, a_project, a_revision, a_run, a_version, stage_of
from relive.wire.jobs import Progress, ServeReport


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """What a hub works with; no hub runs."""
    built = build_services(HubConfig(data_dir=tmp_path / "hub"))
    yield built
    built.store.close()


@pytest.fixture
def endpoint(services: Services) -> Endpoint:
    """An endpoint without revisions."""
    return services.store.ensure_endpoint(a_project(services.store).id, "digits", "digits")


def want(services: Services, endpoint: Endpoint, **changes: Any) -> Revision:
    """Make a revision that can be served."""
    recipe = Recipe(declared=Declared(command="true", code=Code(manifest="")))
    run = a_run(services.store, recipe=services.blobs.put(canonical_json(recipe)).digest)
    folder = services.blobs.put(Manifest(()).to_bytes()).digest
    version = a_version(services.store, run_id=run.id, manifest=folder, contract=folder)
    return a_revision(services.store, endpoint, version_id=version.id, **changes)


def begin(services: Services) -> Job:
    """Give every revision a job, and begin the next of them."""
    endpoints.keep_served(services)
    job = services.store.claim("another", pools=("local",), kinds=(JobKind.SERVE,), lease_s=60.0)
    assert job is not None
    return job


def ready(services: Services, job: Job) -> None:
    """Say what a serve job says when its model answers."""
    facts = {"address": f"unix:/{job.id}", "pid": 1}
    jobs.progress(services, job.id, Progress(fence=job.fence, phase="ready", facts=facts))


def current(services: Services, revision: Revision) -> Revision:
    """Read a revision again."""
    return services.store.get_revision(revision.id)


class TestRevisions:
    def test_one_that_was_stopped_is_not_brought_back_by_a_late_word(
        self, services: Services, endpoint: Endpoint
    ) -> None:
        revision = want(services, endpoint)
        job = begin(services)
        endpoints.retire(services, current(services, revision))
        ready(services, job)
        assert current(services, revision).state is RevisionState.STOPPED

    def test_the_word_of_a_job_that_was_replaced_is_not_taken_for_the_new_ones(
        self, services: Services, endpoint: Endpoint
    ) -> None:
        revision = want(services, endpoint)
        job = begin(services)
        services.store.set_revision(revision.id, job_id="another")
        ready(services, job)
        assert current(services, revision).state is RevisionState.STARTING

    def test_an_older_one_that_is_ready_later_gets_no_traffic(
        self, services: Services, endpoint: Endpoint
    ) -> None:
        older, newer = want(services, endpoint), want(services, endpoint)
        for _ in range(2):
            ready(services, begin(services))
        endpoints.move_traffic(services, endpoint, newer, by="ada")
        assert current(services, older).state is RevisionState.STOPPED
        services.store.set_revision(older.id, state=RevisionState.READY)
        with pytest.raises(Conflict, match="newer"):
            endpoints.move_traffic(services, endpoint, older, by="ada")

    def test_traffic_moves_by_the_rows_and_not_by_what_was_read_before(
        self, services: Services, endpoint: Endpoint
    ) -> None:
        first, second, third = (want(services, endpoint) for _ in range(3))
        for revision in (first, second, third):
            services.store.set_revision(revision.id, state=RevisionState.READY)
        stale = services.store.get_endpoint("digits")
        endpoints.move_traffic(services, stale, first, by="ada")
        endpoints.move_traffic(services, stale, second, by="ada")
        routed = endpoints.move_traffic(services, stale, third, by="ada")
        assert (routed.live, routed.previous) == (third.id, second.id)

    def test_what_had_the_traffic_is_tried_again_what_never_was_ready_is_given_up(
        self, services: Services, endpoint: Endpoint
    ) -> None:
        served = want(services, endpoint)
        job = begin(services)
        ready(services, job)
        jobs.finish(services, job.id, ServeReport(fence=job.fence, error="No room for the environment."))
        fresh = want(services, endpoint)
        job = begin(services)  # of the fresh one: the other waits a while
        jobs.finish(services, job.id, ServeReport(fence=job.fence, error="no such module"))
        endpoints.keep_served(services)
        assert current(services, fresh).state is RevisionState.FAILED
        again = current(services, served)
        assert (again.state, again.error) == (RevisionState.STARTING, "No room for the environment.")
        waiting = services.store.get_job(again.job_id)
        assert waiting.state is JobState.QUEUED
        assert waiting.run_after > services.store.now()

    def test_two_hubs_that_miss_a_process_start_one(self, services: Services, endpoint: Endpoint) -> None:
        revision = want(services, endpoint)
        job = begin(services)
        services.store.finish(job.id, job.fence, JobState.LOST, result={}, error="gone")
        stale = current(services, revision)
        endpoints.keep_served(services)
        endpoints._serve_again(services, stale, services.store.get_job(job.id))
        queued = services.store.list_jobs(states=(JobState.QUEUED,), kinds=(JobKind.SERVE,))
        assert [it.id for it in queued] == [current(services, revision).job_id]


def test_a_version_is_promoted_once_though_two_hubs_see_its_gates_pass(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = services.store
    pipeline = a_pipeline(store)
    spec = StageSpec(name="register", register=Register(model="digits", artifact="model/"))
    node = PlannedStage(key="register", name="register", action=Action.REGISTER, spec=spec)
    stage = stage_of(pipeline, "register", planned=node, action=Action.REGISTER, status=StageStatus.SUCCEEDED)
    store.create_stages([stage])
    version = a_version(store, stage_id=stage.id, pipeline_id=pipeline.id)
    view = load_view(services, pipeline.id)
    assert settle_promotions(services, view)
    monkeypatch.setattr(store, "find_version_of_stage", lambda _: version)  # as it was a moment ago
    assert not settle_promotions(services, view)
    assert store.get_version("digits", "champion").id == version.id
    assert len(store.list_events(kind="alias.moved")) == 1


class TestPeers:
    """A hub that died still holds a lock and jobs; who finds its mark gives them back."""

    @pytest.fixture
    def dead(self, services: Services) -> Services:
        """A hub that has died."""
        return replace(services, place=replace(services.place, owner="machine:1:dead"))

    @pytest.fixture
    def peers(self, services: Services) -> Peers:
        """The living hub's."""
        mine = Peers(services, kinds=(JobKind.PLAN,))
        mine.enter()
        return mine

    def test_the_lock_and_the_jobs_of_a_dead_hub_are_free_at_once(
        self, services: Services, dead: Services, peers: Peers
    ) -> None:
        job = hold_everything(dead)
        leave_mark(dead, alive=False)
        assert not services.store.hold_lock(LOCK, services.place.owner, lease_s=15.0)
        peers.free_what_the_dead_hold()
        assert services.store.hold_lock(LOCK, services.place.owner, lease_s=15.0)
        again = services.store.claim("us", pools=("hub",), kinds=(JobKind.PLAN,), lease_s=60.0)
        assert again is not None
        assert (again.id, again.attempt, again.fence) == (job.id, 2, 2)

    def test_what_a_living_hub_holds_is_left_alone(
        self, services: Services, dead: Services, peers: Peers
    ) -> None:
        hold_everything(dead)
        leave_mark(dead, alive=True)
        peers.free_what_the_dead_hold()
        assert not services.store.hold_lock(LOCK, services.place.owner, lease_s=15.0)
        assert services.store.claim("us", pools=("hub",), kinds=(JobKind.PLAN,), lease_s=60.0) is None

    def test_a_job_on_which_one_hub_after_the_other_died_is_not_tried_for_ever(
        self, services: Services, dead: Services, peers: Peers
    ) -> None:
        job = hold_everything(dead)
        for _ in range(5):
            leave_mark(dead, alive=False)
            peers.free_what_the_dead_hold()
            dead.store.claim(dead.place.owner, pools=("hub",), kinds=(JobKind.PLAN,), lease_s=60.0)
        found = services.store.get_job(job.id)
        assert (found.state, found.error) == (JobState.LOST, "5 hubs died while they worked on it")

    def test_a_damaged_mark_stops_nobody(self, services: Services, peers: Peers) -> None:
        (services.place.data_dir / "run/hubs/torn.json").write_bytes(b'{"owner":')
        peers.free_what_the_dead_hold()
        peers.leave()
        assert [it.name for it in (services.place.data_dir / "run/hubs").iterdir()] == ["torn.json"]


def hold_everything(hub: Services) -> Job:
    """Take the lock and a job as a hub does."""
    hub.store.hold_lock(LOCK, hub.place.owner, lease_s=15.0)
    job = hub.store.put(a_job(kind=JobKind.PLAN, pool="hub", max_attempts=5))
    assert job is not None
    hub.store.claim(hub.place.owner, pools=("hub",), kinds=(JobKind.PLAN,), lease_s=60.0)
    return job


def leave_mark(hub: Services, *, alive: bool) -> None:
    """Write what a hub writes about itself."""
    process = identify(os.getpid())
    if not alive:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        process = identify(child.pid)
        child.send_signal(signal.SIGKILL)
        child.wait()
    mark = msgspec.json.encode({"owner": hub.place.owner, "process": process})
    (hub.place.data_dir / "run/hubs/other.json").write_bytes(mark)
