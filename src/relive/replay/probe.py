"""Lies in a user's interpreter during a preflight: notes where chance enters, and can take it away.

It is laid out as a `sitecustomize` behind the recorder's, which runs it. Standard library only, for any
Python from 3.9 on. RELIVE_PROBE_FILE names the file for notes, one JSON list [kind, where] a line;
RELIVE_PROBE_FIXES what is to be taken away, between commas; RELIVE_PROBE_REVERSE turns listings round.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

_FILE = os.environ.get("RELIVE_PROBE_FILE", "")
_FIXES = frozenset(filter(None, os.environ.get("RELIVE_PROBE_FIXES", "").split(",")))
_REVERSE = bool(os.environ.get("RELIVE_PROBE_REVERSE"))
_LIBRARY = os.path.dirname(os.path.realpath(os.__file__))
_MOST_NOTES = 200
_noted: set[tuple[str, str]] = set()
_seeding: list[bool] = []


def _note(kind: str, where: str = "") -> None:
    """Write that something happened, once for each place; if it cannot be written, only the note is lost."""
    if (kind, where) in _noted or len(_noted) >= _MOST_NOTES:
        return
    _noted.add((kind, where))
    try:
        with open(_FILE, "a", encoding="utf-8") as file:
            file.write(json.dumps([kind, where]) + "\n")
    except OSError:
        return


def _caller() -> str:
    """Name the nearest line that is neither the standard library's nor an installed package's; else ""."""
    frame = sys._getframe(2)
    while frame is not None:
        path, module = frame.f_code.co_filename, str(frame.f_globals.get("__name__"))
        if module.partition(".")[0] in ("relive", "relive_hooks"):
            return ""  # the recorder reads the clock for itself
        is_library = path.startswith(("<", _LIBRARY)) or "site-packages" in path or path == __file__
        if not is_library:
            return f"{os.path.relpath(path)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]  # None at the outermost
    return ""


def _watched(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        where = _caller()
        if where:
            _note(kind, where)
        return function(*args, **keywords)

    return call


def _watch(module: Any, names: str, kind: str) -> None:
    for name in names.split():
        if hasattr(module, name):
            setattr(module, name, _watched(kind, getattr(module, name)))


def _watch_seed(module: Any, name: str, kind: str) -> None:
    seed = getattr(module, name)

    @functools.wraps(seed)
    def call(*args: Any, **keywords: Any) -> Any:
        if args or keywords:
            _note(f"seeded {kind}")
        return seed(*args, **keywords)

    setattr(module, name, call)


def _on_random(module: Any) -> None:
    module._urandom = os.urandom  # it may have been imported before us, with the real one
    if "random" in _FIXES:
        module.seed(0)
    _watch_seed(module, "seed", "random")
    _watch(
        module, "random randint randrange choice choices sample shuffle uniform gauss getrandbits", "random"
    )


def _on_numpy(module: Any) -> None:
    if "numpy" in _FIXES:
        module.seed(0)
    _note("imports numpy")
    _watch_seed(module, "seed", "numpy")
    names = "rand randn randint random random_sample shuffle permutation choice normal uniform"
    _watch(module, names, "numpy")
    make = module.default_rng

    @functools.wraps(make)
    def default_rng(seed: Any = None) -> Any:
        if seed is not None:
            return make(seed)
        _note("generator", _caller())
        if "generator" in _FIXES:
            return make(0)
        _seeding.append(True)  # it draws its seed from the system: that is this chance and not another
        try:
            return make()
        finally:
            _seeding.pop()

    module.default_rng = default_rng


def _on_torch(module: Any) -> None:
    if "torch" in _FIXES:
        module.manual_seed(0)
    if "cuda" in _FIXES:
        module.backends.cudnn.benchmark = False
        module.backends.cudnn.deterministic = True
        module.use_deterministic_algorithms(True, warn_only=True)
    _note("imports torch")
    if module.cuda.is_available():
        _note("cuda")
    _watch_seed(module, "manual_seed", "torch")
    _watch(module, "rand randn randint randperm normal bernoulli multinomial", "torch")


class _Entries:
    """Entries of a folder, as `os.scandir` gives them, in another order."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def close(self) -> None:
        """Do nothing: it was read to its end."""


def _watch_listings() -> None:
    def arranged(names: list[Any], key: Any = None) -> list[Any]:
        if "listing" in _FIXES:
            return sorted(names, key=key)
        return sorted(names, key=key, reverse=True) if _REVERSE else names

    listdir, scandir = os.listdir, os.scandir

    @functools.wraps(listdir)
    def list_names(path: Any = None) -> list[Any]:
        where = _caller()
        if where:
            _note("listing", where)
        return arranged(listdir(path))

    @functools.wraps(scandir)
    def scan(path: Any = None) -> Any:
        where = _caller()
        if where:
            _note("listing", where)
        with scandir(path) as found:
            return _Entries(arranged(list(found), lambda entry: entry.name))

    os.listdir, os.scandir = list_names, scan


def _watch_entropy() -> None:
    urandom = os.urandom
    count = 0

    @functools.wraps(urandom)
    def give(size: int) -> bytes:
        nonlocal count
        where = "" if _seeding else _caller()
        if where:
            _note("entropy", where)
        if "entropy" not in _FIXES or _seeding:
            return urandom(size)
        import hashlib  # late: most programs never come here

        count += 1
        return hashlib.shake_128(count.to_bytes(8, "big")).digest(size)

    os.urandom = give


def _watch_clock() -> None:
    """Note where the time of day is read; taken away, it goes on by a millisecond a call."""
    calls = 0
    real, real_ns = time.time, time.time_ns

    def now_ns() -> int:
        nonlocal calls
        where = _caller()
        if where:
            _note("clock", where)
        if "clock" not in _FIXES or not where:
            return real_ns()
        calls += 1
        return 1_700_000_000_000_000_000 + calls * 1_000_000

    time.time_ns = functools.wraps(real_ns)(now_ns)
    time.time = functools.wraps(real)(lambda: now_ns() / 1e9)


def _start() -> None:
    from relive_hooks.on_import import Finder  # type: ignore[import-not-found]  # the recorder's, beside us

    _watch_entropy()  # first: what is imported from now on takes it over
    _watch_listings()
    _watch_clock()
    import random

    _on_random(random)
    Finder({"numpy.random": _on_numpy, "torch": _on_torch}).install()


if _FILE:
    _start()
