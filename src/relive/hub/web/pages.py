"""Every handler of the pages; the hub's application takes them in."""

from litestar import Router

from relive.hub.web.routes import account, evaluation, files, home, models, pipelines, runs, tables, traces

# One router of their own: an application that is given two handlers of one path prepares the first one twice.
ROUTES = [
    Router(
        "/",
        route_handlers=[
            *home.ROUTES,
            *runs.ROUTES,
            *tables.ROUTES,
            *traces.ROUTES,
            *evaluation.ROUTES,
            *pipelines.ROUTES,
            *models.ROUTES,
            *account.ROUTES,
            *files.ROUTES,
        ],
    )
]
