"""What a job's process may ask and tell: its work, that it lives, what it recorded, how it ended.

Every call carries the fence of its claim. A call of an older claim, or of a job that is over, raises
`Superseded` and changes nothing.
"""

from typing import Any, TypeVar

import msgspec

from relive.core.access import Scope
from relive.core.endpoint import Revision, RevisionState
from relive.core.event import Event
from relive.core.job import Job, JobKind, JobState
from relive.core.pipeline import StageStatus
from relive.core.run import RunStatus
from relive.errors import InvalidInput, Superseded
from relive.services import causes, replays
from relive.services.accounts import create_job_token
from relive.services.context import Services
from relive.services.describing import DOING
from relive.services.finishing import finish_stage
from relive.services.recording import keep_records
from relive.wire.jobs import (
    DescribeReport,
    EndReport,
    EnvironmentReport,
    HeartbeatReply,
    LogChunk,
    LogReply,
    PlacedTrial,
    Progress,
    Records,
    ReplayReport,
    ReplayWork,
    Report,
    ServeReport,
    StageReport,
    StageWork,
    TrialRun,
    TrialWork,
    WhyWork,
    Work,
)

_ENDED = "its lease had gone to another, or it was over"
_SUPERSEDED = "job.superseded"

ReportT = TypeVar("ReportT")


def work_of(services: Services, job_id: str, fence: int) -> Work:
    """Give a job its work; a stage's comes with a fresh token for the command."""
    job = _held(services, job_id, fence)  # else an old claim could make itself tokens of the new one
    work: Work = msgspec.convert(job.payload["work"], Work)
    if isinstance(work, ReplayWork):
        replays.begin(services, work)
        token = create_job_token(services, job, Scope.COMMAND, run_id=work.replay_run_id)
        return msgspec.structs.replace(work, token=token)
    if isinstance(work, WhyWork):
        causes.begin(services, work.run_id)
        token = create_job_token(services, job, Scope.COMMAND, run_id=work.run_id)
        return msgspec.structs.replace(work, token=token)
    if isinstance(work, TrialWork):
        causes.begin(services, work.work.run_id)
        return msgspec.structs.replace(work, work=_with_token(services, job, work.work))
    return _with_token(services, job, work) if isinstance(work, StageWork) else work


def _with_token(services: Services, job: Job, work: StageWork) -> StageWork:
    token = create_job_token(services, job, Scope.COMMAND, run_id=work.run_id)
    return msgspec.structs.replace(work, command_token=token)


def renew(services: Services, job_id: str, fence: int) -> HeartbeatReply:
    """Hold the job's lease and tell whether it is to be cancelled."""
    try:
        job = services.store.renew(job_id, fence, lease_s=services.place.lease_s)
    except Superseded:
        _show_superseded(services, job_id, fence)
        raise
    return HeartbeatReply(cancel=job.cancel_requested, lease_s=services.place.lease_s)


def progress(services: Services, job_id: str, message: Progress) -> None:
    """Note that a phase of the job began."""
    job = _held(services, job_id, message.fence)
    kind, _, subject = job.subject.partition(":")
    if kind == "stage":
        _stage_progress(services, subject, job, message)
    elif kind == "revision":
        _revision_progress(services, subject, job, message)
    services.wake()


def append_log(services: Services, job_id: str, chunk: LogChunk) -> LogReply:
    """Append to the live log of the job's run."""
    job = _held(services, job_id, chunk.fence)
    length = services.store.append_log(_run_id(job), chunk.data, offset=chunk.offset, fence=chunk.fence)
    return LogReply(length=length)


def record(services: Services, job_id: str, records: Records) -> None:
    """Keep metrics, params and tags of the job's run."""
    job = _held(services, job_id, records.fence)
    keep_records(services, _run_id(job), records, fence=records.fence)


def place_trial(services: Services, job_id: str, message: PlacedTrial) -> TrialRun:
    """Have a run tried that a search for causes asks for; raises as `causes.place_trial`."""
    job = _held(services, job_id, message.fence)
    return TrialRun(run_id=causes.place_trial(services, job, message).id)


def finish(services: Services, job_id: str, report: Report) -> None:
    """Take a job's report, once; what it means for its stage or revision follows from the rows."""
    job = services.store.get_job(job_id)
    if _ended_by_itself(job, report.fence):
        return  # sent again, because the hub died before it could answer
    try:
        _finish(services, job, report)
    except Superseded:
        _show_superseded(services, job_id, report.fence)
        raise
    services.wake()


def _ended_by_itself(job: Job, fence: int) -> bool:
    return job.fence == fence and job.state.is_final and job.state is not JobState.LOST


def _show_superseded(services: Services, job_id: str, fence: int) -> None:
    """Record, once a claim, that a write came too late and was refused."""
    store = services.store
    with store.transaction():
        job = store.get_job(job_id)
        known = store.list_events(subject=job.subject, kind=_SUPERSEDED, newest_first=True)
        claim = (job_id, fence)
        if _ended_by_itself(job, fence) or claim in [(e.facts["job"], e.facts["fence"]) for e in known]:
            return
        facts = {"job": job_id, "fence": fence, "job_state": job.state.value, "reason": _ENDED}
        services.record(
            Event(kind=_SUPERSEDED, actor=f"job:{job_id}", subject=job.subject, facts=facts),
        )


def _finish(services: Services, job: Job, report: Report) -> None:
    if job.kind is JobKind.STAGE:
        finish_stage(services, job, _expect(report, StageReport))
        return
    if job.kind is JobKind.REPLAY:
        replays.finish(services, job, _expect(report, ReplayReport))
        return
    if job.kind in (JobKind.TRIAL, JobKind.WHY):
        causes.finish(services, job, _expect(report, EndReport))
        return
    result, error = _result(job, report)
    state = JobState.FAILED if error else JobState.CANCELLED if job.cancel_requested else JobState.DONE
    services.store.finish(job.id, report.fence, state, result=result, error=error)


def _result(job: Job, report: Report) -> tuple[dict[str, Any], str]:
    if job.kind is JobKind.ENVIRONMENT:
        environment = _expect(report, EnvironmentReport)
        return {"lock": environment.lock, "packages": environment.packages}, environment.error
    if job.kind is JobKind.DESCRIBE:
        described = _expect(report, DescribeReport)
        signature = msgspec.to_builtins(described.signature)
        found = {"contract": described.contract, "signature": signature, "loader": described.loader}
        return found, described.error
    served = _expect(report, ServeReport)
    return {}, served.error


def _stage_progress(services: Services, stage_id: str, job: Job, message: Progress) -> None:
    store = services.store
    with store.transaction():
        stage = store.get_stage(stage_id)
        if stage.job_id != job.id or stage.status.is_final:
            return
        note = message.message or message.phase
        if stage.status is not StageStatus.QUEUED:
            store.set_stage(stage.id, reason=note)
            return
        now = store.now()
        store.set_stage(stage.id, status=StageStatus.RUNNING, reason=note, started_at=now)
        if job.kind is JobKind.STAGE:
            run = store.set_run(stage.run_id, fence=message.fence, status=RunStatus.RUNNING, started_at=now)
            services.record(Event(kind="run.started", actor="hub", subject=f"run:{run.id}"))


def _revision_progress(services: Services, revision_id: str, job: Job, message: Progress) -> None:
    store = services.store
    with store.transaction():
        revision = store.get_revision(revision_id)
        # One that was stopped or given up meanwhile is not brought back by a process that is about to end.
        if revision.job_id == job.id and revision.state.is_wanted:
            _note_revision(services, revision, message)


def _note_revision(services: Services, revision: Revision, message: Progress) -> None:
    store, revision_id = services.store, revision.id
    if message.phase == "ready":
        store.set_revision(
            revision_id,
            state=RevisionState.READY,
            address=str(message.facts.get("address", "")),
            facts=_without(revision.facts, DOING) | {"pid": message.facts.get("pid")},
            ready_at=store.now(),
            error="",
        )
    elif message.phase == "restarted":
        store.set_revision(revision_id, restarts=int(message.facts.get("restarts", 0)), error=message.message)
    elif message.phase == "failed":
        store.set_revision(revision_id, error=message.message)
    elif revision.state is not RevisionState.READY:
        store.set_revision(revision_id, facts=revision.facts | {DOING: message.message or message.phase})


def _without(facts: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key != name}


def _held(services: Services, job_id: str, fence: int) -> Job:
    job = services.store.get_job(job_id)
    if job.fence != fence or job.state is not JobState.RUNNING:
        _show_superseded(services, job_id, fence)
        raise Superseded(subject=f"job {job_id[:8]}", reason=_ENDED)
    return job


def _run_id(job: Job) -> str:
    if job.kind is not JobKind.STAGE:
        raise InvalidInput(field="job", value=job.id, wanted="the job of a stage: only those have a run")
    return str(job.payload["work"]["run_id"])


def _expect(report: Report, kind: type[ReportT]) -> ReportT:
    if not isinstance(report, kind):
        raise InvalidInput(field="kind", value=type(report).__name__, wanted=kind.__name__)
    return report
