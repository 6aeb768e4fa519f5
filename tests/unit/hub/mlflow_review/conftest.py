"""MLflow's calls for reviews on a live hub, one for each module."""

from tests.unit.hub.mlflow_registry.conftest import registry

__all__ = ["registry"]
