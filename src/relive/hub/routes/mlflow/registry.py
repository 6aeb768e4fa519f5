"""Registered models, their versions, aliases and tags."""

from typing import Any

from relive.core.access import Caller
from relive.hub.routes.mlflow.table import Table
from relive.services.context import Services
from relive.services.mlflow import registry, versions
from relive.services.mlflow.registry_json import model_json, version_json
from relive.wire.mlflow import registry as wire

Reply = dict[str, Any]


def _create_model(services: Services, caller: Caller, message: wire.CreateRegisteredModel) -> Reply:
    """Make a registered model, or a prompt, which is one with a tag that says so."""
    return {"registered_model": registry.create_model(services, message, caller)}


def _get_model(services: Services, caller: Caller, message: wire.ModelName) -> Reply:
    """Give a registered model with its newest versions, tags and aliases."""
    found = registry.find_model(services, message.name, caller)
    return {"registered_model": model_json(services, found)}


def _rename_model(services: Services, caller: Caller, message: wire.RenameRegisteredModel) -> Reply:
    """Give a registered model another name; what is signed of its versions is signed again."""
    return {"registered_model": versions.rename_model(services, message, caller)}


def _update_model(services: Services, caller: Caller, message: wire.UpdateRegisteredModel) -> Reply:
    """Change the description of a registered model."""
    return {"registered_model": registry.update_model(services, message, caller)}


def _delete_model(services: Services, caller: Caller, message: wire.ModelName) -> Reply:
    """Delete a registered model with its versions, unless an endpoint has had one of them."""
    registry.delete_model(services, message.name, caller)
    return {}


def _search_models(services: Services, caller: Caller, message: wire.Search) -> Reply:
    """Search registered models; prompts only if the filter asks for them."""
    return registry.search_models(services, message, caller)


def _latest_versions(services: Services, caller: Caller, message: wire.GetLatestVersions) -> Reply:
    """Give the newest version of each stage of the old life cycle."""
    return versions.latest_versions(services, message, caller)


def _set_model_tag(services: Services, caller: Caller, message: wire.SetModelTag) -> Reply:
    """Set a tag of a registered model."""
    registry.set_tag(services, message, caller)
    return {}


def _delete_model_tag(services: Services, caller: Caller, message: wire.DeleteModelTag) -> Reply:
    """Take a tag of a registered model away."""
    registry.delete_tag(services, message, caller)
    return {}


def _set_alias(services: Services, caller: Caller, message: wire.SetAlias) -> Reply:
    """Point an alias at a version; commands may not."""
    registry.set_alias(services, message, caller)
    return {}


def _delete_alias(services: Services, caller: Caller, message: wire.NamedAlias) -> Reply:
    """Take an alias away; commands may not."""
    registry.delete_alias(services, message, caller)
    return {}


def _get_by_alias(services: Services, caller: Caller, message: wire.NamedAlias) -> Reply:
    """Give the version that an alias points at."""
    return {"model_version": registry.get_by_alias(services, message, caller)}


def _create_version(services: Services, caller: Caller, message: wire.CreateModelVersion) -> Reply:
    """Register a version; files of this hub are kept by digest and signed for."""
    return {"model_version": versions.create_version(services, message, caller)}


def _get_version(services: Services, caller: Caller, message: wire.VersionName) -> Reply:
    """Give a version."""
    found = registry.find_version(services, message.name, message.version, caller)
    return {"model_version": version_json(services, found)}


def _update_version(services: Services, caller: Caller, message: wire.UpdateModelVersion) -> Reply:
    """Change the description of a version."""
    return {"model_version": versions.update_version(services, message, caller)}


def _delete_version(services: Services, caller: Caller, message: wire.VersionName) -> Reply:
    """Delete a version, unless an endpoint has had it."""
    versions.delete_version(services, message, caller)
    return {}


def _search_versions(services: Services, caller: Caller, message: wire.Search) -> Reply:
    """Search versions; those of prompts only if the filter asks for them."""
    return versions.search_versions(services, message, caller)


def _transition_stage(services: Services, caller: Caller, message: wire.TransitionStage) -> Reply:
    """Move a version to another stage of the old life cycle; commands may not."""
    return {"model_version": versions.transition_stage(services, message, caller)}


def _download_uri(services: Services, caller: Caller, message: wire.LooseVersionName) -> Reply:
    """Give the address from which the files of a version are downloaded."""
    return versions.download_uri(services, message, caller)


def _set_version_tag(services: Services, caller: Caller, message: wire.SetVersionTag) -> Reply:
    """Set a tag of a version."""
    versions.set_version_tag(services, message, caller)
    return {}


def _delete_version_tag(services: Services, caller: Caller, message: wire.DeleteVersionTag) -> Reply:
    """Take a tag of a version away."""
    versions.delete_version_tag(services, message, caller)
    return {}


TABLE: Table = {
    ("POST", "registered-models/create"): (wire.CreateRegisteredModel, _create_model),
    ("GET", "registered-models/get"): (wire.ModelName, _get_model),
    ("POST", "registered-models/rename"): (wire.RenameRegisteredModel, _rename_model),
    ("PATCH", "registered-models/update"): (wire.UpdateRegisteredModel, _update_model),
    ("DELETE", "registered-models/delete"): (wire.ModelName, _delete_model),
    ("GET", "registered-models/search"): (wire.Search, _search_models),
    ("GET", "registered-models/get-latest-versions"): (wire.GetLatestVersions, _latest_versions),
    ("POST", "registered-models/get-latest-versions"): (wire.GetLatestVersions, _latest_versions),
    ("POST", "registered-models/set-tag"): (wire.SetModelTag, _set_model_tag),
    ("DELETE", "registered-models/delete-tag"): (wire.DeleteModelTag, _delete_model_tag),
    ("POST", "registered-models/alias"): (wire.SetAlias, _set_alias),
    ("GET", "registered-models/alias"): (wire.NamedAlias, _get_by_alias),
    ("DELETE", "registered-models/alias"): (wire.NamedAlias, _delete_alias),
    ("POST", "model-versions/create"): (wire.CreateModelVersion, _create_version),
    ("GET", "model-versions/get"): (wire.VersionName, _get_version),
    ("PATCH", "model-versions/update"): (wire.UpdateModelVersion, _update_version),
    ("DELETE", "model-versions/delete"): (wire.VersionName, _delete_version),
    ("GET", "model-versions/search"): (wire.Search, _search_versions),
    ("POST", "model-versions/transition-stage"): (wire.TransitionStage, _transition_stage),
    ("GET", "model-versions/get-download-uri"): (wire.LooseVersionName, _download_uri),
    ("POST", "model-versions/set-tag"): (wire.SetVersionTag, _set_version_tag),
    ("DELETE", "model-versions/delete-tag"): (wire.DeleteVersionTag, _delete_version_tag),
}
