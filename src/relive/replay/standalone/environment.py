"""The Python environment of a run, made from the wheels in the archive: no index, no pip, no network."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .contents import Archive, CannotMake, inside
from .wheels import install_wheel

INTERPRETER: Final = "python/"
_ANSWERS_WITHIN_S: Final = 60.0
_QUESTION: Final = (
    "import json, platform, sys; "
    "print(json.dumps([platform.python_version(), sys.implementation.name, platform.machine()]))"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python that fits.

    Attributes:
        libraries: Folder in which its own shared library lies; empty if it finds that by itself.
    """

    program: str
    version: str
    libraries: str = ""

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Give the variables with which it starts."""
        paths = [path for path in (self.libraries, environ.get("LD_LIBRARY_PATH", "")) if path]
        return {**environ, "LD_LIBRARY_PATH": os.pathsep.join(paths)} if self.libraries else dict(environ)


def make_environment(archive: Archive, target: Path, python: str = "") -> Interpreter:
    """Make the environment that the archive's lock names.

    Args:
        archive: Holds the wheels.
        target: Where it goes; must not exist.
        python: Interpreter to use; empty to look for one.

    Returns:
        The interpreter that it was made with.

    Raises:
        CannotMake: No interpreter fits, or a wheel was never kept.
        ArchiveError: A wheel is damaged.
    """
    wanted = archive.document["environment"]
    found = _find(archive, wanted, target.with_name("python"), python)
    absent = [package["filename"] for package in wanted["packages"] if not package["member"]]
    if absent:
        raise CannotMake(f"the archive lacks the wheels {', '.join(absent)}")
    command = [found.program, "-I", "-m", "venv", "--without-pip", str(target)]
    environ = found.environ(os.environ)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise CannotMake(f"{found.program} cannot make a virtual environment: {said}")
    site = _site(target, environ)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        for package in wanted["packages"]:
            wheel = inside(Path(folder), package["filename"])
            archive.extract(package["member"], wheel)
            install_wheel(wheel, target, site)
            wheel.unlink()
    return found


def _find(archive: Archive, wanted: dict[str, Any], place: Path, python: str) -> Interpreter:
    """Find the interpreter: the exact version first, then the archive's own, then the same minor version."""
    machine, implementation = wanted["machine"], wanted["implementation"]
    if machine and machine != platform.machine():
        raise CannotMake(f"its wheels are for {machine}, and this machine is {platform.machine()}")
    minor = ".".join(wanted["python"].split(".")[:2])
    found: dict[str, Interpreter] = {}
    for program in [python] if python else _candidates(minor):
        answer = _ask(Interpreter(program, ""))
        if answer and answer[1] == implementation and answer[0].rpartition(".")[0] == minor:
            found.setdefault(answer[0], Interpreter(program, answer[0]))
    if wanted["python"] in found:
        return found[wanted["python"]]
    packed = None if python else _unpack(archive, place)
    if packed is not None:
        return packed
    if not found:
        asked = f"{python} is none" if python else "this machine has none"
        raise CannotMake(f"it needs {implementation} {minor}, and {asked}; name one with --python")
    return next(iter(found.values()))


def _unpack(archive: Archive, place: Path) -> Interpreter | None:
    """Unpack the archive's own interpreter; None if it has none, or it does not start here."""
    if not archive.below(INTERPRETER):
        return None
    archive.extract_folder(INTERPRETER, place)
    program = place / "bin/python3"
    program.chmod(0o755)
    own = Interpreter(str(program), "", str(place / "lib"))
    answer = _ask(own)
    return Interpreter(own.program, answer[0], own.libraries) if answer else None


def _candidates(minor: str) -> list[str]:
    names = (shutil.which(f"python{minor}"), shutil.which("python3"), shutil.which("python"))
    # The program that an environment was made from: one of our own may lie in a virtual environment.
    own = os.path.join(sys.base_prefix, "bin", f"python{minor}")
    return [program for program in (own, sys.executable, *names) if program and os.access(program, os.X_OK)]


def _ask(interpreter: Interpreter) -> list[str] | None:
    try:
        done = subprocess.run(
            [interpreter.program, "-I", "-c", _QUESTION],
            env=interpreter.environ(os.environ),
            capture_output=True,
            timeout=_ANSWERS_WITHIN_S,
            check=True,
        )
        answer: list[str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return answer


def _site(prefix: Path, environ: Mapping[str, str]) -> Path:
    question = "import sysconfig; print(sysconfig.get_path('purelib'))"
    command = [str(prefix / "bin/python"), "-I", "-c", question]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())
