"""Record training in PyTorch: weights around optimizer steps, batches of loaders, losses."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator
from typing import Any

from .recorder import Recorder


def watch_optimizers(module: Any, recorder: Recorder) -> None:
    """Record initial weights and settings of each optimizer, its weights by schedule, and the final ones."""
    known: weakref.WeakKeyDictionary[Any, Weights] = weakref.WeakKeyDictionary()

    def before(optimizer: Any, args: Any, keywords: Any) -> None:
        try:
            if optimizer not in known and recorder.records_steps:
                known[optimizer] = Weights(optimizer, recorder)
        except Exception as error:
            recorder.failed("first optimizer step", error)

    def after(optimizer: Any, args: Any, keywords: Any) -> None:
        try:
            weights = known.get(optimizer)
            if weights is not None:
                weights.stepped(optimizer)
        except Exception as error:
            recorder.failed("optimizer step", error)

    module.register_optimizer_step_pre_hook(before)
    module.register_optimizer_step_post_hook(after)


class Weights:
    """The weights that one optimizer changes; step 0 is before its first step."""

    def __init__(self, optimizer: Any, recorder: Recorder) -> None:
        self._recorder = recorder
        self._stream = recorder.name(f"weights:{type(optimizer).__name__}")
        self._groups = optimizer.param_groups
        self._step = 0
        values = _settings(self._groups)
        recorder.step(self._stream, 0, state=self._tensors, values=values, always=True)
        # When the optimizer goes, or the interpreter ends; the tensors live until then in any case.
        weakref.finalize(optimizer, self._finish)

    def stepped(self, optimizer: Any) -> None:
        """Count a step, and digest the weights if it is due."""
        self._step += 1
        self._groups = optimizer.param_groups
        self._recorder.step(self._stream, self._step, state=self._tensors)

    def _tensors(self) -> dict[str, Any]:
        return dict(_named(self._groups))

    def _finish(self) -> None:
        try:
            self._recorder.step(f"{self._stream} final", self._step, state=self._tensors, always=True)
        except Exception as error:
            self._recorder.failed("final weights", error)


def _named(groups: Any) -> Iterator[tuple[str, Any]]:
    for number, group in enumerate(groups):
        names = group.get("param_names") or ()
        for index, tensor in enumerate(group["params"]):
            shape = ",".join(map(str, tensor.shape))
            yield (names[index] if index < len(names) else f"{number}.{index}") + f"[{shape}]", tensor


def _settings(groups: Any) -> dict[str, float]:
    return {
        f"{number}.{name}": float(value)
        for number, group in enumerate(groups)
        for name, value in group.items()
        if isinstance(value, (int, float))
    }


def watch_batches(module: Any, recorder: Recorder) -> None:
    """Record what loaders hand to the program, in one stream for all of them."""
    iterator: Any = module._BaseDataLoaderIter
    next_batch = iterator.__next__
    steps = recorder.counter("batch")

    @functools.wraps(next_batch)
    def recorded(self: Any) -> Any:
        batch = next_batch(self)
        try:
            recorder.step("batch", steps.next(), state=lambda: dict(_leaves(batch, "")))
        except Exception as error:
            recorder.failed("batch", error)
        return batch

    iterator.__next__ = recorded


def watch_losses(module: Any, recorder: Recorder) -> None:
    """Record the exact value of each scalar that `backward` is called on."""
    backward = module.backward
    steps = recorder.counter("loss")

    @functools.wraps(backward)
    def recorded(tensors: Any, *args: Any, **keywords: Any) -> Any:
        try:
            loss = _scalar(tensors)
            if loss is not None:
                recorder.step("loss", steps.next(), values={"loss": loss})
        except Exception as error:
            recorder.failed("loss", error)
        return backward(tensors, *args, **keywords)

    module.backward = recorded


def _scalar(tensors: Any) -> float | None:
    if isinstance(tensors, (list, tuple)):
        if len(tensors) != 1:
            return None
        tensors = tensors[0]
    if tensors.numel() != 1 or tensors.device.type != "cpu":
        return None  # reading it from an accelerator would make the program wait for it
    return float(tensors.detach())


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if hasattr(value, "detach"):
        yield place or "0", value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{place}.{key}".lstrip("."))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place}.{index}".lstrip("."))
