"""What services ask of the fact store.

Promises, for every implementation:

- A call that returned is durable: it survives kill -9 and a power cut.
- A call is atomic, and safe from any thread; several hub processes may share one PostgreSQL.
- `get_…` raises `NotFound` if absent, `find_…` gives None, `list_…` is ordered and paged.
- A write for a job's run carries that job's fence and raises `Superseded` if another claim took over.
- Times are seconds since the epoch in UTC, made by the store's own clock (the database's on PostgreSQL); a
  `created_at` or `at` of 0 in what is kept is filled in with it.
- `transaction()` groups calls of one thread: all or none; nothing slow happens inside.
- What one of the databases could not keep (NUL in text, a key over 2000 bytes, a number beyond 64 bits) is
  refused by both as `InvalidInput`. No driver's error leaves a store: see `errors.stores`.
- Executions (runs, pipelines, jobs, versions, revisions) are listed newest first, records and events in the
  order they came, what has a name by its name.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypedDict, Unpack

from relive.core.endpoint import Endpoint, Revision
from relive.core.event import Event
from relive.core.project import Project
from relive.core.run import Artifact, Input, Metric, MetricSummary, Run, RunRecords
from relive.core.selection import Selection
from relive.core.trajectory import Verdict
from relive.ports.accounts import AccountStore
from relive.ports.datasets import DatasetVersionStore
from relive.ports.evaluation import EvaluationStore, ScorerStore
from relive.ports.experiments import DatasetStore, ExperimentStore
from relive.ports.files import FileStore
from relive.ports.housekeeping import KeepingStore
from relive.ports.logged_models import LoggedModelStore
from relive.ports.metrics import SeriesStore
from relive.ports.registry import RegistryStore
from relive.ports.review import IssueStore, LabelSchemaStore, ReviewStore
from relive.ports.run_tables import RunTableStore
from relive.ports.search import SearchStore
from relive.ports.traces import AssessmentStore, SpanStore, TraceStore
from relive.ports.views import ViewStore
from relive.ports.webhooks import WebhookStore
from relive.ports.work import JobQueue, PipelineStore


class ProjectStore(Protocol):
    """Projects, the last seen git refs, and forge deliveries."""

    def create_project(self, name: str, *, default_branch: str = "main") -> Project:
        """Create a project, or raise `Conflict` if the name is taken."""
        ...

    def get_project(self, name_or_id: str) -> Project: ...
    def find_project(self, name_or_id: str) -> Project | None: ...
    def list_projects(self) -> list[Project]: ...
    def set_project(self, project_id: str, **changes: Any) -> Project:
        """Change `default_branch` or `mirror`."""
        ...

    def delete_project(self, project_id: str) -> None:
        """Forget a project, or raise `Conflict` if anything of the hub is in it: runs, pipelines, models, ….

        Raises:
            NotFound: There is no such project.
        """
        ...

    def list_refs(self, project_id: str) -> dict[str, str]:
        """Give ref name to the commit that was last acted upon."""
        ...

    def set_ref(self, project_id: str, ref: str, *, old: str, new: str) -> bool:
        """Move a seen ref if it still is `old` ("" for absent; new "" deletes); tell whether it did."""
        ...

    def record_delivery(self, forge: str, delivery_id: str) -> bool:
        """Remember a webhook's delivery; tell whether it is new."""
        ...

    def get_meta(self, key: str) -> str | None: ...
    def set_meta(self, key: str, value: str) -> None: ...


class RunFilter(TypedDict, total=False):
    """What `list_runs` narrows by; an absent key, or None, narrows nothing.

    `text` is words, each the beginning of a word in the run's name, stage, commit or id; case is ignored.
    Deleted runs are listed only if `deleted` asks for them, and then alone.
    """

    project_id: str | None
    experiment_id: str | None
    pipeline_id: str | None
    stage_id: str | None
    kind: str | None
    status: str | None
    replay_of: str | None
    text: str | None
    deleted: bool


class RunStore(Protocol):
    """Runs and what they record. `fence` None means a writer without a job (the CLI, a client)."""

    def create_run(self, run: Run) -> Run: ...
    def get_run(self, run_id: str) -> Run:
        """Give a run by its id or an unambiguous beginning of it; raises `NotFound` or `Ambiguous`.

        A deleted run is given by its whole id alone.
        """
        ...

    def find_run(self, run_id: str) -> Run | None:
        """Find a run by its whole id, deleted or not."""
        ...

    def list_runs(
        self, *, order: str = "-created_at", limit: int = 100, offset: int = 0, **narrow: Unpack[RunFilter]
    ) -> list[Run]:
        """List runs; `order` is an attribute or "metrics.KEY", with "-" for descending.

        Runs without a value of what they are ordered by come last, newest first.
        """
        ...

    def count_runs(
        self, *, project_id: str | None = None, status: str | None = None, most: int | None = None
    ) -> int:
        """Count runs, up to `most` + 1; None counts them all, which takes the longer the more there are."""
        ...

    def set_run(self, run_id: str, *, fence: int | None = None, **changes: Any) -> Run:
        """Change attributes; a final status is never changed to another by a stale fence.

        What a run is made with (project, experiment, kind, job and fence) never changes.
        """
        ...

    def list_silent_runs(self, *, before: float, after: float) -> list[Run]:
        """Give running runs that were last heard of before a time, or later than another; at most 1000.

        Of some nothing is ever heard; these are not among them.
        """
        ...

    def record_metrics(
        self, run_id: str, metrics: Sequence[Metric], *, fence: int | None = None, batch: str = ""
    ) -> None:
        """Append points; the same non-empty `batch` id a second time changes nothing.

        Points of one step are all kept; one that is equal in step, time and value is the same point.
        """
        ...

    def record_params(self, run_id: str, params: dict[str, Any], *, fence: int | None = None) -> None:
        """Set params once; another value for the same name raises `Conflict`."""
        ...

    def record_batch(
        self, run_id: str, records: RunRecords, *, fence: int | None = None, batch: str = ""
    ) -> None:
        """Keep metrics, params and tags, all or none; as the calls for each of them do."""
        ...

    def set_tags(self, run_id: str, tags: dict[str, str], *, fence: int | None = None) -> None: ...
    def delete_tag(self, run_id: str, key: str) -> bool:
        """Take a tag away; tell whether it was there."""
        ...

    def record_artifact(self, artifact: Artifact, *, fence: int | None = None) -> None: ...
    def delete_artifacts(self, run_id: str, paths: Sequence[str]) -> int:
        """Forget artifacts by their paths; gives how many there were."""
        ...

    def record_inputs(self, inputs: Iterable[Input], *, fence: int | None = None) -> None: ...
    def list_metrics(self, run_ids: Sequence[str]) -> list[MetricSummary]: ...
    def get_series(self, run_id: str, key: str, *, max_points: int | None = None) -> list[Metric]:
        """Give a series ordered by (step, time); reduced to `max_points` keeping each bucket's extremes."""
        ...

    def list_params(self, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]: ...
    def list_tags(self, run_ids: Sequence[str]) -> dict[str, dict[str, str]]: ...
    def list_artifacts(self, run_id: str) -> list[Artifact]: ...
    def find_overlapping_artifact(self, run_id: str, path: str) -> Artifact | None:
        """Give one whose path is a folder of this path, or lies in the folder that it would be."""
        ...

    def list_inputs(self, run_id: str) -> list[Input]: ...
    def list_consumers(self, run_id: str) -> list[Input]: ...
    def append_log(self, run_id: str, data: bytes, *, offset: int, fence: int | None = None) -> int:
        """Append to the live log; bytes already there (by offset) are skipped. Returns its new length.

        Beyond a gap nothing is kept: the length tells from where to send again.
        """
        ...

    def read_log(self, run_id: str, *, start: int = 0, limit: int = 1 << 20) -> bytes: ...
    def drop_live_log(self, run_id: str) -> None: ...
    def record_verdict(self, verdict: Verdict) -> Verdict: ...
    def list_verdicts(self, run_id: str) -> list[Verdict]:
        """Give the verdicts on repeats of this run, oldest first."""
        ...

    def list_verdicts_of(self, run_ids: Sequence[str]) -> dict[str, list[Verdict]]:
        """Give the verdicts of many runs at once, for a table of runs; runs without any are absent."""
        ...


class EndpointStore(Protocol):
    """Endpoints and revisions; each change of traffic grows the routing version."""

    def ensure_endpoint(self, project_id: str, name: str, model: str) -> Endpoint:
        """Give the endpoint of this name; raises `Conflict` if it serves another project or model."""
        ...

    def get_endpoint(self, name: str) -> Endpoint: ...
    def list_endpoints(self, project_id: str | None = None) -> list[Endpoint]: ...
    def create_revision(self, revision: Revision) -> Revision:
        """Create it with the endpoint's next number; with a `stage_id` seen before, give that one back."""
        ...

    def get_revision(self, revision_id: str) -> Revision: ...
    def list_revisions(
        self, endpoint_id: str | None = None, *, states: Sequence[str] = ()
    ) -> list[Revision]: ...
    def set_revision(
        self, revision_id: str, *, expect: str | None = None, **changes: Any
    ) -> Revision | None: ...
    def route(self, endpoint_id: str, *, live: str, previous: str) -> Endpoint:
        """Move the traffic in one write."""
        ...

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Delete an endpoint and its revisions."""
        ...

    def routing_version(self) -> int:
        """Give the number that grows with each change of what the router reads."""
        ...


class EventStore(Protocol):
    """What happened, in order."""

    def record_event(self, event: Event) -> Event: ...
    def list_events(
        self,
        *,
        after: int = 0,
        project: str | None = None,
        subject: str | None = None,
        kind: str | None = None,
        newest_first: bool = False,
        limit: int = 100,
    ) -> list[Event]: ...


class QuestionStore(Protocol):
    """The facts, asked in SQL by people."""

    def open_tables(self) -> dict[str, tuple[str, ...]]:
        """Give the tables that may be asked, with their columns; none that holds a secret is among them."""
        ...

    def select(self, query: str, *, limit: int = 1000, timeout_s: float = 10.0) -> Selection:
        """Answer one SELECT; raises `InvalidInput` for what is none, is not open, or takes too long."""
        ...


class Store(
    AccountStore,
    ProjectStore,
    ExperimentStore,
    RunStore,
    SearchStore,
    SeriesStore,
    DatasetStore,
    DatasetVersionStore,
    PipelineStore,
    JobQueue,
    RegistryStore,
    LoggedModelStore,
    TraceStore,
    SpanStore,
    AssessmentStore,
    EvaluationStore,
    ScorerStore,
    LabelSchemaStore,
    ReviewStore,
    IssueStore,
    FileStore,
    WebhookStore,
    ViewStore,
    RunTableStore,
    EndpointStore,
    EventStore,
    KeepingStore,
    QuestionStore,
    Protocol,
):
    """The whole fact store."""

    def transaction(self) -> AbstractContextManager[None]:
        """Group this thread's calls: all or none.

        A call that fails undoes itself alone, and the group may go on. A group inside a group joins it.
        Groups of all hubs come one after the other; single calls pass between them.
        """
        ...

    def close(self) -> None: ...
