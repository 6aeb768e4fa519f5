"""Searching runs and experiments.

Source: MLflow's REST API, version 2.0.
"""

from relive.wire.mlflow.common import Int32, Int64, Request


class SearchRuns(Request, frozen=True):
    """runs/search; `run_view_type` is a name or MLflow's number of it."""

    experiment_ids: tuple[str, ...] = ()
    filter: str = ""
    max_results: Int32 = 1000
    order_by: tuple[str, ...] = ()
    run_view_type: str | int = "ACTIVE_ONLY"
    page_token: str = ""


class SearchExperiments(Request, frozen=True):
    """experiments/search; MLflow wants `max_results` to be given."""

    view_type: str | int = "ACTIVE_ONLY"
    max_results: Int64 = 0
    order_by: tuple[str, ...] = ()
    filter: str = ""
    page_token: str = ""
