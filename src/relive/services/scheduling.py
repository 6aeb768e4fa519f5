"""The tick: looks at the rows and does what they allow.

Nothing is remembered between two ticks but the time of the last look at processes, so a hub killed at any
point goes on with the next tick of whichever hub holds the lock.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from relive.core.event import Event
from relive.core.graph import blocked, outcome, ready
from relive.core.pipeline import Action, Stage, StageStatus
from relive.errors import Conflict, ReliveError
from relive.services import causes
from relive.services.context import Services
from relive.services.endpoints import abandon, keep_served
from relive.services.faults import is_passing
from relive.services.placing import adopt, launch_ready, look_after_processes
from relive.services.registry import settle_promotions
from relive.services.stages import deploy, environment, gate, register, run, select
from relive.services.stages.outcome import cancel, fail, refuse, skip
from relive.services.view import PipelineView, load_view

LOCK = "scheduler"

_log = logging.getLogger(__name__)

_START: dict[Action, Callable[[Services, PipelineView, Stage], None]] = {
    Action.ENVIRONMENT: environment.start,
    Action.RUN: run.start,
    Action.SELECT: select.start,
    Action.GATE: gate.start,
    Action.REGISTER: register.start,
    Action.DEPLOY: deploy.start,
}
_CHECK: dict[Action, Callable[[Services, PipelineView, Stage], None]] = {
    Action.ENVIRONMENT: environment.check,
    Action.RUN: run.check,
    Action.REGISTER: register.check,
    Action.DEPLOY: deploy.check,
}


@dataclass
class Scheduler:
    """Ticks while it holds the lock.

    Attributes:
        looked_at: When it last looked after processes, by the store's clock.
        on_look: Told each active pipeline after it was advanced.
    """

    services: Services
    lock_s: float = 15.0
    look_every_s: float = 2.0
    looked_at: float = field(default=0.0)
    on_look: Callable[[PipelineView], None] = field(default=lambda _view: None)

    def tick(self) -> bool:
        """Do what the rows allow now; tells whether this hub holds the lock."""
        services = self.services
        if not services.store.hold_lock(LOCK, services.place.owner, lease_s=self.lock_s):
            return False
        for pipeline in services.store.list_pipelines(active=True, limit=1000):
            try:
                self.on_look(advance(services, pipeline.id))
            except Exception as error:  # noqa: BLE001  # one pipeline's trouble must not stop the others
                passes = isinstance(error, ReliveError) and is_passing(error)
                _log.warning("pipeline %s could not be advanced: %s", pipeline.id, error, exc_info=not passes)
        keep_served(services)
        launch_ready(services)
        self._look_after_processes()
        return True

    def _look_after_processes(self) -> None:
        now = self.services.store.now()
        silent_s = now - self.looked_at
        if 0 <= silent_s < self.look_every_s:
            return
        if silent_s > max(self.services.place.lease_s / 2, 3 * self.look_every_s):
            adopt(self.services)
        if look_after_processes(self.services):
            causes.settle(self.services)  # at once: a search waits for what was lost, to ask for it again
        self.looked_at = now


def advance(services: Services, pipeline_id: str) -> PipelineView:
    """Bring one pipeline as far as its rows allow, and give what it is then."""
    view = load_view(services, pipeline_id)
    while True:
        before = (view.statuses, view.pipeline.environment)
        _step(services, view)
        view = load_view(services, pipeline_id)
        if (view.statuses, view.pipeline.environment) == before:
            break
    _close(services, view)
    return load_view(services, pipeline_id)


def cancel_pipeline(services: Services, pipeline_id: str, *, by: str) -> None:
    """End a pipeline: what waits will not start, what runs is asked to end.

    Raises:
        Conflict: It has ended already.
    """
    reason = f"cancelled by {by}"
    with services.store.transaction():
        # Read inside it: a stage that the scheduler starts just now is either seen waiting or seen started.
        view = load_view(services, pipeline_id)
        status = view.pipeline.status
        if status.is_final:
            name = f"pipeline {view.project.name}:{view.pipeline.number}"
            raise Conflict(subject=name, reason=f"it has already ended as {status.value}")
        for stage in view.stages.values():
            if stage.status.is_final:
                continue
            if stage.status is not StageStatus.WAITING and stage.job_id:
                services.store.request_cancel(stage.job_id)
                continue
            cancel(services, stage, reason)
            if "revision_id" in stage.result:
                abandon(services, str(stage.result["revision_id"]))
        services.record(
            Event(
                kind="pipeline.cancel_asked",
                actor=by,
                subject=f"pipeline:{pipeline_id}",
                project=view.project.name,
            )
        )


def _step(services: Services, view: PipelineView) -> None:
    for stage in view.stages.values():
        if stage.status in (StageStatus.QUEUED, StageStatus.RUNNING):
            _guarded(services, _CHECK[stage.action], view, stage)
    fresh = load_view(services, view.pipeline.id)
    settle_promotions(services, fresh)  # before what builds on it: a deploy wants to find it promoted
    for key, reason in blocked(fresh.planned, fresh.statuses).items():
        skip(services, fresh.stages[key], reason)
    for key in ready(fresh.planned, fresh.statuses):
        _guarded(services, _START[fresh.stages[key].action], fresh, fresh.stages[key])


def _guarded(
    services: Services,
    handle: Callable[[Services, PipelineView, Stage], None],
    view: PipelineView,
    stage: Stage,
) -> None:
    """What will not pass by itself, or a defect, fails its stage, with the reason, and stops nothing else."""
    try:
        handle(services, view, stage)
    except ReliveError as error:
        refuse(services, stage, error)
    except Exception as error:  # noqa: BLE001  # see above
        _log.exception("stage %s of pipeline %s", stage.key, view.pipeline.id)
        fail(services, stage, f"the hub failed on it: {type(error).__name__}: {error}")


def _close(services: Services, view: PipelineView) -> None:
    status = outcome(view.planned, view.statuses)
    if not status.is_final or view.pipeline.status.is_final:
        return
    with services.store.transaction():
        services.store.set_pipeline(view.pipeline.id, status=status, ended_at=services.store.now())
        services.record(
            Event(
                kind=f"pipeline.{status.value}",
                actor="hub",
                subject=f"pipeline:{view.pipeline.id}",
                project=view.project.name,
                facts={
                    "number": view.pipeline.number,
                    "commit": view.pipeline.commit,
                    "title": view.pipeline.title,
                },
            )
        )
