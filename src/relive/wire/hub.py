"""What people's programs and the hub say to each other, under `/api/v1`.

Replies are core structs wherever one fits; here is what joins several, and what is asked for.
"""

from typing import Annotated, Any

import msgspec

from relive.core.dataset import DatasetVersion
from relive.core.endpoint import Endpoint, Revision
from relive.core.model import Alias, ModelVersion, RegisteredModel
from relive.core.pipeline import Pipeline, Stage
from relive.core.project import Project
from relive.core.run import Artifact, Input, MetricSummary, Run
from relive.core.trajectory import Verdict


class HubInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a hub is."""

    version: str
    url: str
    database: str
    store: str
    auth: str


class CreateProject(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for a project; an existing one of the same name is given back."""

    name: str
    default_branch: str = "main"


class ProjectDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A project, and where to push.

    Attributes:
        roots: Its commits without a parent; only where one project was asked for.
    """

    project: Project
    git_url: str
    url: str
    roots: tuple[str, ...] = ()


class RunDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A run and what it recorded; `datasets` are the versions of data that it made."""

    run: Run
    project: str
    url: str
    experiment: str = ""
    metrics: tuple[MetricSummary, ...] = ()
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    artifacts: tuple[Artifact, ...] = ()
    inputs: tuple[Input, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    versions: tuple[ModelVersion, ...] = ()
    datasets: tuple[DatasetVersion, ...] = ()


class StartPipeline(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for a pipeline of a commit, without a push.

    Attributes:
        rev: Branch or commit; empty for the default branch.
        rerun_of: Pipeline to repeat; its commit is taken.
        from_stage: With `rerun_of`: nothing from this stage on is taken from the cache.
    """

    project: str
    rev: str = ""
    rerun_of: str = ""
    from_stage: str = ""


class StartedPipeline(msgspec.Struct, frozen=True, kw_only=True):
    """The pipeline that will be planned."""

    id: str


class PipelineDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline with its stages."""

    pipeline: Pipeline
    project: str
    url: str
    stages: tuple[Stage, ...]


class WhyStage(msgspec.Struct, frozen=True, kw_only=True):
    """Why a stage was or was not taken from the cache.

    Attributes:
        compared_with: Pipeline number of the earlier execution, 0 if there was none.
        changes: What differs between the two, a sentence each.
        facts: The named parts of the key.
    """

    stage: str
    status: str
    reason: str
    compared_with: int = 0
    changes: tuple[str, ...] = ()
    facts: dict[str, str] = {}


class ModelDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model with its versions, newest first.

    Attributes:
        verdicts: Number of a version to the last verdict on the run that made it.
    """

    model: RegisteredModel
    project: str
    url: str
    versions: tuple[ModelVersion, ...]
    aliases: tuple[Alias, ...]
    verdicts: dict[int, Verdict] = {}


class AskSql(msgspec.Struct, frozen=True, kw_only=True):
    """Asks one SELECT; `limit` is the most rows that are given."""

    query: str
    limit: int = 1000


class MoveAlias(msgspec.Struct, frozen=True, kw_only=True):
    """Asks to point an alias at a version."""

    alias: str
    version: int


class DeployVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Asks to serve a version; `ref` is a number or an alias."""

    model: str
    ref: str


class EndpointDetail(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint with its revisions, newest first."""

    endpoint: Endpoint
    project: str
    url: str
    infer_url: str
    revisions: tuple[Revision, ...]


class CreatePool(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for a pool; `executor` names the adapter, `config` is its own."""

    name: str
    executor: str
    config: dict[str, Any] = {}
    slots: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4


class CreateToken(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for a token; `life_s` None lets it live until it is revoked."""

    label: str
    scope: str = "member"
    user: str = ""
    life_s: float | None = None


class CreatedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token's text, which is shown only here."""

    token: str


class LoginLink(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time address that gives a browser a session."""

    url: str


class SetTags(msgspec.Struct, frozen=True, kw_only=True):
    """Asks to set tags of a run."""

    tags: dict[str, str]


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """What something came from and what came from it: nodes by id, edges from source to result."""

    nodes: tuple["LineageNode", ...]
    edges: tuple[tuple[str, str], ...]


class LineageNode(msgspec.Struct, frozen=True, kw_only=True):
    """One thing of the lineage; `kind` is commit, data, run, model_version or endpoint."""

    id: str
    kind: str
    label: str
    detail: str = ""
    url: str = ""


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """Asks that a project follows a repository of a code host; `api_url` only for one of your own."""

    url: str
    token: str = ""
    webhook_secret: str = ""
    api_url: str = ""


class WebhookTaken(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a webhook, in a few words."""

    result: str
