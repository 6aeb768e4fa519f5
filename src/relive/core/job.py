"""A Job: one placed execution, with a lease and a fence."""

from enum import StrEnum
from typing import Any, Final

import msgspec


class JobKind(StrEnum):
    """What a job does; the first seven run as own processes on a pool, the rest in the hub."""

    STAGE = "stage"
    ENVIRONMENT = "environment"
    DESCRIBE = "describe"
    SERVE = "serve"
    REPLAY = "replay"
    TRIAL = "trial"
    WHY = "why"
    PLAN = "plan"
    FORGE_EVENT = "forge_event"
    FORGE_STATUS = "forge_status"
    FORGE_POLL = "forge_poll"
    WEBHOOK = "webhook"

    @property
    def runs_in_hub(self) -> bool:
        """Tell whether a thread of the hub works on it, not an executor."""
        return self not in _PLACED


_PLACED: Final = frozenset(
    {
        *(JobKind.STAGE, JobKind.ENVIRONMENT, JobKind.DESCRIBE, JobKind.SERVE),
        *(JobKind.REPLAY, JobKind.TRIAL, JobKind.WHY),
    }
)


class JobState(StrEnum):
    """Where a job stands. There is no way out of the last four."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        """Tell whether the job will not change any more."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the queue.

    Attributes:
        pool: Name of the pool that should place it.
        subject: What it works for: "stage:ID", "revision:ID", "pipeline:ID", …
        payload: What the worker needs; JSON.
        priority: Higher goes first.
        run_after: Seconds since the epoch before which it is not claimed.
        attempt: How often it was claimed.
        max_attempts: After so many claims an expired lease makes it LOST.
        fence: Grows with each claim; a write carries the fence of its claim and is refused if it is old.
        lease_owner: Who claimed it.
        lease_until: Seconds since the epoch.
        handle: What the executor needs to find the process again; JSON.
        cancel_requested: Someone asked for its end.
        result: What the worker reported at the end; JSON.
        error: Why it failed, a sentence.
    """

    id: str
    kind: JobKind
    state: JobState
    pool: str = "local"
    subject: str = ""
    project_id: str = ""
    payload: dict[str, Any] = {}
    priority: int = 0
    run_after: float = 0.0
    attempt: int = 0
    max_attempts: int = 3
    fence: int = 0
    lease_owner: str = ""
    lease_until: float = 0.0
    handle: dict[str, Any] = {}
    cancel_requested: bool = False
    result: dict[str, Any] = {}
    error: str = ""
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """Compute picked by name.

    Attributes:
        executor: Entry point name of the adapter: "local", "ray".
        config: What the adapter needs, such as {"address": "http://…"}.
        slots: Jobs placed at once.
    """

    name: str
    executor: str
    config: dict[str, Any] = {}
    slots: int = 2
