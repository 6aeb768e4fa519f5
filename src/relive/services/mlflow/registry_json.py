"""Models and versions of the registry, as MLflow writes them."""

from collections.abc import Sequence
from typing import Any

from relive.core.model import Alias, ModelVersion, RegisteredModel
from relive.services.context import Services
from relive.services.mlflow.values import milliseconds

_READY = "READY"


def model_json(services: Services, model: RegisteredModel) -> dict[str, Any]:
    """Write a model with its newest version of each stage."""
    return models_json(services, [model])[0]


def models_json(services: Services, models: Sequence[RegisteredModel]) -> list[dict[str, Any]]:
    """Write models, with as many questions to the store for many as for one."""
    store, names = services.store, [model.name for model in models]
    latest = versions_json(services, store.list_latest_versions(names), with_aliases=False)
    tags = store.list_model_tags([model.id for model in models])
    aliases = store.list_aliases_of(names)
    return [
        {
            "name": model.name,
            **_times(model),
            **({"description": model.description} if model.description else {}),
            **_filled("latest_versions", [it for it in latest if it["name"] == model.name]),
            **_filled("tags", _pairs(tags.get(model.id, {}))),
            **_filled(
                "aliases",
                [
                    {"alias": alias.alias, "version": str(alias.version)}
                    for alias in aliases
                    if alias.model == model.name
                ],
            ),
        }
        for model in models
    ]


def version_json(services: Services, version: ModelVersion) -> dict[str, Any]:
    """Write a version with its aliases."""
    return versions_json(services, [version])[0]


def versions_json(
    services: Services, versions: Sequence[ModelVersion], *, with_aliases: bool = True
) -> list[dict[str, Any]]:
    """Write versions; in lists MLflow leaves the aliases out."""
    store = services.store
    tags = store.list_version_tags([version.id for version in versions])
    aliases = store.list_aliases_of(sorted({version.model for version in versions})) if with_aliases else []
    return [_version_json(version, tags.get(version.id, {}), aliases) for version in versions]


def location_of(version: ModelVersion) -> str:
    """Give the address from which clients download a version's files."""
    if version.source:
        return str(version.facts.get("location") or version.source)
    return f"mlflow-artifacts:/versions/{version.id}/artifacts"


def _version_json(version: ModelVersion, tags: dict[str, str], aliases: list[Alias]) -> dict[str, Any]:
    own = [it.alias for it in aliases if (it.model, it.version) == (version.model, version.version)]
    return {
        "name": version.model,
        "version": str(version.version),
        **_times(version),
        "current_stage": version.stage or "None",
        "description": version.description,
        "source": version.source or location_of(version),
        "run_id": version.run_id,
        "status": _READY,
        "run_link": version.run_link,
        **_filled("tags", _pairs(tags)),
        **_filled("aliases", own),
    }


def _times(item: RegisteredModel | ModelVersion) -> dict[str, int]:
    return {
        "creation_timestamp": milliseconds(item.created_at),
        "last_updated_timestamp": milliseconds(item.updated_at or item.created_at),
    }


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _filled(name: str, items: list[Any]) -> dict[str, list[Any]]:
    """MLflow leaves empty lists out."""
    return {name: items} if items else {}
