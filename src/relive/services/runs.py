"""Runs: those that no job places, and reading all of them."""

from collections.abc import Iterator
from contextlib import suppress

import msgspec

from relive.core.access import Caller, Scope, Token
from relive.core.event import Event
from relive.core.ids import short_id
from relive.core.job import JobKind, JobState
from relive.core.project import Project
from relive.core.run import FailureReason, Run, RunStatus
from relive.core.trajectory import Verdict, latest_verdict
from relive.errors import AccessDenied, Conflict, InvalidInput, NotFound
from relive.services import projects
from relive.services.accounts import create_token, require_reader
from relive.services.context import Services
from relive.services.finishing import close_run, tell_end
from relive.services.ids import named_id, new_id
from relive.services.inputs import load_manifest
from relive.services.recording import keep_records
from relive.services.silence import beat_within_s, hear
from relive.services.stages.outcome import is_active
from relive.wire.hub import RunDetail
from relive.wire.jobs import HeartbeatReply, LogChunk, LogReply, Progress, Records, StageReport
from relive.wire.runs import CreatedRun, CreateRun

LIVE_LOG_PIECE = 1 << 20
# Databases count to here; no log is as long.
_FARTHEST = 1 << 62
_OPEN = (JobState.QUEUED, JobState.RUNNING)
# The run whose command made another one has its id here.
MAKER = "relive.maker"
# MLflow's word for it, which whoever makes a run may say.
PARENT = "mlflow.parentRunId"


def create(services: Services, request: CreateRun, caller: Caller) -> CreatedRun:
    """Make a run that somebody does by hand or from a script; its project is made on first use.

    A command makes runs below its own, in its own project: they are its children, and it may write them.

    Raises:
        AccessDenied: A command asks for a run in another project, to repeat one there, or by another's key.
        InvalidName: This cannot be a project's name.
        NotFound: There is no run that it could repeat, or go on with.
        Conflict: The run that it should go on with belongs to a job.
    """
    store = services.store
    if request.resume:
        run = _reopen(services, request, may_write(services, caller, request.resume))
    else:
        project = _project_of(services, request, caller)
        run_id = named_id(project.id, caller.name, request.key) if request.key else new_id()
        with store.transaction():
            run = store.find_run(run_id) or _create(services, request, project.id, run_id, caller)
        require_writer(services, caller, run)  # a command goes by the name of its user, who may know this key
    token = create_token(services, _token_of(run, caller))
    return CreatedRun(run_id=run.id, name=run.name, token=token, url=page_of(services, run))


def _project_of(services: Services, request: CreateRun, caller: Caller) -> Project:
    if caller.scope is not Scope.COMMAND:
        return projects.find_or_create(services, request.project, by=caller.name)
    project = services.store.get_project(caller.project_id)
    if request.project != project.name:
        action = f"create a run in project {request.project}"
        raise AccessDenied(action=action, who=caller.name, needs=f"its own project, {project.name}")
    return project


def _token_of(run: Run, caller: Caller) -> Token:
    """Say what the token of a run's command is: what a job's command makes ends with the claim of the job."""
    return Token(
        id="",
        scope=Scope.COMMAND,
        subject=f"job:{caller.job_id}" if caller.job_id else f"user:{caller.name}",
        label="run",
        project_id=run.project_id,
        run_id=run.id,
        fence=caller.fence,
    )


def _create(services: Services, request: CreateRun, project_id: str, run_id: str, caller: Caller) -> Run:
    store = services.store
    project, now = store.get_project(project_id), store.now()
    experiment = store.ensure_experiment(project.id, request.experiment or project.name)
    run = store.create_run(
        Run(
            id=run_id,
            project_id=project.id,
            experiment_id=experiment.id,
            name=request.name or f"{request.kind.value} {short_id(run_id)}",
            kind=request.kind,
            status=RunStatus.RUNNING,
            actor=caller.name,
            command=request.command,
            commit=request.commit,
            replay_of=_repeated(services, request.replay_of, caller),
            created_at=now,
            started_at=now if request.started_at is None else request.started_at,
            heard_at=now if request.heartbeats else None,
        )
    )
    if caller.scope is Scope.COMMAND:
        store.set_tags(run.id, {PARENT: caller.run_id, MAKER: caller.run_id})
    services.record(
        Event(kind="run.started", actor=caller.name, subject=f"run:{run.id}", project=project.name)
    )
    return run


def _repeated(services: Services, run_id: str, caller: Caller) -> str:
    """Give the whole id of the run that is repeated, if any: from it lineage leads on into its project."""
    if not run_id:
        return ""
    run = services.store.get_run(run_id)
    require_reader(caller, run.project_id)
    return run.id


def _reopen(services: Services, request: CreateRun, run: Run) -> Run:
    if run.job_id:
        raise Conflict(subject=f"run {short_id(run.id)}", reason="it belongs to a job, and ends with it")
    return services.store.set_run(
        run.id,
        status=RunStatus.RUNNING,
        failure=None,
        reason="",
        exit_code=None,
        ended_at=None,
        heard_at=services.store.now() if request.heartbeats else None,
    )


def may_write(services: Services, caller: Caller, run_id: str) -> Run:
    """Give the run if this caller may write it; raises as `require_writer`."""
    run = services.store.get_run(run_id)
    require_writer(services, caller, run)
    return run


def require_writer(services: Services, caller: Caller, run: Run) -> None:
    """Refuse a caller who may not write this run: commands write their own and those they made, users any.

    Raises:
        AccessDenied: It is another's, or belongs to a job.
    """
    own = caller.scope is Scope.COMMAND and caller.run_id in (run.id, _maker_of(services, run))
    user = caller.scope in (Scope.ADMIN, Scope.MEMBER) or (
        caller.scope is Scope.LOCAL and run.actor == caller.name
    )
    if not own and not user:
        raise AccessDenied(
            action=f"write run {short_id(run.id)}", who=caller.name, needs="the run's own token"
        )


def _maker_of(services: Services, run: Run) -> str:
    return services.store.list_tags([run.id]).get(run.id, {}).get(MAKER, "")


def renew(services: Services, run: Run) -> HeartbeatReply:
    """Note that a run by hand goes on, and tell it whether it is to be cancelled."""
    run = hear(services, run)
    return HeartbeatReply(cancel=run.status.is_final, lease_s=beat_within_s(services))


def progress(services: Services, run: Run, message: Progress) -> None:
    """Note a phase of a run by hand."""
    services.store.set_run(run.id, reason=message.message or message.phase)


def append_log(services: Services, run: Run, chunk: LogChunk) -> LogReply:
    """Append to a run's live log."""
    return LogReply(
        length=services.store.append_log(run.id, chunk.data, offset=chunk.offset, fence=run.fence or None)
    )


def record(services: Services, run: Run, records: Records) -> None:
    """Keep what a run logged."""
    keep_records(services, run.id, records, fence=run.fence or None)


def finish(services: Services, run: Run, report: StageReport) -> Run:
    """Close a run by hand.

    Raises:
        InvalidInput: The report is of no end.
        Conflict: It has ended already in another way, or its end belongs to its job.
    """
    if run.job_id:
        raise Conflict(subject=f"run {short_id(run.id)}", reason="it belongs to a job, whose runner ends it")
    if not report.status.is_final:
        wanted = ", ".join(status for status in RunStatus if status.is_final)
        raise InvalidInput(field="status", value=report.status.value, wanted=wanted)
    if run.status.is_final and not _awaits_report(run) and not run.is_silent:
        if run.status is report.status:
            return run
        raise _ended(run)
    reason = run.reason if report.status is run.status else report.reason  # who cancelled it is kept
    with services.store.transaction():
        closed = close_run(services, run.id, _with_kept(run, report, reason))
        if report.ended_at is not None:
            closed = services.store.set_run(run.id, ended_at=report.ended_at)
        if closed.status is not run.status:
            tell_end(services, closed, by=run.actor)
    return closed


def _with_kept(run: Run, report: StageReport, reason: str) -> StageReport:
    """Let the documents stand that an earlier end of a resumed run has brought, where this one has none."""
    names = ("log", "log_bytes", "recipe", "recipe_digest", "trajectory")
    kept = {name: getattr(report, name) or getattr(run, name) for name in names}
    return msgspec.structs.replace(report, fence=0, reason=reason, **kept)


def cancel(services: Services, run_id: str, *, by: str) -> Run:
    """Ask a run to end; one by hand counts as ended from now on, for nobody may be there to end it.

    Raises:
        Conflict: It has ended already.
    """
    store = services.store
    run = store.get_run(run_id)
    if run.status.is_final:
        raise _ended(run)
    if run.job_id:
        store.request_cancel(run.job_id)
        stage = store.get_stage(run.stage_id)
        if is_active(stage):
            store.set_stage(stage.id, reason=f"cancel asked by {by}")
    else:
        with store.transaction():
            # A replay that was placed on a pool has a job that works for it.
            for job in store.list_jobs(states=_OPEN, subject=f"run:{run.id}"):
                store.request_cancel(job.id)
            run = store.set_run(
                run.id,
                status=RunStatus.KILLED,
                failure=FailureReason.CANCELLED,
                reason=f"cancelled by {by}",
                ended_at=store.now(),
            )
            tell_end(services, run, by=by)
        for trial in store.list_jobs(states=_OPEN, kinds=(JobKind.TRIAL,)):
            if trial.payload["search"] == run.id:
                with suppress(Conflict):  # it ended in between
                    cancel(services, trial.subject.removeprefix("run:"), by=by)
    services.wake()
    return run


def _awaits_report(run: Run) -> bool:
    """Tell whether a run was only cancelled: what its process has to report of it is still to come."""
    has_report = run.exit_code is not None or run.log or run.recipe
    return run.failure is FailureReason.CANCELLED and not has_report


def _ended(run: Run) -> Conflict:
    return Conflict(subject=f"run {short_id(run.id)}", reason=f"it has already ended as {run.status.value}")


def get_detail(services: Services, run_id: str) -> RunDetail:
    """Give a run and what it recorded."""
    store = services.store
    run = store.get_run(run_id)
    return RunDetail(
        run=run,
        project=store.get_project(run.project_id).name,
        url=page_of(services, run),
        experiment=store.get_experiment(run.experiment_id).name,
        metrics=tuple(store.list_metrics([run.id])),
        params=store.list_params([run.id]).get(run.id, {}),
        tags=store.list_tags([run.id]).get(run.id, {}),
        artifacts=tuple(store.list_artifacts(run.id)),
        inputs=tuple(store.list_inputs(run.id)),
        verdicts=tuple(store.list_verdicts(run.id)),
        versions=tuple(store.list_versions_of_run(run.id)),
        datasets=tuple(store.list_versions_made_by(run.id)),
    )


def page_of(services: Services, run: Run) -> str:
    """Give the address of a run's page."""
    return f"{services.place.public_url}/r/{run.id}"


def read_log(services: Services, run: Run, *, start: int = 0) -> Iterator[bytes]:
    """Give a run's log from a byte on, as far as it is known now.

    Raises:
        BlobNotFound: The kept log is gone; before the first byte is given.
    """
    if run.log:
        size = services.blobs.get(run.log).size_bytes
        return services.blobs.iter_chunks(run.log, min(start, size))
    return _read_live_log(services, run, min(start, _FARTHEST))


def _read_live_log(services: Services, run: Run, start: int) -> Iterator[bytes]:
    while piece := services.store.read_log(run.id, start=start, limit=LIVE_LOG_PIECE):
        yield piece
        start += len(piece)


def find_file(services: Services, run_id: str, path: str) -> str:
    """Give the digest of a file among a run's artifacts.

    Raises:
        NotFound: No artifact holds this path.
    """
    artifacts = services.store.list_artifacts(run_id)
    # Each has a manifest to be read: the one that has the path's name, or is its folder, first.
    for artifact in sorted(artifacts, key=lambda it: not path.startswith(it.path)):
        entry = load_manifest(services, artifact.manifest).find(path)
        if entry is not None and entry.link is None:
            return entry.digest
    raise NotFound(kind="artifact file", name=path, hint=f"relive show {short_id(run_id)}")


def record_verdict(services: Services, verdict: Verdict, *, by: str) -> Verdict:
    """Keep what a replay showed.

    Raises:
        NotFound: There is no such run, or no such replay.
        InvalidInput: The replay repeats another run.
    """
    store = services.store
    run = store.get_run(verdict.run_id)
    if store.get_run(verdict.replay_run_id).replay_of != run.id:
        wanted = f"a run that replays {run.id}"
        raise InvalidInput(field="replay_run_id", value=verdict.replay_run_id, wanted=wanted)
    kept = msgspec.structs.replace(verdict, id=new_id(), run_id=run.id, at=store.now(), by=by)
    before = latest_verdict(store.list_verdicts(run.id))
    with store.transaction():
        store.record_verdict(kept)
        _tell_rot(services, kept, before, by=by)
        services.record(
            Event(
                kind="replay.judged",
                actor=by,
                subject=f"run:{run.id}",
                project=store.get_project(run.project_id).name,
                facts={"level": kept.level.value, "reason": kept.reason, "replay": kept.replay_run_id},
            )
        )
    return kept


def _tell_rot(services: Services, verdict: Verdict, before: Verdict | None, *, by: str) -> None:
    """Record of each version in use that it can no longer be made again, once it no longer can."""
    is_news = before is None or before.level.is_good
    if verdict.level.is_good or not verdict.is_whole or not is_news:
        return
    for version in services.store.list_versions_of_run(verdict.run_id):
        named = services.store.list_aliases(version.model)
        aliases = [it.alias for it in named if it.version == version.version]
        if not aliases:
            continue
        project_id = services.store.get_model(version.model).project_id
        services.record(
            Event(
                kind="model.rotted",
                actor=by,
                subject=f"version:{version.id}",
                project=services.store.get_project(project_id).name,
                facts={
                    "model": version.model,
                    "version": version.version,
                    "aliases": aliases,
                    "level": verdict.level.value,
                    "reason": verdict.reason,
                    "run": verdict.run_id,
                },
            )
        )
