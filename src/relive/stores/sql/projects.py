"""Projects, the last seen git refs, and forge deliveries."""

from typing import Any, Final

from sqlalchemy import Table, delete, or_, select, update

from relive.core.project import Project
from relive.errors import Conflict, NotFound
from relive.stores.sql.part import StorePart, new_id
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.datasets import datasets
from relive.stores.sql.tables.evaluation import evaluation_datasets
from relive.stores.sql.tables.hub import deliveries, experiments, meta, projects, refs
from relive.stores.sql.tables.models import endpoints, models
from relive.stores.sql.tables.runs import runs
from relive.stores.sql.tables.tracking import saved_views
from relive.stores.sql.tables.work import pipelines

_PROJECTS: Final = Kept(Project, projects, "project", fixed=("id", "name", "created_at"))
# What people would miss.
_HELD: Final = (refs, runs, pipelines, models, endpoints, evaluation_datasets, datasets, experiments)


def _words(table: Table) -> str:
    return "branches" if table is refs else table.name.replace("_", " ")


class SqlProjects(StorePart):
    """See `ports.stores.ProjectStore`."""

    def create_project(self, name: str, *, default_branch: str = "main") -> Project:
        project = Project(id=new_id(), name=name, default_branch=default_branch)
        new = {"created_at": self._db.moment(), "last_pipeline": 0}
        with self._db.write() as connection:
            insert = self._db.insert(projects)
            created = _PROJECTS.insert_unless(connection, insert, ["name"], project, **new)
        if created is None:
            raise Conflict(subject=f"project {name!r}", reason="the name is taken")
        return created

    def get_project(self, name_or_id: str) -> Project:
        project = self.find_project(name_or_id)
        if project is None:
            raise NotFound(kind="project", name=name_or_id, hint="relive init    (creates it)")
        return project

    def find_project(self, name_or_id: str) -> Project | None:
        fits = or_(projects.c.name == name_or_id, projects.c.id == name_or_id)
        # Should one project's name be another's id, the name wins: it is what people type.
        query = _PROJECTS.select(fits).order_by((projects.c.name == name_or_id).desc()).limit(1)
        with self._db.read() as connection:
            return next(iter(_PROJECTS.all(connection, query)), None)

    def list_projects(self) -> list[Project]:
        with self._db.read() as connection:
            return _PROJECTS.all(connection, _PROJECTS.select().order_by(projects.c.name))

    def set_project(self, project_id: str, **changes: Any) -> Project:
        with self._db.write() as connection:
            changed = _PROJECTS.change(connection, project_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def delete_project(self, project_id: str) -> None:
        project = self.get_project(project_id)
        with self._db.write() as connection:
            for table in _HELD:
                held = select(table.c.project_id).where(table.c.project_id == project.id).limit(1)
                if connection.execute(held).first() is not None:
                    raise Conflict(subject=f"project {project.name!r}", reason=f"it holds {_words(table)}")
            connection.execute(delete(saved_views).where(saved_views.c.project_id == project.id))
            connection.execute(delete(projects).where(projects.c.id == project.id))

    def list_refs(self, project_id: str) -> dict[str, str]:
        query = select(refs.c.ref, refs.c.commit).where(refs.c.project_id == project_id).order_by(refs.c.ref)
        with self._db.read() as connection:
            return {row.ref: row.commit for row in connection.execute(query)}

    def set_ref(self, project_id: str, ref: str, *, old: str, new: str) -> bool:
        seen = (refs.c.project_id == project_id, refs.c.ref == ref)
        with self._db.write() as connection:
            if not old and not new:
                return connection.execute(select(refs.c.ref).where(*seen)).first() is None
            statement: Any
            if not old:
                values = {"project_id": project_id, "ref": ref, "commit": new}
                statement = self._db.insert(refs).values(values).on_conflict_do_nothing()
            elif not new:
                statement = delete(refs).where(*seen, refs.c.commit == old)
            else:
                statement = update(refs).where(*seen, refs.c.commit == old).values(commit=new)
            return connection.execute(statement.returning(refs.c.ref)).first() is not None

    def record_delivery(self, forge: str, delivery_id: str) -> bool:
        values = {"forge": forge, "delivery_id": delivery_id, "at": self._db.moment()}
        with self._db.write() as connection:
            insert_new = self._db.insert(deliveries).values(values).on_conflict_do_nothing()
            return connection.execute(insert_new.returning(deliveries.c.forge)).first() is not None

    def get_meta(self, key: str) -> str | None:
        with self._db.read() as connection:
            return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar_one_or_none()

    def set_meta(self, key: str, value: str) -> None:
        insert = self._db.insert(meta).values(key=key, value=value)
        with self._db.write() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
