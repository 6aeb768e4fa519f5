"""Projects that follow a repository of a code host: its pushes start pipelines, their results go back."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from relive.core.event import Event
from relive.core.forge import CommitStatus, ForgeLink, StatusState
from relive.core.gates import GateResult
from relive.core.job import Job, JobKind, JobState
from relive.core.pipeline import Action, Pipeline, PipelineStatus, Stage
from relive.core.project import Project
from relive.errors import NotFound
from relive.ports.forges import Forge, Vault
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.pipelines import page_of
from relive.services.pushes import Push, record_push
from relive.services.view import PipelineView

_LINK = "forge:link:"
_HEARD = "forge:heard:"
# A webhook that was heard within this time makes polling needless; a lost one is found after it.
_TRUST_WEBHOOK_S = 3600.0
_TRIES = 8
_BRANCHES = "+refs/heads/*:refs/heads/*"

_STATES = {
    PipelineStatus.QUEUED: StatusState.PENDING,
    PipelineStatus.RUNNING: StatusState.PENDING,
    PipelineStatus.SUCCEEDED: StatusState.SUCCESS,
    PipelineStatus.FAILED: StatusState.FAILURE,
    PipelineStatus.GATED: StatusState.FAILURE,
    PipelineStatus.CANCELLED: StatusState.ERROR,
}
_WORDS = {
    PipelineStatus.SUCCEEDED: "every stage succeeded",
    PipelineStatus.GATED: "stopped by a gate",
    PipelineStatus.CANCELLED: "cancelled",
    PipelineStatus.FAILED: "failed",
}


class StatusRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a FORGE_STATUS job is asked to write."""

    project_id: str
    commit: str
    status: CommitStatus


class Forging:
    """The use cases around forges.

    Args:
        services: The hub's.
        forges: Adapter by its kind.
        vault: Keeps tokens and secrets unreadable in the database.
    """

    def __init__(self, services: Services, forges: Mapping[str, Forge], vault: Vault) -> None:
        self._services, self._forges, self._vault = services, forges, vault

    @property
    def jobs(self) -> dict[JobKind, Callable[[Services, Job], object]]:
        """Give what the hub's thread does for each kind of job."""
        return {
            JobKind.FORGE_EVENT: self._work_event,
            JobKind.FORGE_POLL: self._work_poll,
            JobKind.FORGE_STATUS: self._work_status,
        }

    def link(self, kind: str, url: str, *, token: str, webhook_secret: str, api_url: str = "") -> ForgeLink:
        """Make a link of a repository's address by the adapter of this kind; raises as `Forge.link`."""
        return self._forge(kind).link(url, token=token, webhook_secret=webhook_secret, api_url=api_url)

    def follow(self, project: Project, link: ForgeLink, *, by: str) -> None:
        """Let a project follow a repository from now on, and fetch it at once."""
        store = self._services.store
        with store.transaction():
            store.set_meta(_LINK + project.id, self._vault.seal(msgspec.json.encode(link)))
            store.set_project(project.id, mirror=link.url)
            self._services.record(
                Event(
                    kind="forge.followed",
                    actor=by,
                    subject=f"project:{project.id}",
                    project=project.name,
                    facts={"url": link.url, "webhook": bool(link.webhook_secret)},
                )
            )
        self._queue_fetch(project, actor=by, unique=None)

    def receive(self, kind: str, headers: Mapping[str, str], body: bytes) -> str:
        """Take a webhook: verified, remembered and queued before it is answered; says what came of it.

        Raises:
            NotFound: No such forge, or no project follows the repository.
            AccessDenied: The signature is missing or wrong.
            InvalidInput: It is no webhook of this forge.
        """
        forge = self._forge(kind)
        project, link = self._find(forge.repository_of(body))
        forge.verify(link, headers, body)
        delivery = forge.delivery_id(headers)
        push = forge.read_push(headers, body)
        store = self._services.store
        with store.transaction():
            if not store.record_delivery(kind, delivery):
                return "this delivery was taken before"
            store.set_meta(_HEARD + project.id, str(store.now()))
            if push is None:
                return "nothing to do for this event"
            self._queue_fetch(project, actor=push.actor, unique=f"{kind}:{delivery}")
        self._services.wake()
        return f"queued: {push.ref}"

    def queue_polls(self) -> None:
        """Queue a look at each followed repository whose webhook was not heard lately."""
        store = self._services.store
        for project in store.list_projects():
            heard = float(store.get_meta(_HEARD + project.id) or 0)
            if project.mirror and store.now() - heard >= _TRUST_WEBHOOK_S:
                job = self._job(JobKind.FORGE_POLL, project, {})
                store.put(msgspec.structs.replace(job, max_attempts=1))

    def report(self, view: PipelineView) -> None:
        """Queue the statuses that a pipeline's rows ask for; each is queued once."""
        if not view.project.mirror:
            return
        for status in statuses_of(self._services, view):
            request = StatusRequest(project_id=view.project.id, commit=view.pipeline.commit, status=status)
            job = self._job(JobKind.FORGE_STATUS, view.project, msgspec.to_builtins(request))
            unique = f"status:{view.pipeline.id}:{status.context}:{status.state.value}"
            self._services.store.put(job, unique=unique)

    def _work_event(self, services: Services, job: Job) -> None:
        """Fetch what the forge has and take up every branch that moved."""
        project = services.store.get_project(job.project_id)
        link = self._link(project)
        before = services.repositories.refs(project.name)
        variables = self._forge(link.kind).fetch_variables(link)
        after = services.repositories.fetch(project.name, link.url, [_BRANCHES], env=variables)
        moved = [
            Push(ref=ref, old=before.get(ref, ""), new=after[ref])
            for ref in sorted(after)
            if ref.startswith("refs/heads/") and after[ref] != before.get(ref)
        ]
        record_push(services, project, moved, actor=str(job.payload["actor"]), trigger=link.kind)

    def _work_poll(self, services: Services, job: Job) -> None:
        """Look whether the forge's branches are where ours are; fetch if not."""
        project = services.store.get_project(job.project_id)
        link = self._link(project)
        variables = self._forge(link.kind).fetch_variables(link)
        theirs = services.repositories.ls_remote(link.url, env=variables)
        ours = services.repositories.refs(project.name)
        if any(ours.get(ref) != oid for ref, oid in theirs.items() if ref.startswith("refs/heads/")):
            self._queue_fetch(project, actor=f"{link.kind} (polled)", unique=None)

    def _work_status(self, services: Services, job: Job) -> None:
        request = msgspec.convert(job.payload, StatusRequest)
        link = self._link(services.store.get_project(request.project_id))
        if link.token:
            self._forge(link.kind).set_status(link, request.commit, request.status)

    def _queue_fetch(self, project: Project, *, actor: str, unique: str | None) -> None:
        self._services.store.put(self._job(JobKind.FORGE_EVENT, project, {"actor": actor}), unique=unique)

    def _job(self, kind: JobKind, project: Project, payload: dict[str, object]) -> Job:
        return Job(
            id=new_id(),
            kind=kind,
            state=JobState.QUEUED,
            pool="hub",
            subject=f"project:{project.id}",
            project_id=project.id,
            payload=payload,
            max_attempts=_TRIES,
            created_at=self._services.store.now(),
        )

    def _find(self, repository: str) -> tuple[Project, ForgeLink]:
        for project in self._services.store.list_projects():
            if project.mirror:
                link = self._link(project)
                if link.repository.lower() == repository.lower():
                    return project, link
        raise NotFound(kind="project that follows", name=repository, hint="relive project follow NAME URL")

    def _link(self, project: Project) -> ForgeLink:
        sealed = self._services.store.get_meta(_LINK + project.id)
        if sealed is None:
            raise NotFound(
                kind="forge of project", name=project.name, hint=f"relive project follow {project.name} URL"
            )
        return msgspec.json.decode(self._vault.open(sealed), type=ForgeLink)

    def _forge(self, kind: str) -> Forge:
        if kind not in self._forges:
            raise NotFound(kind="forge", name=kind, hint=f"one of: {', '.join(self._forges)}")
        return self._forges[kind]


def statuses_of(services: Services, view: PipelineView) -> Iterator[CommitStatus]:
    """Give a status for the pipeline, and one for each gate that was judged."""
    url = page_of(services, view.pipeline, view.project.name)
    context = f"relive/{view.project.name}"
    yield CommitStatus(
        context=context,
        state=_STATES[view.pipeline.status],
        description=_describe(view.pipeline, view),
        url=url,
    )
    for stage in view.stages.values():
        if stage.action is Action.GATE:
            for result in _gates(stage):
                yield CommitStatus(
                    context=f"{context}/gate: {result.name}",
                    state=StatusState.SUCCESS if result.ok else StatusState.FAILURE,
                    description=result.reason,
                    url=url,
                )


def _gates(stage: Stage) -> list[GateResult]:
    return msgspec.convert(stage.result.get("gates", []), list[GateResult])


def _describe(pipeline: Pipeline, view: PipelineView) -> str:
    if pipeline.error:
        return pipeline.error.splitlines()[0]
    if pipeline.status.is_final:
        broken = next((s for s in view.stages.values() if s.status.value == "failed"), None)
        return (
            f"{broken.key}: {broken.reason.splitlines()[0]}"
            if broken and broken.reason
            else _WORDS[pipeline.status]
        )
    done = sum(1 for stage in view.stages.values() if stage.status.is_final)
    return f"{done} of {len(view.stages)} stages done"
