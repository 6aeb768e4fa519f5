"""The end of a stage's run: everything it recorded, in one transaction."""

import msgspec

from relive.core.event import Event
from relive.core.job import Job, JobState
from relive.core.pipeline import Stage
from relive.core.run import FailureReason, Run, RunStatus
from relive.services.context import Services
from relive.services.stages.outcome import is_active, retry_or_fail, succeed
from relive.services.view import load_view
from relive.wire.jobs import StageReport

_STATES = {
    RunStatus.FINISHED: JobState.DONE,
    RunStatus.KILLED: JobState.CANCELLED,
}


def finish_stage(services: Services, job: Job, report: StageReport) -> None:
    """Close the run, its job and its stage.

    Raises:
        Superseded: Another claim took over, or the job is over; nothing was changed.
    """
    store = services.store
    stage = store.get_stage(job.subject.removeprefix("stage:"))
    run_id = str(job.payload["work"]["run_id"])
    with store.transaction():
        run = close_run(services, run_id, report)
        state = _STATES.get(report.status, JobState.FAILED)
        job = store.finish(job.id, report.fence, state, result={"run": run_id}, error=report.reason)
        services.record(
            Event(
                kind=f"run.{report.status.value}",
                actor="hub",
                subject=f"run:{run_id}",
                facts={"stage": stage.key, "reason": report.reason, "exit_code": report.exit_code},
            )
        )
        if stage.job_id == job.id and is_active(stage):
            _settle(services, stage, run, _as_asked(job, report))


def close_run(services: Services, run_id: str, report: StageReport) -> Run:
    """Write a run's end: artifacts, last metrics, recipe, status.

    Whatever run the report names in its artifacts and inputs, they are this one's: who may write one run must
    not change what another, perhaps a protected branch's, has made.
    """
    store = services.store
    fence = report.fence or None
    for artifact in report.artifacts:
        store.record_artifact(msgspec.structs.replace(artifact, run_id=run_id), fence=fence)
    if report.metrics:
        store.record_metrics(run_id, report.metrics, fence=fence, batch="final")
    if report.params:
        store.record_params(run_id, report.params, fence=fence)
    if report.parsed:
        known = store.list_params([run_id]).get(run_id, {})
        fresh = {key: value for key, value in report.parsed.items() if key not in known}
        store.record_params(run_id, fresh, fence=fence)
    if report.inputs:
        inputs = [msgspec.structs.replace(item, run_id=run_id) for item in report.inputs]
        store.record_inputs(inputs, fence=fence)
    run = store.set_run(
        run_id,
        fence=fence,
        status=report.status,
        exit_code=report.exit_code,
        failure=report.failure,
        reason=report.reason,
        recipe=report.recipe,
        recipe_digest=report.recipe_digest,
        trajectory=report.trajectory,
        log=report.log,
        log_bytes=report.log_bytes,
        tainted=report.tainted,
        usage=report.usage,
        ended_at=store.now(),
    )
    if report.log:
        store.drop_live_log(run_id)
    return run


def tell_end(services: Services, run: Run, *, by: str) -> None:
    """Record that a run has ended."""
    services.record(
        Event(
            kind=f"run.{run.status.value}",
            actor=by,
            subject=f"run:{run.id}",
            project=services.store.get_project(run.project_id).name,
            facts={"reason": run.reason},
        )
    )


def _as_asked(job: Job, report: StageReport) -> StageReport:
    """Take a failure after somebody asked for the end as that end: a retry would undo the cancellation."""
    if not job.cancel_requested or report.status is RunStatus.FINISHED:
        return report
    return msgspec.structs.replace(report, failure=FailureReason.CANCELLED)


def _settle(services: Services, stage: Stage, run: Run, report: StageReport) -> None:
    tests = {} if report.tests is None else {"tests": msgspec.to_builtins(report.tests)}
    if report.status is not RunStatus.FINISHED:
        retry_or_fail(
            services,
            msgspec.structs.replace(stage, result=stage.result | tests),
            report.failure or FailureReason.FAILURE,
            report.reason,
        )
        if tests:
            services.store.set_stage(stage.id, result=stage.result | tests)
        return
    reason = f"tainted: {report.reason}" if report.tainted else _summary(report)
    reason = "\n".join(line for line in (reason, report.undeclared) if line)
    succeed(services, stage, reason=reason, result=tests)
    if stage.cache_key and stage.planned.spec.cache and not report.tainted:
        view = load_view(services, stage.pipeline_id)
        services.store.record_cached(view.project.id, stage.cache_key, run.id, scope=view.scopes[-1])


def _summary(report: StageReport) -> str:
    if report.tests is not None:
        skipped = f", {report.tests.skipped} skipped" if report.tests.skipped else ""
        return f"{report.tests.passed} of {report.tests.tests} tests passed{skipped}"
    return ", ".join(f"{m.key} {m.value:.6g}" for m in report.metrics[:4])
