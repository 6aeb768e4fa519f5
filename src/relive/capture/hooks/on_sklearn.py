"""Record every fit of scikit-learn: data, parameters and what was learned.

Only the fits that the program calls itself are recorded, and those of the steps of a pipeline: an ensemble
fits hundreds of trees in threads whose order changes.
"""

from __future__ import annotations

import functools
import inspect
import threading
import typing
from types import FunctionType, MethodType
from typing import Any

from .digests import Learned, describe, fitted
from .recorder import Recorder
from .values import number

# Estimators whose own parts are worth naming when a replay differs.
_COMPOSED = ("sklearn.pipeline", "sklearn.compose")


def watch_fits(base: Any, recorder: Recorder) -> None:
    """Make every subclass of `sklearn.base.BaseEstimator` record its `fit` from now on."""
    estimator = base.BaseEstimator
    fits = Fits(recorder)
    defined = estimator.__dict__.get("__init_subclass__")

    def init_subclass(cls: Any, /, **keywords: Any) -> None:
        if defined is not None:
            defined.__func__(cls, **keywords)
        else:
            super(estimator, cls).__init_subclass__(**keywords)
        fit = cls.__dict__.get("fit")
        if isinstance(fit, FunctionType):
            cls.fit = RecordedFit(fit, fits)

    estimator.__init_subclass__ = classmethod(init_subclass)


class RecordedFit:
    """A `fit` that records when it is called on an instance.

    Seen through the class, and in a pickle of a user's own class, it is the original function: scikit-learn
    looks at its signature, and a saved model must load where no recorder is.
    """

    def __init__(self, fit: FunctionType, fits: Fits) -> None:
        self._fit = fit

        @functools.wraps(fit)
        def recorded(estimator: Any, *args: Any, **keywords: Any) -> Any:
            return fits.call(fit, estimator, args, keywords)

        self._recorded = recorded

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self._fit if instance is None else MethodType(self._recorded, instance)

    def __reduce__(self) -> Any:
        return typing.cast, (object, self._fit)


class Fits:
    """The fits of this process: which are recorded, under which name."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._running: list[Any] = []

    def call(self, fit: Any, estimator: Any, args: Any, keywords: Any) -> Any:
        """Call the original fit with exactly these arguments, recorded or not."""
        if not self._is_recorded(estimator):
            return fit(estimator, *args, **keywords)
        stream = self._begin(fit, estimator, args, keywords)
        self._running.append(estimator)
        try:
            result = fit(estimator, *args, **keywords)
        finally:
            self._running.pop()
        if stream:
            self._end(stream, estimator)
        return result

    def _is_recorded(self, estimator: Any) -> bool:
        if threading.current_thread() is not threading.main_thread() or not self._recorder.records_steps:
            return False
        # A fit that calls its own parent class's fit is one fit.
        if any(running is estimator for running in self._running):
            return False
        return all(type(running).__module__.startswith(_COMPOSED) for running in self._running)

    def _begin(self, fit: Any, estimator: Any, args: Any, keywords: Any) -> str:
        """Record step 0 of a fit, its data and parameters; give the stream's name, empty if that failed."""
        try:
            stream = self._recorder.name(f"fit:{type(estimator).__name__}")
            given = list(inspect.signature(fit).bind(estimator, *args, **keywords).arguments.items())[1:]
            state = {name: value for name, value in given if value is not None}
            values: dict[str, float] = {}
            for name, value in sorted(estimator.get_params(deep=False).items()):
                if value is not None:
                    put(f"param {name}", value if is_number(value) else describe(value), state, values)
            self._recorder.step(stream, 0, state=lambda: state, values=values, always=True)
        except Exception as error:
            self._recorder.failed(f"fit of {type(estimator).__name__}", error)
            return ""
        return stream

    def _end(self, stream: str, estimator: Any) -> None:
        """Record step 1 of a fit: what was learned."""
        try:
            state: dict[str, Any] = {}
            values: dict[str, float] = {}
            for name, value in fitted(estimator).items():
                put(name, value, state, values)
            state = {name: Learned(value) for name, value in state.items()}
            self._recorder.step(stream, 1, state=lambda: state, values=values, always=True)
        except Exception as error:
            self._recorder.failed(f"fit of {type(estimator).__name__}", error)


def put(name: str, value: Any, state: dict[str, Any], values: dict[str, float]) -> None:
    """Sort a value to the exact numbers, or to what is digested."""
    if is_number(value):
        values[name] = number(value)
    else:
        state[name] = value


def is_number(value: Any) -> bool:
    """Say whether a value is a number that a float holds exactly."""
    if isinstance(value, int):
        return -(2**53) <= value <= 2**53  # beyond, a float would not be exact
    return isinstance(value, float)
