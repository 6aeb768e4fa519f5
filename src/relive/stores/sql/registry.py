"""Registered models, their versions and aliases."""

from typing import Any, Final

from sqlalchemy import Connection, case, delete, select

from relive.core.model import Alias, ModelVersion, RegisteredModel
from relive.errors import Conflict, InvalidInput, NotFound
from relive.stores.sql.numbering import Numbered
from relive.stores.sql.part import StorePart, new_id
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.models import aliases, model_versions, models

_MODELS: Final = Kept(RegisteredModel, models, "model")
_VERSIONS: Final = Kept(
    ModelVersion,
    model_versions,
    "model version",
    fixed=("id", "model_id", "model", "version", "run_id", "manifest", "sha256", "stage_id", "created_at"),
)
_ALIASES: Final = Kept(Alias, aliases, "alias")
_NUMBERS: Final = Numbered(models.c.last_version, "model")
_MOST_DIGITS: Final = 18
_NEWEST: Final = model_versions.c.version.desc()


class SqlRegistry(StorePart):
    """See `ports.stores.RegistryStore`."""

    def ensure_model(self, project_id: str, name: str) -> RegisteredModel:
        model = RegisteredModel(id=new_id(), project_id=project_id, name=name)
        with self._db.write() as connection:
            insert, at = self._db.insert(models), self._db.moment()
            _MODELS.insert_unless(connection, insert, ["name"], model, created_at=at, last_version=0)
            found = _MODELS.find(connection, models.c.name == name)
        assert found is not None  # it was there or is there now
        if found.project_id != project_id:
            raise Conflict(
                subject=f"model {name!r}",
                reason=f"it belongs to another project ({found.project_id})",
                hint="models are named across the hub: choose another name",
            )
        return found

    def get_model(self, name: str) -> RegisteredModel:
        with self._db.read() as connection:
            model = _MODELS.find(connection, models.c.name == name)
        if model is None:
            raise NotFound(kind="model", name=name)
        return model

    def list_models(self, project_id: str | None = None) -> list[RegisteredModel]:
        query = _MODELS.select().order_by(models.c.name)
        if project_id is not None:
            query = query.where(models.c.project_id == project_id)
        with self._db.read() as connection:
            return _MODELS.all(connection, query)

    def create_version(self, version: ModelVersion) -> ModelVersion:
        with self._db.write() as connection:
            number = _NUMBERS.hold(connection, version.model_id)
            if version.stage_id and (seen := _of_stage(connection, version.stage_id)) is not None:
                return seen
            _NUMBERS.take(connection, version.model_id, number)
            at = version.created_at or self._db.moment()
            return _VERSIONS.insert(connection, version, version=number, created_at=at)

    def get_version(self, model: str, ref: str) -> ModelVersion:
        versions = model_versions.c
        if _is_number(ref):
            picked = versions.version == int(ref)
        else:
            picked = versions.version == (
                select(aliases.c.version)
                .where(aliases.c.model == model, aliases.c.alias == ref)
                .scalar_subquery()
            )
        of_model = versions.model_id == select(models.c.id).where(models.c.name == model).scalar_subquery()
        with self._db.read() as connection:
            found = _VERSIONS.find(connection, of_model, picked)
        if found is None:
            raise NotFound(kind="model version", name=f"{model}@{ref}")
        return found

    def get_version_by_id(self, version_id: str) -> ModelVersion:
        with self._db.read() as connection:
            return _VERSIONS.get(connection, version_id)

    def find_version_of_stage(self, stage_id: str) -> ModelVersion | None:
        with self._db.read() as connection:
            return _of_stage(connection, stage_id)

    def list_versions(self, model: str) -> list[ModelVersion]:
        of_model = (
            model_versions.c.model_id == select(models.c.id).where(models.c.name == model).scalar_subquery()
        )
        with self._db.read() as connection:
            return _VERSIONS.all(connection, _VERSIONS.select(of_model).order_by(_NEWEST))

    def list_versions_of_run(self, run_id: str) -> list[ModelVersion]:
        query = _VERSIONS.select(model_versions.c.run_id == run_id)
        with self._db.read() as connection:
            return _VERSIONS.all(connection, query.order_by(model_versions.c.model, _NEWEST))

    def set_version(self, version_id: str, **changes: Any) -> ModelVersion:
        with self._db.write() as connection:
            changed = _VERSIONS.change(connection, version_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def find_alias(self, model: str, alias: str) -> Alias | None:
        with self._db.read() as connection:
            return _ALIASES.find(connection, aliases.c.model == model, aliases.c.alias == alias)

    def list_aliases(self, model: str) -> list[Alias]:
        query = _ALIASES.select(aliases.c.model == model).order_by(aliases.c.alias)
        with self._db.read() as connection:
            return _ALIASES.all(connection, query)

    def set_alias(self, model: str, alias: str, version: int, *, by: str) -> Alias:
        if not alias or _is_number(alias):
            raise InvalidInput(
                field="alias", value=alias, wanted="a name that is not a number, as versions are"
            )
        self.get_version(model, str(version))
        moved = {"version": version, "moved_by": by, "moved_at": self._db.moment()}
        upsert = self._db.insert(aliases).values(model=model, alias=alias, **moved)
        # Set again to where it is, it still knows where it was before.
        was = case((aliases.c.version == version, aliases.c.previous), else_=aliases.c.version)
        upsert = upsert.on_conflict_do_update(
            index_elements=["model", "alias"], set_={**moved, "previous": was}
        )
        with self._db.write() as connection:
            return _ALIASES.read(connection.execute(upsert.returning(*_ALIASES.columns)).one())

    def delete_alias(self, model: str, alias: str) -> bool:
        gone = delete(aliases).where(aliases.c.model == model, aliases.c.alias == alias)
        with self._db.write() as connection:
            return connection.execute(gone).rowcount == 1


def _of_stage(connection: Connection, stage_id: str) -> ModelVersion | None:
    return _VERSIONS.find(connection, model_versions.c.stage_id == stage_id)


def _is_number(ref: str) -> bool:
    # Longer than what 64 bits hold, no version has it.
    return ref.isascii() and ref.isdecimal() and len(ref) <= _MOST_DIGITS
