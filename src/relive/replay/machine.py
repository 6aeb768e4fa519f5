"""What cannot be the same on this machine as where a run was recorded: found before anything is started."""

from collections.abc import Iterator

import msgspec

from relive.capture.hardware import read_hardware
from relive.core.recipe import EnvironmentLock, Hardware, Recipe
from relive.errors import EnvironmentFailed
from relive.replay.substitutes import CPU, GPU, PYTHON, Substitutes
from relive.runner.environment.interpreters import find_interpreter, own_version


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not here as it was recorded.

    Attributes:
        what: What it is, for people.
        recorded: As it was.
        here: As it is on this machine; empty for not at all.
        accept: What `--substitute` takes for it.
        is_fatal: Whether nothing can be replayed without it.
    """

    what: str
    recorded: str
    here: str
    accept: str
    is_fatal: bool = False

    @property
    def sentence(self) -> str:
        """Say it."""
        here = f"this machine has {self.here}" if self.here else "this machine has none"
        return f"it ran with {self.what} {self.recorded}, and {here}"


def look_at_machine(
    recipe: Recipe, lock: EnvironmentLock | None, accepted: Substitutes, here: Hardware | None = None
) -> list[Obstacle]:
    """Compare this machine with the recorded one; what is accepted is left out.

    Args:
        here: This machine; None to look at it.
    """
    found = [*_python(recipe, lock, accepted)]
    if recipe.observed is not None:
        found += _hardware(recipe.observed.hardware, here or read_hardware())
    return [it for it in found if it.accept not in accepted.machine]


def _python(recipe: Recipe, lock: EnvironmentLock | None, accepted: Substitutes) -> Iterator[Obstacle]:
    """Look for the very version: the next patch may compute or read otherwise, and nobody was asked."""
    interpreter = recipe.observed.interpreter if recipe.observed else None
    wanted = lock.python if lock is not None else interpreter.version if interpreter else ""
    if lock is None and not (recipe.observed and recipe.observed.distributions):
        # It runs on relive's own.
        own = own_version()
        if wanted and own not in (wanted, accepted.python):
            yield _other_python(wanted, own)
        return
    if accepted.python:
        return
    source = lock.source if lock is not None else ""
    try:
        found = find_interpreter(wanted, source=source or "the interpreter alone").version
    except EnvironmentFailed:
        found = _nearest(wanted)
    if found != wanted:
        yield _other_python(wanted, found)


def _nearest(version: str) -> str:
    """Give a Python of the same minor version if there is one, else our own."""
    try:
        return find_interpreter(".".join(version.split(".")[:2]), source="a replay").version
    except EnvironmentFailed:
        return own_version()


def _other_python(wanted: str, found: str) -> Obstacle:
    return Obstacle(what="Python", recorded=wanted, here=found, accept=f"{PYTHON}=={found}", is_fatal=True)


def _hardware(recorded: Hardware, here: Hardware) -> Iterator[Obstacle]:
    was, is_ = _gpus(recorded), _gpus(here)
    if was and was != is_:
        yield Obstacle(what="GPU", recorded=was, here=is_, accept=GPU, is_fatal=not is_)
    if recorded.cpu_flags_digest != here.cpu_flags_digest:
        # The instructions that a processor has decide which kernels run, and so the last bits.
        model = here.cpu_model if here.cpu_model != recorded.cpu_model else f"another {here.cpu_model}"
        yield Obstacle(what="processor", recorded=recorded.cpu_model, here=model, accept=CPU)


def _gpus(hardware: Hardware) -> str:
    names = ", ".join(str(gpu.get("name", "unknown")) for gpu in hardware.gpus)
    return f"{names} (driver {hardware.driver})" if names and hardware.driver else names
