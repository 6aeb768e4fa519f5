"""What a process says of itself at its end: mapped libraries, imported modules, threads, random states."""

from __future__ import annotations

import ctypes
import os
import random
import sys
import time
from typing import Any

from .digests import digest_of

MOST_PATHS = 5000

# Found among the mapped libraries → the thread pool it is, and how it is asked for its size.
_POOLS = (
    ("openblas", "openblas", ("openblas_get_num_threads",)),
    ("libgomp", "openmp", ("omp_get_max_threads",)),
    ("libomp", "openmp", ("omp_get_max_threads",)),
    ("libiomp", "openmp", ("omp_get_max_threads",)),
    ("libmkl_rt", "mkl", ("MKL_Get_Max_Threads",)),
    ("libblis", "blis", ("bli_thread_get_num_threads",)),
)
_SWITCHES = {
    "torch": (
        "are_deterministic_algorithms_enabled",
        "backends.cudnn.benchmark",
        "backends.cudnn.deterministic",
        "backends.cudnn.allow_tf32",
        "backends.cuda.matmul.allow_tf32",
    ),
    "jax": (
        "config.jax_enable_x64",
        "config.jax_default_matmul_precision",
        "config.jax_default_prng_impl",
        "config.jax_threefry_partitionable",
    ),
}
# OpenBLAS is built under several names, so that three of them can live in one process.
_PREFIXES = ("", "scipy_")
_SUFFIXES = ("", "64_", "_64")


def exit_record() -> dict[str, Any]:
    """Make the `exit` record of this process."""
    libraries = mapped_libraries()
    return {
        "t": "exit",
        "libraries": libraries,
        "modules": imported_modules(),
        "threads": thread_pools(libraries),
        "random": {**random_states(), **switches()},
        "w": time.time(),
    }


def mapped_libraries() -> list[str]:
    """Give the paths of the shared libraries that are mapped into this process, sorted."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            fields = [line.rstrip("\n").split(None, 5) for line in file]
    except OSError:
        return []
    paths = {field[5] for field in fields if len(field) == 6 and field[5].startswith("/")}
    return sorted(path for path in paths if ".so" in os.path.basename(path))[:MOST_PATHS]


def imported_modules() -> dict[str, str]:
    """Give top-level modules with the file they came from; below a namespace package, its parts.

    Modules of the standard library are left out: the interpreter's version names them.
    """
    own = os.path.abspath(__file__)
    for _ in range(3):  # up to the folder of both the agent and its boot
        own = os.path.dirname(own)
    standard = os.path.dirname(os.path.abspath(os.__file__))
    modules: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        parent = sys.modules.get(name.rpartition(".")[0])
        if "." in name and (parent is None or getattr(parent, "__file__", None)):
            continue
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and not _is_standard(path, standard) and not path.startswith(own + os.sep):
            modules[name] = path
        if len(modules) >= MOST_PATHS:
            break
    return modules


def _is_standard(path: str, standard: str) -> bool:
    inside = path.startswith(standard + os.sep)
    return inside and "site-packages" not in path and "dist-packages" not in path


def thread_pools(libraries: list[str]) -> list[dict[str, Any]]:
    """Give each loaded thread pool with its size: OpenBLAS, OpenMP, MKL, BLIS, torch.

    The environment says what was asked for; only the libraries know what they really use.
    """
    pools: list[dict[str, Any]] = []
    for path in libraries:
        name = os.path.basename(path)
        for part, kind, functions in _POOLS:
            if part in name:
                pools.append({"library": name, "kind": kind, **_pool_facts(path, kind, functions)})
                break
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "get_num_threads") and hasattr(torch, "get_num_interop_threads"):
        facts = {"threads": torch.get_num_threads(), "interop_threads": torch.get_num_interop_threads()}
        pools.append({"library": "torch", "kind": "torch", **facts})
    return pools


def _pool_facts(path: str, kind: str, functions: tuple[str, ...]) -> dict[str, Any]:
    try:
        # Only ask for what is loaded already: nothing new may come into the process.
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD)
    except OSError:
        return {}
    facts: dict[str, Any] = {}
    for function in functions:
        count = _find(library, function)
        if count is not None:
            facts["threads"] = int(count())
    core = _find(library, "openblas_get_corename") if kind == "openblas" else None
    if core is not None:
        core.restype = ctypes.c_char_p
        facts["architecture"] = (core() or b"").decode("ascii", "replace")
    return facts


def _find(library: ctypes.CDLL, function: str) -> Any:
    for prefix in _PREFIXES:
        for suffix in _SUFFIXES:
            found = getattr(library, f"{prefix}{function}{suffix}", None)
            if found is not None:
                return found
    return None


def random_states() -> dict[str, str]:
    """Give a digest of each global random generator's state that this process has loaded."""
    states = {"python": digest_of(random.getstate())}
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        states["numpy"] = digest_of(numpy_random.get_state())
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "get_rng_state"):
        states["torch"] = digest_of(torch.get_rng_state())
    return states


def switches() -> dict[str, str]:
    """Give what decides how torch and JAX compute, as the program left it."""
    found: dict[str, str] = {}
    for library, names in _SWITCHES.items():
        module = sys.modules.get(library)
        if module is not None:
            found.update({f"{library}.{name}": str(_looked_up(module, name)) for name in names})
    return found


def _looked_up(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part, None)
    return module() if callable(module) else module
