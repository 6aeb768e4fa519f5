"""Leave out of a training in PyTorch what only changes weights, where a spot check does not look.

The program runs on: it gets batches, calls modules, computes losses and logs them. What it computes is not
the record's, because the weights are not; the state is loaded before anything is compared.
"""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Mapping
from typing import Any, Callable

from .checkpoints import Checkpoints
from .digests import digest_of
from .on_torch_random import random_states
from .recorder import Recorder

# Kinds of calls of a module that are remembered; one that has more is called for real.
MOST_CALLS = 32


def skip_steps(module: Any, checkpoints: Checkpoints) -> None:
    """Have the optimizers' steps change nothing while others are made for real; hooks on them run."""
    hooked = module.Optimizer.profile_hook_step

    def profile_hook_step(step: Any) -> Any:
        @functools.wraps(step)
        def skipping(self: Any, closure: Any = None, *args: Any, **keywords: Any) -> Any:
            if not checkpoints.is_skipping:
                return step(self, closure, *args, **keywords)
            # The closure is the program's: it may count, and its loss is asked for.
            return closure() if closure is not None else None

        return hooked(skipping)

    module.Optimizer.profile_hook_step = staticmethod(profile_hook_step)


def watch_gradients(module: Any, recorder: Recorder) -> None:
    """Have no gradients computed where none are stepped on."""
    checkpoints = recorder.checkpoints
    if checkpoints is None or not checkpoints.is_spot:
        return
    backward, grad = module.backward, module.grad

    @functools.wraps(backward)
    def skipped_backward(*args: Any, **keywords: Any) -> Any:
        return None if checkpoints.is_skipping else backward(*args, **keywords)

    @functools.wraps(grad)
    def skipped_grad(outputs: Any, inputs: Any, *args: Any, **keywords: Any) -> Any:
        if not checkpoints.is_skipping:
            return grad(outputs, inputs, *args, **keywords)
        several = inputs if isinstance(inputs, (list, tuple)) else (inputs,)
        return tuple(it.detach().clone().zero_().requires_grad_() for it in several)

    module.backward, module.grad = skipped_backward, skipped_grad


def skip_scaling(module: Any, checkpoints: Checkpoints) -> None:
    """Have gradient scalers neither look for gradients nor change their scale."""
    scaler = module.GradScaler
    step, update, unscale = scaler.step, scaler.update, scaler.unscale_

    @functools.wraps(step)
    def skipped_step(self: Any, optimizer: Any, *args: Any, **keywords: Any) -> Any:
        if checkpoints.is_skipping:
            return optimizer.step(*args, **keywords)
        return step(self, optimizer, *args, **keywords)

    @functools.wraps(update)
    def skipped_update(self: Any, *args: Any, **keywords: Any) -> Any:
        return None if checkpoints.is_skipping else update(self, *args, **keywords)

    @functools.wraps(unscale)
    def skipped_unscale(self: Any, *args: Any, **keywords: Any) -> Any:
        return None if checkpoints.is_skipping else unscale(self, *args, **keywords)

    scaler.step, scaler.update, scaler.unscale_ = skipped_step, skipped_update, skipped_unscale


def skip_forwards(module: Any, checkpoints: Checkpoints, trained: Callable[[], set[int]]) -> None:
    """Answer calls of modules that are trained with what an equal call gave, where that changes nothing."""
    call = module.Module.__call__
    forwards = Forwards(trained)

    @functools.wraps(call)
    def skipping(self: Any, *args: Any, **keywords: Any) -> Any:
        if not checkpoints.is_skipping or forwards.is_within:
            return call(self, *args, **keywords)
        return forwards.answer(self, call, args, keywords)

    module.Module.__call__ = skipping


class Unknown(Exception):
    """A value that is of no kind that can be compared or copied."""


class Forwards(threading.local):
    """Remembers what modules gave.

    A module that holds no trained weights is always called: what it gives may be data. So is one that draws
    random numbers, counts its calls or has hooks: others depend on that.

    Attributes:
        is_within: Whether a module is being called, so that this is a call of a part of it.
    """

    def __init__(self, trained: Callable[[], set[int]]) -> None:
        self.is_within = False
        self._trained = trained
        self._torch: Any = sys.modules["torch"]
        self._given: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()
        self._is_plain: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()

    def answer(self, module: Any, call: Any, args: Any, keywords: Any) -> Any:
        """Give what a module would, or something of the same form."""
        try:
            key = (module.training, self._torch.is_grad_enabled(), _form(args), _form(keywords))
        except Unknown:
            return self._called(module, call, args, keywords)
        given = self._given.setdefault(module, {})
        if key in given:
            return _stale(given[key])
        if len(given) >= MOST_CALLS or not self._may_be_left_out(module):
            return self._called(module, call, args, keywords)
        before = _effects(module)
        answer = self._called(module, call, args, keywords)
        if _effects(module) != before:
            self._is_plain[module] = False
            given.clear()
            return answer
        try:
            given[key] = _kept(answer)
        except Unknown:
            self._is_plain[module] = False
        return answer

    def _called(self, module: Any, call: Any, args: Any, keywords: Any) -> Any:
        self.is_within = True
        try:
            return call(module, *args, **keywords)
        finally:
            self.is_within = False

    def _may_be_left_out(self, module: Any) -> bool:
        known = self._is_plain.get(module)
        if known is not None:
            return known
        trained = self._trained()
        if not any(id(it) in trained for it in module.parameters()):
            return False  # may change: its optimizer has not stepped yet
        hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
        found = not any(getattr(part, name, None) for part in module.modules() for name in hooks)
        self._is_plain[module] = found
        return found


def _effects(module: Any) -> tuple[str, list[dict[str, Any]]]:
    """Give what a call may change besides tensors: generators, and attributes of the parts."""
    return digest_of(random_states()), [_attributes(part) for part in module.modules()]


def _attributes(part: Any) -> dict[str, Any]:
    found = {}
    for name, value in vars(part).items():
        if isinstance(value, (bool, int, float, str)):
            found[name] = value
        elif isinstance(value, (list, dict, set)):
            found[name] = len(value)
    return found


def _form(value: Any) -> Any:
    """Give what two calls have in common that get values of the same form.

    Raises:
        Unknown: It is nothing whose form is known.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return (type(value), value)
    if hasattr(value, "detach"):
        return (tuple(value.shape), str(value.dtype), str(value.device), value.requires_grad)
    if isinstance(value, (list, tuple)):
        return (type(value), *map(_form, value))
    if isinstance(value, Mapping):
        return (type(value), *((str(name), _form(item)) for name, item in value.items()))
    raise Unknown


def _mapped(change: Any, value: Any) -> Any:
    """Change the tensors of a structure.

    Raises:
        Unknown: It is none that can be made again.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "detach"):
        return change(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(change, it) for it in value))
    if type(value) in (list, tuple):
        return type(value)(_mapped(change, it) for it in value)
    if isinstance(value, Mapping):
        items = {name: _mapped(change, it) for name, it in value.items()}
        return items if type(value) is dict else type(value)(**items)
    raise Unknown


def _kept(answer: Any) -> Any:
    def keep(tensor: Any) -> Any:
        return tensor.detach().clone().requires_grad_(tensor.requires_grad)

    try:
        return _mapped(keep, answer)
    except (TypeError, RuntimeError) as error:
        raise Unknown from error


def _stale(answer: Any) -> Any:
    """Copy an answer: the program may change it, and may hang hooks on what needs a gradient."""

    def copy(tensor: Any) -> Any:
        # No leaf, as that could not be changed in place.
        return tensor * 1 if tensor.requires_grad else tensor.clone()

    return _mapped(copy, answer)
