"""Every handler of the pages; imported with the first page that is asked for."""

from relive.hub.application import Group
from relive.hub.web.routes import (
    account,
    datasets,
    differing,
    evaluation,
    files,
    home,
    models,
    pipelines,
    reviews,
    runs,
    tables,
    traces,
)


def build_group() -> Group:
    """Give all pages, for one application."""
    return Group(
        "/",
        route_handlers=[
            *home.ROUTES,
            *runs.ROUTES,
            *tables.ROUTES,
            *differing.ROUTES,
            *traces.ROUTES,
            *evaluation.ROUTES,
            *reviews.ROUTES,
            *pipelines.ROUTES,
            *models.ROUTES,
            *datasets.ROUTES,
            *account.ROUTES,
            *files.ROUTES,
        ],
    )
