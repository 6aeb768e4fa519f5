"""Runs and what is logged to them, as MLflow's clients see them."""

from collections.abc import Sequence
from typing import Any

from relive.core.access import Caller
from relive.core.event import Event
from relive.core.run import Metric, MetricSummary, Run, RunKind, RunStatus
from relive.errors import InvalidInput
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.mlflow.experiments import get_experiment, own_project
from relive.services.mlflow.values import FROM_MLFLOW, TO_MLFLOW, json_number, milliseconds, number
from relive.services.runs import MAKER, may_write, tell_end
from relive.wire.mlflow import tracking as wire


def get_run(services: Services, run_id: str, caller: Caller) -> Run:
    """Give a run.

    Raises:
        NotFound: There is none.
        AccessDenied: A command asks for one of another project.
    """
    run = services.store.get_run(run_id)
    require_reader(caller, run.project_id)
    return run


def create_run(services: Services, message: wire.CreateRun, caller: Caller) -> Run:
    """Make a run; the command of a stage gets a child run in its stage's project."""
    store = services.store
    experiment = get_experiment(services, message.experiment_id, caller)
    tags = {tag.key: tag.value for tag in message.tags}
    run_id, now = new_id(), store.now()
    started = now if message.start_time is None else message.start_time / 1000
    if own_project(caller):
        tags.setdefault("mlflow.parentRunId", caller.run_id)
        tags[MAKER] = caller.run_id
    with store.transaction():
        run = store.create_run(
            Run(
                id=run_id,
                project_id=experiment.project_id,
                experiment_id=experiment.id,
                name=message.run_name or tags.get("mlflow.runName", f"run {run_id[:8]}"),
                kind=RunKind.CLIENT,
                status=RunStatus.RUNNING,
                actor=caller.name,
                command=tags.get("mlflow.source.name", ""),
                commit=tags.get("mlflow.source.git.commit", ""),
                created_at=now,
                started_at=started,
            )
        )
        if tags:
            store.set_tags(run.id, tags)
        project = store.get_project(run.project_id).name
        services.record(
            Event(kind="run.started", actor=caller.name, subject=f"run:{run.id}", project=project)
        )
    return run


def update_run(services: Services, message: wire.UpdateRun, caller: Caller) -> Run:
    """Change a run's name or status; only a client's own run is ended by its status."""
    run = may_write(services, caller, message.run_id)
    changes: dict[str, Any] = {}
    if message.run_name:
        changes["name"] = message.run_name
    if message.status is not None and run.kind is RunKind.CLIENT:
        status = FROM_MLFLOW.get(message.status)
        if status is None:
            raise InvalidInput(field="status", value=message.status, wanted=", ".join(FROM_MLFLOW))
        changes |= {"status": status, "ended_at": _end(services, status, message.end_time)}
    if not changes:
        return run
    with services.store.transaction():
        changed = services.store.set_run(run.id, **changes)
        if changed.status.is_final and not run.status.is_final:
            tell_end(services, changed, by=caller.name)
    return changed


def _end(services: Services, status: RunStatus, said: int | None) -> float | None:
    """Give when a run ended; one that is taken up again has not ended."""
    if not status.is_final:
        return None
    return services.store.now() if said is None else said / 1000


def log_batch(services: Services, message: wire.LogBatch, caller: Caller) -> None:
    """Keep metrics, params and tags in one transaction."""
    run = may_write(services, caller, message.run_id)
    store, fence = services.store, run.fence or None
    metrics = [
        Metric(key=point.key, value=number(point), step=point.step, at=point.timestamp / 1000)
        for point in message.metrics
    ]
    with store.transaction():
        if metrics:
            store.record_metrics(run.id, metrics, fence=fence)
        if message.params:
            store.record_params(run.id, {param.key: param.value for param in message.params}, fence=fence)
        if message.tags:
            store.set_tags(run.id, {tag.key: tag.value for tag in message.tags}, fence=fence)


def run_json(services: Services, run: Run) -> dict[str, Any]:
    """Write a run as MLflow does."""
    return runs_json(services, [run])[0]


def runs_json(services: Services, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Write runs as MLflow does; the number of questions to the store does not grow with them."""
    store, ids = services.store, [run.id for run in runs]
    metrics: dict[str, list[MetricSummary]] = {}
    for summary in store.list_metrics(ids):
        metrics.setdefault(summary.run_id, []).append(summary)
    params, tags = store.list_params(ids), store.list_tags(ids)
    return [
        {
            "info": info_json(run),
            "data": {
                "metrics": [_metric_json(summary) for summary in metrics.get(run.id, ())],
                "params": _pairs_json({key: str(value) for key, value in params.get(run.id, {}).items()}),
                "tags": _pairs_json(_own_tags(run) | tags.get(run.id, {})),
            },
            "inputs": {},
        }
        for run in runs
    ]


def info_json(run: Run) -> dict[str, Any]:
    """Write what MLflow calls the info of a run."""
    times = {"start_time": run.started_at or run.created_at, "end_time": run.ended_at}
    return {
        "run_id": run.id,
        "run_uuid": run.id,
        "run_name": run.name,
        "experiment_id": run.experiment_id,
        "user_id": run.actor,
        "status": TO_MLFLOW[run.status],
        "artifact_uri": artifact_uri(run),
        "lifecycle_stage": "active" if run.deleted_at is None else "deleted",
        **{key: milliseconds(value) for key, value in times.items() if value is not None},
    }


def _metric_json(summary: MetricSummary) -> dict[str, Any]:
    return {
        "key": summary.key,
        "value": json_number(summary.last),
        "timestamp": milliseconds(summary.at),
        "step": summary.last_step,
    }


def _own_tags(run: Run) -> dict[str, str]:
    return {"mlflow.runName": run.name, "mlflow.user": run.actor}


def _pairs_json(pairs: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in pairs.items()]


def history_json(services: Services, run: Run, key: str) -> list[dict[str, Any]]:
    """Write a metric's series as MLflow does."""
    return [
        {"key": p.key, "value": json_number(p.value), "timestamp": milliseconds(p.at), "step": p.step}
        for p in services.store.get_series(run.id, key)
    ]


def artifact_uri(run: Run) -> str:
    """Give the address under which MLflow's clients store a run's artifacts."""
    return f"mlflow-artifacts:/{run.experiment_id}/{run.id}/artifacts"
