"""Record training in JAX: seeds of keys, the state of jitted steps, batches, losses, optax's updates.

JAX has no optimizer that all use: a step is a function that takes a state and gives the next one. So a jitted
function of the program's own is watched, and what it gives back in the form it was given it in, is the state.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import time
import types
from collections.abc import Iterator
from typing import Any, Callable

from .on_sklearn import is_number
from .recorder import Recorder

_LIBRARIES = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
_DEEPEST = 8


def watch_jit(module: Any, recorder: Recorder) -> None:
    """Make `jax.jit` watch what the program jits, and the makers of keys tell their seeds."""
    jit = module.jit

    @functools.wraps(jit)
    def watching(*args: Any, **keywords: Any) -> Any:
        made = jit(*args, **keywords)
        given = args[0] if args else keywords.get("fun")
        if callable(given):
            return _watched(module, given, made, recorder)
        # Without a function it gives a decorator.
        return lambda function: _watched(module, function, made(function), recorder)

    module.jit = watching
    for name in ("key", "PRNGKey"):
        setattr(module.random, name, _telling(module, getattr(module.random, name), name, recorder))


def watch_updates(module: Any, recorder: Recorder) -> None:
    """Record the weights around each update that optax applies outside of a jitted function."""
    apply = module.apply_updates
    streams: dict[Any, _Stream] = {}

    @functools.wraps(apply)
    def recorded(params: Any, updates: Any, *args: Any, **keywords: Any) -> Any:
        new = apply(params, updates, *args, **keywords)
        try:
            jax: Any = sys.modules["jax"]
            if recorder.records_steps and _is_outside(jax):
                form = jax.tree_util.tree_structure(params)
                stream = streams.get(form)
                if stream is None:
                    stream = streams[form] = _Stream(jax, recorder, "optax")
                    stream.begin(params)
                stream.stepped(new, None)
        except Exception as error:
            recorder.failed("optax update", error)
        return new

    module.apply_updates = recorded


def _telling(jax: Any, make: Any, name: str, recorder: Recorder) -> Any:
    numbers = iter(range(sys.maxsize))

    @functools.wraps(make)
    def key(seed: Any, *args: Any, **keywords: Any) -> Any:
        made = make(seed, *args, **keywords)
        try:
            if is_number(seed):
                recorder.step(f"seed:jax.random.{name}", next(numbers), values={"seed": float(seed)})
        except Exception as error:
            recorder.failed("jax key", error)
        return made

    return key


def _watched(jax: Any, function: Any, jitted: Any, recorder: Recorder) -> Any:
    """Give what stands for a jitted function; itself if it is a library's or nothing is recorded here."""
    try:
        name = _name_of_own(function)
        return _Step(jax, jitted, name, recorder) if name and recorder.records_steps else jitted
    except Exception as error:
        recorder.failed("jax.jit", error)
        return jitted


def _name_of_own(function: Any) -> str:
    """Give the name of a function of the program's own, through what it is wrapped in; else nothing."""
    for _ in range(_DEEPEST):
        inner = (getattr(function, it, None) for it in ("__wrapped__", "func", "f", "__func__"))
        found = next((it for it in inner if callable(it)), None)
        if found is None:
            break
        function = found
    code = getattr(function, "__code__", None)
    is_own = code is not None and not any(part in code.co_filename for part in _LIBRARIES)
    return str(function.__name__) if is_own else ""


class _Step:
    """A jitted function whose calls are recorded, once it turns out to carry a state on."""

    def __init__(self, jax: Any, jitted: Any, name: str, recorder: Recorder) -> None:
        functools.update_wrapper(self, jitted, updated=())
        self._relive = _Calls(jax, name, recorder)
        self._jitted = jitted

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        calls = self._relive
        before = calls.before(args)
        made = self._jitted(*args, **keywords)
        if before is not None:
            calls.after(before, made)
        return made

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_jitted"], name)

    def __reduce__(self) -> Any:
        return _itself, (self._jitted,)


def _itself(jitted: Any) -> Any:
    return jitted


class _Calls:
    """What is known of a function's calls: which arguments it gives back changed, and which it only reads."""

    def __init__(self, jax: Any, name: str, recorder: Recorder) -> None:
        self._jax = jax
        self._name = name
        self._recorder = recorder
        self._stream: _Stream | None = None
        self._carried: dict[int, int] | None = None  # argument → place in what is given back

    def before(self, args: tuple[Any, ...]) -> dict[str, Any] | None:
        """Take what a call will use up, if it is to be recorded; None if there is nothing to do after it."""
        if self._carried == {}:
            return None  # it carries no state: a prediction, a metric
        try:
            if not _is_outside(self._jax):
                return None
            # Given away to the call (`donate_argnums`) they are gone after it.
            if self._carried is None:
                forms = [_form(self._jax, arg) for arg in args]
                return {"state": [_copied(self._jax, arg) for arg in args], "forms": forms}
            if self._stream is not None:
                self._stream.batch([arg for place, arg in enumerate(args) if place not in self._carried])
        except Exception as error:
            self._recorder.failed("jax step", error)
            return None
        return {}

    def after(self, before: dict[str, Any], made: Any) -> None:
        """Record what a call gave back."""
        try:
            outs = made if type(made) is tuple else (made,)
            if self._carried is None:
                self._carried = self._match(before["forms"], outs)
                if self._carried:
                    self._stream = _Stream(self._jax, self._recorder, f"jax.{self._name}")
                    self._stream.begin([before["state"][place] for place in self._carried])
                    self._stream.batch(
                        [it for place, it in enumerate(before["state"]) if place not in self._carried]
                    )
            if self._stream is not None and self._carried:
                state = [outs[place] for place in self._carried.values()]
                rest = [out for place, out in enumerate(outs) if place not in self._carried.values()]
                self._stream.stepped(state, rest)
        except Exception as error:
            self._recorder.failed("jax step", error)

    def _match(self, given: list[Any], outs: tuple[Any, ...]) -> dict[int, int]:
        """Find the arguments that come back in the same form, each once: containers of arrays."""
        found: dict[int, int] = {}
        forms = [_form(self._jax, out) for out in outs]
        for place, form in enumerate(given):
            if form is None:
                continue
            free = (at for at, other in enumerate(forms) if other == form and at not in found.values())
            at = next(free, None)
            if at is not None:
                found[place] = at
        return found


class _Stream:
    """The steps of one state: 0 is before the first update."""

    def __init__(self, jax: Any, recorder: Recorder, kind: str) -> None:
        self._jax = jax
        self._recorder = recorder
        self._stream = recorder.name(f"weights:{kind}")
        self._batches = self._stream.replace("weights:", "batch:", 1)
        self._step = 0
        self._last: Any = None

    def begin(self, state: Any) -> None:
        """Record the initial state, and at the end of the program the last one."""
        atexit.register(self._finish)
        self._recorder.step(self._stream, 0, state=lambda: dict(_arrays(self._jax, state)), always=True)

    def batch(self, given: Any) -> None:
        """Record what the next step only reads."""
        self._recorder.step(self._batches, self._step, state=lambda: dict(_arrays(self._jax, given)))

    def stepped(self, state: Any, rest: Any) -> None:
        """Count a step; only one that is due is waited for, as a look at numbers waits for the device."""
        self._step += 1
        self._last = state
        if not self._recorder.schedule.due(self._stream, self._step):
            return
        began = time.perf_counter()
        losses = dict(_numbers(self._jax, rest))
        self._recorder.schedule.spent(self._stream, time.perf_counter() - began)
        arrays: Callable[[], dict[str, Any]] = lambda: dict(_arrays(self._jax, state))  # noqa: E731
        self._recorder.step(self._stream, self._step, state=arrays, values=losses, always=True)

    def _finish(self) -> None:
        try:
            leaves = self._jax.tree_util.tree_leaves(self._last)
            if leaves and not any(it.is_deleted() for it in leaves if hasattr(it, "is_deleted")):
                state = self._last
                final = f"{self._stream} final"
                self._recorder.step(
                    final, self._step, state=lambda: dict(_arrays(self._jax, state)), always=True
                )
        except Exception as error:
            self._recorder.failed("final jax state", error)


def _is_outside(jax: Any) -> bool:
    """Tell whether this is a call that computes, and not one that is only traced."""
    clean = getattr(sys.modules.get("jax._src.core") or jax.core, "trace_state_clean", None)
    return clean is None or bool(clean())


def _form(jax: Any, value: Any) -> Any:
    leaves, tree = jax.tree_util.tree_flatten(value)
    if jax.tree_util.treedef_is_leaf(tree) or not leaves:
        return None
    # By shapes only: a count that is a number of Python's at first comes back as an array.
    return tree, tuple(tuple(getattr(it, "shape", ())) for it in leaves)


def _copied(jax: Any, value: Any) -> Any:
    return jax.tree_util.tree_map(lambda leaf: _plain(jax, leaf) if hasattr(leaf, "dtype") else leaf, value)


def _arrays(jax: Any, value: Any) -> Iterator[tuple[str, Any]]:
    for path, leaf in jax.tree_util.tree_flatten_with_path(value)[0]:
        if hasattr(leaf, "dtype") and hasattr(leaf, "shape"):
            shape = ",".join(map(str, leaf.shape))
            yield f"{jax.tree_util.keystr(path)}[{shape}]", _plain(jax, leaf)


def _plain(jax: Any, leaf: Any) -> Any:
    """Give an array as NumPy's; of one that lies on several machines what lies here."""
    numpy: Any = sys.modules["numpy"]
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if getattr(leaf, "is_fully_addressable", True):
        return numpy.array(leaf)
    return [numpy.array(shard.data) for shard in leaf.addressable_shards]


def _numbers(jax: Any, value: Any) -> Iterator[tuple[str, float]]:
    for path, leaf in jax.tree_util.tree_flatten_with_path(value)[0]:
        if getattr(leaf, "shape", None) == () and getattr(leaf, "is_fully_addressable", False):
            name = jax.tree_util.keystr(path)
            yield "loss" + ("" if name == "[0]" else name), float(leaf)
