"""Runs, as MLflow's clients see them: their beginning, changes, end, and how they are put aside."""

from typing import Any

from relive.core.access import Caller, Scope
from relive.core.event import Event
from relive.core.ids import short_id
from relive.core.run import Run, RunKind, RunStatus
from relive.errors import AccessDenied
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.finishing import tell_end
from relive.services.ids import new_id
from relive.services.mlflow.experiments import check_active as check_experiment_active
from relive.services.mlflow.experiments import get_experiment, own_project
from relive.services.mlflow.faults import invalid, invalid_value, missing
from relive.services.mlflow.names import random_name
from relive.services.mlflow.values import FROM_MLFLOW
from relive.services.runs import MAKER, PARENT, require_writer
from relive.wire.mlflow import tracking as wire

RUN_NAME = "mlflow.runName"
USER = "mlflow.user"
# What MLflow's clients say if they do not know who they work for.
UNKNOWN_USER = "unknown"


def get_run(services: Services, run_id: str, caller: Caller) -> Run:
    """Give a run by its whole id, deleted or not.

    Raises:
        MlflowFault: There is none.
        AccessDenied: A command asks for one of another project.
    """
    run = services.store.find_run(run_id)
    if run is None:
        raise missing(f"Run with id={run_id} not found")
    require_reader(caller, run.project_id)
    return run


def writable(services: Services, run_id: str, caller: Caller) -> Run:
    """Give a run that this caller may change, and that is not deleted.

    Raises:
        MlflowFault: There is none, or it is deleted.
        AccessDenied: It is another's.
    """
    run = _own(services, run_id, caller)
    if run.deleted_at is not None:
        raise invalid(f"The run {run.id} must be in the 'active' state. Current state is deleted.")
    return run


def create_run(services: Services, message: wire.CreateRun, caller: Caller) -> Run:
    """Make a run; the command of a stage gets a child run in its stage's project.

    Raises:
        MlflowFault: There is no such experiment, it is deleted, or the run has two names.
        AccessDenied: A command asks for a run in another project.
    """
    store = services.store
    experiment = get_experiment(services, message.experiment_id, caller)
    check_experiment_active(experiment)
    tags = {tag.key: tag.value for tag in message.tags}
    tags[RUN_NAME] = _name(message.run_name, tags.get(RUN_NAME, ""))
    if message.user_id not in ("", UNKNOWN_USER):
        tags.setdefault(USER, message.user_id)
    now = store.now()
    if own_project(caller):
        tags.setdefault(PARENT, caller.run_id)
        tags[MAKER] = caller.run_id
    with store.transaction():
        run = store.create_run(
            Run(
                id=new_id(),
                project_id=experiment.project_id,
                experiment_id=experiment.id,
                name=tags[RUN_NAME],
                kind=RunKind.CLIENT,
                status=RunStatus.RUNNING,
                actor=caller.name,
                command=tags.get("mlflow.source.name", ""),
                commit=tags.get("mlflow.source.git.commit", ""),
                created_at=now,
                started_at=now if message.start_time is None else message.start_time / 1000,
            )
        )
        store.set_tags(run.id, tags)
        _tell(services, "started", run, caller)
    return run


def update_run(services: Services, message: wire.UpdateRun, caller: Caller) -> Run:
    """Change a run's name or status; only a client's own run is ended by its status.

    Raises:
        MlflowFault: There is no such run, it is deleted, or there is no such status.
        AccessDenied: It is another's.
    """
    status = None if message.status is None else FROM_MLFLOW.get(message.status)
    if status is None and message.status is not None:
        raise invalid(invalid_value("status", message.status))
    run = writable(services, message.run_id, caller)
    changes = _times(services, run, status, message.end_time) if run.kind is RunKind.CLIENT else {}
    if message.run_name:
        changes["name"] = message.run_name
    if not changes:
        return run
    with services.store.transaction():
        changed = services.store.set_run(run.id, **changes)
        if message.run_name:
            services.store.set_tags(run.id, {RUN_NAME: message.run_name})
        was_open = not run.status.is_final or (run.is_silent and status is not None)
        if changed.status.is_final and was_open:
            tell_end(services, changed, by=caller.name)
    return changed


def delete_run(services: Services, run_id: str, caller: Caller) -> None:
    """Put a run aside; again changes nothing.

    Raises:
        MlflowFault: There is none.
        AccessDenied: It is another's, or a command's own, which its stage still needs.
    """
    run = _disposable(services, run_id, caller)
    if run.deleted_at is None:
        _set_aside(services, run, caller, at=services.store.now())


def restore_run(services: Services, run_id: str, caller: Caller) -> None:
    """Take a run back; raises as `delete_run`."""
    run = _disposable(services, run_id, caller)
    if run.deleted_at is not None:
        _set_aside(services, run, caller, at=None)


def _own(services: Services, run_id: str, caller: Caller) -> Run:
    """Give a run that this caller may change, deleted or not."""
    run = services.store.find_run(run_id)
    if run is None:
        raise missing(f"Run with id={run_id} not found")
    require_writer(services, caller, run)
    return run


def _disposable(services: Services, run_id: str, caller: Caller) -> Run:
    """Give a run that this caller may put aside."""
    run = _own(services, run_id, caller)
    if caller.scope is Scope.COMMAND and run.kind is not RunKind.CLIENT:
        action, needs = f"delete run {short_id(run.id)}", "a user's token, not a run's"
        raise AccessDenied(action=action, who=caller.name, needs=needs)
    return run


def _name(given: str, tagged: str) -> str:
    """Give what a run is called, by its name, its tag, or neither."""
    if given and tagged and given != tagged:
        raise invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values"
            f" (run_name='{given}', mlflow.runName='{tagged}')."
        )
    return given or tagged or random_name()


def _times(services: Services, run: Run, status: RunStatus | None, end: int | None) -> dict[str, Any]:
    """Give a run's status and when it ended; one that is taken up again has not ended."""
    changes: dict[str, Any] = {} if status is None else {"status": status}
    if run.status.is_final and status is not None:
        changes["heard_at"] = None  # MLflow's clients never say that they go on
    if run.is_silent and status is not None:
        changes |= {"failure": None, "reason": ""}
    if not (status or run.status).is_final:
        return changes | ({"ended_at": None} if run.ended_at is not None else {})
    if end is not None:
        return changes | {"ended_at": end / 1000}
    return changes | ({} if run.ended_at is not None else {"ended_at": services.store.now()})


def _set_aside(services: Services, run: Run, caller: Caller, *, at: float | None) -> None:
    with services.store.transaction():
        services.store.set_run(run.id, deleted_at=at)
        _tell(services, "restored" if at is None else "deleted", run, caller)


def _tell(services: Services, what: str, run: Run, caller: Caller) -> None:
    project = services.store.get_project(run.project_id).name
    services.store.record_event(
        Event(kind=f"run.{what}", actor=caller.name, subject=f"run:{run.id}", project=project)
    )
