"""Gates: what passes, what fails, and the sentence a person reads."""

import math
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.gates import GateResult, evaluate, name_of
from relive.core.pipeline import Gate

NAME = "champion digits v1"
finite = st.floats(-1e6, 1e6, allow_nan=False)


def judge(
    gate: Gate, metrics: Mapping[str, float], champion: Mapping[str, float] | None = None
) -> GateResult:
    """Evaluate a gate against a champion with a name."""
    return evaluate(gate, metrics, champion, champion_name=NAME)


@pytest.mark.parametrize(
    ("gate", "metrics", "ok", "reason"),
    [
        (Gate(metric="accuracy", min=0.9), {"accuracy": 0.9412}, True, "accuracy 0.9412 ≥ 0.9 (min)"),
        (Gate(metric="accuracy", min=0.9), {"accuracy": 0.9}, True, "accuracy 0.9 ≥ 0.9 (min)"),
        (Gate(metric="accuracy", min=0.9), {"accuracy": 0.87}, False, "accuracy 0.87 < 0.9 (min)"),
        (Gate(metric="p99", max=20), {"p99": 12.5}, True, "p99 12.5 ≤ 20 (max)"),
        (Gate(metric="p99", max=20), {"p99": 31.0}, False, "p99 31 > 20 (max)"),
        (Gate(metric="x", min=1, max=2), {"x": 1.5}, True, "x 1.5 ≥ 1 (min); x 1.5 ≤ 2 (max)"),
        (Gate(metric="x", min=1, max=2), {"x": 3}, False, "x 3 > 2 (max)"),
        (Gate(metric="x", min=0), {"x": -1.0}, False, "x -1 < 0 (min)"),
    ],
)
def test_thresholds(gate, metrics, ok, reason):
    result = judge(gate, metrics)
    assert (result.ok, result.reason) == (ok, reason)
    assert result.value == metrics[gate.metric]
    assert result.other is None


def test_the_limit_is_the_one_that_was_broken():
    gate = Gate(metric="x", min=1, max=2)
    assert judge(gate, {"x": 3.0}).limit == 2
    assert judge(gate, {"x": 0.0}).limit == 1
    assert judge(gate, {"x": 1.5}).limit == 1


def test_numbers_that_round_alike_are_written_in_full():
    result = judge(Gate(metric="a", min=0.9), {"a": 0.89999999})
    assert result.reason == "a 0.89999999 < 0.9 (min)"


@pytest.mark.parametrize(
    ("delta", "value", "ok", "reason"),
    [
        ({}, 0.95, True, f"accuracy 0.95 is 0.0088 above {NAME} (0.9412)"),
        ({}, 0.9412, True, f"accuracy 0.9412 equals {NAME}"),
        ({}, 0.94, False, f"accuracy 0.94 is 0.0012 below {NAME} (0.9412); it must not be below"),
        ({"min_delta": -0.005}, 0.9372, True, f"accuracy 0.9372 is 0.004 below {NAME} (0.9412)"),
        (
            {"min_delta": -0.005},
            0.8703,
            False,
            f"accuracy 0.8703 is 0.0709 below {NAME} (0.9412); at most 0.005 is allowed",
        ),
        (
            {"min_delta": 0.01},
            0.945,
            False,
            f"accuracy 0.945 is 0.0038 above {NAME} (0.9412); it must be at least 0.01 above",
        ),
        ({"max_delta": 0}, 0.9, True, f"accuracy 0.9 is 0.0412 below {NAME} (0.9412)"),
        (
            {"max_delta": 0},
            0.95,
            False,
            f"accuracy 0.95 is 0.0088 above {NAME} (0.9412); it must not be above",
        ),
        (
            {"max_delta": 0.001},
            0.95,
            False,
            f"accuracy 0.95 is 0.0088 above {NAME} (0.9412); at most 0.001 is allowed",
        ),
        (
            {"max_delta": -0.1},
            0.9,
            False,
            f"accuracy 0.9 is 0.0412 below {NAME} (0.9412); it must be at least 0.1 below",
        ),
    ],
)
def test_against_the_champion(delta, value, ok, reason):
    gate = Gate(metric="accuracy", vs="champion", **delta)
    result = judge(gate, {"accuracy": value}, {"accuracy": 0.9412})
    assert (result.ok, result.reason, result.other) == (ok, reason, 0.9412)


def test_the_edge_is_where_people_write_it_and_not_where_floats_put_it():
    assert 0.9362 - 0.9412 < -0.005  # what binary fractions say
    gate = Gate(metric="a", vs="champion", min_delta=-0.005)
    assert judge(gate, {"a": 0.9362}, {"a": 0.9412}).ok
    assert not judge(gate, {"a": 0.93619}, {"a": 0.9412}).ok


def test_without_a_champion_a_comparison_passes_but_a_threshold_still_counts():
    gate = Gate(metric="a", min=0.9, vs="champion")
    assert judge(gate, {"a": 0.95}).reason == "a 0.95 ≥ 0.9 (min); a 0.95: no champion yet"
    assert judge(gate, {"a": 0.95}).ok
    assert not judge(gate, {"a": 0.5}).ok


def test_a_champion_without_the_metric_fails_and_says_what_it_has():
    result = judge(Gate(metric="acc", vs="champion"), {"acc": 0.9}, {"accuracy": 0.9})
    assert not result.ok
    assert result.reason == (
        f"acc cannot be compared with {NAME}: there is no metric acc; the nearest are: accuracy"
    )
    broken = judge(Gate(metric="acc", vs="champion"), {"acc": 0.9}, {"acc": math.nan})
    assert not broken.ok
    assert "its acc is nan" in broken.reason


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({}, "there is no metric accuracy: no metrics were recorded"),
        ({"accurracy": 1.0, "loss": 2.0}, "there is no metric accuracy; the nearest are: accurracy"),
        ({"zz": 1.0, "yy": 2.0}, "the nearest are: yy, zz"),
    ],
)
def test_a_missing_metric_fails_and_names_the_nearest(metrics, words):
    result = judge(Gate(metric="accuracy", min=0.9), metrics)
    assert (result.ok, result.value, result.limit) == (False, None, 0.9)
    assert words in result.reason


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "gate", [Gate(metric="x", min=0), Gate(metric="x", max=0), Gate(metric="x", vs="champion")]
)
def test_what_is_not_finite_fails_every_gate(gate, value):
    result = judge(gate, {"x": value}, {"x": 0.0})
    assert not result.ok
    assert result.value is None
    assert "not a finite number" in result.reason


def test_a_gate_has_a_short_name():
    assert name_of(Gate(metric="a", min=0.9)) == "a ≥ 0.9"
    assert name_of(Gate(metric="a", min=0.9, max=1, vs="champion")) == "a ≥ 0.9 and ≤ 1 and vs champion"


@given(finite, finite, finite)
def test_it_agrees_with_exact_arithmetic(value, other, delta):
    gate = Gate(metric="x", vs="champion", min_delta=delta)
    expected = Decimal(repr(value)) - Decimal(repr(other)) >= Decimal(repr(delta))
    assert judge(gate, {"x": value}, {"x": other}).ok is expected


@given(
    st.builds(
        Gate,
        metric=st.just("x"),
        min=st.none() | finite,
        max=st.none() | finite,
        vs=st.sampled_from([None, "champion"]),
        min_delta=st.none() | finite,
        max_delta=st.none() | finite,
    ),
    st.dictionaries(st.sampled_from(["x", "y"]), st.floats()),
    st.none() | st.dictionaries(st.sampled_from(["x", "y"]), st.floats()),
)
def test_it_never_raises_and_always_gives_a_reason_for_no(gate, metrics, champion):
    result = judge(gate, metrics, champion)
    assert result.ok or result.reason
