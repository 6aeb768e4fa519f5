"""Data sets for evaluation, and their records."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, select

from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.core.search import Comparison, Field, Order, Side
from relive.ports.evaluation import EvaluationDatasetPage
from relive.ports.search import Search
from relive.stores.sql.conditions import compare, where
from relive.stores.sql.engine import Database
from relive.stores.sql.keyed import Keyed
from relive.stores.sql.keyset import Key, behind, read_token, write_token
from relive.stores.sql.part import StorePart, chunks
from relive.stores.sql.rows import Kept
from relive.stores.sql.search_fields import in_milliseconds
from relive.stores.sql.tables.evaluation import (
    evaluation_datasets,
    evaluation_experiments,
    evaluation_records,
    evaluation_tags,
)

_DATASETS: Final = Kept(
    EvaluationDataset,
    evaluation_datasets,
    "evaluation data set",
    fixed=("id", "project_id", "name", "author", "created_by", "created_at"),
)
_RECORDS: Final = Kept(EvaluationRecord, evaluation_records, "record")
_TAGS: Final = Keyed(evaluation_tags, "dataset_id")
_COLUMNS: Final = evaluation_datasets.c
_OF: Final = evaluation_records.c
_ID: Final = "dataset_id"
_TEXTS: Final[dict[str, Any]] = {
    "name": _COLUMNS.name,
    "created_by": _COLUMNS.author,
    "last_updated_by": _COLUMNS.last_author,
    _ID: _COLUMNS.id,
}
_TIMES: Final[dict[str, Any]] = {
    "created_time": _COLUMNS.created_at,
    "last_update_time": _COLUMNS.updated_at,
}
# What a record keeps for ever; all else is written again.
_FIXED: Final = frozenset({"id", "dataset_id", "number", "input_digest", "created_at"})


class SqlEvaluation(StorePart):
    """See `ports.evaluation.EvaluationStore`."""

    def create_evaluation_dataset(
        self, dataset: EvaluationDataset, *, tags: Mapping[str, str], experiment_ids: Sequence[str]
    ) -> EvaluationDataset:
        at = dataset.created_at or self._db.moment()
        with self._db.write() as connection:
            made = _DATASETS.insert(connection, dataset, created_at=at, updated_at=dataset.updated_at or at)
            if tags:
                connection.execute(insert(evaluation_tags), _TAGS.rows(made.id, dict(tags)))
            self._link(connection, made.id, experiment_ids)
        return made

    def get_evaluation_dataset(self, dataset_id: str) -> EvaluationDataset:
        with self._db.read() as connection:
            return _DATASETS.get(connection, dataset_id)

    def set_evaluation_dataset(self, dataset_id: str, **changes: Any) -> EvaluationDataset:
        with self._db.write() as connection:
            changed = _DATASETS.change(connection, dataset_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def delete_evaluation_dataset(self, dataset_id: str) -> bool:
        with self._db.write() as connection:
            return connection.execute(_delete(dataset_id)).rowcount == 1

    def search_evaluation_datasets(self, search: Search) -> EvaluationDatasetPage:
        orders = search.orders
        if not any(order.field.key == _ID for order in orders):
            orders = (*orders, Order(Field(Side.ATTRIBUTE, _ID), ascending=False))
        keys = [_key(order) for order in orders]
        order = ", ".join(f"{it.field.key} {it.ascending}" for it in orders)
        query = select(*_DATASETS.columns, *(key.column for key in keys)).where(*_scope(search))
        if search.condition is not None:
            query = query.where(where(search.condition, lambda found: _leaf(self._db, found)))
        place = read_token(order, search.after, keys)
        if place is not None:
            query = query.where(behind(keys, place))
        query = query.order_by(*(key.order for key in keys)).limit(search.limit + 1)
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        n_fields = len(_DATASETS.columns)
        found = tuple(_DATASETS.read(row[:n_fields]) for row in rows[: search.limit])
        if len(rows) <= search.limit or not found:
            return EvaluationDatasetPage(found)
        return EvaluationDatasetPage(found, write_token(order, rows[search.limit - 1][n_fields:]))

    def set_evaluation_tags(self, dataset_id: str, tags: Mapping[str, str]) -> None:
        _TAGS.set(self._db, dataset_id, dict(tags))

    def delete_evaluation_tag(self, dataset_id: str, key: str) -> bool:
        return _TAGS.delete(self._db, dataset_id, key)

    def list_evaluation_tags(self, dataset_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        return _TAGS.of(self._db, dataset_ids)

    def link_evaluation_dataset(self, dataset_id: str, experiment_ids: Sequence[str]) -> None:
        with self._db.write() as connection:
            self._link(connection, dataset_id, experiment_ids)

    def unlink_evaluation_dataset(self, dataset_id: str, experiment_ids: Sequence[str]) -> int:
        links, gone = evaluation_experiments, 0
        with self._db.write() as connection:
            for some in chunks(experiment_ids):
                these = (links.c.dataset_id == dataset_id, links.c.experiment_id.in_(some))
                gone += connection.execute(delete(links).where(*these)).rowcount
        return gone

    def list_evaluation_experiments(self, dataset_ids: Sequence[str]) -> dict[str, list[str]]:
        links = evaluation_experiments.c
        found: dict[str, list[str]] = {}
        with self._db.read() as connection:
            for some in chunks(dataset_ids):
                query = select(links.dataset_id, links.experiment_id).where(links.dataset_id.in_(some))
                ordered = query.order_by(links.dataset_id, links.at, links.experiment_id)
                for dataset_id, experiment_id in connection.execute(ordered):
                    found.setdefault(dataset_id, []).append(experiment_id)
        return found

    def keep_evaluation_records(self, records: Sequence[EvaluationRecord]) -> None:
        if not records:
            return
        upsert = self._db.insert(evaluation_records)
        again = {name: upsert.excluded[name] for name in _RECORDS.struct.__struct_fields__}
        upsert = upsert.on_conflict_do_update(
            index_elements=["id"], set_={name: it for name, it in again.items() if name not in _FIXED}
        )
        last = select(func.coalesce(func.max(_OF.number), 0)).where(_OF.dataset_id == records[0].dataset_id)
        with self._db.write() as connection:
            number, rows = connection.execute(last).scalar_one(), []
            for record in records:
                number += not record.number
                rows.append(_RECORDS.values(record, number=record.number or number))
            connection.execute(upsert, rows)

    def list_evaluation_records(
        self, dataset_id: str, *, after: int = 0, limit: int = 1000
    ) -> list[EvaluationRecord]:
        query = _RECORDS.select(_OF.dataset_id == dataset_id, _OF.number > after).order_by(_OF.number)
        with self._db.read() as connection:
            return _RECORDS.all(connection, query.limit(limit))

    def find_evaluation_records(
        self, dataset_id: str, input_digests: Sequence[str]
    ) -> dict[str, EvaluationRecord]:
        found: dict[str, EvaluationRecord] = {}
        with self._db.read() as connection:
            for some in chunks(input_digests):
                query = _RECORDS.select(_OF.dataset_id == dataset_id, _OF.input_digest.in_(some))
                found |= {record.input_digest: record for record in _RECORDS.all(connection, query)}
        return found

    def name_evaluation_records(self, record_ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        with self._db.read() as connection:
            for some in chunks(record_ids):
                found.update(connection.execute(select(_OF.id).where(_OF.id.in_(some))).scalars())
        return found

    def delete_evaluation_records(self, dataset_id: str, record_ids: Sequence[str]) -> int:
        gone = 0
        with self._db.write() as connection:
            for some in chunks(record_ids):
                these = (_OF.dataset_id == dataset_id, _OF.id.in_(some))
                gone += connection.execute(delete(evaluation_records).where(*these)).rowcount
        return gone

    def _link(self, connection: Connection, dataset_id: str, experiment_ids: Sequence[str]) -> None:
        rows = [
            # A microsecond apart, which keeps their order.
            {"dataset_id": dataset_id, "experiment_id": id_, "at": self._db.moment() + index / 1e6}
            for index, id_ in enumerate(dict.fromkeys(experiment_ids))
        ]
        if rows:
            insert_new = self._db.insert(evaluation_experiments).on_conflict_do_nothing()
            connection.execute(insert_new.values(rows))


def _delete(dataset_id: str) -> Any:
    return delete(evaluation_datasets).where(_COLUMNS.id == dataset_id)


def _key(order: Order) -> Key:
    key = order.field.key
    return Key({**_TEXTS, **_TIMES}[key], order.ascending, is_text=key in _TEXTS)


def _scope(search: Search) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if search.project_id:
        found.append(_COLUMNS.project_id == search.project_id)
    if search.experiment_ids is not None:
        links = evaluation_experiments.c
        its = and_(links.dataset_id == _COLUMNS.id, links.experiment_id.in_(search.experiment_ids))
        found.append(exists().where(its))
    return found


def _leaf(database: Database, found: Comparison) -> ColumnElement[bool]:
    key = found.field.key
    if found.field.side is Side.ATTRIBUTE:
        if key in _TIMES:
            return in_milliseconds(_TIMES[key], found)
        return compare(database, _TEXTS[key], found.comparator, found.value)
    tags = evaluation_tags.c
    fits = compare(database, tags.value, found.comparator, found.value)
    return exists().where(tags.dataset_id == _COLUMNS.id, tags.key == key, fits)
