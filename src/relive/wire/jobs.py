"""What a job's process and the hub say to each other, under `/api/v1/jobs/{id}`.

    POST token       RedeemTicket → RunnerToken     without a token, by a process that was given a ticket
    GET  spec        → StageWork | EnvironmentWork | DescribeWork | ServeWork | …   (tagged by `kind`)
    POST heartbeat   Heartbeat → HeartbeatReply
    POST progress    Progress            a phase began; shown live
    POST log         LogChunk → LogReply
    POST records     Records             metrics, params, tags of the job's run
    POST trials      PlacedTrial → TrialRun     asked by a search for causes
    POST finish      StageReport | EnvironmentReport | DescribeReport | ServeReport | ReplayReport | EndReport

Every message of the job carries the fence of its claim; after another claim took over the hub answers
409 `superseded`, and the process ends itself and its children. All are idempotent: sending one twice
changes nothing. Blobs go to `/api/v1/blobs` (`POST missing`, `PUT {digest}`, `GET {digest}`).
"""

from typing import Any

import msgspec

from relive.core.model import Signature
from relive.core.pipeline import EnvSpec, Hermetic, ParamsRef
from relive.core.recipe import Code, DataInput
from relive.core.run import (
    Artifact,
    FailureReason,
    Input,
    Metric,
    MetricBlock,
    ResourceUse,
    RunStatus,
    TestReport,
)
from relive.core.trajectory import Verdict
from relive.wire.runs import PlacedWhy


class RedeemTicket(msgspec.Struct, frozen=True, kw_only=True):
    """Exchange a ticket for the runner's token.

    Attributes:
        secret: Made by the process: the secret part of its token. Who saw the ticket does not know it, and
            the process itself may ask again with the same one if it did not hear the answer.
    """

    ticket: str
    secret: str


class RunnerToken(msgspec.Struct, frozen=True, kw_only=True):
    """The token that a ticket was exchanged for."""

    token: str


class StageWork(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="stage"):
    """One command to run.

    Attributes:
        code: Digest of the manifest of the tree to check out.
        environment: Digest of the EnvironmentLock, empty for the runner's own interpreter.
        deps: Inputs from other runs, laid over the checkout before the start; those with origin "code"
            are already there and only digested.
        command_token: For the command's own process; may write its own run only.
        out_limit_bytes: Outs larger than this in all are refused before they are stored; None for no limit.
        repository: What a repository of git's around the files is to say, as a person's run found one; None
            for bare files, which is what a stage of a pipeline has.
    """

    run_id: str
    project: str
    stage: str
    commands: tuple[str, ...]
    code: str
    commit: str = ""
    branch: str = ""
    workdir: str = "."
    environment: str = ""
    env: dict[str, str] = {}
    secrets: dict[str, str] = {}
    deps: tuple[DataInput, ...] = ()
    outs: tuple[str, ...] = ()
    params: dict[str, Any] = {}
    params_files: tuple[ParamsRef, ...] = ()
    metrics_files: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    junit: str = ""
    timeout_s: float | None = None
    memory_bytes: int | None = None
    cpus: float = 1.0
    hermetic: Hermetic = Hermetic.WARN
    network: bool = False
    command_token: str = ""
    out_limit_bytes: int | None = None
    repository: Code | None = None


class EnvironmentWork(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="environment"):
    """An environment to resolve from files of the tree, to build once, and whose wheels to keep."""

    project: str
    code: str
    env: EnvSpec


class DescribeWork(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="describe"):
    """A model to load in its own environment, to learn its signature and its predictions on the example.

    Attributes:
        model: Digest of the model folder's manifest.
        example: Digest of the manifest of the example out; its single file is the example.
    """

    project: str
    model: str
    example: str
    code: str
    environment: str = ""
    loader: str = "auto"


class ServeWork(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="serve"):
    """A model version to keep served.

    Attributes:
        contract: Digest of the manifest holding signature.json, expected.json and the example.
    """

    project: str
    revision_id: str
    endpoint: str
    model_name: str
    version: int
    model: str
    contract: str
    code: str
    environment: str = ""
    loader: str = "auto"


class ReplayWork(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="replay"):
    """A run to make again.

    Attributes:
        run_id: The run.
        replay_run_id: The run that repeats it, made already.
        url: Of that run's page.
        token: With which that run is written; its command sees it as well.
        substitutes: What is accepted instead of the recorded, as it is typed.
        tolerances: How far metrics may be off, as it is typed.
        offline: Whether to ask no package index, and to let the command reach no network but the hub.
    """

    run_id: str
    replay_run_id: str
    url: str
    project: str
    token: str = ""
    substitutes: tuple[str, ...] = ()
    tolerances: tuple[str, ...] = ()
    offline: bool = False


class WhyWork(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="why"):
    """Two runs whose difference is to be traced to its causes, by trials on a pool.

    Attributes:
        before: The run to start from; `asked` names the other.
        run_id: The run that is to hold the answer, made already.
        url: Of that run's page.
        token: With which that run is written.
    """

    before: str
    asked: PlacedWhy
    run_id: str
    url: str
    project: str
    token: str = ""


class TrialWork(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="trial"):
    """The first of two runs with some inputs of the second.

    Attributes:
        work: What to run; its run was made already, and its token writes it.
        key: Of the work: what the run is found again by.
        until: The last step that is wanted; None for a whole run.
        followed: The run whose steps tell when it has come there.
    """

    work: StageWork
    key: str
    until: int | None = None
    followed: str = ""


class PlacedTrial(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for a trial on the pool of the search that asks; see `TrialWork`.

    Attributes:
        name: For people.
        replay_of: The run that it repeats, if it changes nothing.
    """

    fence: int
    trial: TrialWork
    name: str
    replay_of: str = ""


class TrialRun(msgspec.Struct, frozen=True):
    """The run that a trial is."""

    run_id: str


Work = StageWork | EnvironmentWork | DescribeWork | ServeWork | ReplayWork | WhyWork | TrialWork


class Heartbeat(msgspec.Struct, frozen=True):
    """Still alive."""

    fence: int


class HeartbeatReply(msgspec.Struct, frozen=True):
    """`cancel` asks the process to end its command; `lease_s` is how long the lease now lasts."""

    cancel: bool
    lease_s: float


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A phase began or a state changed; `facts` by phase.

    Phases of a stage: "checkout", "environment", "data", "command", "upload". Of a serve job: "starting",
    "ready" (facts: address, pid), "restarted" (facts: restarts, reason), "failed".
    """

    fence: int
    phase: str
    message: str = ""
    facts: dict[str, Any] = {}


class LogChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of output; `offset` is its place in the kept log, so sending twice adds nothing."""

    fence: int
    offset: int
    data: bytes


class LogReply(msgspec.Struct, frozen=True):
    """Length of the log the hub now has; the runner goes on from there."""

    length: int


class Records(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Metrics, params and tags; `batch` makes a retry harmless.

    What a newer client sends and this hub does not know is refused: taken without it, it would be lost.

    Attributes:
        metrics: Points one by one.
        blocks: Many points, as columns.
    """

    fence: int
    batch: str
    metrics: tuple[Metric, ...] = ()
    blocks: tuple[MetricBlock, ...] = ()
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}


class StageReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="stage"):
    """The end of a command and all that was recorded of it.

    Attributes:
        parsed: Params that its parser gave; one that was logged or declared under the same name stays.
        undeclared: What was read and not declared, as a sentence; empty if nobody wants to know.
        ended_at: When a run by hand ended, if that was before now; a job's ends when it says so.
    """

    fence: int
    status: RunStatus
    ended_at: float | None = None
    exit_code: int | None = None
    failure: FailureReason | None = None
    reason: str = ""
    recipe: str = ""
    recipe_digest: str = ""
    trajectory: str = ""
    log: str = ""
    log_bytes: int = 0
    tainted: bool = False
    undeclared: str = ""
    usage: ResourceUse | None = None
    artifacts: tuple[Artifact, ...] = ()
    inputs: tuple[Input, ...] = ()
    metrics: tuple[Metric, ...] = ()
    params: dict[str, Any] = {}
    parsed: dict[str, Any] = {}
    tests: TestReport | None = None


class EnvironmentReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="environment"):
    """The lock that was resolved (digest of its blob), or why it could not be."""

    fence: int
    lock: str = ""
    packages: int = 0
    error: str = ""


class DescribeReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="describe"):
    """What a model takes and gives, or why it could not be loaded."""

    fence: int
    contract: str = ""
    signature: Signature | None = None
    loader: str = ""
    error: str = ""


class ServeReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="serve"):
    """The end of a serve job; an empty error means it was asked to stop."""

    fence: int
    error: str = ""


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="replay"):
    """What a replay showed; one that could not even be started is unresolved."""

    fence: int
    verdict: Verdict


class EndReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="end"):
    """The end of a job whose run says all else: a trial, a search for causes; empty if nothing went wrong."""

    fence: int
    error: str = ""


Report = StageReport | EnvironmentReport | DescribeReport | ServeReport | ReplayReport | EndReport
