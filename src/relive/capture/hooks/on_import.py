"""Call a function right after a module was imported, without importing anything the user did not ask for."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Callable

Watcher = Callable[[ModuleType], None]


class Finder(MetaPathFinder):
    """Let the finders after it find a module, and hand the module to its watcher once it has run.

    The module keeps its own loader and spec; each name is watched once, then the finder forgets it.

    Args:
        watchers: Full module name to what is called with the module; must not raise.
    """

    def __init__(self, watchers: dict[str, Watcher]) -> None:
        self._watchers = watchers

    def install(self) -> None:
        """Begin to watch; modules that are imported already are handed over now."""
        for name in [name for name in self._watchers if name in sys.modules]:
            self._watchers.pop(name)(sys.modules[name])
        sys.meta_path.insert(0, self)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a watched module by the other finders; say None for every other name."""
        watcher = self._watchers.get(fullname)
        if watcher is None:
            return None
        spec = self._found_by_others(fullname, path, target)
        loader = getattr(spec, "loader", None)
        if spec is None or not hasattr(loader, "exec_module"):
            return spec
        self._watchers.pop(fullname, None)
        try:
            _run_after(loader, watcher)
        except AttributeError:
            pass  # a loader without room for attributes: the module stays unwatched
        return spec

    def _found_by_others(self, fullname: str, path: Any, target: Any) -> ModuleSpec | None:
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(fullname, path, target)
            if spec is not None:
                return spec
        return None


def _run_after(loader: Any, watcher: Watcher) -> None:
    run = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module  # the class's own comes back: nothing of ours stays in the loader
        run(module)
        watcher(module)

    loader.exec_module = exec_module
