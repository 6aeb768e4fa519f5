"""Thread pools as the hooks found them: their sizes are inputs, because they change the last bits of sums."""

from collections.abc import Iterable
from typing import Any

from relive.formats.spool import SpooledProcess

# What is known of a pool; the rest of what a process says is not ours to keep.
_FACTS = ("library", "kind", "threads", "interop_threads", "architecture")


def read_threads(processes: Iterable[SpooledProcess]) -> tuple[dict[str, Any], ...]:
    """Give each different thread pool of all processes once, sorted.

    Returns:
        Facts of each: `library` (file name), `kind` ("openblas", "openmp", "mkl", "blis", "torch"), `threads`
        (size of its team), `architecture` (its kernel, "Haswell").
    """
    pools = {
        tuple((name, pool[name]) for name in _FACTS if isinstance(pool.get(name), str | int))
        for process in processes
        if process.exit is not None
        for pool in process.exit.threads
    }
    return tuple(dict(pool) for pool in sorted(pools, key=repr) if pool)
