"""An environment that no lock names: what of it can be had again, and what that gives."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from relive.core.command import command_of
from relive.core.recipe import Code, Declared, Distribution, Hardware, Interpreter, Observed, Recipe
from relive.errors import EnvironmentFailed, InvalidInput
from relive.replay.substitutes import Substitutes
from relive.replay.unlocked import Seen, lock_seen, seen_environment
from relive.runner.environment.interpreters import own_version
from relive.runner.environment.wheels import WheelStore
from tests.support.wheels import make_wheel

NOTHING = Substitutes()
HARDWARE = Hardware(
    cpu_model="x", cpu_vendor="x", cpu_flags_digest="", cores=1, cores_allowed=1, memory_bytes=1
)


def recipe(*installed: Distribution, environment: str = "", places: tuple[str, ...] = ()) -> Recipe:
    code = Code(manifest="blake3:00", commit="", branch="")
    declared = Declared(command="python train.py", code=code, environment=environment)
    interpreter = Interpreter(version=own_version(), implementation="cpython", places=places)
    observed = Observed(hardware=HARDWARE, interpreter=interpreter, distributions=installed)
    return Recipe(declared=declared, observed=observed)


def installed(name: str, version: str = "1.0", **more: Any) -> Distribution:
    return Distribution(name=name, version=version, **more)


def found(*distributions: Distribution, accepted: Substitutes = NOTHING) -> Seen:
    seen = seen_environment(recipe(*distributions), accepted)
    assert seen is not None
    return seen


def test_a_run_with_a_lock_or_without_python_needs_none_of_this() -> None:
    assert seen_environment(recipe(installed("thing"), environment="blake3:00"), NOTHING) is None
    without = recipe()
    assert without.observed is not None
    shell = replace(without, observed=replace(without.observed, interpreter=None))
    assert seen_environment(shell, NOTHING) is None


def test_an_environment_without_packages_is_one() -> None:
    assert found().pins == {}


def test_an_index_is_asked_for_names_and_versions_as_they_are_written_by_the_standard() -> None:
    seen = found(installed("Some.Thing", "2.1+cpu"), installed("other_thing"))
    assert seen.pins == {"some-thing": "2.1+cpu", "other-thing": "1.0"}
    assert (seen.python, seen.folders, seen.lost, seen.left_out) == (own_version(), (), (), ())


def test_what_was_installed_from_the_code_is_used_as_it_lies_there() -> None:
    seen = found(installed("mine", origin="path", editable=True, imported=True, folder="."))
    assert (seen.pins, seen.folders, seen.lost) == ({}, (".",), ())


@pytest.mark.parametrize(
    ("origin", "word"),
    [
        ("path", "a folder of that machine"),
        ("vcs", "a repository"),
        ("url", "an address"),
        ("conda", "conda"),
    ],
)
def test_what_came_from_elsewhere_is_lost_if_it_was_used(origin: str, word: str) -> None:
    assert found(installed("thing", origin=origin, imported=True)).lost == (f"thing==1.0 ({word})",)
    unused = found(installed("thing", origin=origin))
    assert (unused.lost, unused.left_out) == ((), (f"thing==1.0 ({word})",))
    assert any("thing==1.0" in obstacle.sentence for obstacle in unused.obstacles(is_kept=False))
    assert not any(obstacle.is_fatal for obstacle in unused.obstacles(is_kept=False))


def test_a_substitute_takes_the_place_of_what_is_lost_and_of_a_version() -> None:
    accepted = Substitutes.parse(["thing==2.0", "Plain==3.0", "python==3.9"])
    seen = found(installed("thing", origin="vcs", imported=True), installed("plain"), accepted=accepted)
    assert (seen.pins, seen.lost, seen.python) == ({"thing": "2.0", "plain": "3.0"}, (), "3.9")


def test_only_what_was_there_can_be_substituted() -> None:
    with pytest.raises(InvalidInput, match="a package that was there: thing"):
        found(installed("thing"), accepted=Substitutes.parse(["other==1.0"]))


@pytest.mark.parametrize(
    ("command", "workdir", "again"),
    [
        ("/srv/p/.venv/bin/python train.py", ".", "python train.py"),
        (".venv/bin/python train.py", ".", "python train.py"),
        ("./.venv/bin/python train.py", ".", "python train.py"),
        ("../.venv/bin/torchrun train.py", "sub", "torchrun train.py"),
        ("cd sub && ../.venv/bin/python train.py", ".", "cd sub && python train.py"),
        ("A=1 '/srv/p/.venv/bin/python3.11' a && .venv/bin/tool", ".", "A=1 'python3.11' a && tool"),
        ("python train.py --at /srv/p/.venv/lib/x", ".", "python train.py --at /srv/p/.venv/lib/x"),
        ("/mnt/srv/p/.venv/bin/python train.py", ".", "/mnt/srv/p/.venv/bin/python train.py"),
        ("my.venv/bin/python train.py", ".", "my.venv/bin/python train.py"),
    ],
)
def test_a_program_that_was_named_by_its_place_is_that_of_the_new_environment(
    command: str, workdir: str, again: str
) -> None:
    made = recipe(places=("/srv/p/.venv", ".venv"))
    declared = msgspec.structs.replace(made.declared, command=command, workdir=workdir)
    assert command_of(msgspec.structs.replace(made, declared=declared)) == again
    locked = msgspec.structs.replace(declared, environment="blake3:00")
    assert command_of(msgspec.structs.replace(made, declared=locked)) == command, "as it was, with a lock"
    assert command_of(msgspec.structs.replace(made, declared=declared, observed=None)) == command


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("cd a && env/bin/python x.py", "cd a && python x.py"),
        ("a/env/bin/python x.py", "python x.py"),
        ("cd a/b; ../env/bin/python x.py", "cd a/b; python x.py"),
        ("b/env/bin/python x.py", "b/env/bin/python x.py"),
    ],
)
def test_an_environment_deep_in_the_code_is_known_from_every_folder(command: str, again: str) -> None:
    made = recipe(places=("/srv/p/a/env", "a/env"))
    declared = msgspec.structs.replace(made.declared, command=command)
    assert command_of(msgspec.structs.replace(made, declared=declared)) == again


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelStore:
    index = tmp_path / "index"
    for version in ("1.0", "2.0"):
        make_wheel(index, "thing", version)
    make_wheel(index, "needy", "1.0", requires=("thing>=2", "absent"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("RELIVE_CACHE", str(tmp_path / "cache"))
    return WheelStore(folder=tmp_path / "wheels")


def test_exactly_what_was_installed_is_found_though_it_does_not_go_together(wheels: WheelStore) -> None:
    seen = found(installed("needy"), installed("thing"), installed("mine", origin="path", folder="pkg"))
    lock = lock_seen(seen, wheels)
    assert [(it.name, it.version) for it in lock.packages] == [("needy", "1.0"), ("thing", "1.0")]
    assert (lock.python, lock.source, lock.folders) == (own_version(), "", ("pkg",))
    assert all(wheels.has(package) for package in lock.packages)


def test_a_version_that_no_index_has_is_named(wheels: WheelStore) -> None:
    with pytest.raises(EnvironmentFailed, match=r"thing.*9\.9"):
        lock_seen(found(installed("thing", "9.9")), wheels)


def test_what_fails_is_said_of_the_packages_and_not_of_a_file_that_nobody_wrote(wheels: WheelStore) -> None:
    with pytest.raises(EnvironmentFailed) as failed:
        lock_seen(found(installed("thing", "9.9")), wheels)
    assert str(failed.value).startswith("The environment of the packages that were seen could not be built")
