"""Numbers, times and states as MLflow writes them."""

import math

from relive.core.run import RunStatus
from relive.errors import InvalidInput
from relive.wire.mlflow import tracking as wire

TO_MLFLOW = {
    RunStatus.SCHEDULED: "SCHEDULED",
    RunStatus.RUNNING: "RUNNING",
    RunStatus.FINISHED: "FINISHED",
    RunStatus.FAILED: "FAILED",
    RunStatus.KILLED: "KILLED",
    RunStatus.LOST: "FAILED",
}
FROM_MLFLOW = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.SCHEDULED,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.KILLED,
}


def milliseconds(seconds: float) -> int:
    """Give a time as MLflow does."""
    return round(seconds * 1000)


def number(point: wire.MetricPoint) -> float:
    """Give the value of a point; JSON has no NaN, so clients send it as text.

    Raises:
        InvalidInput: It is no number.
    """
    try:
        return float(point.value)
    except ValueError as error:
        raise InvalidInput(field=f"metric {point.key}", value=point.value, wanted="a number") from error


def json_number(value: float) -> float | str:
    """JSON cannot say NaN or an infinity; MLflow's clients read these words."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
