"""Lies in a user's interpreter during a preflight: notes where chance enters, and can take it away.

It is laid out as a `sitecustomize` behind the recorder's, which runs it. Standard library only, for any
Python from 3.9 on. RELIVE_PROBE_FILE names the file for notes, one JSON list [kind, where] a line;
RELIVE_PROBE_FIXES what is to be taken away, between commas; RELIVE_PROBE_REVERSE turns listings round;
RELIVE_PROBE_NOISE a file of bytes that stands in for the system's devices of chance.
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
_NOISE = os.environ.get("RELIVE_PROBE_NOISE", "")
_DEVICES = ("/dev/urandom", "/dev/random", "/dev/hwrng")
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
    """Name the nearest line that is neither the standard library's nor an installed package's.

    The package that it went through is named as well; without such a line (in a library's own thread) the
    package's line is, and without a package it is "".
    """
    frame = sys._getframe(2)
    through = ""
    while frame is not None:
        path, module = frame.f_code.co_filename, str(frame.f_globals.get("__name__"))
        package = module.partition(".")[0]
        if package in ("relive", "relive_hooks"):
            return ""  # the recorder reads the clock for itself
        if "site-packages" in path:
            through = through or f"{package}: {module}:{frame.f_lineno}"
        elif _is_users(path, module):
            name = path if path.startswith("<") else os.path.relpath(path)
            way = f" (through {through.partition(':')[0]})" if through else ""
            return f"{name}:{frame.f_lineno}{way}"
        frame = frame.f_back  # type: ignore[assignment]  # None at the outermost
    return through.partition(": ")[2]


def _is_users(path: str, module: str) -> bool:
    """Tell whether a line is the user's: also that of `python -c CODE` or of standard input."""
    if path in ("<string>", "<stdin>"):
        return module == "__main__"
    return not path.startswith(("<", _LIBRARY)) and path != __file__


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
    _watch_instances(module)


def _watch_instances(module: Any) -> None:
    """Watch generators of one's own, `random.Random()`: seeded by the system unless they are given a seed."""
    seed = module.Random.seed

    def give(self: Any, a: Any = None, version: int = 2) -> None:
        # Names of temporary files come from one as well, and are no result.
        if a is None and sys._getframe(2).f_globals.get("__name__") != "tempfile":
            where = _caller()
            if where:
                _note("instance", where)
            if where and "instance" in _FIXES:
                a = 0
        seed(self, a, version)

    module.Random.seed = give


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


def _on_sklearn(module: Any) -> None:
    """Name who has scikit-learn draw from NumPy's global generator, whose methods cannot be watched."""
    check = module.check_random_state

    @functools.wraps(check)
    def check_random_state(seed: Any) -> Any:
        if seed is None:
            _note("numpy", _caller())
        return check(seed)

    module.check_random_state = check_random_state


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
    if hasattr(os, "getrandom"):
        os.getrandom = lambda size, flags=0: give(size)


def _watch_devices() -> None:
    """Watch who reads chance as a file; taken away, a file of always the same bytes is opened instead."""
    import builtins
    import io

    def watched(opened: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(opened)
        def call(file: Any, *args: Any, **keywords: Any) -> Any:
            if isinstance(file, (str, bytes, os.PathLike)) and os.fsdecode(file) in _DEVICES:
                where = _caller()
                if where:
                    _note("device", where)
                if where and "device" in _FIXES:
                    file = _NOISE
            return opened(file, *args, **keywords)

        return call

    builtins.open = io.open = watched(open)
    os.open = watched(os.open)


def _watch_clock() -> None:
    """Note where the time of day is read; taken away, it goes on by a millisecond a call."""
    import datetime as dt

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
    for name in ("localtime", "gmtime", "ctime"):
        setattr(time, name, _given_time(getattr(time, name), 0, now_ns))
    time.strftime = _given_time(time.strftime, 1, now_ns)
    dt.datetime = _watched_datetime(dt, now_ns)  # type: ignore[misc]


def _given_time(read: Callable[..., Any], position: int, now_ns: Callable[[], int]) -> Callable[..., Any]:
    """Give a function of `time` that takes the time from us where it is not given one."""
    localtime = time.localtime

    @functools.wraps(read)
    def call(*args: Any) -> Any:
        if len(args) > position and args[position] is not None:
            return read(*args)
        now = now_ns() / 1e9
        return read(*args[:position], localtime(now) if position else now)

    return call


def _watched_datetime(dt: Any, now_ns: Callable[[], int]) -> Any:
    """Give a `datetime` whose `now` is watched; what it makes are plain ones, which cannot be."""
    real = dt.datetime
    utc = dt.timezone(dt.timedelta(0))

    class Kind(type):
        def __instancecheck__(cls, one: object) -> bool:
            return isinstance(one, real) if cls is Watched else type.__instancecheck__(cls, one)

        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, real) if cls is Watched else type.__subclasscheck__(cls, other)

    def now(zone: Any = None) -> Any:
        return real.fromtimestamp(now_ns() / 1e9, zone)

    class Watched(real, metaclass=Kind):  # type: ignore[misc, valid-type]  # what it is given
        def __new__(cls, *args: Any, **keywords: Any) -> Any:
            return real.__new__(real if cls is Watched else cls, *args, **keywords)

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return now(tz) if cls is Watched else super().now(tz)

        @classmethod
        def today(cls) -> Any:
            return now() if cls is Watched else super().today()

        @classmethod
        def utcnow(cls) -> Any:
            return now(utc).replace(tzinfo=None) if cls is Watched else super().utcnow()

    import copyreg

    Watched.__name__, Watched.__qualname__, Watched.__module__ = "datetime", "datetime", "datetime"
    # Plain ones are looked up by this name when they are pickled, and it is another class's now.
    copyreg.pickle(real, lambda one: (Watched, one.__reduce_ex__(2)[1]))
    return Watched


def _watch_order() -> None:
    """Note what cannot be taken away from inside: threads, and programs that are not looked into."""
    import subprocess
    import threading

    _watch(threading.Thread, "start", "threads started")
    start = subprocess.Popen.__init__

    @functools.wraps(start)
    def begin(self: Any, *args: Any, **keywords: Any) -> None:
        where = _caller()
        if where:
            _note("programs", where)
        start(self, *args, **keywords)

    subprocess.Popen.__init__ = begin  # type: ignore[method-assign]


def _start() -> None:
    from relive_hooks.on_import import Finder  # type: ignore[import-not-found]  # the recorder's, beside us

    _note("python")
    _watch_entropy()  # first: what is imported from now on takes it over
    _watch_listings()
    _watch_clock()
    _watch_devices()
    _watch_order()
    import random

    _on_random(random)
    known = {"numpy.random": _on_numpy, "torch": _on_torch, "sklearn.utils.validation": _on_sklearn}
    Finder(known).install()


if _FILE:
    _start()
