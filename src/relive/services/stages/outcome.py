"""How a stage ends: good, failed, or tried again."""

from typing import Any

from relive.core.event import Event
from relive.core.pipeline import Stage, StageStatus
from relive.core.run import FailureReason
from relive.errors import ReliveError
from relive.services.context import Services
from relive.services.faults import is_passing

_ACTIVE = (StageStatus.QUEUED, StageStatus.RUNNING)


def succeed(
    services: Services, stage: Stage, *, reason: str = "", result: dict[str, Any] | None = None
) -> None:
    """End a stage well."""
    _end(services, stage, StageStatus.SUCCEEDED, reason, result)


def fail(services: Services, stage: Stage, reason: str, *, result: dict[str, Any] | None = None) -> None:
    """End a stage that did not do what it should."""
    _end(services, stage, StageStatus.FAILED, reason, result)


def refuse(services: Services, stage: Stage, error: ReliveError) -> None:
    """End a stage that cannot be done; an error that passes is raised, and the next tick tries again."""
    if is_passing(error):
        raise error
    fail(services, stage, str(error))


def skip(services: Services, stage: Stage, reason: str) -> None:
    """End a stage that is not to run."""
    _end(services, stage, StageStatus.SKIPPED, reason, None)


def cancel(services: Services, stage: Stage, reason: str) -> None:
    """End a stage because somebody asked for it."""
    _end(services, stage, StageStatus.CANCELLED, reason, None)


def retry_or_fail(services: Services, stage: Stage, failure: FailureReason, reason: str) -> bool:
    """End a stage as failed, or put it back to be tried again if its rule allows; tells whether it will.

    A stage that was settled since it was read, by the report of its job or by another hub, stays as it is.
    """
    with services.store.transaction():
        now = services.store.get_stage(stage.id)
        if now.job_id != stage.job_id or not is_active(now):
            return False
        return _retry_or_fail(services, now, failure, reason)


def _retry_or_fail(services: Services, stage: Stage, failure: FailureReason, reason: str) -> bool:
    rule = stage.planned.spec.retry
    if failure is FailureReason.CANCELLED:
        cancel(services, stage, reason)
        return False
    if failure.value not in rule.when or stage.attempts > rule.max:
        fail(services, stage, reason)
        return False
    note = f"try {stage.attempts + 1} of {rule.max + 1} after {failure.value}: {reason}"
    services.store.set_stage(stage.id, status=StageStatus.WAITING, reason=note, job_id="", started_at=None)
    services.record(_event("stage.retried", stage, reason))
    return True


def is_active(stage: Stage) -> bool:
    """Tell whether somebody works on the stage."""
    return stage.status in _ACTIVE


def _end(
    services: Services, stage: Stage, status: StageStatus, reason: str, result: dict[str, Any] | None
) -> None:
    changes: dict[str, Any] = {"status": status, "reason": reason, "ended_at": services.store.now()}
    if result is not None:
        changes["result"] = stage.result | result
    with services.store.transaction():
        if services.store.set_stage(stage.id, expect=stage.status, **changes) is not None:
            services.record(_event(f"stage.{status.value}", stage, reason))


def _event(kind: str, stage: Stage, reason: str) -> Event:
    return Event(
        kind=kind,
        actor="hub",
        subject=f"stage:{stage.id}",
        facts={"pipeline": stage.pipeline_id, "stage": stage.key, "reason": reason},
    )
