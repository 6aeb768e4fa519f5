"""Registered models, their versions and aliases."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, case, delete, func, insert, select, update

from relive.core.model import Alias, ModelVersion, RegisteredModel
from relive.errors import Conflict, InvalidInput, NotFound
from relive.stores.sql.keyed import Keyed
from relive.stores.sql.numbering import Numbered
from relive.stores.sql.part import StorePart, chunks, new_id
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.models import (
    aliases,
    endpoints,
    model_tags,
    model_versions,
    models,
    revisions,
    version_tags,
)

MODELS: Final = Kept(
    RegisteredModel, models, "model", fixed=("id", "project_id", "name", "created_at", "created_by")
)
VERSIONS: Final = Kept(
    ModelVersion,
    model_versions,
    "model version",
    fixed=("id", "model_id", "model", "version", "run_id", "manifest", "sha256", "stage_id", "created_at"),
)
_ALIASES: Final = Kept(Alias, aliases, "alias")
_MODEL_TAGS: Final = Keyed(model_tags, "model_id")
_VERSION_TAGS: Final = Keyed(version_tags, "version_id")
_NUMBERS: Final = Numbered(models.c.last_version, "model")
_MOST_DIGITS: Final = 18
_NEWEST: Final = model_versions.c.version.desc()


class SqlRegistry(StorePart):
    """See `ports.registry.RegistryStore`."""

    def create_model(self, model: RegisteredModel) -> RegisteredModel:
        new = {"created_at": model.created_at or self._db.moment(), "last_version": 0}
        with self._db.write() as connection:
            created = MODELS.insert_unless(connection, self._db.insert(models), ["name"], model, **new)
        if created is None:
            raise Conflict(subject=f"model {model.name!r}", reason="the name is taken")
        return created

    def ensure_model(self, project_id: str, name: str) -> RegisteredModel:
        model = RegisteredModel(id=new_id(), project_id=project_id, name=name)
        with self._db.write() as connection:
            insert, at = self._db.insert(models), self._db.moment()
            MODELS.insert_unless(connection, insert, ["name"], model, created_at=at, last_version=0)
            found = MODELS.find(connection, models.c.name == name)
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
            model = MODELS.find(connection, models.c.name == name)
        if model is None:
            raise NotFound(kind="model", name=name)
        return model

    def list_models(self, project_id: str | None = None) -> list[RegisteredModel]:
        query = MODELS.select().order_by(models.c.name)
        if project_id is not None:
            query = query.where(models.c.project_id == project_id)
        with self._db.read() as connection:
            return MODELS.all(connection, query)

    def set_model(self, model_id: str, **changes: Any) -> RegisteredModel:
        with self._db.write() as connection:
            changed = MODELS.change(connection, model_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def rename_model(self, model_id: str, name: str) -> RegisteredModel:
        # A group, because it changes rows of four tables.
        with self._db.write(group=True) as connection:
            model = MODELS.get(connection, model_id)
            if model.name == name:
                return model
            if MODELS.find(connection, models.c.name == name) is not None:
                raise Conflict(subject=f"model {name!r}", reason="the name is taken")
            # Aliases name their model, so none may be there while its name changes.
            kept = _ALIASES.all(connection, _ALIASES.select(aliases.c.model == model.name))
            connection.execute(delete(aliases).where(aliases.c.model == model.name))
            connection.execute(update(models).where(models.c.id == model_id).values(name=name))
            moved = [_ALIASES.values(alias, model=name) for alias in kept]
            if moved:
                connection.execute(insert(aliases), moved)
            connection.execute(
                update(model_versions).where(model_versions.c.model_id == model_id).values(model=name)
            )
            connection.execute(update(endpoints).where(endpoints.c.model == model.name).values(model=name))
            return MODELS.get(connection, model_id)

    def delete_model(self, model_id: str) -> None:
        with self._db.write(group=True) as connection:
            model = MODELS.get(connection, model_id)
            _refuse_served(connection, f"model {model.name!r}", model_versions.c.model_id == model_id)
            connection.execute(delete(aliases).where(aliases.c.model == model.name))
            connection.execute(delete(model_versions).where(model_versions.c.model_id == model_id))
            connection.execute(delete(models).where(models.c.id == model_id))

    def create_version(self, version: ModelVersion) -> ModelVersion:
        with self._db.write() as connection:
            number = _NUMBERS.hold(connection, version.model_id)
            if version.stage_id and (seen := _of_stage(connection, version.stage_id)) is not None:
                return seen
            _NUMBERS.take(connection, version.model_id, number)
            at = version.created_at or self._db.moment()
            return VERSIONS.insert(connection, version, version=number, created_at=at)

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
            found = VERSIONS.find(connection, of_model, picked)
        if found is None:
            raise NotFound(kind="model version", name=f"{model}@{ref}")
        return found

    def get_version_by_id(self, version_id: str) -> ModelVersion:
        with self._db.read() as connection:
            return VERSIONS.get(connection, version_id)

    def find_version_of_stage(self, stage_id: str) -> ModelVersion | None:
        with self._db.read() as connection:
            return _of_stage(connection, stage_id)

    def list_versions(self, model: str) -> list[ModelVersion]:
        of_model = (
            model_versions.c.model_id == select(models.c.id).where(models.c.name == model).scalar_subquery()
        )
        with self._db.read() as connection:
            return VERSIONS.all(connection, VERSIONS.select(of_model).order_by(_NEWEST))

    def list_latest_versions(self, names: Sequence[str]) -> list[ModelVersion]:
        versions = model_versions.c
        rank = func.row_number().over(
            partition_by=(versions.model_id, versions.stage), order_by=versions.version.desc()
        )
        found: list[ModelVersion] = []
        with self._db.read() as connection:
            for some in chunks(names):
                of_models = versions.model_id.in_(select(models.c.id).where(models.c.name.in_(some)))
                ranked = select(versions.id, rank.label("rank")).where(of_models).subquery()
                newest = select(ranked.c.id).where(ranked.c.rank == 1)
                query = VERSIONS.select(versions.id.in_(newest)).order_by(versions.model, versions.version)
                found += VERSIONS.all(connection, query)
        return found

    def list_versions_of_run(self, run_id: str) -> list[ModelVersion]:
        query = VERSIONS.select(model_versions.c.run_id == run_id)
        with self._db.read() as connection:
            return VERSIONS.all(connection, query.order_by(model_versions.c.model, _NEWEST))

    def set_version(self, version_id: str, **changes: Any) -> ModelVersion:
        with self._db.write() as connection:
            changed = VERSIONS.change(connection, version_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def delete_version(self, version_id: str) -> None:
        with self._db.write(group=True) as connection:
            version = VERSIONS.get(connection, version_id)
            name = f"{version.model} v{version.version}"
            _refuse_served(connection, name, model_versions.c.id == version_id)
            here = (aliases.c.model == version.model, aliases.c.version == version.version)
            connection.execute(delete(aliases).where(*here))
            connection.execute(delete(model_versions).where(model_versions.c.id == version_id))

    def find_alias(self, model: str, alias: str) -> Alias | None:
        with self._db.read() as connection:
            return _ALIASES.find(connection, aliases.c.model == model, aliases.c.alias == alias)

    def list_aliases(self, model: str) -> list[Alias]:
        query = _ALIASES.select(aliases.c.model == model).order_by(aliases.c.alias)
        with self._db.read() as connection:
            return _ALIASES.all(connection, query)

    def list_aliases_of(self, names: Sequence[str]) -> list[Alias]:
        found: list[Alias] = []
        with self._db.read() as connection:
            for some in chunks(names):
                query = _ALIASES.select(aliases.c.model.in_(some))
                found += _ALIASES.all(connection, query.order_by(aliases.c.model, aliases.c.alias))
        return found

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

    def set_model_tags(self, model_id: str, tags: dict[str, str]) -> None:
        _MODEL_TAGS.set(self._db, model_id, tags)

    def delete_model_tag(self, model_id: str, key: str) -> bool:
        return _MODEL_TAGS.delete(self._db, model_id, key)

    def list_model_tags(self, model_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        return _MODEL_TAGS.of(self._db, model_ids)

    def set_version_tags(self, version_id: str, tags: dict[str, str]) -> None:
        _VERSION_TAGS.set(self._db, version_id, tags)

    def delete_version_tag(self, version_id: str, key: str) -> bool:
        return _VERSION_TAGS.delete(self._db, version_id, key)

    def list_version_tags(self, version_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        return _VERSION_TAGS.of(self._db, version_ids)


def _refuse_served(connection: Connection, subject: str, which: ColumnElement[bool]) -> None:
    """Refuse to delete what an endpoint has had: its revisions say what answered requests."""
    query = (
        select(endpoints.c.name, revisions.c.number)
        .join(revisions, revisions.c.endpoint_id == endpoints.c.id)
        .join(model_versions, model_versions.c.id == revisions.c.version_id)
        .where(which)
        .order_by(revisions.c.number.desc())
        .limit(1)
    )
    served = connection.execute(query).first()
    if served is not None:
        raise Conflict(
            subject=subject,
            reason=f"endpoint {served.name} serves or has served it (revision {served.number})",
            hint=f"relive endpoint delete {served.name}    (first)",
        )


def _of_stage(connection: Connection, stage_id: str) -> ModelVersion | None:
    return VERSIONS.find(connection, model_versions.c.stage_id == stage_id)


def _is_number(ref: str) -> bool:
    # Longer than what 64 bits hold, no version has it.
    return ref.isascii() and ref.isdecimal() and len(ref) <= _MOST_DIGITS
