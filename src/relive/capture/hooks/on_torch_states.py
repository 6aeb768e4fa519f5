"""The state of a training in PyTorch: what is alive of it, saved to a file and made so again."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Callable

from .checkpoints import NO_DIGEST, Checkpoints, State
from .digests import digest_of
from .on_torch_random import random_states, set_random_states
from .on_torch_skips import skip_forwards, skip_scaling, skip_steps
from .recorder import Counter, Recorder

_PRIMITIVES = (bool, int, float, str, type(None))


def watch_optimizers(module: Any, recorder: Recorder) -> None:
    """Count the steps of all optimizers, and do what is due behind each."""
    checkpoints, training = _asked(recorder)

    def after(optimizer: Any, args: Any, keywords: Any) -> None:
        try:
            if recorder.records_steps:
                training.passed(optimizer)
                checkpoints.stepped(training)
        except Exception as error:
            recorder.failed("checkpoint", error)

    module.register_optimizer_step_post_hook(after)
    if checkpoints.is_spot:
        skip_steps(module, checkpoints)


def watch_modules(module: Any, recorder: Recorder) -> None:
    """Know the modules that the program makes."""
    checkpoints, training = _asked(recorder)
    _track(module.Module, training.modules)
    if checkpoints.is_spot:
        skip_forwards(module, checkpoints, training.trained)


def watch_schedulers(module: Any, recorder: Recorder) -> None:
    """Know the learning rate schedulers that the program makes."""
    _track(module.LRScheduler, _asked(recorder)[1].schedulers)


def watch_scalers(module: Any, recorder: Recorder) -> None:
    """Know the gradient scalers that the program makes."""
    checkpoints, training = _asked(recorder)
    _track(module.GradScaler, training.scalers)
    if checkpoints.is_spot:
        skip_scaling(module, checkpoints)


_trainings: weakref.WeakKeyDictionary[Checkpoints, Training] = weakref.WeakKeyDictionary()


def _asked(recorder: Recorder) -> tuple[Checkpoints, Training]:
    """Give what was asked for, and the one training of this process."""
    checkpoints = recorder.checkpoints
    if checkpoints is None:
        raise ValueError("no checkpoints were asked for")
    return checkpoints, _trainings.setdefault(checkpoints, Training(recorder.counters))


class Alive:
    """Objects in the order in which they were made, for as long as the program keeps them."""

    def __init__(self) -> None:
        self._made: list[weakref.ref[Any]] = []
        self._most = 1000

    def add(self, item: Any) -> None:
        """Note one; what is gone is forgotten now and then, as a loop may make one a step."""
        self._made.append(weakref.ref(item))
        if len(self._made) > self._most:
            self._made = [ref for ref in self._made if ref() is not None]
            self._most = max(1000, 2 * len(self._made))

    def __iter__(self) -> Iterator[Any]:
        return (item for item in [ref() for ref in self._made] if item is not None)


def _track(kind: Any, alive: Alive) -> None:
    """Note each object of a class as it is made: by its constructor, a copy or a pickle."""

    def made(cls: Any, *args: Any, **keywords: Any) -> Any:
        new: Callable[..., Any] = super(kind, cls).__new__
        item = new(cls) if new is object.__new__ else new(cls, *args, **keywords)
        alive.add(item)
        return item

    kind.__new__ = staticmethod(made)


class Training(State):
    """All that a training in this process consists of.

    Args:
        counters: Of the streams whose steps need not come once an optimizer's step, such as losses.

    Attributes:
        optimizers: Those that have made a step.
    """

    def __init__(self, counters: Mapping[str, Counter]) -> None:
        self._counters = counters
        self.modules, self.schedulers, self.scalers = Alive(), Alive(), Alive()
        self.optimizers = Alive()
        self._stepping: weakref.ref[Any] | None = None
        self._resting: dict[str, str] = {}

    def passed(self, optimizer: Any) -> None:
        """Note which optimizer has made a step."""
        if self._stepping is None:
            self._note_resting(random_states())
        if all(it is not optimizer for it in self.optimizers):
            self.optimizers.add(optimizer)
        self._stepping = weakref.ref(optimizer)

    def collect(self) -> dict[str, Any]:
        """Give the state by kind.

        Raises:
            TypeError: An optimizer holds what is neither tensor, number nor text.
        """
        resting, drawn = self._generators()
        return {
            "weights": {"modules": self._tensors(), "loose": self._loose()},
            "optimizers": [_plain(it.state_dict()) for it in self.optimizers],
            "gradients": self._gradients(),
            "schedulers": [_plain_of(it.state_dict()) for it in self.schedulers],
            "scalers": [_plain_of(it.state_dict()) for it in self.scalers],
            "infinities": [[_by_device(it) for it in found] for found in self._infinities()],
            "random": drawn,
            f"{NO_DIGEST}resting": resting,
            f"{NO_DIGEST}counts": {name: it.count for name, it in self._counters.items()},
        }

    def save(self, state: Mapping[str, Any], path: str) -> None:
        """Write a state to a file."""
        _torch().save(dict(state), path)

    def load(self, path: str) -> None:
        """Make the state of a file this training's.

        Raises:
            ValueError: The program has other modules or optimizers than at the checkpoint.
        """
        torch = _torch()
        saved = torch.load(path, map_location="cpu", weights_only=True)
        with torch.no_grad():
            modules = _pairs("modules", self._tensors(), saved["weights"]["modules"])
            for own, kept in modules:
                _copy(own, kept)
            for own, kept in _pairs("parameters", self._loose(), saved["weights"]["loose"]):
                _copy({"": own}, {"": kept})
        for optimizer, state in _pairs("optimizers", list(self.optimizers), saved["optimizers"]):
            optimizer.load_state_dict(state)
        for parameter, gradient in _pairs("gradients", self._parameters(), saved["gradients"]):
            parameter.grad = None if gradient is None else gradient.to(parameter.device)
        for scheduler, state in _pairs("schedulers", list(self.schedulers), saved["schedulers"]):
            scheduler.load_state_dict({**scheduler.state_dict(), **state})
        for scaler, state in _pairs("scalers", list(self.scalers), saved["scalers"]):
            scaler.load_state_dict(state)
        for own, kept in _pairs("scalers", self._infinities(), saved["infinities"]):
            for found, state in _pairs("optimizers", own, kept):
                found.update({_torch().device(device): it.to(device) for device, it in state.items()})
        for name, count in saved[f"{NO_DIGEST}counts"].items():
            self._counters[name].count = count
        resting = saved[f"{NO_DIGEST}resting"]
        set_random_states({**resting, **saved["random"]})
        self._resting = {}
        self._note_resting(resting)

    def _note_resting(self, states: Mapping[str, Any]) -> None:
        for name, state in states.items():
            self._resting.setdefault(name, digest_of(state))

    def _generators(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give the generators that the training has not drawn from, and those that it has.

        Nobody seeds what is not used: its state is another one in each process, and says nothing.
        """
        states = random_states()
        resting = {name: it for name, it in states.items() if self._resting.get(name) == digest_of(it)}
        return resting, {name: it for name, it in states.items() if name not in resting}

    def trained(self) -> set[int]:
        """Give the ids of the parameters that optimizers have changed."""
        return {id(it) for optimizer in self.optimizers for it in _parameters_of(optimizer)}

    def _infinities(self) -> list[list[dict[Any, Any]]]:
        """Give what each scaler found in the gradients of each step: it looks at that after it."""
        return [
            [scaler._per_optimizer_states[id(it)]["found_inf_per_device"] for it in self.optimizers]
            for scaler in self.scalers
        ]

    def _tensors(self) -> list[dict[str, Any]]:
        return [tensors for module in self.modules if (tensors := _own_tensors(module))]

    def _loose(self) -> list[Any]:
        """Give what is trained without being part of a module."""
        owned = {id(it) for tensors in self._tensors() for it in tensors.values()}
        found = (it for optimizer in self.optimizers for it in _parameters_of(optimizer))
        return [it.detach() for it in found if id(it) not in owned]

    def _parameters(self) -> list[Any]:
        """Give the parameters of those optimizers that are still to step on gradients that are there."""
        stepping = self._stepping() if self._stepping is not None else None
        others = (it for it in self.optimizers if it is not stepping)
        return [it for optimizer in others for it in _parameters_of(optimizer)]

    def _gradients(self) -> list[Any]:
        return [None if it.grad is None else it.grad.detach() for it in self._parameters()]


def _by_device(found: dict[Any, Any]) -> dict[str, Any]:
    return {str(device): it.detach() for device, it in found.items()}


def _own_tensors(module: Any) -> dict[str, Any]:
    """Give parameters and buffers of a module itself, without those of the modules in it."""
    lazy = sys.modules["torch"].nn.parameter.is_lazy
    own = {**(vars(module).get("_parameters") or {}), **(vars(module).get("_buffers") or {})}
    return {name: it for name, it in own.items() if it is not None and not lazy(it)}


def _parameters_of(optimizer: Any) -> Iterator[Any]:
    return (it for group in optimizer.param_groups for it in group["params"])


def _pairs(what: str, own: list[Any], kept: list[Any]) -> list[tuple[Any, Any]]:
    if len(own) != len(kept):
        raise ValueError(f"the program has {len(own)} {what} now, the checkpoint has {len(kept)}")
    return list(zip(own, kept))


def _copy(own: dict[str, Any], kept: dict[str, Any]) -> None:
    for name in {*own, *kept}:
        one, other = own.get(name), kept.get(name)
        if one is None or other is None or one.shape != other.shape:
            raise ValueError(f"the program has other tensors than at the checkpoint: {name}")
        one.copy_(other)


def _plain(value: Any) -> Any:
    """Give what any version of PyTorch reads from a file without running code of it.

    Raises:
        TypeError: It is nothing of that kind.
    """
    if type(value) in _PRIMITIVES:
        return value
    if isinstance(value, _torch().Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {_plain(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [*map(_plain, value)] if isinstance(value, list) else tuple(map(_plain, value))
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} in the state of an optimizer cannot be saved")


def _plain_of(state: dict[str, Any]) -> dict[str, Any]:
    """Keep what can be saved of a scheduler: the rest (functions, tables) is what it was made with."""
    return {name: _plain(value) for name, value in state.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    try:
        _plain(value)
    except TypeError:
        return False
    return True


def _torch() -> Any:
    return sys.modules["torch"]
