"""Logged models."""

from typing import Any

from relive.core.access import Caller
from relive.hub.routes.mlflow.table import Query, Table
from relive.services.context import Services


def _search_logged_models(_services: Services, _caller: Caller, _message: Query) -> dict[str, Any]:
    """Give no logged model: models are registered by pipelines. Clients ask before they read an artifact."""
    return {"models": []}


TABLE: Table = {("POST", "logged-models/search"): (None, _search_logged_models)}
