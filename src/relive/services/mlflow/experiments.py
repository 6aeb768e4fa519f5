"""Experiments, as MLflow's clients see them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from relive.core.access import Caller, Scope
from relive.core.event import Event
from relive.core.project import Experiment
from relive.errors import AccessDenied, Conflict, NotFound
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.ids import new_number
from relive.services.mlflow import keys
from relive.services.mlflow.faults import MlflowFault, invalid, invalid_state, missing, taken
from relive.services.mlflow.places import check_machine, is_proxied
from relive.services.mlflow.rights import maker_name, require_maker
from relive.services.mlflow.values import lifecycle, milliseconds, pairs
from relive.services.projects import find_or_create
from relive.wire.mlflow import tracking as wire

DEFAULT_EXPERIMENT = "0"
PROJECT = "mlflow"
_DEFAULT_NAME = "Default"
_LONGEST_LOCATION = 2048


def create_experiment(services: Services, message: wire.CreateExperiment, caller: Caller) -> Experiment:
    """Make an experiment: a command's in its own project, else in the project for MLflow's clients.

    Raises:
        MlflowFault: It cannot be called so, or there is one of that name.
    """
    keys.check_length("name", keys.LONGEST_EXPERIMENT_NAME, message.name)
    for tag in message.tags:
        _check_tag(tag.key, tag.value)
    location = _checked_location(message.artifact_location)
    if not own_project(caller):
        _default(services, caller)  # MLflow's server has it from the start: in lists it is the oldest
    if _find_experiment(services, message.name, caller) is not None:
        raise _taken(message.name)
    tags = {tag.key: tag.value for tag in message.tags}
    while True:
        # Clients and what is built on them take the id of an experiment for a number.
        named = Experiment(id=new_number(), project_id="", name=message.name)
        try:
            return _create(services, named, caller, tags, location)
        except MlflowFault:
            if _find_experiment(services, message.name, caller) is not None:
                raise
        # It was the number that is taken: another is, for there are 2,000 million.


def get_experiment(services: Services, experiment_id: str, caller: Caller) -> Experiment:
    """Give an experiment; "0" is the default one, as every MLflow client expects: a command's own run's.

    Raises:
        MlflowFault: There is none.
        AccessDenied: A command asks for one of another project.
    """
    store = services.store
    if experiment_id in ("", DEFAULT_EXPERIMENT):
        if own_project(caller):
            return store.get_experiment(store.get_run(caller.run_id).experiment_id)
        return _default(services, caller)
    try:
        experiment = store.get_experiment(experiment_id)
    except NotFound:
        raise _missing(experiment_id) from None
    require_reader(caller, experiment.project_id)
    return experiment


def may_read(services: Services, experiment_id: str, caller: Caller) -> bool:
    """Tell whether there is such an experiment that the caller may read."""
    try:
        get_experiment(services, experiment_id, caller)
    except (MlflowFault, AccessDenied):
        return False
    return True


def find_by_name(services: Services, name: str, caller: Caller) -> Experiment:
    """Give the experiment of this name, deleted or not.

    Raises:
        MlflowFault: There is none.
    """
    found = _find_experiment(services, name, caller)
    if found is None and name == _DEFAULT_NAME:
        return get_experiment(services, DEFAULT_EXPERIMENT, caller)
    if found is None:
        raise missing(f"Could not find experiment with name '{name}'")
    return found


def rename_experiment(services: Services, message: wire.UpdateExperiment, caller: Caller) -> None:
    """Change an experiment's name.

    Raises:
        MlflowFault: There is none, it is deleted, or the name is taken.
        AccessDenied: It is another's.
    """
    keys.check_length("name", keys.LONGEST_EXPERIMENT_NAME, message.new_name)
    experiment = _writable(services, message.experiment_id, caller, "rename an experiment")
    if experiment.deleted_at is not None:
        raise invalid_state("Cannot rename a non-active experiment.")
    try:
        renamed = services.store.set_experiment(experiment.id, name=message.new_name)
    except Conflict:
        raise _taken(message.new_name) from None
    tell(services, "experiment.renamed", renamed, caller)


def delete_experiment(services: Services, experiment_id: str, caller: Caller) -> None:
    """Put an experiment and its runs aside.

    Raises:
        MlflowFault: There is none, or it is already.
        AccessDenied: It is another's.
    """
    _set_aside(services, experiment_id, caller, delete=True)


def restore_experiment(services: Services, experiment_id: str, caller: Caller) -> None:
    """Take an experiment and its runs back; raises as `delete_experiment`."""
    _set_aside(services, experiment_id, caller, delete=False)


def set_tag(services: Services, message: wire.SetExperimentTag, caller: Caller) -> None:
    """Set an experiment's tag.

    Raises:
        MlflowFault: It cannot be called so, or there is no such experiment, or it is deleted.
        AccessDenied: The experiment is another's.
    """
    _check_tag(message.key, message.value)
    experiment = _active(services, message.experiment_id, caller)
    services.store.set_experiment_tags(experiment.id, {message.key: message.value})


def delete_tag(services: Services, message: wire.DeleteExperimentTag, caller: Caller) -> None:
    """Take an experiment's tag away; raises as `set_tag`, and if there is none of that name."""
    experiment = _active(services, message.experiment_id, caller)
    if not services.store.delete_experiment_tag(experiment.id, message.key):
        name = message.experiment_id
        raise missing(f"No tag with name: {message.key} in experiment with id {name}")


def check_active(experiment: Experiment) -> None:
    """Refuse a deleted experiment.

    Raises:
        MlflowFault: It is deleted.
    """
    if experiment.deleted_at is not None:
        raise invalid(
            f"The experiment {experiment.id} must be in the 'active' state. Current state is deleted."
        )


def experiment_json(services: Services, experiment: Experiment) -> dict[str, Any]:
    """Write an experiment as MLflow does."""
    return experiments_json(services, [experiment])[0]


def experiments_json(services: Services, experiments: Sequence[Experiment]) -> list[dict[str, Any]]:
    """Write experiments as `experiment_json` does, in their order."""
    tags = services.store.list_experiment_tags([experiment.id for experiment in experiments])
    return [_json(experiment, tags.get(experiment.id, {})) for experiment in experiments]


def location_of(experiment: Experiment) -> str:
    """Give the address below which clients store artifacts."""
    return experiment.artifact_location or f"mlflow-artifacts:/{experiment.id}"


def own_project(caller: Caller) -> str:
    """Give the project that a command is bound to; empty for people."""
    return caller.project_id if caller.scope is Scope.COMMAND and caller.run_id else ""


def _json(experiment: Experiment, tags: dict[str, str]) -> dict[str, Any]:
    written = {
        "experiment_id": experiment.id,
        "name": experiment.name,
        "artifact_location": location_of(experiment),
        "lifecycle_stage": lifecycle(experiment.deleted_at),
        "last_update_time": milliseconds(experiment.updated_at or experiment.created_at),
        "creation_time": milliseconds(experiment.created_at),
        "workspace": "default",
    }
    return written | ({"tags": pairs(tags)} if tags else {})


def _create(
    services: Services, named: Experiment, caller: Caller, tags: dict[str, str], location: str = ""
) -> Experiment:
    project_id = own_project(caller) or find_or_create(services, PROJECT, by=caller.name).id
    new = Experiment(
        id=named.id,
        project_id=project_id,
        name=named.name,
        artifact_location=location,
        created_by=maker_name(caller),
    )
    try:
        with services.store.transaction():
            made = services.store.create_experiment(new, tags)
            tell(services, "experiment.created", made, caller)
    except Conflict:
        raise _taken(named.name) from None
    return made


def _default(services: Services, caller: Caller) -> Experiment:
    """Give the default experiment, made on first use; older hubs gave it an id like any other."""
    try:
        return services.store.get_experiment(DEFAULT_EXPERIMENT)
    except NotFound:
        project = find_or_create(services, PROJECT, by=caller.name)
    found = services.store.find_experiment(_DEFAULT_NAME, project.id)
    if found is not None:
        return found
    named = Experiment(id=DEFAULT_EXPERIMENT, project_id=project.id, name=_DEFAULT_NAME)
    try:
        return _create(services, named, caller, {})
    except MlflowFault:
        return services.store.get_experiment(DEFAULT_EXPERIMENT)  # another made it in between


def _find_experiment(services: Services, name: str, caller: Caller) -> Experiment | None:
    return services.store.find_experiment(name, own_project(caller) or None)


def _writable(services: Services, experiment_id: str, caller: Caller, action: str) -> Experiment:
    experiment = get_experiment(services, experiment_id, caller)
    require_maker(caller, experiment.created_by, action)
    return experiment


def _active(services: Services, experiment_id: str, caller: Caller) -> Experiment:
    experiment = _writable(services, experiment_id, caller, "tag an experiment")
    check_active(experiment)
    return experiment


def _set_aside(services: Services, experiment_id: str, caller: Caller, *, delete: bool) -> None:
    action = "delete an experiment" if delete else "restore an experiment"
    experiment = _writable(services, experiment_id, caller, action)
    if (experiment.deleted_at is None) != delete:
        raise _missing(experiment_id)
    store = services.store
    with store.transaction():
        changed = (store.delete_experiment if delete else store.restore_experiment)(experiment.id)
        tell(services, f"experiment.{'deleted' if delete else 'restored'}", changed, caller)


def tell(services: Services, kind: str, experiment: Experiment, caller: Caller, **facts: Any) -> None:
    """Note what happened to an experiment, or to what belongs to it."""
    services.store.record_event(
        Event(
            kind=kind,
            actor=caller.name,
            subject=f"experiment:{experiment.id}",
            project=services.store.get_project(experiment.project_id).name,
            facts={"name": experiment.name} | facts,
        )
    )


def _check_tag(key: str, value: str) -> None:
    keys.check_key(key, "key")
    keys.check_length("key", keys.LONGEST_KEY, key)
    keys.check_length("value", keys.LONGEST_EXPERIMENT_TAG, value)


def _checked_location(location: str) -> str:
    """Give an address for artifacts as it is kept: a path on a disk from its root on."""
    try:
        parts = urlparse(location)
    except ValueError as error:
        raise invalid(f"Invalid artifact location: '{location}': {error}.") from error
    if parts.fragment or parts.params:
        raise invalid("'artifact_location' URL can't include fragments or params.")
    if ".." in unquote(unquote(parts.query)):
        raise invalid("Invalid query string")
    if parts.scheme == "runs":
        raise invalid(f"Artifact location cannot be a runs:/ URI. Given: '{location}'")
    if not is_proxied(location):
        check_machine("artifact_location", location)
    if len(location) > _LONGEST_LOCATION:
        raise invalid(
            "Invalid artifact path length. The length of the artifact path cannot be greater than"
            f" {_LONGEST_LOCATION} characters. To configure this limit, please set the"
            " MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH environment variable."
        )
    return str(Path.cwd() / location) if location and not parts.scheme else location


def _missing(experiment_id: str) -> MlflowFault:
    return missing(f"No Experiment with id={experiment_id} exists")


def _taken(name: str) -> MlflowFault:
    return taken(f"Experiment(name={name}) already exists.")
