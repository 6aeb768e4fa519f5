"""Write down every operation that PyTorch dispatches while a drill is open: what it gets, and what it leaves.

A mode of `torch.utils._python_dispatch` sees them below autograd, those of the backward pass included. What
`torch.compile` makes is not run while a mode is on: PyTorch then runs the operations one by one.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from .digests import describe, digest_of
from .drill import Drill
from .recorder import Recorder

# What they leave is whatever the memory held; it differs from run to run.
_UNWRITTEN = ("empty", "new_empty", "resize_")
# They write their first argument without reading it.
_OVERWRITES = ("copy_", "fill_", "zero_", "_foreach_zero_", "_foreach_copy_")


def watch_operations(module: Any, recorder: Recorder) -> None:
    """Write the operations of the thread that opens the drill, from then on."""
    drill = recorder.drill
    if drill is None:
        return
    modes = importlib.import_module("torch.utils._python_dispatch")
    operations = Operations(module, drill, recorder)
    mode = type("Drilled", (modes.TorchDispatchMode,), {"__torch_dispatch__": operations.dispatch})()

    def begin() -> None:
        # Never left: the program may have entered others by then, and the run is ended behind the step.
        mode.__enter__()

    drill.when_open(begin)


class Operations:
    """Runs each operation as it would have run, and writes what it got and left."""

    def __init__(self, torch: Any, drill: Drill, recorder: Recorder) -> None:
        self._torch, self._drill, self._recorder = torch, drill, recorder
        self._node = getattr(torch._C, "_current_autograd_node", lambda: None)

    @property
    def dispatch(self) -> Any:
        """Give the function that the mode calls."""

        def torch_dispatch(mode: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            keywords = kwargs or {}
            call = self._begun(func, args, keywords) if self._is_on(func) else None
            result = func(*args, **keywords)
            if call is not None:
                self._ended(call, result)
            return result

        return torch_dispatch

    def _is_on(self, func: Any) -> bool:
        if not self._drill.is_open or self._drill.is_paused or func.namespace == "profiler":
            return False
        return self._recorder.records_steps  # a worker that was forked off has the mode as well

    def _begun(self, func: Any, args: Any, keywords: Any) -> _Call | None:
        try:
            call = _Call(func, args, keywords)
            call.inputs = [part for name, value in call.read() for part in _told(self._torch, name, value)]
            if call.is_random:
                call.rng = self._random_state(call)
            return call
        except Exception as error:
            self._recorder.failed(f"drill of {func}", error)
            return None

    def _ended(self, call: _Call, result: Any) -> None:
        try:
            outputs = {
                name: _digest(tensor)
                for place, value in call.left(result)
                for name, tensor in _tensors(self._torch, place, value)
            }
            node = self._node()
            self._drill.write(
                call.name, outputs, call.inputs, node=node.name() if node is not None else "", rng=call.rng
            )
        except Exception as error:
            self._recorder.failed(f"drill of {call.name}", error)

    def _random_state(self, call: _Call) -> str:
        generator = call.given.get("generator")
        if generator is not None:
            return digest_of(generator.get_state())
        tensors = [it for name, value in call.given.items() for _, it in _tensors(self._torch, name, value)]
        devices = (it.device for it in tensors if isinstance(it, self._torch.Tensor))
        device = next(devices, None) or call.given.get("device")
        if device is not None and self._torch.device(device).type == "cuda":
            return digest_of(self._torch.cuda.get_rng_state(device))
        return digest_of(self._torch.default_generator.get_state())


class _Call:
    """One call of an operation, by the names of its schema."""

    def __init__(self, func: Any, args: Any, keywords: Any) -> None:
        schema = func._schema
        self.name = str(func)
        self.given: dict[str, Any] = dict(zip((it.name for it in schema.arguments), args))
        self.given.update(keywords)
        self.written = [
            it.name for it in schema.arguments if it.alias_info is not None and it.alias_info.is_write
        ]
        self._aliases = [it.alias_info is not None for it in schema.returns]
        self._plain = self.name.partition(".")[2].partition(".")[0]
        tags = {str(tag) for tag in getattr(func, "tags", ())}
        self.is_random = any(tag.endswith("nondeterministic_seeded") for tag in tags)
        self.inputs: list[tuple[str, str]] = []
        self.rng = ""

    def read(self) -> Iterator[tuple[str, Any]]:
        """Give the arguments that it reads."""
        is_overwritten = self.is_random or self._plain in _OVERWRITES
        for name, value in self.given.items():
            if name == "out" or (is_overwritten and name in self.written):
                continue
            if name != "generator" and value is not None:
                yield name, value

    def left(self, result: Any) -> Iterator[tuple[str, Any]]:
        """Give what it made or changed; views hold what was made before."""
        if self._plain.startswith(_UNWRITTEN):
            return
        for name in self.written:
            yield name, self.given.get(name)
        results = result if isinstance(result, (tuple, list)) and len(self._aliases) > 1 else (result,)
        for number, value in enumerate(results):
            # What `lift_fresh` gives is what it got, and it got it from outside of PyTorch.
            is_view = self._aliases[number : number + 1] == [True]
            if not is_view or self._plain == "lift_fresh":
                yield str(number), value


def _tensors(torch: Any, place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, torch.Tensor):
        yield place, value
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _tensors(torch, f"{place}.{number}", item)
    elif isinstance(value, (bool, int, float)):
        yield place, value


def _told(torch: Any, name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Give what an argument is for people, and the digest of what is more than that."""
    if isinstance(value, torch.Tensor):
        kind = str(value.dtype).rpartition(".")[2]
        yield f"{name} {kind}[{', '.join(map(str, value.shape))}]", _digest(value)
    elif isinstance(value, (list, tuple)) and any(isinstance(item, torch.Tensor) for item in value):
        for number, item in enumerate(value):
            yield from _told(torch, f"{name}.{number}", item)
    else:
        yield f"{name} {describe(value)[:200]}", ""


def _digest(value: Any) -> str:
    try:
        return digest_of(value)
    except (RuntimeError, NotImplementedError, TypeError):
        return ""  # it has no content that could be read: a meta tensor, a tensor of another library
