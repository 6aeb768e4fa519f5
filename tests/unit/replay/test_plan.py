"""What a target names, and what of a recorded run a replay takes over: said before anything starts."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.capture.secrets import LONGEST_VALUE, MASK
from relive.core.pipeline import Hermetic
from relive.errors import InvalidInput
from relive.replay.plan import had_network, held_as, resolve_run, variables_of


class Models:
    """Knows one model, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def get_version(self, name: str, ref: str) -> Any:
        self.asked.append((name, ref))
        return SimpleNamespace(run_id="7f3a", model=name, version=3)


def recipe(*, seen: dict[str, str] | None, env: dict[str, str] | None = None, hermetic: bool = False) -> Any:
    observed = None if seen is None else SimpleNamespace(variables=seen, hermetic=hermetic, network=hermetic)
    return SimpleNamespace(observed=observed, declared=SimpleNamespace(env=env or {}))


@pytest.mark.parametrize(
    ("target", "ref"),
    [("digits@champion", "champion"), ("digits@3", "3"), ("digits@v3", "3"), ("digits@vast", "vast")],
)
def test_a_version_is_named_by_alias_or_number(target: str, ref: str) -> None:
    models: Any = Models()
    assert resolve_run(models, target) == ("7f3a", "digits v3")
    assert models.asked == [("digits", ref)]


@given(st.text(min_size=1).filter(lambda text: "@" not in text))
def test_what_names_no_version_is_a_run(target: str) -> None:
    models: Any = Models()
    assert resolve_run(models, target) == (target, "")
    assert models.asked == []


@pytest.mark.parametrize("target", ["", "@", "@champion", "digits@"])
def test_a_target_with_an_empty_part_names_nothing(target: str) -> None:
    models: Any = Models()
    with pytest.raises(InvalidInput) as refused:
        resolve_run(models, target)
    assert (refused.value.field, refused.value.value, models.asked) == ("target", target, [])


def test_variables_that_were_seen_are_set_again_and_declared_ones_win() -> None:
    seen = {"LANG": "C", "OMP_NUM_THREADS": "4", "TOKEN": MASK, "LONG": "x" * LONGEST_VALUE}
    found = variables_of(recipe(seen=seen, env={"OMP_NUM_THREADS": "1", "MINE": "yes"}))
    assert found == {"LANG": "C", "OMP_NUM_THREADS": "1", "MINE": "yes"}


@pytest.mark.parametrize(
    "name", ["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"]
)
def test_which_devices_were_whose_is_another_machines(name: str) -> None:
    assert variables_of(recipe(seen={name: "0"})) == {}
    assert variables_of(recipe(seen={name: "0"}, env={name: "1"})) == {name: "1"}, "unless it was declared"


def test_of_a_run_that_nothing_observed_the_declared_variables_hold() -> None:
    assert variables_of(recipe(seen=None, env={"A": "1"})) == {"A": "1"}


@pytest.mark.parametrize(
    ("seen", "hermetic", "held"),
    [({}, True, Hermetic.ON), ({}, False, Hermetic.WARN), (None, False, Hermetic.WARN)],
)
def test_a_replay_is_held_to_its_inputs_as_its_run_was(
    seen: dict[str, str] | None, hermetic: bool, held: Hermetic
) -> None:
    assert held_as(recipe(seen=seen, hermetic=hermetic)) is held
    assert had_network(recipe(seen=seen, hermetic=hermetic)) is (held is Hermetic.ON)
