"""What a push sets in motion, and how a lost one is found again."""

from collections.abc import Iterable

import msgspec

from relive.core.event import Event
from relive.core.job import Job, JobKind, JobState
from relive.core.project import Project
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.planning import PlanRequest, branch_of

_ZERO = "0" * 40
_RECENT_PLANS = 50


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """One ref that moved: `old` and `new` are commits, empty for "did not exist"."""

    ref: str
    old: str
    new: str


def record_push(
    services: Services, project: Project, moved: Iterable[Push], *, actor: str, trigger: str = "push"
) -> list[Job]:
    """Write down refs that moved and queue a plan for each branch; gives the PLAN jobs, new or not.

    Calling it again for the same move, as reconciling does after a lost hook, queues nothing twice.
    """
    jobs = [_record(services, project, push, actor=actor, trigger=trigger) for push in moved]
    services.wake()
    return [job for job in jobs if job is not None]


def queue_plan(services: Services, request: PlanRequest) -> Job:
    """Queue the planning of a commit; its job id will be the pipeline's id."""
    with services.store.transaction():
        number = services.store.take_pipeline_number(request.project_id)
        job = services.store.put(_plan_job(services, msgspec.structs.replace(request, number=number)))
    services.wake()
    assert job is not None  # a job without a unique key is always put
    return job


def _plan_job(services: Services, request: PlanRequest) -> Job:
    return Job(
        id=new_id(),
        kind=JobKind.PLAN,
        state=JobState.QUEUED,
        pool="hub",
        subject=f"project:{request.project_id}",
        project_id=request.project_id,
        payload=msgspec.to_builtins(request),
        max_attempts=5,
        created_at=services.store.now(),
    )


def reconcile(services: Services) -> int:
    """Compare all refs with the last seen ones, and take up what a lost hook left; gives how many."""
    found = 0
    for project in services.store.list_projects():
        if not services.repositories.exists(project.name):
            continue  # made by a run, never pushed to
        # In this order: a ref that moves in between is then taken up early, and not moved back.
        seen = services.store.list_refs(project.id)
        actual = services.repositories.refs(project.name)
        for ref in sorted(actual.keys() | seen.keys()):
            push = Push(ref=ref, old=seen.get(ref, ""), new=actual.get(ref, ""))
            if push.old != push.new:
                _record(services, project, push, actor="hub (found by reconciling refs)", is_lost=True)
                found += 1
    if found:
        services.wake()
    return found


def _record(
    services: Services,
    project: Project,
    push: Push,
    *,
    actor: str,
    trigger: str = "push",
    is_lost: bool = False,
) -> Job | None:
    """Write down one move and queue its plan; gives the PLAN job, also one that was queued before.

    Args:
        is_lost: No hook told it; what a hook tells meanwhile is the better known.
    """
    push = Push(ref=push.ref, old=_commit(push.old), new=_commit(push.new))
    while True:
        seen = _seen(services, project, push.ref)
        if is_lost and seen != push.old:
            return None
        if seen == push.new:  # the hook and the reconciler both saw it
            return _find_plan(services, project, push.ref, push.new)
        # A later push may have been told before this one: then the ref is where that one left it, and stays.
        is_newest = seen == push.old or _actual(services, project, push.ref) != seen
        with services.store.transaction():
            if _seen(services, project, push.ref) == seen:
                if not is_newest:
                    return _write_down_late(services, project, push, seen, actor=actor, trigger=trigger)
                services.store.set_ref(project.id, push.ref, old=seen, new=push.new)
                # What a lost push changed belongs to this one's changes, too.
                push = msgspec.structs.replace(push, old=seen)
                return _write_down(services, project, push, actor=actor, trigger=trigger)


def _write_down_late(
    services: Services, project: Project, push: Push, seen: str, *, actor: str, trigger: str
) -> Job | None:
    """Write down a push that is told after a later one; reconciling may have found it before both."""
    told = _find_plan(services, project, push.ref, push.new)
    if told is not None:
        return told
    later = _find_plan(services, project, push.ref, seen)
    behind = int(later.payload.get("number", 0)) if later else 0
    return _write_down(services, project, push, actor=actor, trigger=trigger, behind=behind)


def _write_down(
    services: Services, project: Project, push: Push, *, actor: str, trigger: str, behind: int = 0
) -> Job | None:
    branch = branch_of(push.ref)
    services.record(
        Event(
            kind="push",
            actor=actor,
            subject=f"project:{project.id}",
            project=project.name,
            facts={"ref": push.ref, "old": push.old, "new": push.new, "branch": branch},
        )
    )
    if not push.new or not push.ref.startswith("refs/heads/"):
        return None
    request = PlanRequest(
        project_id=project.id,
        ref=push.ref,
        commit=push.new,
        behind=behind,
        old=push.old,
        trigger=trigger,
        actor=actor,
    )
    return queue_plan(services, request)


def _seen(services: Services, project: Project, ref: str) -> str:
    return services.store.list_refs(project.id).get(ref, "")


def _actual(services: Services, project: Project, ref: str) -> str:
    return services.repositories.refs(project.name).get(ref, "")


def _find_plan(services: Services, project: Project, ref: str, commit: str) -> Job | None:
    plans = services.store.list_jobs(
        kinds=(JobKind.PLAN,), subject=f"project:{project.id}", limit=_RECENT_PLANS
    )
    wanted = (ref, commit)
    return next((job for job in plans if (job.payload["ref"], job.payload["commit"]) == wanted), None)


def _commit(text: str) -> str:
    return "" if text == _ZERO else text
