"""The boot: Python imports this by itself when its folder comes first on PYTHONPATH.

PYTHONPATH stays as it is, so the Pythons that this one starts are recorded as well. Whatever goes wrong here
is written to the spool, and the user's program starts as if this file did not exist.
"""

from __future__ import annotations

import os
import sys


def _leave_path(boot: str) -> None:
    """Take the boot folder out of sys.path, so that the program sees its own and nothing more."""
    sys.path[:] = [entry for entry in sys.path if not entry or os.path.realpath(entry) != boot]


def _start_recorder(boot: str) -> None:
    # Last on sys.path: whatever the user's environment holds wins over ours.
    sys.path.append(os.path.join(os.path.dirname(boot), "agent"))
    from relive_hooks import recorder  # type: ignore[import-not-found]  # late: only now can it be found

    recorder.start()


def _report(error: BaseException) -> None:
    folder = os.environ.get("RELIVE_SPOOL_DIR")
    if not folder:
        return
    import json  # late: a Python that is recorded well never needs it here

    line = json.dumps({"t": "error", "where": "boot", "message": f"{type(error).__name__}: {error}"[:2000]})
    try:
        with open(os.path.join(folder, f"boot-{os.getpid()}.jsonl"), "a", encoding="ascii") as file:
            file.write(line + "\n")
    except OSError:
        return  # no spool to write to: the runner sees that no process reported


def _run_next() -> None:
    """Run the sitecustomize that this one hides, as Python would have; its errors are its own."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_boot = os.path.dirname(os.path.realpath(__file__))
try:
    _leave_path(_boot)
    if os.environ.get("RELIVE_SPOOL_DIR"):
        _start_recorder(_boot)
except Exception as _error:
    _report(_error)
_run_next()
