"""A pipeline with all its stages, as the scheduler looks at it."""

from collections.abc import Iterator
from dataclasses import dataclass

from relive.core.model import ModelVersion
from relive.core.pipeline import Action, Pipeline, PlannedStage, Stage, StageStatus
from relive.core.project import Project
from relive.errors import NotFound
from relive.services.context import Services

ENVIRONMENT_KEY = "environment"
PROTECTED = "protected"


@dataclass(frozen=True)
class PipelineView:
    """One moment of a pipeline; read again after anything changed.

    Attributes:
        stages: By key, in the order of the graph.
    """

    project: Project
    pipeline: Pipeline
    stages: dict[str, Stage]

    @property
    def is_protected(self) -> bool:
        """Tell whether it runs on the default branch: only then do aliases and traffic move."""
        return self.pipeline.ref == f"refs/heads/{self.project.default_branch}"

    @property
    def scopes(self) -> tuple[str, ...]:
        """Give the scopes of trust whose caches it reads; it writes to the last.

        What an unprotected ref made is read by that ref alone, what the protected one made by all.
        """
        return (PROTECTED,) if self.is_protected else (PROTECTED, self.pipeline.ref)

    @property
    def branch(self) -> str:
        """Give the branch's name without `refs/heads/`."""
        return self.pipeline.ref.removeprefix("refs/heads/")

    @property
    def planned(self) -> tuple[PlannedStage, ...]:
        """Give the nodes of the graph."""
        return tuple(stage.planned for stage in self.stages.values())

    @property
    def statuses(self) -> dict[str, StageStatus]:
        """Give each node's status."""
        return {key: stage.status for key, stage in self.stages.items()}

    def upstream(self, stage: Stage) -> Iterator[Stage]:
        """Give every stage this one waits for, nearest first."""
        seen: set[str] = set()
        level = list(stage.planned.needs)
        while level:
            following: list[str] = []
            for key in level:
                if key in seen:
                    continue
                seen.add(key)
                need = self.stages[key]
                yield need
                following += need.planned.needs
            level = following

    def upstream_runs(self, stage: Stage) -> Iterator[Stage]:
        """Give the stages with a run that this one builds on, nearest first; a select narrows a matrix."""
        for need in self.upstream(stage):
            if need.action is Action.SELECT and "key" in need.result:
                chosen = self.stages[str(need.result["key"])]
                yield chosen
                yield from (s for s in self.upstream(chosen) if s.action is Action.RUN)
                return
            if need.action is Action.RUN and need.run_id:
                yield need


def load_view(services: Services, pipeline_id: str) -> PipelineView:
    """Read a pipeline and its stages."""
    store = services.store
    pipeline = store.get_pipeline(pipeline_id)
    stages = store.list_stages(pipeline.id)
    return PipelineView(
        project=store.get_project(pipeline.project_id),
        pipeline=pipeline,
        stages={stage.key: stage for stage in stages},
    )


def merged_metrics(services: Services, view: PipelineView, stage: Stage) -> dict[str, float]:
    """Give the last value of each metric of the runs upstream; the nearest run wins."""
    runs = [need.run_id for need in view.upstream_runs(stage)]
    by_run: dict[str, dict[str, float]] = {}
    for summary in services.store.list_metrics(runs):
        by_run.setdefault(summary.run_id, {})[summary.key] = summary.last
    merged: dict[str, float] = {}
    for run_id in runs:
        for key, value in by_run.get(run_id, {}).items():
            merged.setdefault(key, value)
    return merged


def registered_version(services: Services, view: PipelineView, stage: Stage) -> ModelVersion | None:
    """Give the version that a register stage before this one made, if there is one."""
    for need in view.upstream(stage):
        if need.action is Action.REGISTER and need.status.is_good:
            return version_of(services, need)
    return None


def version_of(services: Services, stage: Stage) -> ModelVersion | None:
    """Give the version a register stage made, or the earlier one it gave back instead."""
    version_id = stage.result.get("version_id")
    if not version_id:
        return services.store.find_version_of_stage(stage.id)
    try:
        return services.store.get_version_by_id(str(version_id))
    except NotFound:  # a person deleted it meanwhile
        return None
