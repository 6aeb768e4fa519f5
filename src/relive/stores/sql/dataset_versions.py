"""Data that is kept in versions."""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import and_, delete, func, select, update

from relive.core.dataset import Dataset, DatasetRead, DatasetVersion
from relive.core.digest import Digest
from relive.errors import Conflict
from relive.stores.sql.numbering import Numbered
from relive.stores.sql.part import StorePart
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.datasets import dataset_reads, dataset_versions, datasets

_DATASETS: Final = Kept(Dataset, datasets, "data set")
_VERSIONS: Final = Kept(DatasetVersion, dataset_versions, "version of a data set")
_READS: Final = Kept(DatasetRead, dataset_reads, "read of a data set")
_NUMBERS: Final = Numbered(datasets.c.last_version, "data set")
_NEWEST: Final = dataset_versions.c.number.desc()


class SqlDatasetVersions(StorePart):
    """See `ports.datasets.DatasetVersionStore`."""

    def ensure_dataset(self, dataset: Dataset) -> Dataset:
        at = dataset.created_at or self._db.moment()
        with self._db.write() as connection:
            new = self._db.insert(datasets)
            _DATASETS.insert_unless(connection, new, ["name"], dataset, created_at=at, last_version=0)
            found = _DATASETS.find(connection, datasets.c.name == dataset.name)
        assert found is not None  # it was there or is there now
        if found.project_id != dataset.project_id:
            raise Conflict(
                subject=f"data set {dataset.name!r}",
                reason="it belongs to another project",
                hint="data sets are named across the hub: choose another name",
            )
        return found

    def find_dataset(self, name: str) -> Dataset | None:
        with self._db.read() as connection:
            return _DATASETS.find(connection, datasets.c.name == name)

    def list_all_datasets(self, project_id: str = "", *, limit: int = 1000) -> list[Dataset]:
        query = _DATASETS.select().order_by(datasets.c.name).limit(limit)
        if project_id:
            query = query.where(datasets.c.project_id == project_id)
        with self._db.read() as connection:
            return _DATASETS.all(connection, query)

    def add_dataset_version(self, version: DatasetVersion) -> DatasetVersion:
        with self._db.write() as connection:
            # Who comes second waits here, and then sees what the first one added.
            number = _NUMBERS.hold(connection, version.dataset_id)
            its = dataset_versions.c.dataset_id == version.dataset_id
            newest = select(func.max(dataset_versions.c.number)).where(its).scalar_subquery()
            last = _VERSIONS.find(connection, its, dataset_versions.c.number == newest)
            if last is not None and last.digest == version.digest:
                return last
            _NUMBERS.take(connection, version.dataset_id, number)
            at = version.created_at or self._db.moment()
            return _VERSIONS.insert(connection, version, number=number, created_at=at)

    def set_dataset_layout(self, dataset_id: str, number: int, layout: Digest) -> None:
        versions = dataset_versions.c
        this = (versions.dataset_id == dataset_id, versions.number == number)
        with self._db.write() as connection:
            connection.execute(update(dataset_versions).where(*this).values(layout=layout))

    def find_dataset_version(self, name: str, number: int | None = None) -> DatasetVersion | None:
        of_name = select(datasets.c.id).where(datasets.c.name == name).scalar_subquery()
        query = _VERSIONS.select(dataset_versions.c.dataset_id == of_name).order_by(_NEWEST).limit(1)
        if number is not None:
            query = query.where(dataset_versions.c.number == number)
        with self._db.read() as connection:
            return next(iter(_VERSIONS.all(connection, query)), None)

    def list_dataset_versions(self, dataset_id: str, *, limit: int = 1000) -> list[DatasetVersion]:
        query = _VERSIONS.select(dataset_versions.c.dataset_id == dataset_id)
        with self._db.read() as connection:
            return _VERSIONS.all(connection, query.order_by(_NEWEST).limit(limit))

    def list_versions_made_by(self, run_id: str) -> list[DatasetVersion]:
        query = _VERSIONS.select(dataset_versions.c.source_run_id == run_id)
        with self._db.read() as connection:
            return _VERSIONS.all(connection, query.order_by(dataset_versions.c.name, _NEWEST))

    def delete_dataset_version(self, dataset_id: str, number: int) -> bool:
        reads, versions = dataset_reads.c, dataset_versions.c
        with self._db.write(group=True) as connection:
            _NUMBERS.hold(connection, dataset_id)
            its = select(reads.run_id).where(reads.dataset_id == dataset_id, reads.number == number)
            if connection.execute(its.limit(1)).first() is not None:
                raise Conflict(
                    subject=f"version {number}",
                    reason="a run read it, and could not be made again without it",
                )
            this = (versions.dataset_id == dataset_id, versions.number == number)
            return connection.execute(delete(dataset_versions).where(*this)).rowcount == 1

    def record_dataset_reads(self, reads: Sequence[DatasetRead]) -> None:
        rows = [msgspec.structs.asdict(read) | {"at": self._db.moment()} for read in reads]
        if rows:
            with self._db.write() as connection:
                connection.execute(self._db.insert(dataset_reads).values(rows).on_conflict_do_nothing())

    def list_dataset_reads(self, dataset_id: str, number: int, *, limit: int = 100) -> list[DatasetRead]:
        reads = dataset_reads.c
        query = _READS.select(reads.dataset_id == dataset_id, reads.number == number)
        query = query.order_by(reads.at.desc(), reads.run_id, reads.path)
        with self._db.read() as connection:
            return _READS.all(connection, query.limit(limit))

    def list_reads_of_run(self, run_id: str) -> list[DatasetVersion]:
        reads, versions = dataset_reads.c, dataset_versions.c
        same = and_(versions.dataset_id == reads.dataset_id, versions.number == reads.number)
        query = _VERSIONS.select(reads.run_id == run_id).join_from(dataset_versions, dataset_reads, same)
        with self._db.read() as connection:
            found = _VERSIONS.all(connection, query.order_by(versions.name, versions.number))
        return _each_once(found)


def _each_once(versions: Sequence[DatasetVersion]) -> list[DatasetVersion]:
    """Leave out what a run read at two places."""
    return list({version.id: version for version in versions}.values())
