"""The variables of a command: few enough to be the same on the next machine, and never the runner's own."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from relive.runner.environment.projects import ProjectLayer

# What a command needs of the machine it happens to run on; nothing of it is an input of the run.
_PASSED_ON: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TERM", "SHELL", "XDG_CACHE_HOME"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"),
    }
)
_PASSED_ON_PREFIXES: Final = ("LC_", "SSL_", "NVIDIA_")
# Each of these libraries decides by itself how many threads it uses, and the number changes results.
_THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class RunIdentity:
    """Which run a command is, and how it reaches the hub.

    Attributes:
        token: Of the command; may write its own run only.
    """

    run_id: str
    hub: str
    token: str
    project: str = ""
    stage: str = ""
    commit: str = ""
    branch: str = ""


def machine_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Choose what of the runner's own environment a command may see."""
    passed_on = {
        name: value
        for name, value in environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    # Else Python keeps what is printed until it has 8 kB, and nobody can look on.
    return {**passed_on, "PYTHONUNBUFFERED": "1"}


def fixed_variables(cpus: float) -> dict[str, str]:
    """Give what relive sets so that the same inputs give the same result; a stage's `env` wins over it.

    Args:
        cpus: Of the stage's resources; each thread pool gets so many threads, at least one.
    """
    threads = str(max(1, math.floor(cpus)))
    return {
        "PYTHONHASHSEED": "0",
        **dict.fromkeys(_THREAD_VARIABLES, threads),
        # Else the size of a team depends on how busy the machine is.
        "MKL_DYNAMIC": "FALSE",
        "OMP_DYNAMIC": "FALSE",
    }


def identity_variables(identity: RunIdentity) -> dict[str, str]:
    """Tell a command which run it is, in relive's words and in those of MLflow's client."""
    told = {
        "RELIVE_RUN_ID": identity.run_id,
        "RELIVE_HUB": identity.hub,
        "RELIVE_TOKEN": identity.token,
        "RELIVE_PROJECT": identity.project,
        "RELIVE_STAGE": identity.stage,
        "RELIVE_COMMIT": identity.commit,
        "RELIVE_BRANCH": identity.branch,
        "MLFLOW_RUN_ID": identity.run_id,
        "MLFLOW_TRACKING_URI": identity.hub,
        "MLFLOW_TRACKING_TOKEN": identity.token,
    }
    return {name: value for name, value in told.items() if value}


def in_environment(variables: Mapping[str, str], prefix: Path, layer: ProjectLayer) -> dict[str, str]:
    """Put a Python environment first, as activating it would, and before it the checkout's own packages."""
    programs = [prefix / "bin"] if layer.bin is None else [layer.bin, prefix / "bin"]
    path = os.pathsep.join([*map(str, programs), variables.get("PATH") or os.defpath])
    changed = {**variables, "VIRTUAL_ENV": str(prefix), "PATH": path}
    changed.pop("PYTHONHOME", None)
    if layer.python_path:
        given = [variables["PYTHONPATH"]] if variables.get("PYTHONPATH") else []
        changed["PYTHONPATH"] = os.pathsep.join([*map(str, layer.python_path), *given])
    return changed


def uv_variables(prefix: Path) -> dict[str, str]:
    """Have `uv run` take an environment as it is, where it would make its own from an index.

    For an environment that is the command's alone: `uv sync` writes to it.
    """
    if not (prefix / "pyvenv.cfg").is_file():
        return {}
    return {"UV_PROJECT_ENVIRONMENT": str(prefix), "UV_NO_SYNC": "1"}
