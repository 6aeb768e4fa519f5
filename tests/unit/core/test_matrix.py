"""A matrix is expanded in an order that never changes, and every combination names the same axes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.matrix import MOST_COMBINATIONS, RESERVED, Combination, combinations, suffix
from relive.core.problems import Problem


def expanded(matrix: dict[str, Any]) -> list[Combination]:
    """Give the combinations of a matrix with which nothing is wrong."""
    problems: list[Problem] = []
    found = combinations(matrix, "stages.train.matrix", problems)
    assert problems == []
    return found


def complaints(matrix: dict[str, Any]) -> str:
    """Give what is said about a matrix with which something is wrong."""
    problems: list[Problem] = []
    combinations(matrix, "stages.train.matrix", problems)
    assert problems
    return "\n".join(str(problem) for problem in problems)


def test_the_first_axis_is_the_slowest():
    found = expanded({"model": ["lr", "gbm"], "seed": [1, 2]})
    assert [suffix(one) for one in found] == [
        "[model=lr,seed=1]",
        "[model=lr,seed=2]",
        "[model=gbm,seed=1]",
        "[model=gbm,seed=2]",
    ]


def test_exclude_takes_away_by_one_axis_or_by_several():
    matrix = {"model": ["lr", "gbm"], "seed": [1, 2]}
    assert len(expanded({**matrix, "exclude": [{"model": "lr"}]})) == 2
    assert len(expanded({**matrix, "exclude": [{"model": "lr", "seed": 2}]})) == 3


def test_include_adds_whole_combinations_after_the_others():
    found = expanded({"model": ["lr"], "seed": [1], "include": [{"seed": 9, "model": "nn"}]})
    assert found == [{"model": "lr", "seed": 1}, {"model": "nn", "seed": 9}]
    assert list(found[1]) == ["model", "seed"]


def test_include_alone_is_a_matrix():
    assert expanded({"include": [{"lr": 0.1, "wd": 0}, {"lr": 0.2, "wd": 1}]}) == [
        {"lr": 0.1, "wd": 0},
        {"lr": 0.2, "wd": 1},
    ]


def test_a_value_with_other_characters_is_quoted_in_the_key():
    assert suffix({"a": "x y", "b": "1,2", "c": True, "d": 1e-05}) == '[a="x y",b="1,2",c=true,d=1e-05]'
    assert suffix({}) == ""


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ({"seed": [1], "exclude": [{"seed": 2}]}, "exclude[0] is {'seed': 2}, which fits no combination"),
        ({"seed": [1, 2], "exclude": [{"sed": 2}]}, "there is no axis sed; did you mean `seed`?"),
        ({"seed": [1, 2], "exclude": [{"seed": True}]}, "fits no combination"),
        ({"seed": [1], "exclude": [{"seed": 1}]}, "leaves no combination"),
        ({"model": ["a"], "seed": [1], "include": [{"model": "b"}]}, "no value for seed"),
        ({"seed": [1], "include": [{"seed": 2, "x": 1}]}, "the unknown axis x"),
        ({"seed": [1, 1]}, "has the combination [seed=1] twice"),
        ({"seed": [1, "1"]}, "has the combination [seed=1] twice"),
        ({"seed": [1], "include": [{"seed": 1}]}, "has the combination [seed=1] twice"),
        ({"a": list(range(17)), "b": list(range(16))}, "has 272 combinations; expected at most 256"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(matrix, words):
    said = complaints(matrix)
    assert words in said
    assert "stages.train.matrix" in said


def test_a_huge_matrix_is_refused_before_it_is_made():
    axes = {f"a{index}": list(range(400)) for index in range(50)}
    assert f"expected at most {MOST_COMBINATIONS}" in complaints(axes)


scalars = st.one_of(st.integers(-5, 5), st.sampled_from(["a", "b c", "d,e", 'f"'])).filter(
    lambda v: v is not None
)
axes = st.dictionaries(
    st.from_regex("[a-z]{1,4}", fullmatch=True).filter(lambda name: name not in RESERVED),
    st.lists(scalars, min_size=1, max_size=4, unique=True),
    min_size=1,
    max_size=3,
)


@given(axes)
def test_every_combination_is_there_once_with_a_key_of_its_own(matrix):
    found = expanded(matrix)
    count = 1
    for values in matrix.values():
        count *= len(values)
    assert len(found) == count
    assert len({suffix(one) for one in found}) == count
    assert all(list(one) == list(matrix) for one in found)
    assert expanded(dict(matrix)) == found


@given(axes, st.data())
def test_what_is_excluded_is_gone_and_nothing_else(matrix, data):
    whole = expanded(matrix)
    gone = data.draw(st.sampled_from(whole))
    problems: list[Problem] = []
    rest = combinations({**matrix, "exclude": [gone]}, "m", problems)
    assert rest == [one for one in whole if one != gone]
    assert bool(problems) == (len(whole) == 1)
