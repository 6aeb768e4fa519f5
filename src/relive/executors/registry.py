"""Opens the executor of a pool by its name; executors are entry points, relive's own among them."""

import inspect
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from relive.core.job import Pool
from relive.errors import InvalidInput
from relive.ports.executors import Executor

GROUP: Final = "relive.executors"


def open_executor(pool: Pool, data_dir: Path) -> Executor:
    """Open the executor that places a pool's jobs.

    A plugin's entry point gives a callable (data_dir, **config) -> Executor, for the config of a pool.

    Raises:
        InvalidInput: No such executor is installed, two plugins offer it, or the config does not fit it.
    """
    found = {entry.value: entry for entry in entry_points(group=GROUP, name=pool.executor)}
    if len(found) != 1:
        names = ", ".join(sorted({entry.name for entry in entry_points(group=GROUP)}))
        wanted = f"one of: {names}" if not found else f"one plugin, but these offer it: {', '.join(found)}"
        raise InvalidInput(field=f"executor of pool {pool.name!r}", value=pool.executor, wanted=wanted)
    (entry,) = found.values()
    make = entry.load()
    try:
        inspect.signature(make).bind(data_dir, **pool.config)
    except TypeError as error:
        known = [name for name in inspect.signature(make).parameters if name != "data_dir"]
        wanted = f"{', '.join(known) or 'no keys'} ({error})"
        raise InvalidInput(field=f"config of pool {pool.name!r}", value=pool.config, wanted=wanted) from None
    executor: Executor = make(data_dir, **pool.config)
    return executor
