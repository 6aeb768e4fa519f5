"""What somebody accepts instead of the recorded, where that cannot be had: said before, and kept."""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

import msgspec
from packaging.utils import canonicalize_name

from relive.core.pipeline import EnvSpec
from relive.core.recipe import EnvironmentLock, LockedPackage
from relive.errors import EnvironmentFailed, InvalidInput
from relive.runner.environment.build import resolve_environment
from relive.runner.environment.interpreters import find_interpreter
from relive.runner.environment.wheels import WheelStore

PYTHON: Final = "python"
CPU: Final = "cpu"
GPU: Final = "gpu"
_PIN: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.+!_-]*)")
_REQUIREMENTS: Final = "requirements.txt"


class Substitutes(msgspec.Struct, frozen=True, kw_only=True):
    """What is accepted.

    Attributes:
        python: Version of the interpreter; empty for the recorded one.
        packages: Normalised name to version.
        machine: "cpu", "gpu": another one may be used.
    """

    python: str = ""
    packages: dict[str, str] = {}
    machine: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Read `python==3.12.1`, `torch==2.3.1`, `cpu` and `gpu`.

        Raises:
            InvalidInput: One has another form.
        """
        python, packages, machine = "", {}, set()
        for text in texts:
            pin = _PIN.fullmatch(text)
            if text in (CPU, GPU):
                machine.add(text)
            elif pin is None:
                wanted = "python==VERSION, PACKAGE==VERSION, cpu or gpu"
                raise InvalidInput(field="--substitute", value=text, wanted=wanted)
            elif pin[1] == PYTHON:
                python = pin[2]
            else:
                packages[str(canonicalize_name(pin[1]))] = pin[2]
        return cls(python=python, packages=packages, machine=frozenset(machine))

    @property
    def texts(self) -> tuple[str, ...]:
        """Give them as they are typed."""
        python = (f"{PYTHON}=={self.python}",) if self.python else ()
        packages = (f"{name}=={version}" for name, version in sorted(self.packages.items()))
        return (*python, *packages, *sorted(self.machine))

    def asks_index(self, lock: EnvironmentLock) -> bool:
        """Tell whether an environment with these in it has wheels that it had not."""
        return bool(self.packages) or bool(self.python and _minor(self.python) != _minor(lock.python))

    def is_same_environment(self, texts: Iterable[str]) -> bool:
        """Tell whether others, as they are typed, name the same Python and packages."""
        other = type(self).parse(texts)
        return (self.python, self.packages) == (other.python, other.packages)


def substitute(lock: EnvironmentLock, wanted: Substitutes, wheels: WheelStore) -> EnvironmentLock:
    """Give an environment with the substitutes in it, and everything else as it was locked.

    Only what differs comes from the package index; with another minor version of Python that is everything,
    because wheels are built for one.

    Args:
        wheels: Keeps what comes from the index.

    Raises:
        InvalidInput: A package that is no part of the environment is to be substituted.
        EnvironmentFailed: There is no such Python here, or the packages do not go together.
    """
    known = {it.name for it in lock.packages}
    if unknown := sorted(wanted.packages.keys() - known):
        told = f"a package of its environment: {', '.join(sorted(known)) or 'it has none'}"
        raise InvalidInput(field="--substitute", value=unknown[0], wanted=told)
    python = lock.python
    if wanted.python:
        python = find_interpreter(wanted.python, source=lock.source or "the interpreter alone").version
    is_same = _minor(python) == _minor(lock.python)
    if is_same and not wanted.packages:
        return msgspec.structs.replace(lock, python=python)
    kept = [it for it in lock.packages if is_same and it.name not in wanted.packages]
    # Of what stays the very wheels: the resolver then only says whether they go with what is new.
    given = wheels.bring(kept, source=lock.source)
    pins = [f"{it.package.name} @ {it.path.as_uri()}" for it in given]
    names = {it.name for it in kept}
    changed = (it for it in lock.packages if it.name not in names)
    pins += [f"{it.name}=={wanted.packages.get(it.name, it.version)}" for it in changed]
    found = _resolve(pins, python, wheels)
    packages = {it.name: it for it in (*found, *kept)}
    in_order = tuple(sorted(packages.values(), key=lambda it: it.name))
    return msgspec.structs.replace(lock, python=python, packages=in_order)


def _resolve(pins: list[str], python: str, wheels: WheelStore) -> tuple[LockedPackage, ...]:
    with tempfile.TemporaryDirectory(prefix="relive-substitute-") as folder:
        (Path(folder) / _REQUIREMENTS).write_text("\n".join(pins) + "\n")
        env = EnvSpec(python=python, lock=_REQUIREMENTS)
        try:
            return resolve_environment(Path(folder), env, wheels).packages
        except EnvironmentFailed as error:
            error.source = "the substitutes"  # nobody but us knows of the file
            error.hint = "relive replay RUN --substitute NAME==VERSION, with a version that fits the others"
            raise


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
