"""Pins that do not go with each other's other version are exchanged together."""

from pathlib import Path

import pytest

from relive.core.recipe import EnvironmentLock, LockedPackage
from relive.replay.packages import exchangeable, requirements_of
from relive.runner.environment.wheels import WheelStore
from tests.support.wheels import make_wheel, sha256


@pytest.fixture
def store(tmp_path: Path) -> WheelStore:
    return WheelStore(folder=tmp_path / "kept")


def lock(tmp_path: Path, *packages: tuple[str, str, tuple[str, ...]]) -> EnvironmentLock:
    """A lock whose wheels are kept: name, version, what it needs."""
    found = []
    for name, version, requires in packages:
        wheel = make_wheel(tmp_path / "made", name, version, requires=requires)
        place = tmp_path / "kept" / sha256(wheel) / wheel.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(wheel.read_bytes())
        found.append(
            LockedPackage(
                name=name,
                version=version,
                filename=wheel.name,
                sha256=sha256(wheel),
                size_bytes=wheel.stat().st_size,
            )
        )
    return EnvironmentLock(
        python="3.11.7",
        implementation="cpython",
        platform="linux_x86_64",
        source="requirements.txt",
        packages=tuple(found),
    )


def test_what_goes_with_either_version_is_exchanged_alone(tmp_path: Path, store: WheelStore) -> None:
    one = lock(tmp_path, ("a", "1.0", ("b>=1",)), ("b", "1.0", ()), ("c", "1.0", ()))
    other = lock(tmp_path, ("a", "2.0", ("b>=1",)), ("b", "2.0", ()), ("c", "1.0", ()))
    assert exchangeable(one, other, store) == [("a",), ("b",)]


def test_what_needs_the_other_version_goes_with_it(tmp_path: Path, store: WheelStore) -> None:
    one = lock(tmp_path, ("a", "1.0", ("b<2",)), ("b", "1.0", ()), ("c", "1.0", ()))
    other = lock(tmp_path, ("a", "2.0", ()), ("b", "2.0", ("c>=2",)), ("c", "2.0", ()))
    assert exchangeable(one, other, store) == [("a", "b", "c")]


def test_what_only_one_has_goes_with_what_asks_for_it(tmp_path: Path, store: WheelStore) -> None:
    one = lock(tmp_path, ("a", "1.0", ()), ("old", "1.0", ()))
    other = lock(tmp_path, ("a", "2.0", ("new",)), ("new", "1.0", ()))
    assert exchangeable(one, other, store) == [("a", "new"), ("old",)]


def test_needs_of_extras_and_of_other_systems_do_not_count(tmp_path: Path) -> None:
    requires = ('b>=2; extra == "all"', 'c>=2; sys_platform == "win32"', "d>=2", "not a requirement !!")
    wheel = make_wheel(tmp_path, "a", "1.0", requires=requires)
    assert [str(it) for it in requirements_of(wheel)] == ["d>=2"]


def test_a_wheel_that_cannot_be_read_needs_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "a-1.0-py3-none-any.whl"
    broken.write_bytes(b"no archive")
    assert requirements_of(broken) == []
    assert requirements_of(tmp_path / "absent.whl") == []


def test_equal_environments_have_nothing_to_exchange(tmp_path: Path, store: WheelStore) -> None:
    one = lock(tmp_path, ("a", "1.0", ("b<2",)), ("b", "1.0", ()))
    assert exchangeable(one, one, store) == []


def test_what_only_one_has_and_nobody_asks_for_is_exchanged_alone(tmp_path: Path, store: WheelStore) -> None:
    one = lock(tmp_path, ("a", "1.0", ()), ("gone", "1.0", ()))
    other = lock(tmp_path, ("a", "2.0", ()), ("new", "1.0", ()))
    assert exchangeable(one, other, store) == [("a",), ("gone",), ("new",)]


def test_a_need_of_what_does_not_differ_binds_nothing(tmp_path: Path, store: WheelStore) -> None:
    one = lock(tmp_path, ("a", "1.0", ("same==1.0",)), ("same", "1.0", ()))
    other = lock(tmp_path, ("a", "2.0", ("same>=1",)), ("same", "1.0", ()))
    assert exchangeable(one, other, store) == [("a",)]


def test_names_are_one_however_they_are_written(tmp_path: Path, store: WheelStore) -> None:
    one = lock(tmp_path, ("a", "1.0", ("My_Lib<2",)), ("my-lib", "1.0", ()))
    other = lock(tmp_path, ("a", "2.0", ()), ("my-lib", "2.0", ()))
    assert exchangeable(one, other, store) == [("a", "my-lib")]


def test_a_chain_of_needs_is_one_and_two_chains_are_two(tmp_path: Path, store: WheelStore) -> None:
    names = [("a", ("b==1.0",)), ("b", ("c==1.0",)), ("c", ()), ("x", ("y==1.0",)), ("y", ()), ("z", ())]
    one = lock(tmp_path, *((name, "1.0", needs) for name, needs in names))
    other = lock(tmp_path, *((name, "2.0", ()) for name, _ in names))
    assert exchangeable(one, other, store) == [("a", "b", "c"), ("x", "y"), ("z",)]


def test_an_early_release_will_do_where_its_number_does(tmp_path: Path, store: WheelStore) -> None:
    one = lock(tmp_path, ("a", "1.0", ("b>=1",)), ("b", "1.0", ()))
    other = lock(tmp_path, ("a", "2.0", ()), ("b", "2.0rc1", ()))
    assert exchangeable(one, other, store) == [("a",), ("b",)]
