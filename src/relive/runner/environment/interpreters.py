"""The Python that an environment is for: found on this machine, and asked what it can install."""

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import packaging
from packaging.markers import Environment
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.version import InvalidVersion, Version

from relive.errors import EnvironmentFailed
from relive.runner.environment.uv import run_uv

_ANSWERS_WITHIN_S: Final = 60.0
# Run by the interpreter in question with nothing of its own environment: `packaging` is ours, by its folder.
_QUESTION: Final = """
import json, sys
sys.path.append(sys.argv[1])
from packaging import markers, tags
print(json.dumps({
    "executable": sys.executable,
    "markers": dict(markers.default_environment()),
    "tags": [[t.interpreter, t.abi, t.platform] for t in tags.sys_tags()],
    "platform": next(tags.platform_tags()),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine.

    Attributes:
        path: Of the program.
        version: "3.11.7".
        implementation: "cpython".
        platform: "linux_x86_64".
        markers: What environment markers are evaluated with.
        tags: Wheel tags it can install, the best first.
    """

    path: Path
    version: str
    implementation: str
    platform: str
    markers: Environment
    tags: tuple[Tag, ...]


def find_interpreter(request: str, *, source: str) -> Interpreter:
    """Find a Python for a request.

    Args:
        request: "3.11", "3.11.7", a range such as ">=3.11,<3.13", a path; empty for relive's own.
        source: What asks for it, for the error.

    Raises:
        EnvironmentFailed: There is none on this machine; names those that are.
    """
    if not request:
        return own_interpreter()
    own = own_interpreter()
    if own.version == request or own.version.startswith(f"{request}."):
        return own
    try:
        found = run_uv(
            ["python", "find", "--system", "--no-project", request], source=source, folder=Path("/")
        ).strip()
    except EnvironmentFailed as error:
        kept = _version_manager_python(request)
        if kept is None:
            raise _absent(request, source) from error
        found = kept
    return _ask(found)


def own_interpreter() -> Interpreter:
    """Give the Python that relive itself runs on, without the environment around it."""
    return _ask(os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable))


def own_version() -> str:
    """Give the version of relive's own Python, as `formats.locks.environment_key` wants it."""
    return platform.python_version()


@cache
def _ask(path: str) -> Interpreter:
    library = str(Path(packaging.__file__).parents[1])
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", _QUESTION, library],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_ANSWERS_WITHIN_S,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        reason = f"it does not run: {said.decode(errors='replace').strip()[-300:]}"
        raise EnvironmentFailed(source=path, reason=reason) from error
    markers = cast(Environment, answer["markers"])
    return Interpreter(
        path=Path(answer["executable"]),
        version=markers["python_full_version"],
        implementation=markers["implementation_name"],
        platform=answer["platform"],
        markers=markers,
        tags=tuple(Tag(*tag) for tag in answer["tags"]),
    )


def _version_manager_python(request: str) -> str | None:
    """Find a Python that pyenv keeps but has not put on PATH; uv sees only its shims, which then fail."""
    root = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))
    kept = {folder.name: folder / "bin/python" for folder in root.glob("versions/*")}
    fitting = [name for name, program in kept.items() if _fits(name, request) and program.exists()]
    return str(kept[max(fitting, key=Version)]) if fitting else None


def _fits(version: str, request: str) -> bool:
    """Tell whether a plain version is one that was asked for; other kinds of Python are not."""
    try:
        found = Version(version)
        wanted = SpecifierSet(request if request[:1] in "<>=!~" else f"=={request}.*")
    except (InvalidVersion, InvalidSpecifier):
        return False
    return found in wanted or version == request


def _absent(request: str, source: str) -> EnvironmentFailed:
    try:
        listed = run_uv(
            ["python", "list", "--only-installed", "--output-format", "json"], source=source, folder=Path("/")
        )
        versions = {str(it["version"]) for it in json.loads(listed)}
    except (EnvironmentFailed, ValueError):
        versions = set()
    found = ", ".join(sorted(versions | {own_version()}))
    return EnvironmentFailed(
        source=source,
        reason=f"it needs Python {request}, which is not on this machine; found: {found}",
        hint=f"install Python {request}, or ask for one that is there: a stage by env.python in relive.yaml, "
        "a model of MLflow's by being logged with it",
    )
