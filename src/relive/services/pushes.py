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


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """One ref that moved: `old` and `new` are commits, empty for "did not exist"."""

    ref: str
    old: str
    new: str


def record_push(services: Services, project: Project, moved: Iterable[Push], *, actor: str) -> list[Job]:
    """Write down refs that moved and queue a plan for each branch; gives the PLAN jobs, new or not.

    Calling it again for the same move, as reconciling does after a lost hook, queues nothing twice.
    """
    jobs: list[Job] = []
    for push in moved:
        old, new = _commit(push.old), _commit(push.new)
        with services.store.transaction():
            seen = services.store.list_refs(project.id).get(push.ref, "")
            if seen == new:
                continue  # the hook and the reconciler both saw it
            services.store.set_ref(project.id, push.ref, old=seen, new=new)
            services.record(
                Event(
                    kind="push",
                    actor=actor,
                    subject=f"project:{project.id}",
                    project=project.name,
                    facts={"ref": push.ref, "old": old, "new": new, "branch": branch_of(push.ref)},
                )
            )
            if new and push.ref.startswith("refs/heads/"):
                request = PlanRequest(project_id=project.id, ref=push.ref, commit=new, old=seen, actor=actor)
                jobs.append(queue_plan(services, request))
    services.wake()
    return jobs


def queue_plan(services: Services, request: PlanRequest) -> Job:
    """Queue the planning of a commit; its job id will be the pipeline's id."""
    job = Job(
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
    services.store.put(job)
    services.wake()
    return job


def reconcile(services: Services) -> int:
    """Compare all refs with the last seen ones, and take up what a lost hook left; gives how many."""
    found = 0
    for project in services.store.list_projects():
        if not services.repositories.exists(project.name):
            continue  # made by a run, never pushed to
        actual = services.repositories.refs(project.name)
        seen = services.store.list_refs(project.id)
        moved = [
            Push(ref=ref, old=seen.get(ref, ""), new=actual.get(ref, ""))
            for ref in sorted(actual.keys() | seen.keys())
            if actual.get(ref, "") != seen.get(ref, "")
        ]
        found += len(moved)
        record_push(services, project, moved, actor="hub (found by reconciling refs)")
    return found


def _commit(text: str) -> str:
    return "" if text == _ZERO else text
