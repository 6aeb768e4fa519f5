"""MLflow's REST routes; see `docs/reference/mlflow-compatibility.md`."""

from typing import Any

ROUTES: list[Any] = []
