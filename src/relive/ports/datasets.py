"""What services ask of the store about data that is kept in versions."""

from collections.abc import Sequence
from typing import Protocol

from relive.core.dataset import Dataset, DatasetRead, DatasetVersion
from relive.core.digest import Digest


class DatasetVersionStore(Protocol):
    """Data sets, their immutable versions, and which run read which."""

    def ensure_dataset(self, dataset: Dataset) -> Dataset:
        """Give the data set of this name, made if there is none.

        Raises:
            Conflict: The name is another project's.
        """
        ...

    def find_dataset(self, name: str) -> Dataset | None: ...
    def list_all_datasets(self, project_id: str = "", *, limit: int = 1000) -> list[Dataset]:
        """Give a project's data sets, or everyone's, by name."""
        ...

    def add_dataset_version(self, version: DatasetVersion) -> DatasetVersion:
        """Keep a version under the next number; gives the newest one back if it is the same data."""
        ...

    def set_dataset_layout(self, dataset_id: str, number: int, layout: Digest) -> None:
        """Say where the bytes of a version lie now: the same bytes, in other packs."""
        ...

    def find_dataset_version(self, name: str, number: int | None = None) -> DatasetVersion | None:
        """Give a version, the newest without a number."""
        ...

    def list_dataset_versions(self, dataset_id: str, *, limit: int = 1000) -> list[DatasetVersion]:
        """Give versions, newest first."""
        ...

    def list_versions_made_by(self, run_id: str) -> list[DatasetVersion]:
        """Give the versions that a run made, newest first."""
        ...

    def delete_dataset_version(self, dataset_id: str, number: int) -> bool:
        """Forget a version that no run read; its number is not given again. Says whether it was there.

        Raises:
            Conflict: A run read it.
        """
        ...

    def record_dataset_reads(self, reads: Sequence[DatasetRead]) -> None:
        """Keep that runs read versions; what is there already stays."""
        ...

    def list_dataset_reads(self, dataset_id: str, number: int, *, limit: int = 100) -> list[DatasetRead]:
        """Give who read a version, newest first."""
        ...

    def list_reads_of_run(self, run_id: str) -> list[DatasetVersion]:
        """Give the versions that a run read, by name and number."""
        ...
