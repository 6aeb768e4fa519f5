"""A Pipeline: what a push starts, as data.

`PipelineSpec` is a relive.yaml after reading; `PlannedStage` is one node of the graph after expansion of
matrices and splitting into actions; `Pipeline` and `Stage` are what the hub keeps of an execution.
"""

from enum import StrEnum
from typing import Any

import msgspec


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage needs of its pool; `pool` names the compute."""

    cpu: float = 1.0
    memory_bytes: int | None = None
    gpu: float = 0.0
    gpu_type: str = ""
    disk_bytes: int | None = None
    pool: str = "local"


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often a failed stage is tried again, and after which failures.

    Without a rule a stage is retried twice when its worker was lost, and never otherwise.
    """

    max: int = 2
    when: tuple[str, ...] = ("worker_lost",)


class Hermetic(StrEnum):
    """What becomes of a read that a stage does not declare."""

    ON = "on"
    WARN = "warn"
    OFF = "off"


class Dep(msgspec.Struct, frozen=True, kw_only=True):
    """One declared input: exactly one of the three is set."""

    path: str = ""
    dataset: str = ""
    model: str = ""


class ParamsRef(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of a params file that a stage reads; no keys mean the whole file."""

    file: str
    keys: tuple[str, ...] = ()


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A check that can stop a pipeline.

    Attributes:
        metric: Name of the metric it looks at.
        min: Smallest value that passes.
        max: Largest value that passes.
        vs: "champion" compares with the model version behind that alias; None for thresholds alone.
        min_delta: Smallest allowed difference (this − other); may be negative. 0 if `vs` stands alone.
        max_delta: Largest allowed difference (this − other), for metrics of which less is better.
    """

    metric: str
    min: float | None = None
    max: float | None = None
    vs: str | None = None
    min_delta: float | None = None
    max_delta: float | None = None


class Select(msgspec.Struct, frozen=True, kw_only=True):
    """Picks the best run of a stage with a matrix."""

    from_stage: str
    metric: str
    mode: str = "max"


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """Makes a model version of an out.

    Attributes:
        model: Name of the registered model.
        artifact: Path of the out that is the model folder.
        example: Path of an out with example rows; fixes signature and contract test.
        loader: "module:function" of the repository, for what no loader knows.
        alias: Moved to the new version when every gate has passed.
    """

    model: str
    artifact: str
    example: str = ""
    loader: str = ""
    alias: str = "champion"


class Deploy(msgspec.Struct, frozen=True, kw_only=True):
    """Puts the version that this pipeline registered behind an endpoint."""

    endpoint: str


class EnvSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Where the environment comes from; without a file it is the interpreter alone.

    Attributes:
        python: Version or prefix, "3.11"; empty for the hub's own.
        lock: uv.lock, pylock.toml or requirements.txt.
    """

    python: str = ""
    lock: str = ""


class StageSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a relive.yaml; durations in seconds.

    Attributes:
        hermetic: Refuse what is not declared, tell of it, or neither.
        network: Whether a hermetic one may reach more than the hub.
    """

    name: str
    cmd: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    deps: tuple[Dep, ...] = ()
    outs: tuple[str, ...] = ()
    params: tuple[ParamsRef, ...] = ()
    metrics: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    resources: Resources = Resources()
    timeout_s: float | None = None
    retry: Retry = Retry()
    matrix: dict[str, Any] = {}
    cache: bool = True
    junit: str = ""
    select: Select | None = None
    gates: tuple[Gate, ...] = ()
    register: Register | None = None
    deploy: Deploy | None = None
    image: str = ""
    wdir: str = "."
    condition: str = ""
    hermetic: Hermetic = Hermetic.WARN
    network: bool = False


class PipelineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A relive.yaml after reading.

    Attributes:
        branches: Patterns of branches whose push starts it; empty means every branch.
        paths: Patterns of changed files that start it; empty means any.
    """

    stages: tuple[StageSpec, ...]
    project: str = ""
    env: EnvSpec = EnvSpec()
    vars: dict[str, Any] = {}
    branches: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class Action(StrEnum):
    """What one planned stage does; a stage of the file with several is split in this order.

    ENVIRONMENT is the node the hub itself puts before all others.
    """

    ENVIRONMENT = "environment"
    RUN = "run"
    SELECT = "select"
    GATE = "gate"
    REGISTER = "register"
    DEPLOY = "deploy"


class PlannedStage(msgspec.Struct, frozen=True, kw_only=True):
    """One node of the graph.

    Attributes:
        key: Unique in the pipeline: "train", "train[seed=1]", "train:gate".
        name: The stage's name in the file.
        action: What it does.
        spec: The stage with matrix values, vars and expressions filled in, and of `select`, `gates`,
            `register` and `deploy` only what this node does. Paths are relative to the checkout, whatever
            `wdir` is.
        needs: Keys of the nodes it waits for, named or implied by deps and outs.
        values: Its matrix values.
        skip: Why it will not run at all (its `if` does not hold); empty if it will.
        max_parallel: How many instances of its matrix may run at once; None for no limit.
        sources: For each path that other nodes make, the keys of those nodes; a SELECT node stands for the
            run it picks.
    """

    key: str
    name: str
    action: Action
    spec: StageSpec
    needs: tuple[str, ...] = ()
    values: dict[str, Any] = {}
    skip: str = ""
    max_parallel: int | None = None
    sources: dict[str, tuple[str, ...]] = {}


class PipelineStatus(StrEnum):
    """Where a pipeline stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GATED = "gated"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Tell whether it will not change any more by itself."""
        return self not in (PipelineStatus.QUEUED, PipelineStatus.RUNNING)


class StageStatus(StrEnum):
    """Where a stage stands."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Tell whether it will not change any more by itself."""
        return self not in (StageStatus.WAITING, StageStatus.QUEUED, StageStatus.RUNNING)

    @property
    def is_good(self) -> bool:
        """Tell whether what waits for it may start."""
        return self in (StageStatus.SUCCEEDED, StageStatus.CACHED)


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """A commit's execution.

    Attributes:
        number: Counts from 1 within its project.
        trigger: "push", "manual", "github", "rerun".
        code: Digest of the manifest of the commit's tree, empty until it was read.
        environment: Digest of the EnvironmentLock, empty until it is known or if there is none.
        error: Why it could not even start (broken file, …), else empty.
        warnings: Sentences for people (LFS pointers, submodules, …).
        superseded_by: Id of the pipeline a re-run made, if any.
    """

    id: str
    project_id: str
    number: int
    commit: str
    ref: str
    trigger: str
    actor: str
    status: PipelineStatus
    title: str = ""
    code: str = ""
    environment: str = ""
    spec: PipelineSpec | None = None
    error: str = ""
    warnings: tuple[str, ...] = ()
    rerun_of: str = ""
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One node of an execution.

    Attributes:
        cache_key: Digest of everything the result depends on; empty if not cacheable or not yet known.
        cache_facts: Named parts of the key, for `relive pipeline why`.
        run_id: The Run it made last, or for a cached one the earlier Run it links.
        job_id: The Job that works on it now, if any.
        attempts: How often it was started.
        reason: Why it has this status, a sentence.
        result: What its action found: gate results, version number, revision, test counts.
    """

    id: str
    pipeline_id: str
    key: str
    name: str
    action: Action
    status: StageStatus
    planned: PlannedStage
    position: int = 0
    cache_key: str = ""
    cache_facts: dict[str, str] = {}
    run_id: str = ""
    job_id: str = ""
    attempts: int = 0
    reason: str = ""
    result: dict[str, Any] = {}
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
