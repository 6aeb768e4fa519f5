"""Numbers, times and states as MLflow writes them."""

import math
from typing import Final

from relive.core.run import RunStatus

TO_MLFLOW: Final = {
    RunStatus.SCHEDULED: "SCHEDULED",
    RunStatus.RUNNING: "RUNNING",
    RunStatus.FINISHED: "FINISHED",
    RunStatus.FAILED: "FAILED",
    RunStatus.KILLED: "KILLED",
    RunStatus.LOST: "FAILED",
}
# By name, and by the number that MLflow's protocol gives each.
FROM_MLFLOW: Final[dict[str | int, RunStatus]] = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.SCHEDULED,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.KILLED,
    1: RunStatus.RUNNING,
    2: RunStatus.SCHEDULED,
    3: RunStatus.FINISHED,
    4: RunStatus.FAILED,
    5: RunStatus.KILLED,
}


def milliseconds(seconds: float) -> int:
    """Give a time as MLflow does."""
    return round(seconds * 1000)


def json_number(value: float) -> float | str:
    """JSON cannot say NaN or an infinity; MLflow's clients read these words."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def lifecycle(deleted_at: float | None) -> str:
    """Give MLflow's word for whether something was put aside."""
    return "active" if deleted_at is None else "deleted"


def pairs(values: dict[str, str]) -> list[dict[str, str]]:
    """Write keys and values as MLflow does."""
    return [{"key": key, "value": value} for key, value in values.items()]
