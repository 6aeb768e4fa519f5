"""Logged models."""

from typing import Any

from relive.core.access import Caller
from relive.hub.routes.mlflow.table import Table
from relive.services.context import Services
from relive.services.mlflow import logged_models, logged_search
from relive.services.mlflow.logged_json import logged_model_json
from relive.wire.mlflow import models as wire

Reply = dict[str, Any]


def _create(services: Services, caller: Caller, message: wire.CreateLoggedModel) -> Reply:
    """Make a logged model, whose files are on their way."""
    return {"model": logged_models.create_model(services, message, caller)}


def _get(services: Services, caller: Caller, message: wire.LoggedModelId) -> Reply:
    """Give a logged model with its params, tags and metrics."""
    found = logged_models.find_model(services, message.model_id, caller, allow_deleted=message.allow_deleted)
    return {"model": logged_model_json(services, found)}


def _finalize(services: Services, caller: Caller, message: wire.FinalizeLoggedModel) -> Reply:
    """Say that a logged model's files are there, or did not arrive."""
    return {"model": logged_models.finalize_model(services, message, caller)}


def _delete(services: Services, caller: Caller, message: wire.LoggedModelId) -> Reply:
    """Put a logged model aside."""
    logged_models.delete_model(services, message.model_id, caller)
    return {}


def _log_params(services: Services, caller: Caller, message: wire.LogLoggedModelParams) -> Reply:
    """Set params of a logged model, once."""
    logged_models.record_params(services, message, caller)
    return {}


def _set_tags(services: Services, caller: Caller, message: wire.SetLoggedModelTags) -> Reply:
    """Set tags of a logged model."""
    logged_models.set_tags(services, message, caller)
    return {}


def _delete_tag(services: Services, caller: Caller, message: wire.DeleteLoggedModelTag) -> Reply:
    """Take a tag of a logged model away."""
    logged_models.delete_tag(services, message, caller)
    return {}


def _list_files(services: Services, caller: Caller, message: wire.ListLoggedModelFiles) -> Reply:
    """List a folder of a logged model's files."""
    return logged_models.list_files(services, message, caller)


def _search(services: Services, caller: Caller, message: wire.SearchLoggedModels) -> Reply:
    """Search the logged models of experiments."""
    return logged_search.search_models(services, message, caller)


TABLE: Table = {
    ("POST", "logged-models"): (wire.CreateLoggedModel, _create),
    ("POST", "logged-models/search"): (wire.SearchLoggedModels, _search),
    ("GET", "logged-models/{model_id}"): (wire.LoggedModelId, _get),
    ("PATCH", "logged-models/{model_id}"): (wire.FinalizeLoggedModel, _finalize),
    ("DELETE", "logged-models/{model_id}"): (wire.LoggedModelId, _delete),
    ("POST", "logged-models/{model_id}/params"): (wire.LogLoggedModelParams, _log_params),
    ("PATCH", "logged-models/{model_id}/tags"): (wire.SetLoggedModelTags, _set_tags),
    ("DELETE", "logged-models/{model_id}/tags/{tag_key}"): (wire.DeleteLoggedModelTag, _delete_tag),
    ("GET", "logged-models/{model_id}/artifacts/directories"): (wire.ListLoggedModelFiles, _list_files),
}
