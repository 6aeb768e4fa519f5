"""Reading, starting and explaining pipelines."""

import re

from relive.core.cachekey import explain
from relive.core.ids import is_id, short_id
from relive.core.pipeline import Pipeline, Stage, StageStatus
from relive.errors import InvalidInput, NotFound
from relive.services.context import Services
from relive.services.planning import PlanRequest
from relive.services.pushes import queue_plan
from relive.wire.hub import PipelineDetail, StartedPipeline, StartPipeline, WhyStage

_LOOK_BACK = 50
_NUMBER = re.compile("[0-9]{1,18}")


def find(services: Services, ref: str) -> Pipeline:
    """Find a pipeline by its id, or by PROJECT:NUMBER.

    Raises:
        InvalidInput: The reference has another form.
        NotFound: There is none.
    """
    if is_id(ref):
        return services.store.get_pipeline(ref)
    name, _, number = ref.rpartition(":")
    if not name or not _NUMBER.fullmatch(number):
        raise InvalidInput(field="pipeline", value=ref, wanted="an id, or PROJECT:NUMBER such as digits:3")
    project = services.store.get_project(name)
    found = services.store.find_pipeline(project.id, int(number))
    if found is None:
        raise NotFound(kind="pipeline", name=ref, hint=f"relive pipeline list --project {name}")
    return found


def get_detail(services: Services, ref: str) -> PipelineDetail:
    """Give a pipeline with its stages."""
    pipeline = find(services, ref)
    return _detail(services, pipeline, tuple(services.store.list_stages(pipeline.id)))


def list_details(
    services: Services, *, project: str = "", commit: str = "", limit: int = 50, offset: int = 0
) -> list[PipelineDetail]:
    """List pipelines, newest first, without their stages."""
    project_id = services.store.get_project(project).id if project else None
    found = services.store.list_pipelines(
        project_id=project_id, commit=commit or None, limit=limit, offset=offset
    )
    return [_detail(services, pipeline, ()) for pipeline in found]


def start(services: Services, request: StartPipeline, *, by: str) -> StartedPipeline:
    """Queue the planning of a commit; the pipeline's id is known at once."""
    project = services.store.get_project(request.project)
    if request.rerun_of:
        return _rerun(services, request, by=by)
    rev = request.rev or project.default_branch
    refs, ref = services.repositories.refs(project.name), f"refs/heads/{rev}"
    # To git a tag of the same name would come first, and would be trusted as the branch.
    commit = refs.get(ref) or services.repositories.resolve(project.name, rev)
    ref = ref if ref in refs else _branch_at(refs, commit)
    plan = PlanRequest(project_id=project.id, ref=ref, commit=commit, trigger="manual", actor=by)
    return StartedPipeline(id=queue_plan(services, plan).id)


def why(services: Services, ref: str, *, stage: str = "") -> list[WhyStage]:
    """Tell for each stage (or one) why it was or was not taken from the cache."""
    pipeline = find(services, ref)
    stages = services.store.list_stages(pipeline.id)
    chosen = [s for s in stages if not stage or stage in (s.key, s.name)]
    if stage and not chosen:
        raise NotFound(kind="stage", name=stage, hint=f"one of: {', '.join(s.key for s in stages)}")
    return [_why(services, pipeline, s) for s in chosen if s.cache_facts or stage]


def page_of(services: Services, pipeline: Pipeline, project: str) -> str:
    """Give the address of a pipeline's page."""
    return f"{services.place.public_url}/p/{project}/pipelines/{pipeline.number}"


def _rerun(services: Services, request: StartPipeline, *, by: str) -> StartedPipeline:
    earlier = find(services, request.rerun_of)
    stages = services.store.list_stages(earlier.id)
    if request.from_stage and all(request.from_stage not in (s.key, s.name) for s in stages):
        known = ", ".join(s.key for s in stages)
        raise NotFound(kind="stage", name=request.from_stage, hint=f"one of: {known}")
    plan = PlanRequest(
        project_id=earlier.project_id,
        ref=earlier.ref,
        commit=earlier.commit,
        trigger="rerun",
        actor=by,
        rerun_of=earlier.id,
        from_stage=request.from_stage,
    )
    return StartedPipeline(id=queue_plan(services, plan).id)


def _why(services: Services, pipeline: Pipeline, stage: Stage) -> WhyStage:
    earlier = _earlier(services, pipeline, stage)
    number, changes = 0, [] if stage.status is StageStatus.CACHED else ["it never ran before"]
    if earlier is not None:
        number, facts = earlier
        changes = explain(facts, stage.cache_facts)
    if not stage.planned.spec.cache:
        changes = ["`cache: false` in relive.yaml"]
    elif stage.result.get("fresh"):
        changes = ["the re-run asked for it"]
    return WhyStage(
        stage=stage.key,
        status=stage.status.value,
        reason=stage.reason,
        compared_with=number,
        changes=tuple(changes),
        facts=stage.cache_facts,
    )


def _earlier(services: Services, pipeline: Pipeline, stage: Stage) -> tuple[int, dict[str, str]] | None:
    for other in services.store.list_pipelines(project_id=pipeline.project_id, limit=_LOOK_BACK):
        if other.number >= pipeline.number:
            continue
        for candidate in services.store.list_stages(other.id):
            if candidate.key == stage.key and candidate.cache_facts and candidate.status.is_good:
                return other.number, candidate.cache_facts
    return None


def _branch_at(refs: dict[str, str], commit: str) -> str:
    """A bare commit belongs to the branch that points at it, else to none, and then it is not protected."""
    return next(
        (ref for ref, at in refs.items() if at == commit and ref.startswith("refs/heads/")), short_id(commit)
    )


def _detail(services: Services, pipeline: Pipeline, stages: tuple[Stage, ...]) -> PipelineDetail:
    project = services.store.get_project(pipeline.project_id)
    return PipelineDetail(
        pipeline=pipeline, project=project.name, url=page_of(services, pipeline, project.name), stages=stages
    )
