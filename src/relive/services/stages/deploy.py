"""The `deploy` action: the version this pipeline promoted gets an endpoint's traffic."""

from relive.core.endpoint import Endpoint, Revision, RevisionState
from relive.core.model import ModelVersion
from relive.core.pipeline import Pipeline, Stage, StageStatus
from relive.errors import Conflict, NotFound, ReliveError
from relive.services.context import Services
from relive.services.describing import check_deployable
from relive.services.endpoints import create_revision, find_running, is_routed, move_traffic, retire
from relive.services.stages.outcome import fail, refuse, skip, succeed
from relive.services.succession import find_later_deployment
from relive.services.view import PipelineView, registered_version

_ROUTER_S = 60.0
_LOG = "see serving/router.log in the hub's data folder"


def start(services: Services, view: PipelineView, stage: Stage) -> None:
    """Start a revision of the promoted version."""
    deploy = stage.planned.spec.deploy
    if deploy is None:
        fail(services, stage, "the stage names no endpoint")
        return
    if not view.is_protected:
        skip(services, stage, f"only pipelines of the default branch ({view.project.default_branch}) deploy")
        return
    version = registered_version(services, view, stage)
    if version is None:
        fail(services, stage, "no stage before this one registered a model version")
        return
    if version.status != "promoted":
        fail(
            services,
            stage,
            f"{version.model} v{version.version} is {version.status}: its gates have not all passed",
        )
        return
    later = find_later_deployment(services, view, deploy.endpoint)
    if later is not None:
        _yield_to(services, stage, *later, by_hand=f"{version.model}@{version.version} {deploy.endpoint}")
        return
    try:
        check_deployable(services, version)
        _begin(services, view, stage, deploy.endpoint, version)
    except ReliveError as error:
        refuse(services, stage, error)


def _begin(
    services: Services, view: PipelineView, stage: Stage, endpoint_name: str, version: ModelVersion
) -> None:
    with services.store.transaction():
        if find_later_deployment(services, view, endpoint_name) is not None:
            return  # of two hubs the other has just begun it: the next look yields to it
        endpoint = services.store.ensure_endpoint(view.project.id, endpoint_name, version.model)
        running = find_running(services, endpoint, version)
        revision = running or create_revision(services, endpoint, version, stage_id=stage.id)
        found = {"revision_id": revision.id, "endpoint": endpoint.name}
        if running is not None:
            found["running"] = "is live already" if running.id == endpoint.live else "was kept running"
        moved = services.store.set_stage(
            stage.id,
            expect=StageStatus.WAITING,
            status=StageStatus.RUNNING,
            started_at=services.store.now(),
            reason="",  # it may have waited for another
            result=stage.result | found,
        )
        if moved is not None and running is not None:
            move_traffic(services, endpoint, running, by=_by(view))
        elif moved is None and running is None:
            retire(services, revision)  # cancelled meanwhile: nobody would ask for it any more


def _yield_to(services: Services, stage: Stage, later: Pipeline, is_live: bool, *, by_hand: str) -> None:
    """Leave the endpoint to a later push; while that one may fail yet, wait for it."""
    if is_live:
        told = f"pipeline #{later.number} of a later push has deployed to it"
        skip(services, stage, f"{told}; to deploy this one all the same: relive deploy {by_hand}")
        return
    waits = f"waits for pipeline #{later.number} of a later push, which is being deployed"
    if stage.reason != waits:
        services.store.set_stage(stage.id, expect=StageStatus.WAITING, reason=waits)


def check(services: Services, view: PipelineView, stage: Stage) -> None:
    """Move the traffic once the revision has passed its contract test."""
    try:
        revision = services.store.get_revision(str(stage.result["revision_id"]))
        endpoint = services.store.get_endpoint(str(stage.result["endpoint"]))
    except NotFound as error:
        fail(services, stage, f"its endpoint was deleted meanwhile: {error.what()}")
        return
    if revision.state is RevisionState.STOPPED:
        skip(services, stage, f"revision {revision.number} was stopped: a newer one was ready before it")
    elif revision.state is RevisionState.FAILED:
        retire(services, revision)
        fail(
            services, stage, f"revision {revision.number} never became ready, traffic stays: {revision.error}"
        )
    elif revision.state is RevisionState.READY:
        _route(services, view, stage, endpoint, revision)


def _route(
    services: Services, view: PipelineView, stage: Stage, endpoint: Endpoint, revision: Revision
) -> None:
    if is_routed(revision):
        told = stage.result.get("running", "passed its contract test")
        serves = f"{revision.facts.get('model')} v{revision.facts.get('version')}"
        reason = f"revision {revision.number} ({serves}) {told} and has the traffic"
        succeed(services, stage, reason=reason)
    elif endpoint.live == revision.id:
        _await_router(services, stage)
    else:
        try:
            move_traffic(services, endpoint, revision, by=_by(view))
        except Conflict as error:
            retire(services, revision)
            skip(services, stage, error.what())


def _by(view: PipelineView) -> str:
    return f"pipeline {view.project.name} #{view.pipeline.number}"


def _await_router(services: Services, stage: Stage) -> None:
    """Leave it to the router to take the traffic over, but not for ever: one that cannot run never will."""
    now = services.store.now()
    since = stage.result.setdefault("moved_at", now)
    if now - since > _ROUTER_S:
        fail(services, stage, f"the router did not take the traffic over within {_ROUTER_S:g} s: {_LOG}")
    elif since == now:
        services.store.set_stage(stage.id, expect=stage.status, result=stage.result)
