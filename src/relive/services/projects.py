"""Projects and their repositories."""

from relive.core.event import Event
from relive.core.ids import check_name
from relive.core.project import Project
from relive.errors import Conflict
from relive.services.context import Services


def ensure(services: Services, name: str, *, default_branch: str = "main", by: str) -> Project:
    """Give the project of this name with its bare repository, making what is missing.

    Raises:
        InvalidName: This cannot be a project's name.
    """
    project = find_or_create(services, name, default_branch=default_branch, by=by)
    services.repositories.ensure(project.name, default_branch=project.default_branch)
    return project


def delete(services: Services, name: str, *, by: str) -> None:
    """Delete a project in which nothing is, with its repository.

    Raises:
        NotFound: There is no such project.
        Conflict: It holds commits, runs, pipelines, models, endpoints, experiments or data sets.
    """
    store = services.store
    project = store.get_project(name)
    with store.transaction():
        store.delete_project(project.id)
        services.record(
            Event(kind="project.deleted", actor=by, subject=f"project:{project.id}", project=project.name)
        )
        # Last: what the repository refuses takes the rest back, and a project without one is made whole.
        services.repositories.remove(project.name)


def find_or_create(services: Services, name: str, *, default_branch: str = "main", by: str) -> Project:
    """Give the project of this name, made without a repository if there is none: a run needs no more.

    Raises:
        InvalidName: This cannot be a project's name.
    """
    store = services.store
    project = store.find_project(check_name("project", name))
    if project is not None:
        return project
    try:
        project = store.create_project(name, default_branch=default_branch)
    except Conflict:
        return store.get_project(name)  # somebody else made it in between
    services.record(
        Event(kind="project.created", actor=by, subject=f"project:{project.id}", project=project.name)
    )
    return project
