"""Stages in a line of glyphs, for wherever a pipeline is named."""

from collections.abc import Sequence

import msgspec

from relive.core.pipeline import Pipeline, Stage, StageStatus
from relive.core.project import Project
from relive.hub.web.marks import PIPELINES, STAGES, Mark
from relive.hub.web.words import branch, short
from relive.services.context import Services


class PipelineLine(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline in one row.

    Attributes:
        strip: A mark and the stage's key, for each stage in the order of the graph.
        progress: "3 of 8 done, train running".
        problem: Why it failed or was stopped, else empty.
    """

    project: str
    number: int
    url: str
    mark: Mark
    title: str
    commit: str
    branch: str
    actor: str
    trigger: str
    strip: tuple[tuple[Mark, str], ...]
    progress: str
    problem: str
    at: float
    took_s: float | None


def pipeline_line(services: Services, pipeline: Pipeline, project: Project) -> PipelineLine:
    """Give a pipeline as a row, with its stages."""
    stages = services.store.list_stages(pipeline.id)
    started = pipeline.started_at or pipeline.created_at
    end = pipeline.ended_at or services.store.now()
    return PipelineLine(
        project=project.name,
        number=pipeline.number,
        url=f"/p/{project.name}/pipelines/{pipeline.number}",
        mark=PIPELINES[pipeline.status],
        title=pipeline.title or f"commit {short(pipeline.commit)}",
        commit=pipeline.commit,
        branch=branch(pipeline.ref),
        actor=pipeline.actor,
        trigger=pipeline.trigger,
        strip=tuple((STAGES[stage.status], stage.key) for stage in stages),
        progress=progress(stages),
        problem=problem(pipeline, stages),
        at=pipeline.created_at,
        took_s=max(0.0, end - started),
    )


def progress(stages: Sequence[Stage]) -> str:
    """Say how far stages are."""
    if not stages:
        return "no stages"
    done = sum(stage.status.is_final for stage in stages)
    running = [stage.key for stage in stages if stage.status is StageStatus.RUNNING]
    text = f"{done} of {len(stages)} done"
    return f"{text}, {', '.join(running[:3])} running" if running else text


def problem(pipeline: Pipeline, stages: Sequence[Stage]) -> str:
    """Say why a pipeline did not end well; empty if it did, or has not ended."""
    if pipeline.error:
        return " ".join(line.strip().removeprefix("- ") for line in pipeline.error.splitlines())
    failed = next((stage for stage in stages if stage.status is StageStatus.FAILED), None)
    return f"{failed.key}: {failed.reason.splitlines()[0] if failed.reason else 'failed'}" if failed else ""
