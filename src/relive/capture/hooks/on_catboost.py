"""Record trainings of CatBoost: data and parameters, the metrics of each round, the trees at the end."""

from __future__ import annotations

import functools
from typing import Any

from .on_sklearn import is_number, put
from .recorder import Recorder

# Settings that change no number of the model.
_SHOWN_ONLY = frozenset({"verbose", "logging_level", "silent", "verbose_eval", "metric_period", "train_dir"})


def watch_training(core: Any, recorder: Recorder) -> None:
    """Make every `fit` of CatBoost's classes record itself; all of them go through `CatBoost._fit`."""
    fit = core.CatBoost._fit

    @functools.wraps(fit)
    def recorded(model: Any, *args: Any, **keywords: Any) -> Any:
        stream = ""
        if recorder.records_steps:
            try:
                stream = recorder.name(f"round:catboost.{type(model).__name__}")
                _begin(recorder, stream, model, *args, **keywords)
            except Exception as error:
                recorder.failed("catboost fit", error)
        result = fit(model, *args, **keywords)
        if stream:
            try:
                _end(recorder, stream, model)
            except Exception as error:
                recorder.failed("catboost model", error)
        return result

    core.CatBoost._fit = recorded


def _begin(recorder: Recorder, stream: str, model: Any, *args: Any, **keywords: Any) -> None:
    """Record what is trained with: step 0."""
    data, labels, *_ = (*args, keywords.get("X"), keywords.get("y"))
    state: dict[str, Any] = {"label": labels, "data": data}
    values: dict[str, float] = {}
    if hasattr(data, "get_label") and hasattr(data, "num_row"):  # a Pool
        values = {"rows": data.num_row(), "columns": data.num_col()}
        state = {"label": data.get_label(), "weight": data.get_weight()}
        if not data.get_cat_feature_indices() and not data.get_text_feature_indices():
            state["data"] = data.get_features()
    for name, value in sorted(model.get_params().items()):
        if name not in _SHOWN_ONLY and value is not None:
            put(f"param {name}", value if is_number(value) else str(value), state, values)
    recorder.step(stream, 0, state=lambda: state, values=values, always=True)


def _end(recorder: Recorder, stream: str, model: Any) -> None:
    """Record the metrics of each round, from 1, and what was learned.

    A file of a model holds the time and an id of its training; its numbers do not.
    """
    results = model.evals_result_ or {}
    series = {f"{name}-{metric}": found for name, by in results.items() for metric, found in by.items()}
    for number in range(max(map(len, series.values()), default=0)):
        values = {name: float(found[number]) for name, found in series.items() if number < len(found)}
        recorder.step(stream, number + 1, values=values)
    scale, bias = model.get_scale_and_bias()
    learned = {
        "leaf values": model.get_leaf_values(),
        "leaf weights": model.get_leaf_weights(),
        "leaves": model.get_tree_leaf_counts(),
        "scale": scale,
        "bias": bias,
    }
    recorder.step(f"{stream} final", model.tree_count_, state=lambda: learned, always=True)
