"""Data sets that runs read, and logged models that they read or made."""

from typing import Any

from relive.core.access import Caller
from relive.hub.routes.mlflow.table import Table
from relive.services.context import Services
from relive.services.mlflow import inputs
from relive.wire.mlflow import inputs as wire


def _log_inputs(services: Services, caller: Caller, message: wire.LogInputs) -> dict[str, Any]:
    """Note which data sets and logged models a run read."""
    inputs.log_inputs(services, message, caller)
    return {}


def _log_outputs(services: Services, caller: Caller, message: wire.LogOutputs) -> dict[str, Any]:
    """Note which logged models a run made."""
    inputs.log_outputs(services, message, caller)
    return {}


def _log_model(services: Services, caller: Caller, message: wire.LogModel) -> dict[str, Any]:
    """Note a model among a run's artifacts, as older clients do."""
    inputs.log_model(services, message, caller)
    return {}


def _search_datasets(services: Services, caller: Caller, message: wire.SearchDatasets) -> dict[str, Any]:
    """Give the data sets that the runs of experiments read."""
    return inputs.dataset_summaries(services, message, caller)


TABLE: Table = {
    ("POST", "runs/log-inputs"): (wire.LogInputs, _log_inputs),
    ("POST", "runs/outputs"): (wire.LogOutputs, _log_outputs),
    ("POST", "runs/log-model"): (wire.LogModel, _log_model),
    ("POST", "experiments/search-datasets"): (wire.SearchDatasets, _search_datasets),
}
