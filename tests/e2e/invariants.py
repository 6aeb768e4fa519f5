"""What must hold of a hub's rows and blobs whatever was killed: nothing lost, nothing taken twice."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from relive.core.artifact import Manifest
from relive.core.endpoint import RevisionState
from relive.core.event import Event
from relive.core.graph import outcome
from relive.core.job import JobKind, JobState
from relive.core.model import ModelVersion
from relive.core.pipeline import Action, Pipeline, Stage, StageStatus
from relive.core.run import Run, RunStatus
from relive.hub.keys import FileSigner
from relive.ports.blobs import BlobStore
from relive.stores.blobs.registry import open_store as open_blobs
from relive.stores.sql.store import SqlStore, open_store
from tests.e2e.hub import RealHub, wait_for

MANY = 1000


@dataclass(frozen=True)
class Facts:
    """A hub's stores, read beside it."""

    store: SqlStore
    blobs: BlobStore
    signer: FileSigner

    def events(self, kind: str) -> list[Event]:
        """Give all events of a kind, oldest first."""
        return self.store.list_events(kind=kind, limit=10 * MANY)

    def pipelines(self) -> list[Pipeline]:
        """Give all pipelines, oldest first."""
        return self.store.list_pipelines(limit=MANY)[::-1]


@contextmanager
def facts_of(hub: RealHub) -> Iterator[Facts]:
    """Open a hub's stores."""
    given = dict(zip(hub.options[::2], hub.options[1::2], strict=False))
    data = Path(given.get("--data", hub.home / "hub"))
    store = open_store(given.get("--db", f"sqlite:///{data / 'relive.db'}"))
    try:
        yield Facts(store, open_blobs(given.get("--store", str(data / "blobs"))), FileSigner(data / "keys"))
    finally:
        store.close()


def await_rest(hub: RealHub, project: str, *, pipelines: int) -> None:
    """Wait until so many pipelines of a project have ended and no job is at work but the serve jobs."""
    with facts_of(hub) as facts:
        project_id = facts.store.get_project(project).id

        def is_at_rest() -> bool:
            found = facts.store.list_pipelines(project_id=project_id, limit=MANY)
            is_over = all(it.status.is_final for it in found)
            return is_over and len(found) >= pipelines and not _unfinished(facts.store)

        wait_for(is_at_rest)


def assert_sound(hub: RealHub) -> None:
    """Check everything of a hub at rest; a defect that it survived would show in its log."""
    assert "Traceback" not in hub.log(), hub.log()
    with facts_of(hub) as facts:
        assert _unfinished(facts.store) == []
        stages = {it.id: facts.store.list_stages(it.id) for it in facts.pipelines()}
        _check_pipelines(facts, stages)
        runs = facts.store.list_runs(limit=MANY)
        _check_stages([stage for of_one in stages.values() for stage in of_one], runs)
        _check_runs(facts, runs)
        for model in facts.store.list_models():
            _check_versions(facts, facts.store.list_versions(model.name))
            _check_aliases(facts, model.name)
        _check_endpoints(facts)


def _unfinished(store: SqlStore) -> list[tuple[JobKind, JobState, str]]:
    jobs = store.list_jobs(states=(JobState.QUEUED, JobState.RUNNING), limit=MANY)
    return [(job.kind, job.state, job.subject) for job in jobs if job.kind is not JobKind.SERVE]


def _check_pipelines(facts: Facts, stages: dict[str, list[Stage]]) -> None:
    by_project: dict[str, list[Pipeline]] = defaultdict(list)
    for pipeline in facts.pipelines():
        by_project[pipeline.project_id].append(pipeline)
    for found in by_project.values():
        assert sorted(it.number for it in found) == list(range(1, len(found) + 1))
        pushed = Counter((it.ref, it.commit) for it in found if it.trigger == "push")
        assert max(pushed.values(), default=1) == 1, f"a push was planned twice: {pushed}"
    for pipeline in facts.pipelines():
        told = facts.store.list_events(subject=f"pipeline:{pipeline.id}", limit=MANY)
        kinds = Counter(event.kind for event in told)
        assert kinds[f"pipeline.{pipeline.status.value}"] == 1, kinds
        if not pipeline.error:
            assert kinds["pipeline.started"] == 1, kinds
            planned = tuple(stage.planned for stage in stages[pipeline.id])
            assert outcome(planned, {it.key: it.status for it in stages[pipeline.id]}) is pipeline.status


def _check_stages(stages: list[Stage], runs: list[Run]) -> None:
    by_stage: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda it: it.created_at):
        by_stage[run.stage_id].append(run)
    by_id = {run.id: run for run in runs}
    for stage in stages:
        assert stage.status.is_final, stage
        made = by_stage[stage.id]
        if stage.action is not Action.RUN:
            assert made == []
            continue
        assert len(made) == (0 if stage.status is StageStatus.CACHED else stage.attempts), stage
        if stage.status.is_good:
            assert by_id[stage.run_id].status is RunStatus.FINISHED
        # Each try but the last was lost, and says who took over.
        for earlier, later in pairwise(made):
            assert earlier.superseded_by == later.id
            assert earlier.status in (RunStatus.LOST, RunStatus.FAILED)


def _check_runs(facts: Facts, runs: list[Run]) -> None:
    for run in runs:
        assert run.status.is_final, run
        kinds = Counter(e.kind for e in facts.store.list_events(subject=f"run:{run.id}", limit=MANY))
        assert sum(kinds[f"run.{status.value}"] for status in RunStatus) <= 1, kinds
        if run.status is not RunStatus.FINISHED:
            continue
        assert kinds["run.finished"] == 1, kinds
        for digest in (run.log, run.recipe):
            facts.blobs.verify(digest)
        assert facts.blobs.get(run.log).size_bytes > 0
        for artifact in facts.store.list_artifacts(run.id):
            _check_tree(facts, artifact.manifest)


def _check_tree(facts: Facts, manifest: str) -> None:
    for entry in Manifest.from_bytes(facts.blobs.read(manifest)).entries:
        if entry.link is None:
            facts.blobs.verify(entry.digest)


def _check_versions(facts: Facts, versions: list[ModelVersion]) -> None:
    assert sorted(it.version for it in versions) == list(range(1, len(versions) + 1))
    stages = [it.stage_id for it in versions if it.stage_id]
    assert len(stages) == len(set(stages))
    for version in versions:
        facts.signer.verify(facts.blobs.read(version.provenance))
        _check_tree(facts, version.manifest)
        told = facts.store.list_events(subject=f"version:{version.id}", kind="model.registered")
        assert len(told) == 1, told


def _check_aliases(facts: Facts, model: str) -> None:
    moves = [e for e in facts.events("alias.moved") if e.facts["model"] == model]
    for alias in facts.store.list_aliases(model):
        history = [e.facts for e in moves if e.facts["alias"] == alias.alias]
        assert history[-1]["version"] == alias.version
        before = [None, *(fact["version"] for fact in history)]
        assert [fact["previous"] for fact in history] == before[:-1], history
        by_pipeline = Counter(e.actor for e in moves if e.actor.startswith("pipeline "))
        assert max(by_pipeline.values(), default=1) == 1, by_pipeline


def _check_endpoints(facts: Facts) -> None:
    deployed = Counter((e.facts["endpoint"], e.facts["revision"]) for e in facts.events("endpoint.deployed"))
    # After each rollback the same revision may get the traffic once more.
    rolled = Counter(e.facts["endpoint"] for e in facts.events("endpoint.rolled_back"))
    assert all(times <= 1 + rolled[name] for (name, _), times in deployed.items()), deployed
    for endpoint in facts.store.list_endpoints():
        revisions = facts.store.list_revisions(endpoint.id)
        assert sorted(it.number for it in revisions) == list(range(1, len(revisions) + 1))
        wanted = {it.id for it in revisions if it.state.is_wanted}
        assert wanted <= {endpoint.live, endpoint.previous}, "a process serves nobody"
        if endpoint.live:
            live = facts.store.get_revision(endpoint.live)
            assert live.state in (RevisionState.READY, RevisionState.STARTING)
        jobs = facts.store.list_jobs(states=(JobState.RUNNING,), kinds=(JobKind.SERVE,), limit=MANY)
        assert len({job.subject for job in jobs}) == len(jobs), "two processes for one revision"
