"""Endpoints: revisions, the traffic, rollback, and the table the router reads."""

import logging
from collections.abc import Iterable
from typing import Any

import msgspec

from relive.core.endpoint import Endpoint, Revision, RevisionState, roles
from relive.core.event import Event
from relive.core.ids import check_name
from relive.core.job import Job, JobKind, JobState
from relive.core.model import ModelVersion
from relive.errors import Conflict, NotFound, ReliveError
from relive.services.context import Services
from relive.services.describing import DOING, WAITS, check_deployable, next_job, take_result, world_of
from relive.services.faults import is_passing
from relive.services.ids import new_id
from relive.services.registry import move_alias
from relive.wire.jobs import ServeWork

_log = logging.getLogger(__name__)

_WANTED = tuple(state for state in RevisionState if state.is_wanted)
_RESTARTS_BEFORE_GIVING_UP = 5
# What had the traffic once kept its contract then: it is tried again until what stops it has passed.
_RETRY_SERVED_S = 30.0
_ROUTED = "routed"


def create_revision(
    services: Services, endpoint: Endpoint, version: ModelVersion, *, stage_id: str = ""
) -> Revision:
    """Write a revision of a version that `check_deployable` lets pass; the scheduler starts its process."""
    return services.store.create_revision(
        Revision(
            id=new_id(),
            endpoint_id=endpoint.id,
            number=0,
            version_id=version.id,
            state=RevisionState.PENDING,
            stage_id=stage_id,
            facts={"model": version.model, "version": version.version},
            created_at=services.store.now(),
        )
    )


def deploy_version(services: Services, endpoint_name: str, version: ModelVersion, *, by: str) -> Revision:
    """Deploy a version by hand; the traffic moves by itself when the revision is ready.

    A revision that serves the version already is given back, with the traffic; see `find_running`.

    Raises:
        InvalidName: This cannot be an endpoint's name.
        Conflict: The endpoint serves another model, or the version has no example to be tested with.
        EnvironmentFailed: A client registered it, and its folder does not say which packages it needs.
    """
    check_name("endpoint", endpoint_name)
    check_deployable(services, version)
    model = services.store.get_model(version.model)
    with services.store.transaction():
        endpoint = services.store.ensure_endpoint(model.project_id, endpoint_name, version.model)
        running = find_running(services, endpoint, version)
        if running is not None:
            move_traffic(services, endpoint, running, by=by)
            return running
        revision = create_revision(services, endpoint, version)
        revision = _changed(services, revision, facts=revision.facts | {"route_when_ready": by, "by": by})
    services.wake()
    return revision


def find_running(services: Services, endpoint: Endpoint, version: ModelVersion) -> Revision | None:
    """Find the revision that serves this very version: the live one, or what was rolled back from.

    A second one would push the version before out of what is kept for rollback. While another revision is on
    its way there is none: the order of revisions decides who gets the traffic in the end.
    """
    wanted = services.store.list_revisions(endpoint.id, states=_WANTED)
    kept = roles(endpoint, wanted)
    if any(revision.id not in kept for revision in wanted):
        return None
    return next((it for it in wanted if it.version_id == version.id and _can_go_on(it, kept[it.id])), None)


def _can_go_on(revision: Revision, role: str) -> bool:
    return role == "live" or (role == "rolled back from" and revision.state is RevisionState.READY)


def move_traffic(services: Services, endpoint: Endpoint, revision: Revision, *, by: str) -> Endpoint:
    """Give all traffic to a ready revision; the one before stays up for rollback, older ones are stopped.

    Raises:
        Conflict: It is not ready, or a newer one had the traffic before it became so.
    """
    store = services.store
    with store.transaction():
        endpoint, revision = store.get_endpoint(endpoint.name), store.get_revision(revision.id)
        if endpoint.live == revision.id:
            return endpoint
        refusal = _why_no_traffic(services, endpoint, revision)
        if refusal:
            subject = f"revision {revision.number} of {endpoint.name}"
            raise Conflict(subject=subject, reason=refusal)
        kept = _kept_behind(services, endpoint, revision)
        routed = store.route(endpoint.id, live=revision.id, previous=kept)
        services.record(_event(services, "endpoint.deployed", endpoint, by, revision))
        for other in store.list_revisions(endpoint.id, states=_WANTED):
            if other.number < revision.number and other.id not in (routed.live, routed.previous):
                retire(services, other)
    return routed


def _kept_behind(services: Services, endpoint: Endpoint, revision: Revision) -> str:
    """Give the revision to keep for rollback: the live one, unless it serves the same version."""
    if not endpoint.live:
        return ""
    live = services.store.get_revision(endpoint.live)
    if live.version_id != revision.version_id:
        return live.id
    previous = services.store.get_revision(endpoint.previous) if endpoint.previous else None
    return previous.id if previous and previous.number < live.number else ""


def _why_no_traffic(services: Services, endpoint: Endpoint, revision: Revision) -> str:
    if revision.state is not RevisionState.READY:
        return f"it is {revision.state.value}, not ready"
    served = [services.store.get_revision(it).number for it in (endpoint.live, endpoint.previous) if it]
    newest = max(served, default=0)
    return f"revision {newest} is newer and was ready before it" if newest > revision.number else ""


def is_routed(revision: Revision) -> bool:
    """Tell whether the router has ever sent it requests."""
    return bool(revision.facts.get(_ROUTED))


def note_routed(services: Services, revisions: Iterable[Revision]) -> None:
    """Note that the router now sends requests to these revisions."""
    for revision in revisions:
        if is_routed(revision):
            continue
        with services.store.transaction():
            now = services.store.get_revision(revision.id)
            _changed(services, now, facts=now.facts | {_ROUTED: True})
        services.wake()


def roll_back(services: Services, name: str, *, by: str) -> Endpoint:
    """Give the traffic back to the revision before, which still runs; the aliases of the live version follow.

    Raises:
        Conflict: Nothing older is kept running, or it is not ready.
    """
    store = services.store
    with store.transaction():
        endpoint = store.get_endpoint(name)
        if not endpoint.previous:
            raise Conflict(subject=f"endpoint {name}", reason="there is no revision before this one")
        previous, live = store.get_revision(endpoint.previous), store.get_revision(endpoint.live)
        if previous.number > live.number:
            raise _rolled_back_before(endpoint, live, previous)
        if previous.state is not RevisionState.READY:
            raise Conflict(
                subject=f"endpoint {name}",
                reason=f"revision {previous.number} is {previous.state.value}, so it cannot take the traffic",
            )
        routed = store.route(endpoint.id, live=previous.id, previous=live.id)
        services.record(_event(services, "endpoint.rolled_back", endpoint, by, previous))
        _alias_follows(services, live, previous, by=by)
    return routed


def _rolled_back_before(endpoint: Endpoint, live: Revision, newer: Revision) -> Conflict:
    left = f"{newer.facts.get('model')}@{newer.facts.get('version')}"
    serves = f"{live.facts.get('model')}@{live.facts.get('version')}"
    return Conflict(
        subject=f"endpoint {endpoint.name}",
        reason=f"it was rolled back from {left} to {serves} already, and nothing older is kept running",
        hint=f"relive deploy {left} {endpoint.name}    (forward again; an older version in the same way)",
    )


def retire(services: Services, revision: Revision) -> None:
    """Stop a revision for good."""
    if revision.job_id:
        services.store.request_cancel(revision.job_id)
    if revision.state is not RevisionState.FAILED:
        _changed(services, revision, state=RevisionState.STOPPED, address="")


def abandon(services: Services, revision_id: str) -> None:
    """Stop a revision that nobody waits for any more, unless it got the traffic already."""
    revision = services.store.get_revision(revision_id)
    served = {taken for it in services.store.list_endpoints() for taken in (it.live, it.previous)}
    if revision.id not in served:
        retire(services, revision)


def cancel_deployment(services: Services, name: str, *, by: str) -> Endpoint:
    """Stop what is on its way to an endpoint; who has the traffic, and who had it before, stay.

    Raises:
        Conflict: Nothing is on its way.
    """
    with services.store.transaction():
        endpoint = services.store.get_endpoint(name)
        kept = (endpoint.live, endpoint.previous)
        coming = [
            it for it in services.store.list_revisions(endpoint.id, states=_WANTED) if it.id not in kept
        ]
        if not coming:
            raise Conflict(subject=f"endpoint {name}", reason="no revision is on its way to it")
        for revision in coming:
            retire(services, revision)
            _changed(services, revision, error=f"cancelled by {by}")
            services.record(_event(services, "endpoint.deployment_cancelled", endpoint, by, revision))
    return endpoint


def delete_endpoint(services: Services, name: str, *, by: str) -> None:
    """Stop every revision of an endpoint and forget it."""
    endpoint = services.store.get_endpoint(name)
    with services.store.transaction():
        for revision in services.store.list_revisions(endpoint.id, states=_WANTED):
            retire(services, revision)
        services.store.delete_endpoint(endpoint.id)
        services.record(_event(services, "endpoint.deleted", endpoint, by))


def keep_served(services: Services) -> None:
    """See that every wanted revision has a job, and route those that were deployed by hand.

    Called by each tick: a process that died with its machine, or a hub killed between two writes, is made
    good here.
    """
    for revision in services.store.list_revisions(states=_WANTED):
        try:
            _keep(services, revision)
        except ReliveError as error:
            # One endpoint's trouble (a lost blob, a full disk) must not stop the others.
            _log.warning("revision %s cannot be served: %s", revision.id, error)
            if not is_passing(error) and revision.ready_at is None:
                services.store.set_revision(revision.id, state=RevisionState.FAILED, error=error.what())
        except Exception:  # noqa: BLE001  # nor must a defect
            _log.exception("revision %s", revision.id)


def _keep(services: Services, revision: Revision) -> None:
    if revision.state is RevisionState.READY and "route_when_ready" in revision.facts:
        _route_by_hand(services, revision)
    job = services.store.get_job(revision.job_id) if revision.job_id else None
    if job is None or job.state.is_final:
        _serve_again(services, revision, job)


def _serve_again(services: Services, revision: Revision, job: Job | None) -> None:
    if job is not None and job.state is JobState.CANCELLED:
        _changed(services, revision, state=RevisionState.STOPPED, address="")
        return
    error = _why_given_up(revision, job)
    if error and revision.ready_at is None:
        _changed(services, revision, state=RevisionState.FAILED, address="", error=error)
        return
    store = services.store
    take_result(services, revision, job)
    following = next_job(services, revision) or _serve_job(
        services, revision, delay_s=_RETRY_SERVED_S if error else 0.0
    )
    with store.transaction():
        now = store.get_revision(revision.id)
        if now.job_id != revision.job_id or not now.state.is_wanted:
            return  # stopped meanwhile, or another hub was faster
        store.put(following)
        changes: dict[str, Any] = {"error": error} if error else {}
        again = job is not None and job.kind is following.kind
        changes |= {"restarts": now.restarts + again, "facts": now.facts | {DOING: WAITS[following.kind]}}
        _changed(services, now, state=RevisionState.STARTING, job_id=following.id, **changes)


def _why_given_up(revision: Revision, job: Job | None) -> str:
    """Say why no other process should be tried; empty if one should."""
    if job is not None and job.state is JobState.FAILED:
        what = "its model could not be described: " if job.kind is JobKind.DESCRIBE else ""
        return what + str(job.result.get("error") or job.error)
    if revision.restarts >= _RESTARTS_BEFORE_GIVING_UP and revision.state is not RevisionState.READY:
        return f"its process was lost {revision.restarts} times: {job.error if job else ''}"
    return ""


def _serve_job(services: Services, revision: Revision, *, delay_s: float) -> Job:
    store = services.store
    version = store.get_version_by_id(revision.version_id)
    project_id = store.get_model(version.model).project_id
    return Job(
        id=new_id(),
        kind=JobKind.SERVE,
        state=JobState.QUEUED,
        pool="local",
        subject=f"revision:{revision.id}",
        project_id=project_id,
        payload={"work": msgspec.to_builtins(_work(services, revision, version))},
        max_attempts=1,
        priority=10,
        run_after=store.now() + delay_s,
        created_at=store.now(),
    )


def _route_by_hand(services: Services, revision: Revision) -> None:
    facts = dict(revision.facts)
    by = str(facts.pop("route_when_ready"))
    endpoint = _endpoint_of(services, revision)
    with services.store.transaction():
        _changed(services, revision, facts=facts)
        try:
            move_traffic(services, endpoint, revision, by=by)
        except Conflict as error:
            retire(services, revision)
            _changed(services, revision, error=str(error))


def _work(services: Services, revision: Revision, version: ModelVersion) -> ServeWork:
    store = services.store
    endpoint = _endpoint_of(services, revision)
    code, environment = world_of(services, version)
    return ServeWork(
        project=store.get_project(endpoint.project_id).name,
        revision_id=revision.id,
        endpoint=endpoint.name,
        model_name=version.model,
        version=version.version,
        model=version.manifest,
        contract=version.contract,
        code=code,
        environment=environment,
        loader=version.loader,
    )


def _endpoint_of(services: Services, revision: Revision) -> Endpoint:
    for endpoint in services.store.list_endpoints():
        if endpoint.id == revision.endpoint_id:
            return endpoint
    raise NotFound(kind="endpoint of revision", name=revision.id, hint="it was deleted meanwhile")


def _alias_follows(services: Services, live: Revision, previous: Revision, *, by: str) -> None:
    """An alias that names what was rolled back would make the next gate compare with it."""
    store = services.store
    bad = store.get_version_by_id(live.version_id)
    good = store.get_version_by_id(previous.version_id)
    for alias in store.list_aliases(bad.model):
        if alias.version == bad.version and good.model == bad.model:
            move_alias(services, bad.model, alias.alias, good.version, by=by)


def _changed(services: Services, revision: Revision, **changes: Any) -> Revision:
    changed = services.store.set_revision(revision.id, **changes)
    if changed is None:
        raise NotFound(kind="revision", name=revision.id)
    return changed


def _event(
    services: Services, kind: str, endpoint: Endpoint, by: str, revision: Revision | None = None
) -> Event:
    facts = {} if revision is None else {"revision": revision.number, **revision.facts}
    return Event(
        kind=kind,
        actor=by,
        subject=f"endpoint:{endpoint.id}",
        project=services.store.get_project(endpoint.project_id).name,
        facts={"endpoint": endpoint.name, **facts},
    )
