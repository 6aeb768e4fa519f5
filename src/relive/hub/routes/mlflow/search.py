"""Searching runs and experiments."""

from typing import Any

from relive.core.access import Caller
from relive.hub.routes.mlflow.table import Table
from relive.services.context import Services
from relive.services.mlflow import search
from relive.wire.mlflow import search as wire


def _search_runs(services: Services, caller: Caller, message: wire.SearchRuns) -> dict[str, Any]:
    """Give a page of the runs that fit a filter, in any order."""
    return search.search_runs(services, message, caller)


def _search_experiments(
    services: Services, caller: Caller, message: wire.SearchExperiments
) -> dict[str, Any]:
    """Give a page of the experiments that fit a filter, in any order."""
    return search.search_experiments(services, message, caller)


TABLE: Table = {
    ("POST", "runs/search"): (wire.SearchRuns, _search_runs),
    ("GET", "experiments/search"): (wire.SearchExperiments, _search_experiments),
    ("POST", "experiments/search"): (wire.SearchExperiments, _search_experiments),
}
