"""What the store's contract suites are made of: a clock that stands still, and things to keep."""

import secrets
from typing import Any

from relive.core.endpoint import Endpoint, Revision, RevisionState
from relive.core.job import Job, JobKind, JobState
from relive.core.model import ModelVersion
from relive.core.pipeline import Action, Pipeline, PipelineStatus, PlannedStage, Stage, StageSpec, StageStatus
from relive.core.project import Project
from relive.core.run import Run, RunKind, RunStatus
from relive.ports.stores import Store

START = 1_800_000_000.0


class ManualClock:
    """A clock that moves only when it is told to; seconds since the epoch, UTC."""

    def __init__(self, now: float = START) -> None:
        """Stand at this time."""
        self.now = now

    def __call__(self) -> float:
        """Give the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on, or back."""
        self.now += seconds


def new_id() -> str:
    """Make an id that nothing has yet."""
    return secrets.token_hex(16)


def a_project(store: Store, name: str = "demo") -> Project:
    """Give the project of this name, new or not."""
    return store.find_project(name) or store.create_project(name)


def a_run(store: Store, **changes: Any) -> Run:
    """Create a run in the project `demo`, or another, with these attributes."""
    project_id = changes.pop("project_id", None) or a_project(store).id
    experiment_id = changes.pop("experiment_id", None) or store.ensure_experiment(project_id, "default").id
    attributes: dict[str, Any] = {
        "id": new_id(),
        "name": "a run",
        "kind": RunKind.MANUAL,
        "status": RunStatus.RUNNING,
    }
    return store.create_run(Run(project_id=project_id, experiment_id=experiment_id, **(attributes | changes)))


def a_pipeline(store: Store, **changes: Any) -> Pipeline:
    """Create a pipeline in the project `demo`, or another, with these attributes."""
    attributes: dict[str, Any] = {
        "id": new_id(),
        "project_id": changes.pop("project_id", None) or a_project(store).id,
        "number": 0,
        "commit": "c" * 40,
        "ref": "refs/heads/main",
        "trigger": "push",
        "actor": "ann",
        "status": PipelineStatus.RUNNING,
    }
    return store.create_pipeline(Pipeline(**(attributes | changes)))


def stage_of(pipeline: Pipeline, key: str = "train", **changes: Any) -> Stage:
    """Make a stage of a pipeline; it is not kept yet."""
    attributes: dict[str, Any] = {
        "id": new_id(),
        "name": key,
        "action": Action.RUN,
        "status": StageStatus.WAITING,
        "planned": PlannedStage(
            key=key, name=key, action=Action.RUN, spec=StageSpec(name=key, cmd=("true",))
        ),
    }
    return Stage(pipeline_id=pipeline.id, key=key, **(attributes | changes))


def a_job(**changes: Any) -> Job:
    """Make a job; it is not queued yet."""
    attributes: dict[str, Any] = {"id": new_id(), "kind": JobKind.STAGE, "state": JobState.QUEUED}
    return Job(**(attributes | changes))


def a_version(store: Store, model: str = "digits", **changes: Any) -> ModelVersion:
    """Create a version of a model of the project `demo`."""
    registered = store.ensure_model(a_project(store).id, model)
    attributes: dict[str, Any] = {
        "id": new_id(),
        "version": 0,
        "run_id": new_id(),
        "manifest": "m",
        "sha256": "s",
    }
    return store.create_version(
        ModelVersion(**(attributes | {"model_id": registered.id, "model": registered.name} | changes))
    )


def a_revision(store: Store, endpoint: Endpoint, **changes: Any) -> Revision:
    """Create a revision of an endpoint, with a new version of its model."""
    attributes: dict[str, Any] = {
        "id": new_id(),
        "number": 0,
        "version_id": changes.pop("version_id", None) or a_version(store, endpoint.model).id,
        "state": RevisionState.PENDING,
    }
    return store.create_revision(Revision(endpoint_id=endpoint.id, **(attributes | changes)))
