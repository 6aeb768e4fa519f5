"""What services ask of the logged models' part of the store; its promises are those of `ports.stores`."""

from collections.abc import Sequence
from typing import Any, Protocol

from relive.core.logged_model import LoggedModel, ModelLink, ModelMetric


class LoggedModelStore(Protocol):
    """Models that clients logged, their params, tags and metrics, and which runs made and read them."""

    def create_logged_model(
        self, model: LoggedModel, *, params: dict[str, str], tags: dict[str, str]
    ) -> LoggedModel: ...
    def get_logged_model(self, model_id: str) -> LoggedModel:
        """Give a logged model, also one that was put aside."""
        ...

    def list_logged_models(self, model_ids: Sequence[str]) -> list[LoggedModel]:
        """Give many at once, in the order asked; those that are not there are left out."""
        ...

    def set_logged_model(self, model_id: str, **changes: Any) -> LoggedModel:
        """Change `status`, `status_message`, `updated_at` or `deleted_at`."""
        ...

    def record_logged_model_params(self, model_id: str, params: dict[str, str]) -> None:
        """Set params once; one that is there raises `Conflict`, and none is kept."""
        ...

    def set_logged_model_tags(self, model_id: str, tags: dict[str, str]) -> None: ...
    def delete_logged_model_tag(self, model_id: str, key: str) -> bool: ...
    def list_logged_model_params(self, model_ids: Sequence[str]) -> dict[str, dict[str, str]]: ...
    def list_logged_model_tags(self, model_ids: Sequence[str]) -> dict[str, dict[str, str]]: ...
    def record_model_metrics(self, metrics: Sequence[ModelMetric]) -> None:
        """Append points; one that is equal in all is the same point."""
        ...

    def list_model_metrics(self, model_ids: Sequence[str]) -> dict[str, list[ModelMetric]]: ...
    def record_model_links(self, links: Sequence[ModelLink]) -> None:
        """Note which run read or made which model; a link that is there stays."""
        ...

    def list_model_links(self, run_ids: Sequence[str]) -> dict[str, list[ModelLink]]:
        """Give the models that runs read and made, in the order they were noted."""
        ...
