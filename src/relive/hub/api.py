"""What the framework answers: the API for programs, and the pages for browsers.

Nothing of this is imported before the hub serves: it is a third of a start.
"""

from typing import Any, Final

from litestar import Litestar, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from relive import __version__
from relive.errors import ReliveError
from relive.hub.application import Application, Group
from relive.hub.config import HEALTH, HubConfig
from relive.hub.errors import PROBLEMS
from relive.hub.http import HubRequest, only_known, read_page
from relive.hub.reply import ApiResponse
from relive.hub.routes import (
    admin,
    blobs,
    copies,
    datasets,
    jobs,
    models,
    pipelines,
    runs,
    sql,
    traces,
    webhooks,
)
from relive.hub.routes.mlflow import calls as mlflow
from relive.hub.web.errors import answer_framework, answer_known, answer_unknown
from relive.services.context import Services
from relive.services.forging import Forging

# Uploads are streamed and bounded by the store's room; a message never needs more.
_LARGEST_MESSAGE: Final = 64 << 20


@get("/health", sync_to_thread=False)
def health() -> dict[str, str]:
    """Tell that the hub answers; needs no token."""
    return HEALTH


def build_api(config: HubConfig, services: Services, forging: Forging) -> Litestar:
    """Build what answers programs: the API, MLflow's routes and the forges' webhooks."""
    modules = (admin, blobs, copies, datasets, jobs, models, pipelines, runs, sql, traces, webhooks)
    handlers = [handler for module in modules for handler in module.ROUTES]
    for handler in handlers:
        handler.responses = PROBLEMS
    api = Group(
        "/api/v1",
        response_class=ApiResponse,
        guards=[only_known],
        dependencies={"page": Provide(read_page, sync_to_thread=False)},
        route_handlers=handlers,
    )
    description = OpenAPIConfig(
        title="relive",
        version=__version__,
        path="/api/v1/schema",
        use_handler_docstrings=True,
        # The document alone: the framework's own viewers load their scripts from elsewhere.
        render_plugins=[JsonRenderPlugin()],
    )
    routes = [health, api, webhooks.receive, *mlflow.ROUTES]
    state = {"services": services, "config": config, "forging": forging}
    return _application(routes, state, openapi_config=description)


def build_pages(config: HubConfig, services: Services, forging: Forging) -> Litestar:
    """Build what answers browsers."""
    from relive.hub.web.pages import build_group

    state = {"services": services, "config": config, "forging": forging}
    return _application([build_group()], state, openapi_config=None)


def _application(routes: list[Any], state: dict[str, Any], **options: Any) -> Litestar:
    # Any: the framework's type knows nothing of `request_class`.
    answers: Any = {
        ReliveError: answer_known,
        HTTPException: answer_framework,
        Exception: answer_unknown,
    }
    return Application(
        route_handlers=routes,
        exception_handlers=answers,
        request_class=HubRequest,
        request_max_body_size=_LARGEST_MESSAGE,
        state=State(state),
        logging_config=None,
        **options,
    )
