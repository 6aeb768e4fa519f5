"""uv as a program: found, started with the right environment, its failures turned into our error."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from relive import settings
from relive.errors import EnvironmentFailed
from relive.runner.environment.pip_config import uv_variables

_LONGEST_S: Final = 3600.0  # an sdist of a large extension takes long; a hang must still end
_TOLD_LINES: Final = 24
# uv must neither take over an environment that happens to be active, nor see what only relive may know.
_WITHHELD: Final = (
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONPATH",
    "PYTHONHOME",
    "RELIVE_TOKEN",
    "RELIVE_SECRET_KEY",
)

_PLACES: Final = frozenset(
    {
        "UV_FIND_LINKS",
        "UV_INDEX",
        "UV_DEFAULT_INDEX",
        "UV_INDEX_URL",
        "UV_EXTRA_INDEX_URL",
        "UV_INDEX_STRATEGY",
    }
)


def uv_environment(cache: Path | None = None) -> dict[str, str]:
    """Give the variables that uv is started with: pip's configuration on this machine, and our own cache.

    Args:
        cache: uv's cache folder; None for the one beside our environments, so that files can be linked.
    """
    mine = {name: value for name, value in os.environ.items() if name not in _WITHHELD}
    mine |= uv_variables(os.environ)
    return mine | {
        "UV_CACHE_DIR": str(cache or Path(settings.cache()) / "uv"),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
    }


def offline_environment(cache: Path | None = None) -> dict[str, str]:
    """Give the variables for a uv that must find everything in what it is handed; see `uv_environment`."""
    variables = uv_environment(cache)
    # A folder that pip's configuration names would fail the build if it is gone, and add to it if it is not.
    return {name: value for name, value in variables.items() if name not in _PLACES}


def run_uv(
    arguments: Sequence[str], *, source: str, folder: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Run uv and give what it printed.

    Args:
        arguments: Its command line.
        source: What is being built, for the error.
        folder: Where it runs.
        environment: Its variables; None for `uv_environment()`.

    Raises:
        EnvironmentFailed: uv is not installed, or failed; holds uv's own words.
    """
    variables = dict(environment if environment is not None else uv_environment())
    command = [find_uv(), *arguments]
    if (
        variables.pop("UV_NO_INDEX", "")
        and arguments[0] in ("pip", "build")
        and "--no-index" not in arguments
    ):
        command.append("--no-index")
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LONGEST_S,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"uv {arguments[0]} did not end within {_LONGEST_S:.0f} s"
        raise EnvironmentFailed(source=source, reason=reason) from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")
        reason = _last_lines(said) if arguments[0] == "build" else _condensed(said)
        raise EnvironmentFailed(source=source, reason=without_logins(reason) or "uv failed without a word")
    return done.stdout.decode(errors="replace")


def find_uv() -> str:
    """Give the path of the uv program.

    Raises:
        EnvironmentFailed: It is not installed.
    """
    try:
        import uv  # late: an extra; the light client does without

        return uv.find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
        if found is None:
            raise EnvironmentFailed(
                source="this machine", reason="uv is not installed", hint="pip install 'relive[runner]'"
            ) from None
        return found


def without_logins(text: str) -> str:
    """Take user names and passwords out of the addresses in a text."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1…@", text)


def _condensed(text: str) -> str:
    """Keep what uv says about the cause, without the warnings before it."""
    lines = [line.rstrip() for line in text.strip().splitlines() if line.strip()]
    start = next((i for i, line in enumerate(lines) if line.startswith("error:")), 0)
    told = lines[start : start + _TOLD_LINES]
    if len(lines) - start > _TOLD_LINES:
        told.append(f"… ({len(lines) - start - _TOLD_LINES} lines more)")
    return "\n".join(told).removeprefix("error: ")


def _last_lines(text: str) -> str:
    """Keep the end of a build's output: what the compiler said, and then uv."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines()[-_TOLD_LINES:])
