"""What the program's own code asks for: variables by name, and files with the line that opens them.

Libraries ask for many variables and open many files, too; of those the allow-list and the recorder below
Python know.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from .spool import Spool

MOST = 2000
LONGEST_NAME = 250

_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
_MAPPING = (os.__file__, "<frozen os>", "<frozen _collections_abc>", _STANDARD + "_collections_abc.py")
_PLACES = ("site-packages", "dist-packages")
# Opened at every start or every import: nothing that a person would want to find the line of.
_NOT_DATA = (".py", ".pyc", ".so", ".pth")
_MACHINE = ("/proc/", "/sys/", "/dev/")


class Asking:
    """Writes to the spool, once each, what the program's own code asks for.

    Args:
        spool: Where records go; its own folder is nothing that is asked for.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._variables: set[str] = set()
        self._files: set[str] = set()
        self._walked: set[tuple[CodeType, int]] = set()
        self._passed_over = (*_MACHINE, spool.folder)
        self._inside = threading.local()

    def install(self) -> None:
        """Begin to watch; there is no way back, as an audit hook stays."""
        os.environ.__class__ = _watched(type(os.environ), self)
        sys.addaudithook(self.heard)

    def variable(self, name: object) -> None:
        """Note a variable that was looked up, set or not."""
        if not isinstance(name, str) or name in self._variables or len(self._variables) >= MOST:
            return
        if not 0 < len(name) <= LONGEST_NAME:
            return
        frame = _caller(sys._getframe(2))
        if is_own(frame) and (frame.f_code, frame.f_lineno) not in self._walked:
            self._variables.add(name)
            self._spool.write({"t": "asked", "k": name})

    def walked(self) -> None:
        """Note that all variables are gone through here: to copy them is not to ask for each."""
        frame = _caller(sys._getframe(2))
        if is_own(frame) and len(self._walked) < MOST:
            self._walked.add((frame.f_code, frame.f_lineno))

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Hear of every event of the interpreter; must be quick, and raise nothing."""
        if event != "open" or getattr(self._inside, "yes", False):
            return
        self._inside.yes = True
        try:
            self._opened(arguments[0])
        except Exception:  # noqa: S110  # it would become the program's error; nothing is lost but a line number
            pass
        finally:
            self._inside.yes = False

    def _opened(self, path: object) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        name = os.fsdecode(path)
        if name in self._files or name.endswith(_NOT_DATA) or name.startswith(self._passed_over):
            return
        if len(self._files) >= MOST:
            return
        self._files.add(name)
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and not is_own(frame):
            frame = frame.f_back
        if frame is not None:
            at = f"{os.path.relpath(frame.f_code.co_filename)}:{frame.f_lineno}"
            self._spool.write({"t": "opened", "k": os.path.realpath(name), "at": at})


def is_own(frame: FrameType) -> bool:
    """Tell whether a frame is of the program's own code, and not of a library's."""
    name = frame.f_code.co_filename
    is_standard = name.startswith((_STANDARD, _OWN, "<frozen"))
    return not is_standard and not any(place in name for place in _PLACES)


def _caller(frame: FrameType) -> FrameType:
    """Find who called a method of the mapping, which calls others of its own."""
    while frame.f_back is not None and frame.f_code.co_filename in _MAPPING:
        frame = frame.f_back
    return frame


def _watched(kind: type[Any], asking: Asking) -> type[Any]:
    """Make a class that tells who is asked for; what it is called, and what it does, is as before."""

    class _Environ(kind):  # type: ignore[misc]
        def __getitem__(self, key: Any) -> Any:
            asking.variable(key)
            return super().__getitem__(key)

        def __contains__(self, key: Any) -> bool:
            asking.variable(key)
            return bool(super().__contains__(key))

        def __iter__(self) -> Iterator[Any]:
            asking.walked()
            return iter(super().__iter__())

        def __reduce_ex__(self, protocol: Any) -> Any:
            # A copy, and what cloudpickle sends to a worker, is of the class that everybody knows.
            return object.__new__, (kind,), self.__dict__

    _Environ.__module__, _Environ.__qualname__ = kind.__module__, kind.__qualname__
    return _Environ
