"""Record each boosting round of LightGBM: exact evaluation metrics and a digest of the trees it added."""

from __future__ import annotations

import functools
from typing import Any

from .digests import describe
from .on_sklearn import is_number, put
from .recorder import Recorder


def watch_training(engine: Any, recorder: Recorder) -> None:
    """Make `lightgbm.train` record its rounds; the scikit-learn classes of LightGBM call it as well."""
    train = engine.train

    @functools.wraps(train)
    def recorded(*args: Any, **keywords: Any) -> Any:
        record = None
        if recorder.records_steps:
            try:
                record = _Rounds(recorder)
                record.begin(*args, **keywords)
                keywords = {**keywords, "callbacks": [*(keywords.get("callbacks") or ()), record]}
            except Exception as error:
                recorder.failed("lightgbm.train", error)
                record = None
        model = train(*args, **keywords)
        if record is not None:
            record.end(model)
        return model

    engine.train = recorded


class _Rounds:
    """A callback: step N after round N (from 1); step 0 holds data and parameters."""

    # After those that print and before none: an early stop raises, and the round was made all the same.
    order = 15
    before_iteration = False

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._stream = recorder.name("round:lightgbm.train")
        self._rounds = 0

    def begin(self, params: Any, train_set: Any, *args: Any, **keywords: Any) -> None:
        state: dict[str, Any] = {}
        values: dict[str, float] = {}
        # Looked at as they were given: to ask the data set itself would construct it before its time.
        for name in ("data", "label", "weight", "init_score", "categorical_feature"):
            value = getattr(train_set, name, None)
            if value is not None:
                put(name, value, state, values)
        for name, value in sorted(dict(params).items()):
            if value is not None:
                put(f"param {name}", value if is_number(value) else describe(value), state, values)
        rounds = args[0] if args else keywords.get("num_boost_round", 100)
        put("num_boost_round", rounds, state, values)
        self._recorder.step(self._stream, 0, state=lambda: state, values=values, always=True)

    def __call__(self, round_: Any) -> None:
        self._rounds += 1
        try:
            values = {f"{it[0]}-{it[1]}": float(it[2]) for it in round_.evaluation_result_list or ()}
            at = round_.iteration
            self._recorder.step(
                self._stream,
                self._rounds,
                state=lambda: {"trees": _trees(round_.model, at, 1)},
                values=values,
            )
        except Exception as error:
            self._recorder.failed("lightgbm round", error)

    def end(self, model: Any) -> None:
        """Record the whole model."""
        try:
            final = f"{self._stream} final"
            self._recorder.step(
                final, self._rounds, state=lambda: {"model": _trees(model, 0, -1)}, always=True
            )
        except Exception as error:
            self._recorder.failed("lightgbm model", error)


def _trees(model: Any, start: int, count: int) -> Any:
    # As structures: the text of a model has its settings in it, which change from version to version.
    return model.dump_model(num_iteration=count, start_iteration=start)["tree_info"]
