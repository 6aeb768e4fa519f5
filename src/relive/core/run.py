"""A Run: one execution and all that it recorded."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec


class RunStatus(StrEnum):
    """Where a run stands."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        """Tell whether the run will not change any more."""
        return self not in (RunStatus.SCHEDULED, RunStatus.RUNNING)


class RunKind(StrEnum):
    """What started the run."""

    MANUAL = "manual"
    STAGE = "stage"
    REPLAY = "replay"
    CLIENT = "client"


class Metric(msgspec.Struct, frozen=True):
    """One point of a metric's series.

    Attributes:
        key: The metric's name.
        value: May be NaN or infinite.
        step: Counts from 0 by habit; may be negative or repeat.
        at: Seconds since the epoch, UTC.
    """

    key: str
    value: float
    step: int = 0
    at: float = 0.0


class MetricBlock(msgspec.Struct, frozen=True):
    """Points of several series that have their steps and times in common, as columns.

    Each column is so many 64-bit words, little-endian, as `formats.series` reads them.

    Attributes:
        keys: The metrics' names.
        steps: Signed whole numbers.
        times: IEEE doubles, seconds since the epoch, UTC.
        values: A column for each name; IEEE doubles, may be NaN or infinite.
    """

    keys: tuple[str, ...]
    steps: bytes
    times: bytes
    values: tuple[bytes, ...]


class RunRecords(msgspec.Struct, frozen=True, kw_only=True):
    """What a run records at one time; points one by one, or many as columns."""

    metrics: Sequence[Metric] = ()
    blocks: Sequence[MetricBlock] = ()
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}


class FailureReason(StrEnum):
    """Why a run failed, in a word a retry rule can name."""

    FAILURE = "failure"
    TIMEOUT = "timeout"
    OOM = "oom"
    WORKER_LOST = "worker_lost"
    ENVIRONMENT = "environment"
    MISSING_OUT = "missing_out"
    STORE_FULL = "store_full"
    CANCELLED = "cancelled"
    UNDECLARED_READ = "undeclared_read"


class ResourceUse(msgspec.Struct, frozen=True):
    """What a command's process tree used.

    Attributes:
        wall_s: Seconds from start to end.
        cpu_s: Processor seconds, user and system.
        max_rss_bytes: Largest resident memory of one process.
    """

    wall_s: float
    cpu_s: float
    max_rss_bytes: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution and all that it recorded.

    Attributes:
        stage: Key of the stage that made it, empty if none.
        fence: Only a writer with this fence may still write; 0 for runs without a job.
        recipe: Digest of the recipe's blob, set when it is closed.
        recipe_digest: Digest of the declared part: the name of its set of inputs.
        trajectory: Digest of the trajectory's blob, empty if none was recorded.
        log: Digest of the finished log's blob, empty while it is live.
        replay_of: The run this one repeats.
        superseded_by: The run that took over after its lease was lost.
        tainted: A declared input changed while it ran.
        deleted_at: When it was put aside; it can be restored until it is purged.
        heard_at: When its process last said that it goes on, by the hub's clock, to about a minute; None
            if nothing says so of it: a job's runner speaks for the job, MLflow's clients never do.
    """

    id: str
    project_id: str
    experiment_id: str
    name: str
    kind: RunKind
    status: RunStatus
    actor: str = ""
    pipeline_id: str = ""
    stage_id: str = ""
    stage: str = ""
    job_id: str = ""
    fence: int = 0
    command: str = ""
    commit: str = ""
    exit_code: int | None = None
    failure: FailureReason | None = None
    reason: str = ""
    recipe: str = ""
    recipe_digest: str = ""
    trajectory: str = ""
    log: str = ""
    log_bytes: int = 0
    replay_of: str = ""
    superseded_by: str = ""
    tainted: bool = False
    usage: ResourceUse | None = None
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    deleted_at: float | None = None
    heard_at: float | None = None

    @property
    def is_silent(self) -> bool:
        """Tell whether it counts as lost only because its process fell silent: it may be heard of again."""
        has_fallen = self.status is RunStatus.LOST and self.failure is FailureReason.WORKER_LOST
        return has_fallen and self.heard_at is not None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A named output of a run.

    Attributes:
        path: Its name within the run.
        manifest: Digest of its manifest.
        kind: "out", "plot", "report", "artifact".
    """

    run_id: str
    path: str
    manifest: str
    size_bytes: int
    files: int
    kind: str = "out"


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """An edge of the lineage: this run read that content; `source_run_id` made it, if a run did."""

    run_id: str
    path: str
    manifest: str
    origin: str
    source_run_id: str = ""


class MetricSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of each series for tables and search."""

    run_id: str
    key: str
    last: float
    last_step: int
    min: float
    max: float
    first: float
    count: int
    at: float


class TestReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a JUnit report said; `failures` holds (test, message) of the first hundred."""

    tests: int
    passed: int
    failed: int
    errors: int
    skipped: int
    duration_s: float
    failures: tuple[tuple[str, str], ...] = ()
