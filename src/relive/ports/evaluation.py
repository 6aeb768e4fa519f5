"""What services ask of the store about evaluation; its promises are those of `ports.stores`."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from relive.core.evaluation import EvaluationDataset, EvaluationRecord, ScorerVersion
from relive.ports.search import Search


class EvaluationDatasetPage(msgspec.Struct, frozen=True):
    """Some data sets; `next` continues behind them, empty at the end."""

    datasets: tuple[EvaluationDataset, ...]
    next: str = ""


class EvaluationStore(Protocol):
    """Data sets for evaluation, their tags, experiments and records.

    A record and the number of records in its data set change in two calls: group them.
    """

    def create_evaluation_dataset(
        self, dataset: EvaluationDataset, *, tags: Mapping[str, str], experiment_ids: Sequence[str]
    ) -> EvaluationDataset: ...
    def get_evaluation_dataset(self, dataset_id: str) -> EvaluationDataset: ...
    def set_evaluation_dataset(self, dataset_id: str, **changes: Any) -> EvaluationDataset:
        """Change `digest`, `schema`, `records`, `last_author` or `updated_at`."""
        ...

    def delete_evaluation_dataset(self, dataset_id: str) -> bool:
        """Delete a data set with all that belongs to it; tell whether it was there."""
        ...

    def search_evaluation_datasets(self, search: Search) -> EvaluationDatasetPage:
        """Give a page of data sets, those with one of the experiments asked for; raises as `search_runs`.

        The condition is of the grammar `core.search_grammars.EVALUATION_DATASETS`.
        """
        ...

    def set_evaluation_tags(self, dataset_id: str, tags: Mapping[str, str]) -> None: ...
    def delete_evaluation_tag(self, dataset_id: str, key: str) -> bool: ...
    def list_evaluation_tags(self, dataset_ids: Sequence[str]) -> dict[str, dict[str, str]]: ...
    def link_evaluation_dataset(self, dataset_id: str, experiment_ids: Sequence[str]) -> None:
        """Let experiments share a data set; those that do already stay as they are."""
        ...

    def unlink_evaluation_dataset(self, dataset_id: str, experiment_ids: Sequence[str]) -> int:
        """Let experiments share it no more; gives how many did."""
        ...

    def list_evaluation_experiments(self, dataset_ids: Sequence[str]) -> dict[str, list[str]]:
        """Give the experiments that share each data set, by the time they came, then by id."""
        ...

    def keep_evaluation_records(self, records: Sequence[EvaluationRecord]) -> None:
        """Keep records of one data set: those without a number go to its end, others take their own place.

        Raises:
            Conflict: The data set has other records with the same inputs; none is kept.
        """
        ...

    def list_evaluation_records(
        self, dataset_id: str, *, after: int = 0, limit: int = 1000
    ) -> list[EvaluationRecord]:
        """List records in the order they came, from behind this number on."""
        ...

    def find_evaluation_records(
        self, dataset_id: str, input_digests: Sequence[str]
    ) -> dict[str, EvaluationRecord]:
        """Give the records with these inputs that are there, by the digest of the inputs."""
        ...

    def name_evaluation_records(self, record_ids: Sequence[str]) -> set[str]:
        """Give those of the ids that a record has, of whichever data set."""
        ...

    def delete_evaluation_records(self, dataset_id: str, record_ids: Sequence[str]) -> int:
        """Delete records of a data set; gives how many were there."""
        ...


class ScorerStore(Protocol):
    """Scorers of experiments; versions count from 1."""

    def create_scorer_version(
        self, experiment_id: str, name: str, body: str, *, created_by: str
    ) -> ScorerVersion:
        """Keep a scorer's next version; the first makes the scorer."""
        ...

    def list_scorers(self, experiment_ids: Sequence[str]) -> list[ScorerVersion]:
        """Give the last version of each scorer of these experiments, by experiment and name."""
        ...

    def list_scorer_versions(self, experiment_id: str, name: str) -> list[ScorerVersion]:
        """Give the versions of a scorer, the first first; none if there is no such scorer."""
        ...

    def delete_scorer(self, experiment_id: str, name: str, version: int | None = None) -> int:
        """Delete one version, or the scorer with all; gives how many versions were there."""
        ...
