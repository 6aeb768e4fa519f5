"""Of two pipelines of one branch the later push has the say, in whichever order they end.

A pipeline's number is taken at its push, so it tells the order of the pushes. A pipeline that was cut off, or
that trains for longer, may end after one of a later push: then it moves neither alias nor traffic any more. A
re-run has a number of its own; who repeats an older commit by hand means to have it.
"""

from collections.abc import Iterator

import msgspec

from relive.core.model import ModelVersion
from relive.core.pipeline import Action, Pipeline, Stage, StageStatus
from relive.errors import NotFound
from relive.services.context import Services
from relive.services.planning import PlanRequest
from relive.services.view import PipelineView, version_of

SETTLED = "settled"


def is_settled(stage: Stage, version: ModelVersion) -> bool:
    """Tell whether it was decided, by this register stage's gates, what its version is good for."""
    if version.stage_id == stage.id:
        return version.status != "candidate"
    return bool(stage.result.get(SETTLED))


def find_later_promotion(services: Services, view: PipelineView, model: str, alias: str) -> Pipeline | None:
    """Find a pipeline of a later push that has moved a model's alias."""
    for later, stage in _later_stages(services, view, Action.REGISTER):
        register = stage.planned.spec.register
        if register is None or (register.model, register.alias) != (model, alias):
            continue
        version = version_of(services, stage)
        if version is not None and version.status == "promoted" and is_settled(stage, version):
            return later
    return None


def find_later_deployment(
    services: Services, view: PipelineView, endpoint: str
) -> tuple[Pipeline, bool] | None:
    """Find a pipeline of a later push that has the endpoint's traffic, or is about to.

    Returns:
        The pipeline, and whether it has the traffic already; one that has before one that may fail yet.
    """
    coming: Pipeline | None = None
    for later, stage in _later_stages(services, view, Action.DEPLOY):
        deploy = stage.planned.spec.deploy
        if deploy is None or deploy.endpoint != endpoint:
            continue
        if stage.status is StageStatus.SUCCEEDED:
            return later, True
        if stage.status is StageStatus.RUNNING:
            coming = later
    return None if coming is None else (coming, False)


def _later_stages(services: Services, view: PipelineView, action: Action) -> Iterator[tuple[Pipeline, Stage]]:
    """Give the stages of later pushes, the latest first; one that was found ends the search."""
    mine = _order(services, view.pipeline)
    for later in _later_numbers(services, view.pipeline, above=int(mine)):
        stages = [stage for stage in services.store.list_stages(later.id) if stage.action is action]
        if stages and _order(services, later) > mine:
            yield from ((later, stage) for stage in stages)


def _later_numbers(services: Services, pipeline: Pipeline, *, above: int) -> Iterator[Pipeline]:
    below: int | None = None
    while page := services.store.list_later_pipelines(
        pipeline.project_id, pipeline.ref, number=above, below=below
    ):
        yield from page
        below = page[-1].number


def _order(services: Services, pipeline: Pipeline) -> float:
    """Give a number that grows with the pushes: the pipeline's, but for one whose hook came late."""
    try:
        request = msgspec.convert(services.store.get_job(pipeline.id).payload, PlanRequest)
    except NotFound:  # retention has deleted the job of an old pipeline
        return pipeline.number
    return request.behind - 0.5 if request.behind else pipeline.number
