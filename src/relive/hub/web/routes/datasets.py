"""Data in versions: the list, and one version."""

from litestar import Response, get
from litestar.params import FromPath

from relive.hub.http import HubRequest, services_of
from relive.hub.web.render import page
from relive.hub.web.routes.asking import query_of, reader
from relive.hub.web.views import datasets as views


@get("/data", include_in_schema=False, sync_to_thread=True)
def show_datasets(request: HubRequest) -> Response[bytes]:
    """All data sets."""
    reader(request)
    return page(request, "datasets.html", views.list_datasets(services_of(request)))


@get("/d/{name:str}", include_in_schema=False, sync_to_thread=True)
def show_newest(request: HubRequest, name: FromPath[str]) -> Response[bytes]:
    """The newest version of a data set."""
    return _show(request, name, "latest")


@get("/d/{name:str}/v/{ref:str}", include_in_schema=False, sync_to_thread=True)
def show_dataset_version(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> Response[bytes]:
    """What is in a version, who made it, and who read it?"""
    return _show(request, name, ref)


def _show(request: HubRequest, name: str, ref: str) -> Response[bytes]:
    reader(request)
    folder = query_of(request).get("folder", "")
    view = views.get_version(services_of(request), name, ref, folder=folder)
    return page(request, "dataset.html", view)


ROUTES = [show_datasets, show_newest, show_dataset_version]
