"""Projects and their repositories."""

from relive.core.event import Event
from relive.core.ids import check_name
from relive.core.project import Project
from relive.errors import Conflict
from relive.services.context import Services


def ensure(services: Services, name: str, *, default_branch: str = "main", by: str) -> Project:
    """Give the project of this name with its bare repository, making what is missing."""
    check_name("project", name)
    store = services.store
    project = store.find_project(name)
    if project is None:
        try:
            project = store.create_project(name, default_branch=default_branch)
        except Conflict:
            project = store.get_project(name)  # somebody else made it in between
        else:
            services.record(
                Event(kind="project.created", actor=by, subject=f"project:{project.id}", project=project.name)
            )
    services.repositories.ensure(project.name, default_branch=project.default_branch)
    return project
