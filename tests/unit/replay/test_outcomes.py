"""When two results are equal: by states and metrics bit by bit, else by outs, else within the noise."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.trajectory import StepRecord, Trajectory
from relive.replay.outcomes import Bits, WithinNoise, limits_of, marks_of, mean, stable_bits
from relive.replay.variant import Result, fed_of, final_states

ACCURACY = ("metric", "accuracy")


def result(accuracy: float = 0.5, *, failure: str = "", **more: dict[str, str]) -> Result:
    return Result(run_id="r", failure=failure, metrics={"accuracy": accuracy}, **more)  # type: ignore[arg-type]


def test_equal_bits_are_one_word_and_a_failure_none() -> None:
    bits = Bits((ACCURACY,))
    assert bits.outcome(result(0.1 + 0.2)) != bits.outcome(result(0.3))
    assert bits.outcome(result(math.nan)) == bits.outcome(result(math.nan))
    assert bits.outcome(result(failure="it broke")) is None
    assert bits.outcome(Result(run_id="r")) not in (None, bits.outcome(result()))


def test_what_a_copy_does_not_repeat_is_left_out() -> None:
    record = Result(run_id="a", metrics={"accuracy": 0.5, "seconds": 1.0}, states={"fit coef": "x"})
    copy = Result(run_id="b", metrics={"accuracy": 0.5, "seconds": 2.0}, states={"fit coef": "x"})
    bits = stable_bits([(record, copy)], "")
    assert bits.names == (ACCURACY, ("state", "fit coef"))
    assert bits.compared == "1 metric, 1 final state"
    assert stable_bits([(record, copy)], "accuracy").names == (ACCURACY,)
    assert stable_bits([(record, copy)], "seconds").names == ()


def test_the_bytes_of_outs_count_only_where_nothing_else_does() -> None:
    one, other = result(outs={"model": "x"}), result(outs={"model": "y"})
    assert stable_bits([(one, one), (other, other)], "").names == (ACCURACY, ("out", "model"))
    with_states = [result(outs={"model": word}, states={"fit coef": "s"}) for word in "xy"]
    pairs = [(it, it) for it in with_states]
    assert ("out", "model") not in stable_bits(pairs, "").names
    differing = [result(value, outs={"model": word}) for value, word in ((0.5, "x"), (0.6, "y"))]
    assert stable_bits([(it, it) for it in differing], "").names == (ACCURACY,)


def test_what_was_learned_counts_and_not_what_went_in() -> None:
    steps = (
        StepRecord(stream="fit:Scaler#0", step=0, digests={"X": "1"}, values={"param verbose": "0x0p+0"}),
        StepRecord(stream="fit:Scaler#0", step=1, digests={"mean_": "2"}, values={"n_": "0x1p+0"}),
        StepRecord(stream="p1/fit:Scaler#0", step=1, digests={"mean_": "3"}),
        StepRecord(stream="weights:SGD#0", step=4, digests={"w": "4"}),
        StepRecord(stream="weights:SGD#0 final", step=9, digests={"w": "5"}),
        StepRecord(stream="loss", step=9, values={"loss": "0x1p+0"}),
    )
    assert final_states(Trajectory(steps=steps)) == {
        "fit:Scaler#0 mean_": "2",
        "fit:Scaler#0 n_": "0x1p+0",
        "p1/fit:Scaler#0 mean_": "3",
        "weights:SGD#0 final w": "5",
    }
    assert fed_of(Trajectory(steps=steps)) == {"fit:Scaler#0 0 X": "1"}


def test_marks_hold_numbers_exactly() -> None:
    marks = marks_of(result(0.1, states={"s": "1"}, outs={"o": "2"}))
    assert marks == {ACCURACY: (0.1).hex(), ("state", "s"): "1", ("out", "o"): "2"}


def test_within_the_noise_is_equal() -> None:
    measure = WithinNoise({"accuracy": 0.01}, [("first", {"accuracy": 0.5}), ("second", {"accuracy": 0.6})])
    assert measure.outcome(result(0.505)) == "first"
    assert measure.outcome(result(0.595)) == "second"
    other = measure.outcome(result(0.7))
    assert other not in ("first", "second", None)
    assert measure.outcome(result(0.705)) == other
    assert measure.outcome(result(0.8)) != other
    assert measure.outcome(Result(run_id="r")) not in ("first", "second", other)
    assert measure.outcome(result(failure="x")) is None
    assert measure.compared == "accuracy within 0.01"


def test_the_spread_within_both_is_the_noise() -> None:
    repeats = [[result(0.5), result(0.52)], [result(0.6), result(0.62)]]
    # Pooled: sd 0.01414 with 2 degrees of freedom, t 9.925, and two values are compared.
    assert limits_of(repeats, "") == pytest.approx({"accuracy": 9.925 * 0.0141421 * 2**0.5}, rel=1e-4)
    assert limits_of(repeats, "loss") == {}
    assert mean(repeats[0]) == pytest.approx({"accuracy": 0.51})
    assert mean([]) == {}


@pytest.mark.parametrize("values", [[0.1], [0.1, 0.1, 0.1], [0.1, math.nan], [1e308, -1e308]])
def test_without_a_spread_only_equal_bits_are_equal(values: list[float]) -> None:
    assert limits_of([[result(value) for value in values]], "") == {"accuracy": 0.0}


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=6))
def test_every_repeat_lies_within_the_noise_of_the_mean(values: list[float]) -> None:
    copies = [result(value) for value in values]
    slack = {key: width * (1 + 1e-9) + 1e-6 for key, width in limits_of([copies], "").items()}
    measure = WithinNoise(slack, [("first", mean(copies))])
    assert {measure.outcome(copy) for copy in copies} == {"first"}
