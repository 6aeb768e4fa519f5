"""Experiments, as MLflow's clients see them."""

from typing import Any

from relive.core.access import Caller, Scope
from relive.core.project import Experiment
from relive.errors import InvalidInput, NotFound
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.mlflow.values import milliseconds
from relive.services.projects import find_or_create

DEFAULT_EXPERIMENT = "0"
PROJECT = "mlflow"
_DEFAULT_NAME = "Default"


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
    project_id = own_project(caller) or find_or_create(services, PROJECT, by=caller.name).id
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
    elif own_project(caller):
        experiment = store.get_experiment(store.get_run(caller.run_id).experiment_id)
    else:
        experiment = ensure_experiment(services, _DEFAULT_NAME, caller)
    require_reader(caller, experiment.project_id)
    return experiment


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


def experiment_json(experiment: Experiment) -> dict[str, Any]:
    """Write an experiment as MLflow does."""
    created = milliseconds(experiment.created_at)
    return {
        "experiment_id": experiment.id,
        "name": experiment.name,
        "artifact_location": f"mlflow-artifacts:/{experiment.id}",
        "lifecycle_stage": "active",
        "creation_time": created,
        "last_update_time": created,
    }


def _find_experiment(services: Services, name: str, caller: Caller) -> Experiment | None:
    return services.store.find_experiment(name, own_project(caller) or None)


def own_project(caller: Caller) -> str:
    """Give the project that a command is bound to; empty for people."""
    return caller.project_id if caller.scope is Scope.COMMAND and caller.run_id else ""
