"""What services ask of the logged models' part of the store; its promises are those of `ports.stores`."""

from collections.abc import Sequence
from typing import Any, Protocol

from relive.core.logged_model import LoggedModel, ModelMetric, OnDataset, Ranking
from relive.core.search import Condition


class LoggedModelStore(Protocol):
    """Models that clients logged, their params, tags and metrics."""

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
    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        condition: Condition | None = None,
        *,
        datasets: Sequence[OnDataset] = (),
        rankings: Sequence[Ranking] = (),
        limit: int = 100,
        offset: int = 0,
    ) -> list[LoggedModel]:
        """Search the models of experiments that were not put aside; among equals the newest first.

        Args:
            experiment_ids: Where to look.
            condition: Of the grammar `core.search_grammars.LOGGED_MODELS`; None for all.
            datasets: A metric counts only if it was measured on one of these; without a condition on a
                metric a model needs one.
            rankings: What to sort by first; a metric by its latest value, models without it last.
            limit: How many at most.
            offset: How many to pass over.
        """
        ...
