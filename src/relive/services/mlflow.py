"""MLflow's calls as use cases: an MLflow run is a Run like any other.

Inside a stage or `relive run` a client finds the open run by MLFLOW_RUN_ID and its token; a terminal status
that it sets does not end a run whose process still works.
"""

import math
from typing import Any

from relive.core.access import Caller, Scope
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.event import Event
from relive.core.project import Experiment
from relive.core.run import Artifact, Metric, Run, RunKind, RunStatus
from relive.errors import InvalidInput, NotFound
from relive.ports.blobs import BlobInfo
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.inputs import keep_manifest
from relive.services.projects import find_or_create
from relive.services.runs import MAKER, find_file, may_write, tell_end
from relive.wire import mlflow as wire

DEFAULT_EXPERIMENT = "0"
_DEFAULT_NAME = "Default"
PROJECT = "mlflow"

_TO_MLFLOW = {
    RunStatus.SCHEDULED: "SCHEDULED",
    RunStatus.RUNNING: "RUNNING",
    RunStatus.FINISHED: "FINISHED",
    RunStatus.FAILED: "FAILED",
    RunStatus.KILLED: "KILLED",
    RunStatus.LOST: "FAILED",
}
_FROM_MLFLOW = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.SCHEDULED,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.KILLED,
}


def ensure_experiment(services: Services, name: str, caller: Caller) -> Experiment:
    """Give the experiment of this name, made if there is none.

    A command's is looked for and made in its own project; else one of any project will do, and a new one is
    made in the project for MLflow's clients.

    Raises:
        InvalidInput: It has no name.
    """
    found = _find_experiment(services, name, caller)
    if found is not None:
        return found
    if not name.strip():
        raise InvalidInput(field="experiment name", value=name, wanted="a name")
    project_id = _own_project(caller) or find_or_create(services, PROJECT, by=caller.name).id
    return services.store.ensure_experiment(project_id, name)


def get_experiment(services: Services, experiment_id: str, caller: Caller) -> Experiment:
    """Give an experiment; "0" is the default one, as every MLflow client expects: a command's own run's.

    Raises:
        NotFound: There is none.
        AccessDenied: A command asks for one of another project.
    """
    store = services.store
    if experiment_id != DEFAULT_EXPERIMENT:
        experiment = store.get_experiment(experiment_id)
    elif _own_project(caller):
        experiment = store.get_experiment(store.get_run(caller.run_id).experiment_id)
    else:
        experiment = ensure_experiment(services, _DEFAULT_NAME, caller)
    require_reader(caller, experiment.project_id)
    return experiment


def get_run(services: Services, run_id: str, caller: Caller) -> Run:
    """Give a run.

    Raises:
        NotFound: There is none.
        AccessDenied: A command asks for one of another project.
    """
    run = services.store.get_run(run_id)
    require_reader(caller, run.project_id)
    return run


def experiment_json(experiment: Experiment) -> dict[str, Any]:
    """Write an experiment as MLflow does."""
    created = _milliseconds(experiment.created_at)
    return {
        "experiment_id": experiment.id,
        "name": experiment.name,
        "artifact_location": f"mlflow-artifacts:/{experiment.id}",
        "lifecycle_stage": "active",
        "creation_time": created,
        "last_update_time": created,
    }


def create_run(services: Services, message: wire.CreateRun, caller: Caller) -> Run:
    """Make a run; the command of a stage gets a child run in its stage's project."""
    store = services.store
    experiment = get_experiment(services, message.experiment_id, caller)
    tags = {tag.key: tag.value for tag in message.tags}
    run_id, now = new_id(), store.now()
    started = now if message.start_time is None else message.start_time / 1000
    if _own_project(caller):
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
        status = _FROM_MLFLOW.get(message.status)
        if status is None:
            raise InvalidInput(field="status", value=message.status, wanted=", ".join(_FROM_MLFLOW))
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
        Metric(key=point.key, value=_number(point), step=point.step, at=point.timestamp / 1000)
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
    store = services.store
    metrics = store.list_metrics([run.id])
    params = store.list_params([run.id]).get(run.id, {})
    tags = {"mlflow.runName": run.name, "mlflow.user": run.actor} | store.list_tags([run.id]).get(run.id, {})
    times = {"start_time": run.started_at or run.created_at, "end_time": run.ended_at}
    return {
        "info": {
            "run_id": run.id,
            "run_uuid": run.id,
            "run_name": run.name,
            "experiment_id": run.experiment_id,
            "user_id": run.actor,
            "status": _TO_MLFLOW[run.status],
            "artifact_uri": artifact_uri(run),
            "lifecycle_stage": "active",
            **{key: _milliseconds(value) for key, value in times.items() if value is not None},
        },
        "data": {
            "metrics": [
                {
                    "key": m.key,
                    "value": _json_number(m.last),
                    "timestamp": _milliseconds(m.at),
                    "step": m.last_step,
                }
                for m in metrics
            ],
            "params": [{"key": key, "value": str(value)} for key, value in params.items()],
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        },
        "inputs": {},
    }


def history_json(services: Services, run: Run, key: str) -> list[dict[str, Any]]:
    """Write a metric's series as MLflow does."""
    return [
        {"key": p.key, "value": _json_number(p.value), "timestamp": _milliseconds(p.at), "step": p.step}
        for p in services.store.get_series(run.id, key)
    ]


def artifact_uri(run: Run) -> str:
    """Give the address under which MLflow's clients store a run's artifacts."""
    return f"mlflow-artifacts:/{run.experiment_id}/{run.id}/artifacts"


def split_artifact_path(path: str) -> tuple[str, str]:
    """Split EXPERIMENT/RUN/artifacts/PATH into the run and the path.

    Raises:
        InvalidInput: It has another form.
    """
    parts = path.strip("/").split("/", 3)
    if len(parts) < 3 or parts[2] != "artifacts":
        raise InvalidInput(field="artifact path", value=path, wanted="EXPERIMENT/RUN/artifacts/PATH")
    return parts[1], parts[3] if len(parts) == 4 else ""


def record_artifact(services: Services, run: Run, path: str, blob: BlobInfo) -> None:
    """Keep one file that a client stored."""
    entry = ManifestEntry(path=path, digest=blob.digest, size_bytes=blob.size_bytes)
    artifact = Artifact(
        run_id=run.id,
        path=path,
        manifest=keep_manifest(services, Manifest((entry,))),
        size_bytes=blob.size_bytes,
        files=1,
        kind="artifact",
    )
    services.store.record_artifact(artifact, fence=run.fence or None)


def list_artifacts(services: Services, run_id: str, folder: str) -> list[dict[str, Any]]:
    """List what lies directly in a folder of a run's artifacts, as MLflow does."""
    inside = f"{folder.strip('/')}/" if folder.strip("/") else ""
    found: dict[str, dict[str, Any]] = {}
    for artifact in services.store.list_artifacts(run_id):
        if artifact.kind != "artifact" or not artifact.path.startswith(inside):
            continue
        name, slash, _ = artifact.path[len(inside) :].partition("/")
        path = f"{inside}{name}"
        found[path] = {"path": path, "is_dir": bool(slash)} | (
            {} if slash else {"file_size": artifact.size_bytes}
        )
    return [found[path] for path in sorted(found)]


def open_artifact(services: Services, run: Run, path: str) -> BlobInfo:
    """Give the blob of a stored file.

    Raises:
        NotFound: There is none.
    """
    return services.blobs.get(find_file(services, run.id, path))


def find_by_name(services: Services, name: str, caller: Caller) -> Experiment:
    """Give the experiment of this name.

    Raises:
        NotFound: There is none.
    """
    if name == _DEFAULT_NAME:
        return ensure_experiment(services, name, caller)
    found = _find_experiment(services, name, caller)
    if found is None:
        raise NotFound(kind="experiment", name=name)
    return found


def _find_experiment(services: Services, name: str, caller: Caller) -> Experiment | None:
    return services.store.find_experiment(name, _own_project(caller) or None)


def _own_project(caller: Caller) -> str:
    """Give the project that a command is bound to; empty for people."""
    return caller.project_id if caller.scope is Scope.COMMAND and caller.run_id else ""


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _number(point: wire.MetricPoint) -> float:
    try:
        return float(point.value)
    except ValueError as error:
        raise InvalidInput(field=f"metric {point.key}", value=point.value, wanted="a number") from error


def _json_number(value: float) -> float | str:
    """JSON cannot say NaN or an infinity; MLflow's clients read these words."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
