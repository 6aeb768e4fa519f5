"""Beginnings: what of the first steps is a state, when they tell two runs apart, and when they do not pay."""

import pytest

from relive.core.trajectory import StepRecord, Trajectory
from relive.replay.early import beginning_of, find_horizon


def training(*weights: str, n_steps: int = 40, stream: str = "weights:SGD#0") -> Trajectory:
    """A training whose weights were these after its first steps."""
    steps = [
        StepRecord(stream=stream, step=number, digests={"w": weights[min(number, len(weights) - 1)]})
        for number in range(n_steps)
    ]
    return Trajectory(steps=(*steps, StepRecord(stream=f"{stream} final", step=n_steps, digests={"w": "f"})))


def test_inputs_settings_and_losses_are_no_state() -> None:
    steps = (
        StepRecord(stream="batch", step=0, digests={"x": "1"}),
        StepRecord(stream="loss", step=0, values={"loss": "0x1p+0"}),
        StepRecord(stream="fit:Scaler#0", step=0, digests={"X": "1"}),
        StepRecord(stream="round:xgboost.train#0", step=0, digests={"labels": "1"}),
        StepRecord(stream="round:xgboost.train#0", step=1, digests={"trees": "2"}),
        StepRecord(stream="p1/weights:SGD#0", step=0, digests={"w": "3"}, values={"lr": "0x1p+0"}),
        StepRecord(stream="rank1/step:net", step=4, digests={"w": "4"}),
        StepRecord(stream="rank1/step:net", step=5, digests={"w": "5"}),
        StepRecord(stream="rank1/step:net final", step=2, digests={"w": "6"}),
    )
    assert beginning_of(Trajectory(steps=steps)) == {
        1: {"round:xgboost.train#0 trees": "2"},
        0: {"p1/weights:SGD#0 w": "3"},
        4: {"rank1/step:net w": "4"},
    }


def test_the_horizon_is_where_the_two_part() -> None:
    one, other = training("0", "1", "2"), training("0", "1", "3")
    horizon = find_horizon(one, other, 60.0)
    assert horizon is not None
    assert (horizon.step, horizon.recorded) == (2, one)
    assert horizon.first != horizon.second
    same_at_first = beginning_of(training("0", "1", "2", "7"))
    assert horizon.outcome("", same_at_first) == horizon.first
    assert horizon.outcome("", beginning_of(training("0", "9", "2"))) not in (horizon.first, horizon.second)
    assert horizon.outcome("it broke", same_at_first) is None


@pytest.mark.parametrize(
    ("outcome", "word"),
    [("first", "as the first"), ("second", "as the second"), ("x", "otherwise"), (None, "failed")],
)
def test_outcomes_have_words(outcome: str | None, word: str) -> None:
    horizon = find_horizon(training("0", "1"), training("0", "2"), 60.0)
    assert horizon is not None
    known = {"first": horizon.first, "second": horizon.second}
    assert horizon.word_of(known.get(outcome, outcome) if outcome else None) == word


@pytest.mark.parametrize(
    ("other", "wall_s"),
    [
        (training("0", "1"), 60.0),  # they are equal
        (training("0", "1", "1", "1", "1", "2"), 60.0),  # they part where not every run is digested
        (training("0", "2"), 1.0),  # the start costs more than all steps
        (training("0", "2", n_steps=10), 60.0),
        (training("0", "2", stream="batch"), 60.0),
        (Trajectory(), 60.0),
    ],
)
def test_there_is_none_where_it_tells_nothing_or_does_not_pay(other: Trajectory, wall_s: float) -> None:
    one = training("0", "1", n_steps=len(other.steps) - 1) if len(other.steps) == 11 else training("0", "1")
    assert find_horizon(one, other, wall_s) is None
