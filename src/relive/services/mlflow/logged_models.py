"""Logged models, as MLflow's clients use them.

Source: mlflow.store.tracking.sqlalchemy_store, mlflow.server.handlers.
"""

import random
from typing import Any

from relive.core.access import Caller
from relive.core.logged_model import LoggedModel, LoggedModelStatus
from relive.errors import Conflict, NotFound
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.mlflow import artifacts
from relive.services.mlflow.experiments import get_experiment, location_of
from relive.services.mlflow.faults import MlflowFault, invalid, missing
from relive.services.mlflow.logged_json import STATUSES, logged_model_json
from relive.services.mlflow.places import Place, require_model_writer, safe_path
from relive.services.mlflow.rights import maker_name
from relive.services.mlflow.run_json import below
from relive.wire.mlflow import models as wire

_NOT_IN_NAMES = ("/", ":", ".", "%", '"', "'")
# A name for who gave none, such as calm-larch-417.
_FIRST = ("able", "bold", "calm", "deft", "even", "fair", "glad", "hale", "keen", "lucid", "merry", "neat")
_SECOND = ("ash", "birch", "cedar", "elm", "hazel", "iris", "juniper", "larch", "maple", "oak", "pine", "yew")


def create_model(services: Services, message: wire.CreateLoggedModel, caller: Caller) -> dict[str, Any]:
    """Make a logged model, whose files are on their way.

    Raises:
        MlflowFault: The name is none, or the experiment is not there or put aside.
    """
    if any(letter in message.name for letter in _NOT_IN_NAMES):
        raise invalid(
            f"Invalid model name ({message.name!r}) provided. Model name must be a non-empty string and "
            f"cannot contain the following characters: {_NOT_IN_NAMES}"
        )
    experiment = get_experiment(services, message.experiment_id, caller)
    if experiment.deleted_at is not None:
        state = "must be in the 'active' state. Current state is deleted."
        raise invalid(f"The experiment {message.experiment_id} {state}")
    model_id = f"m-{new_id()}"
    model = LoggedModel(
        id=model_id,
        experiment_id=experiment.id,
        name=message.name or f"{random.choice(_FIRST)}-{random.choice(_SECOND)}-{random.randrange(1000)}",
        artifact_location=below(location_of(experiment), f"models/{model_id}/artifacts"),
        source_run_id=message.source_run_id,
        model_type=message.model_type,
        created_by=maker_name(caller),
        created_at=services.store.now(),
    )
    made = services.store.create_logged_model(
        model,
        params={param.key: param.value for param in message.params},
        tags={tag.key: tag.value for tag in message.tags},
    )
    return logged_model_json(services, made)


def find_model(
    services: Services, model_id: str, caller: Caller, *, allow_deleted: bool = False
) -> LoggedModel:
    """Give a logged model that the caller may read.

    Raises:
        MlflowFault: There is none, or it was put aside.
        AccessDenied: A command asks for one of another project.
    """
    try:
        model = services.store.get_logged_model(model_id)
    except NotFound:
        raise _missing(model_id) from None
    require_reader(caller, services.store.get_experiment(model.experiment_id).project_id)
    if model.deleted_at is not None and not allow_deleted:
        raise _missing(model_id)
    return model


def finalize_model(services: Services, message: wire.FinalizeLoggedModel, caller: Caller) -> dict[str, Any]:
    """Say that a model's files are there, or did not arrive.

    Raises:
        MlflowFault: There is no such model or no such status.
    """
    status = _status_of(message.status)
    model = _writable(services, message.model_id, caller)
    now = services.store.now()
    changed = services.store.set_logged_model(model.id, status=status, updated_at=now)
    return logged_model_json(services, changed)


def delete_model(services: Services, model_id: str, caller: Caller) -> None:
    """Put a logged model aside."""
    model = _writable(services, model_id, caller)
    now = services.store.now()
    services.store.set_logged_model(model.id, deleted_at=model.deleted_at or now, updated_at=now)


def record_params(services: Services, message: wire.LogLoggedModelParams, caller: Caller) -> None:
    """Set params, once.

    Raises:
        MlflowFault: One is set already; none is kept.
    """
    model = _writable(services, message.model_id, caller)
    params = {param.key: param.value for param in message.params}
    try:
        services.store.record_logged_model_params(model.id, params)
    except Conflict:
        text = f"One of the params {sorted(params)} of model {model.id} is set already"
        raise MlflowFault(error_code="BAD_REQUEST", message=text) from None


def set_tags(services: Services, message: wire.SetLoggedModelTags, caller: Caller) -> None:
    """Set tags."""
    model = _writable(services, message.model_id, caller)
    services.store.set_logged_model_tags(model.id, {tag.key: tag.value for tag in message.tags})


def delete_tag(services: Services, message: wire.DeleteLoggedModelTag, caller: Caller) -> None:
    """Take a tag away.

    Raises:
        MlflowFault: It is not there.
    """
    model = _writable(services, message.model_id, caller)
    if not services.store.delete_logged_model_tag(model.id, message.tag_key):
        raise missing(f"No tag with key {message.tag_key!r} found for model with ID {model.id!r}.")


def list_files(services: Services, message: wire.ListLoggedModelFiles, caller: Caller) -> dict[str, Any]:
    """List a folder of a model's files."""
    path = safe_path(message.artifact_directory_path)
    model = find_model(services, message.model_id, caller)
    files = artifacts.list_folder(services, Place(path=path, model=model))
    return {"root_uri": model.artifact_location} | ({"files": files} if files else {})


def _writable(services: Services, model_id: str, caller: Caller) -> LoggedModel:
    model = find_model(services, model_id, caller, allow_deleted=True)
    require_model_writer(caller, model)
    return model


def _status_of(said: str | int) -> LoggedModelStatus:
    names = list(STATUSES)
    word = str(said)
    if word in STATUSES:
        return STATUSES[word]
    if word.isdecimal() and len(word) < 4 and int(word) < len(names):
        return STATUSES[names[int(word)]]
    raise invalid(
        f"Invalid value {word!r} for parameter 'status' supplied. It must be one of {', '.join(names)}."
    )


def _missing(model_id: str) -> Exception:
    return missing(f"Logged model with ID '{model_id}' not found.")
