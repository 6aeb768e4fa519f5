"""Record the training of Keras 3, whatever its backend: initial weights, then weights and logs of batches."""

from __future__ import annotations

import functools
from typing import Any

from .on_sklearn import is_number
from .recorder import Recorder, State


def watch_fits(module: Any, recorder: Recorder) -> None:
    """Add a callback of ours to every list of callbacks that belongs to a model that is being fitted."""
    kind = module.CallbackList
    begin = kind.__init__

    @functools.wraps(begin)
    def made(self: Any, callbacks: Any = None, *args: Any, **keywords: Any) -> None:
        try:
            if recorder.records_steps:
                given = (
                    callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []
                )
                callbacks = [*given, _recorder_of(module, recorder)]
        except Exception as error:
            recorder.failed("keras fit", error)
        begin(self, callbacks, *args, **keywords)

    kind.__init__ = made


def _recorder_of(module: Any, recorder: Recorder) -> Any:
    # The class can only be made once the user has imported Keras: it inherits from theirs.
    base: Any = module.Callback

    class RecordBatches(base):  # type: ignore[misc]  # known at run time only
        """Record step N after batch N (from 1); step 0 holds initial weights and the optimizer's settings."""

        def on_train_begin(self, logs: Any = None) -> None:
            self.name = recorder.name(f"keras.{type(self.model).__name__}")
            self.batches = self.epochs = 0
            _step(recorder, f"weights:{self.name}", 0, lambda: _state(self.model) | _settings(self.model))

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.batches += 1
            _step(recorder, f"weights:{self.name}", self.batches, lambda: _state(self.model), logs)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.epochs += 1
            _step(recorder, f"epoch:{self.name}", self.epochs, None, logs)

        def on_train_end(self, logs: Any = None) -> None:
            _step(recorder, f"weights:{self.name} final", self.batches, lambda: _state(self.model))

    return RecordBatches()


def _step(recorder: Recorder, stream: str, step: int, state: State | None, logs: Any = None) -> None:
    is_end = step == 0 or stream.endswith(" final")
    try:
        recorder.step(stream, step, state=state, values=_numbers(logs), always=is_end)
    except Exception as error:
        recorder.failed("keras training", error)


def _state(model: Any) -> dict[str, Any]:
    """Give the weights by their paths, as arrays of whatever backend."""
    return {f"{number} {weight.path}": weight.numpy() for number, weight in enumerate(model.weights)}


def _settings(model: Any) -> dict[str, Any]:
    optimizer = getattr(model, "optimizer", None)
    return {} if optimizer is None else {"optimizer": optimizer.get_config()}


def _numbers(logs: Any) -> dict[str, float]:
    return {name: float(value) for name, value in (logs or {}).items() if is_number(float(value))}
