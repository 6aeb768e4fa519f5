"""What goes on in the hub: what runs, what is broken, what waits, and what happened."""

import msgspec

from relive.core.event import Event
from relive.core.job import Job, JobState
from relive.core.pipeline import Pipeline, PipelineStatus
from relive.core.run import Run, RunKind, RunStatus
from relive.services.context import Services

_LOOK_BACK = 100
_MOST_EVENTS = 400
_BROKEN = (PipelineStatus.FAILED, PipelineStatus.GATED)

# Steps inside a pipeline: its page tells them better than a list of everything.
_DETAIL = ("stage.", "run.", "gate.passed", "job.")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand now.

    Attributes:
        active: Pipelines that run or are queued, newest first.
        runs: Runs that go on outside pipelines.
        broken: The newest finished pipeline of each branch, where that one failed or was stopped by a gate.
        queued: Jobs that wait for a slot of their pool.
    """

    active: tuple[Pipeline, ...]
    runs: tuple[Run, ...]
    broken: tuple[Pipeline, ...]
    queued: tuple[Job, ...]


def standing(services: Services, *, project_id: str | None = None) -> Standing:
    """Tell how things stand, in one project or in all."""
    store = services.store
    recent = store.list_pipelines(project_id=project_id, active=False, limit=_LOOK_BACK)
    newest: dict[tuple[str, str], Pipeline] = {}
    for pipeline in recent:
        newest.setdefault((pipeline.project_id, pipeline.ref), pipeline)
    queued = store.list_jobs(states=(JobState.QUEUED,), limit=_LOOK_BACK)
    running = store.list_runs(project_id=project_id, status=RunStatus.RUNNING.value, limit=_LOOK_BACK)
    return Standing(
        active=tuple(store.list_pipelines(project_id=project_id, active=True, limit=_LOOK_BACK)),
        runs=tuple(run for run in running if run.kind is not RunKind.STAGE),
        broken=tuple(pipeline for pipeline in newest.values() if pipeline.status in _BROKEN),
        queued=tuple(
            job for job in queued if not job.kind.runs_in_hub and project_id in (None, job.project_id)
        ),
    )


def feed(services: Services, *, project: str = "", limit: int = 30) -> list[Event]:
    """Give what happened last, newest first, without the steps inside pipelines."""
    events = services.store.list_events(project=project or None, newest_first=True, limit=_MOST_EVENTS)
    return [event for event in events if not event.kind.startswith(_DETAIL)][:limit]
