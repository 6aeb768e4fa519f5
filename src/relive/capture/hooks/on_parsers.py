"""Parameters as the program's parser gives them: argparse, Hydra, click and Typer, absl, Fire; defaults too.

Nothing is resolved, converted or called that the parser had not: a resolver of Hydra's may draw a number.
"""

from __future__ import annotations

import enum
import functools
import os
import re
import sys
import threading
from collections.abc import Mapping
from itertools import islice
from types import FrameType
from typing import Any, Callable

from .asking import is_own
from .recorder import Recorder
from .values import flat, is_name, plain

MOST_PARAMS = 1000
MOST_ITEMS = 100
# A program that parses line after line of something else has told its parameters long before.
MOST_PARSINGS = 1000
_DEEPEST = 16
_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")


class Told:
    """Writes parameters to the spool, and an error of ours nowhere else."""

    def __init__(self, recorder: Recorder, origin: str) -> None:
        self._recorder = recorder
        self._origin = origin
        self._parsings = 0

    def take(self, find: Callable[[], Mapping[Any, Any] | None]) -> None:
        """Write what a parser gave; None for a parser that is not the program's own."""
        if not self._recorder.records_steps or self._parsings >= MOST_PARSINGS:
            return
        try:
            found = find()
            self._parsings += found is not None
            pairs = list(flat(_kept(found or {})))[:MOST_PARAMS]
            self._recorder.spool.write(
                *(
                    {"t": "parsed", "k": name, "v": plain(value), "by": self._origin}
                    for name, value in pairs
                    if is_name(name)
                )
            )
        except Exception as error:
            self._recorder.failed(f"parameters of {self._origin}", error)


def watch_argparse(module: Any, recorder: Recorder) -> None:
    """Record the namespace of each outermost parsing of the program's own."""
    told, inside = Told(recorder, "argparse"), threading.local()

    def watched(parse: Any) -> Any:
        @functools.wraps(parse)
        def parsing(self: Any, args: Any = None, namespace: Any = None) -> Any:
            if getattr(inside, "yes", False):
                return parse(self, args, namespace)  # of a subcommand: its parser's values come with ours
            inside.yes = True
            try:
                made = parse(self, args, namespace)
            finally:
                inside.yes = False
            frame = sys._getframe(1)
            told.take(lambda: _public(made[0]) if _is_asked(frame, args) else None)
            return made

        return parsing

    parser = module.ArgumentParser
    for name in ("parse_known_args", "parse_known_intermixed_args"):
        setattr(parser, name, watched(getattr(parser, name)))


def watch_hydra(module: Any, recorder: Recorder) -> None:
    """Record the config that each job of Hydra's is given; of a sweep, every value that a name had."""
    run_job, told = module.run_job, Told(recorder, "hydra")
    seen: dict[str, list[Any]] = {}

    @functools.wraps(run_job)
    def running(task_function: Any, *args: Any, **keywords: Any) -> Any:
        @functools.wraps(task_function)
        def task(config: Any) -> Any:
            told.take(lambda: _joined(seen, _composed(config)))
            return task_function(config)

        return run_job(task, *args, **keywords)

    module.run_job = running


def watch_click(module: Any, recorder: Recorder) -> None:
    """Record what a command of the program's own is called with; Typer's commands are click's."""
    invoke, told = module.Command.invoke, Told(recorder, "click")

    @functools.wraps(invoke)
    def invoking(self: Any, context: Any) -> Any:
        told.take(lambda: _shown(self, context) if _is_own_function(self.callback) else None)
        return invoke(self, context)

    module.Command.invoke = invoking


def watch_absl(module: Any, recorder: Recorder) -> None:
    """Record the flags that the program's own modules define."""
    call, told = module.FlagValues.__call__, Told(recorder, "absl")

    @functools.wraps(call)
    def calling(self: Any, *args: Any, **keywords: Any) -> Any:
        rest = call(self, *args, **keywords)
        told.take(lambda: _flags(self))
        return rest

    module.FlagValues.__call__ = calling


def watch_fire(module: Any, recorder: Recorder) -> None:
    """Record the arguments that Fire gives to a function of the program's own."""
    make, told = module._MakeParseFn, Told(recorder, "fire")

    @functools.wraps(make)
    def making(function: Any, metadata: Any) -> Any:
        parse = make(function, metadata)

        def parsing(args: Any) -> Any:
            found = parse(args)
            told.take(lambda: _bound(function, *found[0]) if _is_own_function(function) else None)
            return found

        return parsing

    module._MakeParseFn = making


def _is_asked(frame: FrameType | None, args: Any) -> bool:
    """Tell whether the program's own code asks: itself, or through a library that reads the command line."""
    is_direct, depth = True, 0
    while frame is not None and depth < _DEEPEST:
        name = frame.f_code.co_filename
        is_hydra = str(frame.f_globals.get("__name__")).startswith("hydra.")
        if is_hydra or name.startswith("<frozen importlib"):
            return False  # a library's own options; what those of Hydra make is recorded as its config
        if is_own(frame) and os.path.dirname(name) != os.path.join(sys.prefix, "bin"):
            return is_direct or args is None or list(args) == sys.argv[1:]
        is_direct = is_direct and name == sys.modules["argparse"].__file__
        frame, depth = frame.f_back, depth + 1
    return False


def _is_own_function(function: Any) -> bool:
    for _ in range(_DEEPEST):
        if not hasattr(function, "__wrapped__"):
            break
        function = function.__wrapped__
    code = getattr(
        getattr(function, "__init__", None) if isinstance(function, type) else function, "__code__", None
    )
    return code is not None and "-packages" not in code.co_filename


def _shown(command: Any, context: Any) -> dict[str, Any]:
    """Give what a command is called with; not what it asks for as it asks for passwords."""
    hidden = {it.name for it in command.params if getattr(it, "hide_input", False)}
    return {name: value for name, value in context.params.items() if name not in hidden}


def _flags(values: Any) -> dict[str, Any]:
    own = {sys.argv[0], "__main__"} | {
        name for name, module in list(sys.modules.items()) if _is_own_file(getattr(module, "__file__", None))
    }
    defined = values.flags_by_module_dict().items()
    return {flag.name: _config(flag.value) for module, flags in defined if module in own for flag in flags}


def _is_own_file(path: Any) -> bool:
    standard = os.path.dirname(os.path.abspath(os.__file__))
    return isinstance(path, str) and "-packages" not in path and not path.startswith(standard)


def _config(value: Any) -> Any:
    return value.to_dict() if hasattr(value, "to_dict") else value  # of ml_collections


def _bound(function: Any, args: Any, keywords: Any) -> dict[str, Any]:
    bound = sys.modules["inspect"].signature(function).bind(*args, **keywords)
    bound.apply_defaults()
    return dict(bound.arguments)


def _composed(config: Any) -> dict[str, Any]:
    """Give a config with its references to its own nodes followed; resolvers stay as they are written."""
    raw = sys.modules["omegaconf"].OmegaConf.to_container(config, resolve=False)
    known = dict(flat(raw)) if isinstance(raw, dict) else {}
    return {name: _followed(known, value) for name, value in known.items()}


def _followed(known: dict[str, Any], value: Any) -> Any:
    for _ in range(_DEEPEST):
        refers = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if refers is None or refers[1] not in known:
            break
        value = known[refers[1]]
    return value


def _joined(seen: dict[str, list[Any]], found: dict[str, Any]) -> dict[str, Any]:
    """Add a job's config to those before it: what differs among them is given as the list of its values."""
    for name, value in found.items():
        values = seen.setdefault(name, [])
        if value not in values:
            values.append(value)
    return {name: values[0] if len(values) == 1 else list(values) for name, values in seen.items()}


def _public(namespace: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(namespace).items() if not name.startswith("_")}


def _kept(given: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
    """Give what has a value of its own to write down; others would show a place in memory."""
    found = {str(name): _told(value, depth) for name, value in islice(given.items(), MOST_PARAMS)}
    return {name: value for name, value in found.items() if value is not _told}


def _told(value: Any, depth: int = 0) -> Any:
    """Give a value as plain data; this function itself for one that cannot be, or fails when it is asked."""
    try:
        return _plain(value, depth)
    except Exception:
        return _told


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if callable(value):
        return (
            f"{getattr(value, '__module__', '')}.{value.__qualname__}"
            if hasattr(value, "__qualname__")
            else _told
        )
    if depth < _DEEPEST and _is_namespace(value):
        return _kept(vars(value), depth + 1)
    if depth < _DEEPEST and isinstance(value, Mapping):
        return _kept(value, depth + 1)
    if depth < _DEEPEST and isinstance(value, (list, tuple, set, frozenset)):
        some = value if isinstance(value, (set, frozenset)) else value[:MOST_ITEMS]
        items = [item for item in (_told(it, depth + 1) for it in some) if item is not _told]
        return sorted(items, key=str)[:MOST_ITEMS] if some is value else items
    return _told


def _is_namespace(value: Any) -> bool:
    namespace = getattr(sys.modules.get("argparse"), "Namespace", None)
    return namespace is not None and isinstance(value, namespace)
