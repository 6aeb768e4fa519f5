"""What every store promises of data in versions."""

from typing import Any

import msgspec
import pytest

from relive.core.dataset import Dataset, DatasetRead, DatasetVersion
from relive.errors import Conflict, NotFound
from relive.formats.hashing import blake3_digest
from relive.ports.stores import Store
from relive.testing.stores_samples import START, a_project, a_run, new_id


def a_named_dataset(store: Store, name: str = "sales", project: str = "demo") -> Dataset:
    """Give the data set of this name."""
    return store.ensure_dataset(Dataset(id=new_id(), project_id=a_project(store, project).id, name=name))


def a_dataset_version(
    store: Store, digest: str, dataset: Dataset | None = None, **more: Any
) -> DatasetVersion:
    """Keep the next version."""
    of = dataset or a_named_dataset(store)
    new = DatasetVersion(
        id=new_id(),
        dataset_id=of.id,
        name=of.name,
        number=0,
        digest=f"blake3:{digest * 64}",
        layout=f"blake3:{'f' * 64}",
        **more,
    )
    return store.add_dataset_version(new)


class DatasetVersionContract:
    """Promises of `DatasetVersionStore`."""

    def test_a_data_set_is_made_once(self, store: Store) -> None:
        made = a_named_dataset(store)
        assert made.created_at == START
        assert a_named_dataset(store) == made == store.find_dataset("sales")
        assert store.find_dataset("none") is None
        other = a_named_dataset(store, "images", "other")
        assert store.list_all_datasets() == [other, made]
        assert store.list_all_datasets(made.project_id) == [made]
        assert store.list_all_datasets(limit=1) == [other]

    def test_a_name_belongs_to_one_project(self, store: Store) -> None:
        a_named_dataset(store)
        with pytest.raises(Conflict, match="another project"):
            a_named_dataset(store, project="other")

    def test_versions_count_from_one(self, store: Store) -> None:
        profile = {"tables": [{"path": "a.csv", "rows": 3}]}
        first = a_dataset_version(store, "a", message="täg", profile=profile, size_bytes=2**40)
        second = a_dataset_version(store, "b")
        assert (first.number, second.number, first.created_at) == (1, 2, START)
        assert (first.ref, first.message, first.profile) == ("sales@v1", "täg", profile)
        assert store.find_dataset_version("sales") == second
        assert store.find_dataset_version("sales", 1) == first
        assert store.find_dataset_version("sales", 3) is None
        assert store.find_dataset_version("none") is None
        assert store.list_dataset_versions(first.dataset_id) == [second, first]
        assert store.list_dataset_versions(first.dataset_id, limit=1) == [second]

    def test_the_same_data_makes_no_version(self, store: Store) -> None:
        first = a_dataset_version(store, "a")
        assert a_dataset_version(store, "a") == first
        a_dataset_version(store, "b")
        assert a_dataset_version(store, "a").number == 3  # what it was before, again

    def test_a_version_needs_its_data_set(self, store: Store) -> None:
        stranger = Dataset(id=new_id(), project_id=a_project(store).id, name="none")
        with pytest.raises(NotFound):
            a_dataset_version(store, "a", stranger)

    def test_lineage_both_ways(self, store: Store) -> None:
        maker, reader = a_run(store), a_run(store)
        made = a_dataset_version(store, "a", source_run_id=maker.id)
        other = a_dataset_version(store, "b", source_run_id=maker.id)
        reads = [
            DatasetRead(run_id=reader.id, dataset_id=made.dataset_id, number=1, path=path)
            for path in ("one", "two", "one")
        ]
        for read in reads:
            store.record_dataset_reads([read])
        store.record_dataset_reads([])
        assert store.list_versions_made_by(maker.id) == [other, made]
        assert [read.path for read in store.list_dataset_reads(made.dataset_id, 1)] == ["one", "two"]
        assert len(store.list_dataset_reads(made.dataset_id, 1, limit=1)) == 1
        assert store.list_dataset_reads(made.dataset_id, 2) == []
        assert store.list_reads_of_run(reader.id) == [made]
        assert store.list_reads_of_run(maker.id) == []

    def test_what_a_run_read_is_not_forgotten(self, store: Store) -> None:
        first, second = a_dataset_version(store, "a"), a_dataset_version(store, "b")
        run = a_run(store)
        store.record_dataset_reads([DatasetRead(run_id=run.id, dataset_id=first.dataset_id, number=1)])
        with pytest.raises(Conflict, match="a run read it"):
            store.delete_dataset_version(first.dataset_id, 1)
        assert store.delete_dataset_version(second.dataset_id, 2)
        assert not store.delete_dataset_version(second.dataset_id, 2)
        assert store.list_dataset_versions(first.dataset_id) == [first]
        assert a_dataset_version(store, "c").number == 3  # a number is not given again

    def test_a_version_says_where_its_bytes_lie_now(self, store: Store) -> None:
        first, second = a_dataset_version(store, "a"), a_dataset_version(store, "b")
        elsewhere = blake3_digest(b"another layout")
        store.set_dataset_layout(first.dataset_id, 1, elsewhere)
        assert store.find_dataset_version("sales", 1) == msgspec.structs.replace(first, layout=elsewhere)
        assert store.find_dataset_version("sales", 2) == second

    def test_a_purged_run_reads_nothing(self, store: Store) -> None:
        version, run = a_dataset_version(store, "a"), a_run(store)
        store.record_dataset_reads([DatasetRead(run_id=run.id, dataset_id=version.dataset_id, number=1)])
        store.set_run(run.id, deleted_at=1.0)
        assert store.purge_run(run.id)
        assert store.list_dataset_reads(version.dataset_id, 1) == []

    def test_a_project_with_data_stays(self, store: Store) -> None:
        project = a_project(store, "held")
        a_named_dataset(store, "kept", "held")
        with pytest.raises(Conflict, match="datasets"):
            store.delete_project(project.id)
