"""Record each boosting round of XGBoost: exact evaluation metrics and a digest of the trees it added."""

from __future__ import annotations

import functools
import sys
from typing import Any

from .digests import describe
from .on_sklearn import is_number, put
from .recorder import Recorder

# Above this many values the matrix is not copied out to be digested; the labels always are.
LARGEST_MATRIX = 5_000_000


def watch_training(training: Any, recorder: Recorder) -> None:
    """Make `xgboost.train` record its rounds; the scikit-learn classes of XGBoost call it as well."""
    train = training.train

    @functools.wraps(train)
    def recorded(*args: Any, **keywords: Any) -> Any:
        if recorder.records_steps:
            try:
                callback = _callback(recorder)
                _begin(recorder, callback.stream, *args, **keywords)
                keywords = {**keywords, "callbacks": [*(keywords.get("callbacks") or ()), callback]}
            except Exception as error:
                recorder.failed("xgboost.train", error)
        return train(*args, **keywords)

    training.train = recorded


def _begin(recorder: Recorder, stream: str, params: Any, dtrain: Any, *args: Any, **keywords: Any) -> None:
    state: dict[str, Any] = {"label": dtrain.get_label(), "weight": dtrain.get_weight()}
    values: dict[str, float] = {"rows": dtrain.num_row(), "columns": dtrain.num_col()}
    if dtrain.num_nonmissing() <= LARGEST_MATRIX and type(dtrain).__name__ == "DMatrix":
        state["data"] = dtrain.get_data()
    for name, value in sorted(dict(params).items()):
        if value is not None:
            put(f"param {name}", value if is_number(value) else describe(value), state, values)
    rounds = args[0] if args else keywords.get("num_boost_round", 10)
    put("num_boost_round", rounds, state, values)
    recorder.step(stream, 0, state=lambda: state, values=values, always=True)


def _callback(recorder: Recorder) -> Any:
    # The class can only be made once the user has imported XGBoost: it inherits from theirs.
    base: Any = sys.modules["xgboost.callback"].TrainingCallback

    class RecordRounds(base):  # type: ignore[misc]  # known at run time only
        """Record step N after round N (from 1); step 0 holds data and parameters."""

        def __init__(self) -> None:
            super().__init__()
            self.stream = recorder.name("round:xgboost.train")
            self.rounds = 0

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            self.rounds += 1
            try:
                values = _metrics(evals_log)
                recorder.step(self.stream, self.rounds, state=lambda: _last_trees(model), values=values)
            except Exception as error:
                recorder.failed("xgboost round", error)
            return False

        def after_training(self, model: Any) -> Any:
            try:
                final = f"{self.stream} final"
                recorder.step(final, self.rounds, state=lambda: {"model": _text(model)}, always=True)
            except Exception as error:
                recorder.failed("xgboost model", error)
            return model

    return RecordRounds()


def _last_trees(model: Any) -> dict[str, Any]:
    rounds = model.num_boosted_rounds()
    try:
        return {"trees": _text(model[rounds - 1 : rounds])}
    except Exception:  # a linear booster has no rounds to take out
        return {"model": _text(model)}


def _text(model: Any) -> list[str]:
    # The text of the trees is exact, and stays the same when the file format of a model changes.
    dump: list[str] = model.get_dump(dump_format="json", with_stats=False)
    return dump


def _metrics(evals_log: Any) -> dict[str, float]:
    latest = {}
    for data, metrics in (evals_log or {}).items():
        for metric, history in metrics.items():
            value = history[-1]
            # Cross-validation logs (mean, standard deviation).
            latest[f"{data}-{metric}"] = float(value[0] if isinstance(value, tuple) else value)
    return latest
