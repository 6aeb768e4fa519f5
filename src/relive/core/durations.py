"""Metrics that say how long something took: no two runs have the same, so no replay is judged by them."""

import re
from typing import Final

NOT_JUDGED: Final = "how long it took: not judged"

_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_DOING: Final = frozenset(
    {"fit", "train", "training", "eval", "evaluation", "test", "validation", "val", "predict", "prediction"}
    | {"inference", "fitting", "score", "wall", "cpu", "run", "epoch", "step", "batch", "load", "loading"}
    | {"refit", "build", "compile", "compute", "computation", "execution", "processing", "preprocessing"}
    | {"total", "elapsed", "search", "tuning", "sampling", "iteration", "iter", "job", "script"}
)
_ALWAYS: Final = frozenset({"elapsed", "duration", "latency", "runtime", "walltime", "throughput", "fps"})
_UNITS: Final = frozenset({"s", "sec", "secs", "second", "seconds", "ms", "milliseconds", "minutes", "min"})
# What is predicted may be a time: of that, the error is a result.
_RESULTS: Final = frozenset(
    {"accuracy", "auc", "bias", "corr", "deviation", "err", "error", "loss", "mae", "mape", "mse", "r2"}
    | {"residual", "rmse", "smape"}
)


def is_duration(key: str) -> bool:
    """Tell by its name whether a metric says how long a run took, or how much it did in that time.

    In doubt it is a result: `fit_seconds`, `train_runtime` and `samples_per_second` are none, while
    `delay_seconds`, `mae_minutes` and `survival_time` are.
    """
    words = [word.lower() for word in _WORD.findall(key)]
    if not words or not _RESULTS.isdisjoint(words):
        return False
    if not _ALWAYS.isdisjoint(words) or words == ["time"]:
        return True
    *before, last = words
    if last == "time":
        return before[-1] in _DOING
    if last not in _UNITS:
        return False
    return bool(before) and (before[-1] in {"per", "time"} or not _DOING.isdisjoint(before))
