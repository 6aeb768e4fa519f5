"""The hub itself: its compute, its tokens, everything that happened."""

from typing import Any

import msgspec

from relive.core.access import Caller, Token
from relive.core.ids import short_id
from relive.core.job import Job, JobKind, JobState
from relive.core.pipeline import Stage
from relive.errors import NotFound
from relive.hub.web.marks import Mark
from relive.hub.web.views.events import EventLine, event_line
from relive.services.context import Services

EVENTS = 100
_RUNNING = Mark("◐", "running", "busy")
_QUEUED = Mark("◔", "queued", "quiet")


class JobLine(msgspec.Struct, frozen=True, kw_only=True):
    """A job that runs or waits."""

    id: str
    mark: Mark
    kind: str
    what: str
    url: str
    at: float
    owner: str
    cancel_requested: bool


class PoolLine(msgspec.Struct, frozen=True, kw_only=True):
    """Compute by name, with what runs and waits there; endpoints take no slot."""

    name: str
    executor: str
    config: tuple[tuple[str, str], ...]
    slots: int
    running: int
    queued: int
    serving: int
    jobs: tuple[JobLine, ...]

    @property
    def mark(self) -> Mark:
        """Tell whether anything is free."""
        return (
            Mark("✔", "free", "good") if self.running < self.slots else Mark("◐", "all slots in use", "busy")
        )


class TokenLine(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret."""

    id: str
    user: str
    label: str
    scope: str
    created_at: float
    last_used_at: float | None
    expires_at: float | None
    is_yours: bool


class TokensPage(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's tokens, or everybody's for an admin; `created` is a new one's text, shown once."""

    tokens: tuple[TokenLine, ...]
    created: str
    may_admin: bool
    hub_url: str


class EventsPage(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, newest first."""

    lines: tuple[EventLine, ...]
    project: str
    kind: str
    projects: tuple[str, ...]
    kinds: tuple[str, ...]


KINDS = (
    "push",
    "pipeline.started",
    "pipeline.succeeded",
    "pipeline.failed",
    "pipeline.gated",
    "gate.failed",
    "model.registered",
    "model.described",
    "alias.moved",
    "endpoint.deployed",
    "endpoint.rolled_back",
    "replay.judged",
    "run.failed",
    "job.superseded",
)


def list_pools(services: Services) -> tuple[PoolLine, ...]:
    """Give every pool with its jobs."""
    jobs = services.store.list_jobs(states=(JobState.RUNNING, JobState.QUEUED), limit=500)
    lines = []
    for pool in services.store.list_pools():
        here = [job for job in jobs if job.pool == pool.name and not job.kind.runs_in_hub]
        work = [job for job in here if job.kind not in (JobKind.SERVE, JobKind.WHY)]
        lines.append(
            PoolLine(
                name=pool.name,
                executor=pool.executor,
                config=tuple((key, str(value)) for key, value in sorted(pool.config.items())),
                slots=pool.slots,
                running=sum(job.state is JobState.RUNNING for job in work),
                queued=sum(job.state is JobState.QUEUED for job in work),
                serving=sum(job.kind is JobKind.SERVE for job in here),
                jobs=tuple(_job(services, job) for job in here[:50]),
            )
        )
    return tuple(lines)


def list_tokens(services: Services, caller: Caller, *, created: str = "") -> TokensPage:
    """Give the tokens that the caller may see: of people, not of jobs."""
    found = services.store.list_tokens(None if caller.is_admin else f"user:{caller.name}")
    kept = [token for token in found if token.subject.startswith("user:") and not token.run_id]
    return TokensPage(
        tokens=tuple(_token(token, caller) for token in sorted(kept, key=lambda token: -token.created_at)),
        created=created,
        may_admin=caller.is_admin,
        hub_url=services.place.public_url,
    )


def list_events(services: Services, *, project: str = "", kind: str = "") -> EventsPage:
    """Give the audit list."""
    events = services.store.list_events(
        project=project or None, kind=kind or None, newest_first=True, limit=EVENTS
    )
    return EventsPage(
        lines=tuple(event_line(event) for event in events),
        project=project,
        kind=kind,
        projects=tuple(item.name for item in services.store.list_projects()),
        kinds=KINDS,
    )


def _job(services: Services, job: Job) -> JobLine:
    kind, _, subject = job.subject.partition(":")
    what, url = job.subject, ""
    if kind == "stage" and (stage := _stage(services, subject)) is not None:
        what, url = f"stage {stage.key}", f"/pipelines/{stage.pipeline_id}"
    elif kind == "run":  # a replay, a search for causes or one of its trials
        what, url = f"run {short_id(subject)}", f"/r/{subject}"
    elif kind == "revision":
        work: dict[str, Any] = job.payload.get("work", {})
        what, url = f"endpoint {work.get('endpoint', '?')}", f"/e/{work.get('endpoint', '')}"
    return JobLine(
        id=job.id,
        mark=_RUNNING if job.state is JobState.RUNNING else _QUEUED,
        kind=job.kind.value,
        what=what,
        url=url,
        at=job.started_at or job.created_at,
        owner=job.lease_owner,
        cancel_requested=job.cancel_requested,
    )


def _stage(services: Services, stage_id: str) -> Stage | None:
    try:
        return services.store.get_stage(stage_id)
    except NotFound:
        return None


def _token(token: Token, caller: Caller) -> TokenLine:
    return TokenLine(
        id=token.id,
        user=token.subject.removeprefix("user:"),
        label=token.label,
        scope=token.scope.value,
        created_at=token.created_at,
        last_used_at=token.last_used_at,
        expires_at=token.expires_at,
        is_yours=token.id == caller.token_id,
    )
