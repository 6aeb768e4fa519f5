"""What services ask of the registry's part of the store; its promises are those of `ports.stores`."""

from collections.abc import Sequence
from typing import Any, Protocol

from relive.core.model import Alias, ModelVersion, RegisteredModel
from relive.core.search import Condition, Order


class RegistryStore(Protocol):
    """Registered models, versions, aliases, and the tags of the first two."""

    def create_model(self, model: RegisteredModel) -> RegisteredModel:
        """Create a model, or raise `Conflict` if the name is taken."""
        ...

    def ensure_model(self, project_id: str, name: str) -> RegisteredModel:
        """Give the model of this name; raises `Conflict` if it belongs to another project."""
        ...

    def get_model(self, name: str) -> RegisteredModel: ...
    def list_models(self, project_id: str | None = None) -> list[RegisteredModel]: ...
    def set_model(self, model_id: str, **changes: Any) -> RegisteredModel:
        """Change `description` or `updated_at`."""
        ...

    def rename_model(self, model_id: str, name: str) -> RegisteredModel:
        """Change a model's name, with its versions, aliases and endpoints; `Conflict` if it is taken."""
        ...

    def delete_model(self, model_id: str) -> None:
        """Delete a model with versions, aliases and tags; `Conflict` if an endpoint has had one of them."""
        ...

    def create_version(self, version: ModelVersion) -> ModelVersion:
        """Create it with the model's next number; with a `stage_id` seen before, give that version back."""
        ...

    def get_version(self, model: str, ref: str) -> ModelVersion:
        """Give a version by number or alias."""
        ...

    def get_version_by_id(self, version_id: str) -> ModelVersion: ...
    def find_version_of_stage(self, stage_id: str) -> ModelVersion | None: ...
    def list_versions(self, model: str) -> list[ModelVersion]: ...
    def list_latest_versions(self, models: Sequence[str]) -> list[ModelVersion]:
        """Give the newest version of each model (by name) in each `stage` of MLflow's old life cycle."""
        ...

    def list_versions_of_run(self, run_id: str) -> list[ModelVersion]: ...
    def set_version(self, version_id: str, **changes: Any) -> ModelVersion: ...
    def delete_version(self, version_id: str) -> None:
        """Delete a version with its aliases and tags; `Conflict` if an endpoint has had it.

        Its number is not given again.
        """
        ...

    def find_alias(self, model: str, alias: str) -> Alias | None: ...
    def list_aliases(self, model: str) -> list[Alias]: ...
    def list_aliases_of(self, models: Sequence[str]) -> list[Alias]:
        """Give the aliases of many models at once, for a page of them."""
        ...

    def set_alias(self, model: str, alias: str, version: int, *, by: str) -> Alias:
        """Point an alias, which is not a number, at a version of the model."""
        ...

    def delete_alias(self, model: str, alias: str) -> bool: ...
    def set_model_tags(self, model_id: str, tags: dict[str, str]) -> None: ...
    def delete_model_tag(self, model_id: str, key: str) -> bool: ...
    def list_model_tags(self, model_ids: Sequence[str]) -> dict[str, dict[str, str]]: ...
    def set_version_tags(self, version_id: str, tags: dict[str, str]) -> None: ...
    def delete_version_tag(self, version_id: str, key: str) -> bool: ...
    def list_version_tags(self, version_ids: Sequence[str]) -> dict[str, dict[str, str]]: ...
    def search_models(
        self,
        condition: Condition | None = None,
        *,
        orders: Sequence[Order] = (),
        without_tag: tuple[str, str] | None = None,
        project_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[RegisteredModel]:
        """Search models by name and tags; among equals by name.

        Args:
            condition: Of the grammar `core.search_grammars.REGISTERED_MODELS`; None for all.
            orders: What to sort by first.
            without_tag: Leaves out models with this tag and value.
            project_id: Narrows to a project.
            limit: How many at most.
            offset: How many to pass over.
        """
        ...

    def search_versions(
        self,
        condition: Condition | None = None,
        *,
        orders: Sequence[Order] = (),
        without_tag: tuple[str, str] | None = None,
        project_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[ModelVersion]:
        """Search versions by the grammar `MODEL_VERSIONS`; among equals by name, the newest first.

        `without_tag` leaves out models of which any version has this tag and value.
        """
        ...
