"""Experiments and their tags."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, update

from relive.core.project import Experiment
from relive.errors import Conflict
from relive.stores.sql.keyed import Keyed
from relive.stores.sql.part import StorePart, new_id
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.hub import experiment_tags, experiments
from relive.stores.sql.tables.runs import runs

_EXPERIMENTS: Final = Kept(
    Experiment, experiments, "experiment", fixed=("id", "project_id", "created_at", "created_by")
)
_TAGS: Final = Keyed(experiment_tags, "experiment_id")


class SqlExperiments(StorePart):
    """See `ports.experiments.ExperimentStore`."""

    def create_experiment(self, experiment: Experiment, tags: Mapping[str, str]) -> Experiment:
        with self._db.write() as connection:
            created = self._insert_experiment(connection, experiment)
            if created is None:
                raise Conflict(subject=f"experiment {experiment.name!r}", reason="the name is taken")
            if tags:
                _TAGS.set(self._db, created.id, dict(tags))
        return created

    def ensure_experiment(self, project_id: str, name: str) -> Experiment:
        found = self.find_experiment(name, project_id)
        if found is not None and found.deleted_at is None:
            return found
        with self._db.write() as connection:
            if found is not None:
                again = {"deleted_at": None, "updated_at": self._db.moment()}
                return _EXPERIMENTS.change(connection, found.id, again) or found
            created = self._insert_experiment(connection, Experiment(id="", project_id=project_id, name=name))
            # None if another thread made it in between.
            return created or _EXPERIMENTS.read(connection.execute(_named(name, project_id)).one())

    def get_experiment(self, experiment_id: str) -> Experiment:
        with self._db.read() as connection:
            return _EXPERIMENTS.get(connection, experiment_id)

    def find_experiment(self, name: str, project_id: str | None = None) -> Experiment | None:
        with self._db.read() as connection:
            row = connection.execute(_named(name, project_id)).first()
        return None if row is None else _EXPERIMENTS.read(row)

    def list_experiments(self, project_id: str | None = None, *, deleted: bool = False) -> list[Experiment]:
        is_deleted = experiments.c.deleted_at.is_not(None) if deleted else experiments.c.deleted_at.is_(None)
        query = _EXPERIMENTS.select(is_deleted).order_by(experiments.c.created_at, experiments.c.id)
        if project_id is not None:
            query = query.where(experiments.c.project_id == project_id)
        with self._db.read() as connection:
            return _EXPERIMENTS.all(connection, query)

    def set_experiment(self, experiment_id: str, **changes: Any) -> Experiment:
        with self._db.write() as connection:
            stamped = changes | {"updated_at": self._db.moment()}
            changed = _EXPERIMENTS.change(connection, experiment_id, stamped)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def delete_experiment(self, experiment_id: str) -> Experiment:
        return self._set_aside(experiment_id, self._db.moment())

    def restore_experiment(self, experiment_id: str) -> Experiment:
        return self._set_aside(experiment_id, None)

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        _TAGS.set(self._db, experiment_id, dict(tags))

    def delete_experiment_tag(self, experiment_id: str, key: str) -> bool:
        return _TAGS.delete(self._db, experiment_id, key)

    def list_experiment_tags(self, experiment_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        return _TAGS.of(self._db, experiment_ids)

    def _insert_experiment(self, connection: Connection, experiment: Experiment) -> Experiment | None:
        """Keep a new experiment; None if its project has one of that name."""
        new = msgspec.structs.replace(experiment, id=experiment.id or new_id())
        insert, at = self._db.insert(experiments), experiment.created_at or self._db.moment()
        return _EXPERIMENTS.insert_unless(connection, insert, ["project_id", "name"], new, created_at=at)

    def _set_aside(self, experiment_id: str, at: Any) -> Experiment:
        changes = {"deleted_at": at, "updated_at": self._db.moment()}
        # A group, because all its runs are locked.
        with self._db.write(group=True) as connection:
            changed = _EXPERIMENTS.change(connection, experiment_id, changes)
            its_runs = update(runs).where(runs.c.experiment_id == experiment_id)
            if at is not None:
                its_runs = its_runs.where(runs.c.deleted_at.is_(None))
            connection.execute(its_runs.values(deleted_at=at))
        assert changed is not None  # without a condition it is changed or not found
        return changed


def _named(name: str, project_id: str | None) -> Any:
    """Find an experiment by name: in its project, or the oldest of that name anywhere."""
    query = _EXPERIMENTS.select(experiments.c.name == name).order_by(experiments.c.created_at).limit(1)
    return query if project_id is None else query.where(experiments.c.project_id == project_id)
