"""What is accepted instead of the recorded, and the environment that makes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.pipeline import EnvSpec
from relive.core.recipe import EnvironmentLock
from relive.errors import EnvironmentFailed, InvalidInput
from relive.replay.substitutes import Substitutes, substitute
from relive.runner.environment.build import resolve_environment
from relive.runner.environment.interpreters import own_version
from relive.runner.environment.wheels import WheelStore
from tests.support.wheels import make_wheel

names = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True).filter(
    lambda it: it not in ("python", "cpu", "gpu")
)
versions = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}(\+cu[0-9]{3})?", fullmatch=True)


@given(st.dictionaries(names, versions), versions, st.sets(st.sampled_from(["cpu", "gpu"])))
def test_what_is_typed_is_what_is_kept(packages: dict[str, str], python: str, machine: set[str]) -> None:
    asked = Substitutes(python=python, packages=packages, machine=frozenset(machine))
    assert Substitutes.parse(asked.texts) == asked


@pytest.mark.parametrize(
    "text", ["", "tpu", "torch", "torch=2", "torch>=2", "==2", "torch==", "torch==2;x", "a b==1"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Substitutes.parse([text])


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelStore:
    """A store beside an index that has two packages in two versions each."""
    index = tmp_path / "index"
    for version in ("1.0", "2.0"):
        make_wheel(index, "thing", version)
        make_wheel(index, "base", version)
    make_wheel(index, "picky", "1.0", requires=("base<2",))
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("RELIVE_CACHE", str(tmp_path / "cache"))
    return WheelStore(folder=tmp_path / "wheels")


def locked(tmp_path: Path, wheels: WheelStore, *pins: str) -> EnvironmentLock:
    (tmp_path / "requirements.txt").write_text("\n".join(pins) + "\n")
    return resolve_environment(tmp_path, EnvSpec(lock="requirements.txt"), wheels)


def versions_of(lock: EnvironmentLock) -> dict[str, str]:
    return {it.name: it.version for it in lock.packages}


def test_one_package_is_another_and_the_rest_is_as_it_was(tmp_path: Path, wheels: WheelStore) -> None:
    lock = locked(tmp_path, wheels, "thing==1.0", "base==1.0")
    changed = substitute(lock, Substitutes.parse(["Thing==2.0"]), wheels)
    assert versions_of(changed) == {"thing": "2.0", "base": "1.0"}
    assert [it for it in changed.packages if it.name == "base"] == [
        it for it in lock.packages if it.name == "base"
    ]
    assert (changed.python, changed.source) == (lock.python, lock.source)


def test_nothing_changes_where_the_same_is_asked_for(tmp_path: Path, wheels: WheelStore) -> None:
    lock = locked(tmp_path, wheels, "thing==1.0")
    same = Substitutes.parse(["thing==1.0", f"python=={own_version()}", "cpu"])
    assert substitute(lock, same, wheels) == lock


def test_packages_that_do_not_go_together_are_refused(tmp_path: Path, wheels: WheelStore) -> None:
    lock = locked(tmp_path, wheels, "picky==1.0")
    assert versions_of(lock) == {"picky": "1.0", "base": "1.0"}
    with pytest.raises(EnvironmentFailed, match="base"):
        substitute(lock, Substitutes.parse(["base==2.0"]), wheels)


def test_what_no_index_has_and_what_it_never_had_is_named(tmp_path: Path, wheels: WheelStore) -> None:
    lock = locked(tmp_path, wheels, "thing==1.0")
    with pytest.raises(EnvironmentFailed, match=r"3\.0"):
        substitute(lock, Substitutes.parse(["thing==3.0"]), wheels)
    with pytest.raises(InvalidInput, match="thing"):
        substitute(lock, Substitutes.parse(["other==1.0"]), wheels)
    with pytest.raises(EnvironmentFailed, match=r"2\.7\.18"):
        substitute(lock, Substitutes.parse(["python==2.7.18"]), wheels)


def test_a_version_that_nobody_has_is_told_without_a_file_that_nobody_wrote(
    tmp_path: Path, wheels: WheelStore
) -> None:
    lock = locked(tmp_path, wheels, "thing==1.0", "base==1.0")
    with pytest.raises(EnvironmentFailed) as failed:
        substitute(lock, Substitutes.parse(["thing==9.9"]), wheels)
    told = str(failed.value)
    assert "The environment of the substitutes could not be built" in told
    assert "thing==9.9" in told
    assert "requirements.txt" not in told
    assert "--substitute NAME==VERSION" in told
