"""Shares of an effect: they sum to it, and treat equals equally."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.attribution import Subset
from relive.core.shares import shares, subsets_of

NAMES = ["data", "lr", "xgboost", "seed"]


@st.composite
def effects(draw: st.DrawFn) -> tuple[list[str], dict[Subset, float]]:
    names = NAMES[: draw(st.integers(1, 4))]
    return names, {subset: draw(st.floats(-1e3, 1e3)) for subset in subsets_of(names)}


@given(effects())
def test_shares_sum_to_the_effect(effect: tuple[list[str], dict[Subset, float]]) -> None:
    names, values = effect
    found = shares(names, values)
    assert found is not None
    whole = values[frozenset(names)] - values[frozenset()]
    assert sum(found.values()) == pytest.approx(whole, abs=1e-6)


def test_gives_each_what_it_adds_alone() -> None:
    weights = {"data": 0.5, "lr": -0.25, "seed": 0.0}
    values = {subset: sum(weights[name] for name in subset) for subset in subsets_of(list(weights))}
    assert shares(list(weights), values) == pytest.approx(weights)


def test_halves_what_comes_only_together() -> None:
    values = {subset: float(len(subset) == 2) for subset in subsets_of(["data", "lr"])}
    assert shares(["data", "lr"], values) == {"data": 0.5, "lr": 0.5}


def test_says_nothing_if_a_subset_is_not_known() -> None:
    values = dict.fromkeys(subsets_of(["data", "lr"]), 1.0)
    del values[frozenset({"lr"})]
    assert shares(["data", "lr"], values) is None


def test_lists_the_subsets_from_none_to_all() -> None:
    found = subsets_of(["b", "a"])
    assert found == [frozenset(), frozenset("a"), frozenset("b"), frozenset("ab")]
