"""What services ask of the store of experiments and of the data sets that their runs read."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from relive.core.dataset import DatasetSummary, DatasetUse, ModelUse
from relive.core.project import Experiment


class ExperimentStore(Protocol):
    """Experiments and their tags."""

    def create_experiment(self, experiment: Experiment, tags: Mapping[str, str]) -> Experiment:
        """Create it, with an id of its own if it has none; raises `Conflict` if its project has the name."""
        ...

    def ensure_experiment(self, project_id: str, name: str) -> Experiment:
        """Give the experiment of this name, new or not; a deleted one is taken up again, without its runs."""
        ...

    def get_experiment(self, experiment_id: str) -> Experiment: ...
    def find_experiment(self, name: str, project_id: str | None = None) -> Experiment | None:
        """Find an experiment by name, deleted or not: in its project, or the oldest of that name anywhere."""
        ...

    def list_experiments(
        self, project_id: str | None = None, *, deleted: bool = False
    ) -> list[Experiment]: ...
    def set_experiment(self, experiment_id: str, **changes: Any) -> Experiment:
        """Change its name; raises `Conflict` if its project has that name."""
        ...

    def delete_experiment(self, experiment_id: str) -> Experiment:
        """Put it and all its runs aside."""
        ...

    def restore_experiment(self, experiment_id: str) -> Experiment:
        """Take it and all its runs back, also those that were deleted by themselves."""
        ...

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None: ...
    def delete_experiment_tag(self, experiment_id: str, key: str) -> bool:
        """Take a tag away; tell whether it was there."""
        ...

    def list_experiment_tags(self, experiment_ids: Sequence[str]) -> dict[str, dict[str, str]]: ...


class DatasetStore(Protocol):
    """What tracking clients say that runs read and made: data sets and logged models."""

    def record_datasets(self, run_id: str, uses: Sequence[DatasetUse]) -> None:
        """Note what a run read; of one data set (name and digest) the first is kept, with its tags."""
        ...

    def list_datasets(self, run_ids: Sequence[str]) -> dict[str, list[DatasetUse]]:
        """Give what each run read, in the order it said so; runs without any are absent."""
        ...

    def list_dataset_summaries(
        self, experiment_ids: Sequence[str], *, context_tag: str, limit: int
    ) -> list[DatasetSummary]:
        """Give the different data sets of experiments; `context_tag` is the tag that says what each was."""
        ...

    def record_model_uses(self, run_id: str, uses: Sequence[ModelUse]) -> None:
        """Note which logged models a run read or made; the same one again changes nothing."""
        ...

    def list_model_uses(self, run_ids: Sequence[str]) -> dict[str, list[ModelUse]]:
        """Give the logged models that each run read or made, in the order it said so."""
        ...
