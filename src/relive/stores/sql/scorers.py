"""Scorers of experiments, and their versions."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, delete, func, insert, select

from relive.core.evaluation import ScorerVersion
from relive.stores.sql.part import StorePart, chunks, new_id
from relive.stores.sql.tables.evaluation import scorer_versions, scorers

_COLUMNS: Final = (
    scorers.c.id,
    scorers.c.experiment_id,
    scorers.c.name,
    scorer_versions.c.version,
    scorer_versions.c.body,
    scorers.c.created_by,
    scorer_versions.c.created_at,
)


class SqlScorers(StorePart):
    """See `ports.evaluation.ScorerStore`."""

    def create_scorer_version(
        self, experiment_id: str, name: str, body: str, *, created_by: str
    ) -> ScorerVersion:
        new = {"id": new_id(), "experiment_id": experiment_id, "name": name, "created_by": created_by}
        make = self._db.insert(scorers).values(new)
        # Writes what is there already, so that its row is held: versions are counted one after another.
        make = make.on_conflict_do_update(
            index_elements=["experiment_id", "name"], set_={"name": make.excluded.name}
        )
        with self._db.write(group=True) as connection:
            scorer_id = connection.execute(make.returning(scorers.c.id)).scalar_one()
            last = select(func.coalesce(func.max(scorer_versions.c.version), 0))
            last = last.where(scorer_versions.c.scorer_id == scorer_id)
            number = connection.execute(last).scalar_one() + 1
            row = {"scorer_id": scorer_id, "version": number, "body": body, "created_at": self._db.moment()}
            connection.execute(insert(scorer_versions).values(row))
            query = _versions().where(scorers.c.id == scorer_id, scorer_versions.c.version == number)
            return _read(connection.execute(query).one())

    def list_scorers(self, experiment_ids: Sequence[str]) -> list[ScorerVersion]:
        newer = scorer_versions.alias()
        last = select(func.max(newer.c.version)).where(newer.c.scorer_id == scorers.c.id).scalar_subquery()
        query = _versions().where(scorer_versions.c.version == last)
        found: list[ScorerVersion] = []
        with self._db.read() as connection:
            for some in chunks(experiment_ids):
                rows = connection.execute(query.where(scorers.c.experiment_id.in_(some)))
                found += [_read(row) for row in rows]
        return sorted(found, key=lambda it: (it.experiment_id, it.name))

    def list_scorer_versions(self, experiment_id: str, name: str) -> list[ScorerVersion]:
        query = _versions().where(scorers.c.experiment_id == experiment_id, scorers.c.name == name)
        with self._db.read() as connection:
            return [_read(row) for row in connection.execute(query.order_by(scorer_versions.c.version))]

    def delete_scorer(self, experiment_id: str, name: str, version: int | None = None) -> int:
        its_id = select(scorers.c.id).where(scorers.c.experiment_id == experiment_id, scorers.c.name == name)
        gone = delete(scorer_versions).where(scorer_versions.c.scorer_id == its_id.scalar_subquery())
        if version is not None:
            gone = gone.where(scorer_versions.c.version == version)
        with self._db.write(group=True) as connection:
            count = connection.execute(gone).rowcount
            if version is None:
                connection.execute(delete(scorers).where(scorers.c.id == its_id.scalar_subquery()))
        return count


def _versions() -> Select[Any]:
    return select(*_COLUMNS).join_from(scorers, scorer_versions)


def _read(row: Sequence[Any]) -> ScorerVersion:
    return ScorerVersion(**dict(zip(ScorerVersion.__struct_fields__, row, strict=True)))
