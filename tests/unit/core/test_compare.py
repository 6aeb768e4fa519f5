"""Comparing a replay with its run: the first step that differs, and the verdict."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relive.core.compare import Comparison, Follower, compare, judge, parted, same_bits, within
from relive.core.trajectory import (
    FirstDivergence,
    StepRecord,
    StepWindow,
    Trajectory,
    Verdict,
    VerdictLevel,
    latest_verdict,
)

BIT_EXACT, WITHIN, DIVERGED = VerdictLevel.BIT_EXACT, VerdictLevel.WITHIN_TOLERANCE, VerdictLevel.DIVERGED
UNRESOLVED, NOT_COMPARABLE = VerdictLevel.UNRESOLVED, VerdictLevel.NOT_COMPARABLE


def step(stream: str, number: int, *, d: dict[str, str] | None = None, **values: float) -> StepRecord:
    exact = {name: float(value).hex() for name, value in values.items()}
    return StepRecord(stream=stream, step=number, digests=d or {}, values=exact)


def of(*steps: StepRecord) -> Trajectory:
    return Trajectory(steps=steps)


TRAINING = of(
    step("batch", 0, d={"0": "aa", "1": "ab"}),
    step("loss", 0, loss=2.5),
    step("weights:SGD#0", 0, d={"0.0": "ba", "0.1": "bb"}, lr=0.1),
    step("loss", 1, loss=1.25),
    step("weights:SGD#0", 4, d={"0.0": "ca", "0.1": "cb"}),
    step("weights:SGD#0 final", 9, d={"0.0": "da", "0.1": "db"}),
)

names = st.sampled_from(["w", "b", "bias", "head.weight"])
digests = st.dictionaries(names, st.binary(min_size=1, max_size=8).map(bytes.hex), max_size=3)
values = st.dictionaries(names, st.floats().map(float.hex), max_size=3)
records = st.builds(
    StepRecord,
    stream=st.sampled_from(["loss", "batch", "weights:SGD#0", "fit:Pipeline#0"]),
    step=st.integers(0, 5),
    digests=digests,
    values=values,
)
trajectories = st.lists(records, max_size=12, unique_by=lambda it: (it.stream, it.step)).map(
    lambda steps: Trajectory(steps=tuple(steps))
)


def changed(trajectory: Trajectory, index: int, **fields: object) -> Trajectory:
    steps = list(trajectory.steps)
    steps[index] = replace(steps[index], **fields)
    return Trajectory(steps=tuple(steps))


@given(trajectories)
def test_a_trajectory_agrees_with_itself_in_every_step(trajectory):
    found = compare(trajectory, trajectory)
    assert found.first_divergence is None
    assert found.steps_compared == len(trajectory.steps)
    assert found.undigested == 0
    assert found.same_structure


@given(trajectories.filter(lambda it: any(s.values for s in it.steps)), st.data())
def test_one_changed_value_is_named_with_its_stream_and_step(trajectory, data):
    index = data.draw(st.sampled_from([i for i, s in enumerate(trajectory.steps) if s.values]))
    record = trajectory.steps[index]
    name = data.draw(st.sampled_from(sorted(record.values)))
    other = (0.5).hex() if record.values[name] != (0.5).hex() else (0.25).hex()
    replayed = changed(trajectory, index, values={**record.values, name: other})
    assert compare(trajectory, replayed).first_divergence == FirstDivergence(
        stream=record.stream, step=record.step, names=(name,)
    )


@given(trajectories.filter(lambda it: any(s.digests for s in it.steps)), st.data())
def test_one_changed_tensor_is_named_with_its_stream_and_step(trajectory, data):
    index = data.draw(st.sampled_from([i for i, s in enumerate(trajectory.steps) if s.digests]))
    record = trajectory.steps[index]
    name = data.draw(st.sampled_from(sorted(record.digests)))
    replayed = changed(trajectory, index, digests={**record.digests, name: "00" * 9})
    assert compare(trajectory, replayed).first_divergence == FirstDivergence(
        stream=record.stream, step=record.step, names=(name,)
    )


def test_the_first_of_several_differences_in_the_order_of_the_record_is_named():
    replayed = changed(TRAINING, 3, values={"loss": (9.0).hex()})
    replayed = changed(replayed, 4, digests={"0.0": "ff", "0.1": "fe"})
    assert compare(TRAINING, replayed).first_divergence == FirstDivergence(
        stream="loss", step=1, names=("loss",)
    )


def test_several_tensors_of_one_step_are_all_named():
    replayed = changed(TRAINING, 4, digests={"0.0": "ff", "0.1": "fe"})
    assert compare(TRAINING, replayed).first_divergence == FirstDivergence(
        stream="weights:SGD#0", step=4, names=("0.0", "0.1")
    )


def test_a_tensor_that_only_one_of_them_has_is_a_difference():
    replayed = changed(TRAINING, 0, digests={"0": "aa", "1": "ab", "2": "ac"})
    found = compare(TRAINING, replayed).first_divergence
    assert found is not None
    assert found.names == ("2",)


def test_a_replay_that_ends_early_diverged_where_it_ended():
    found = compare(TRAINING, of(*TRAINING.steps[:3], *TRAINING.steps[4:]))
    assert found.first_divergence == FirstDivergence(stream="loss", step=1, names=("missing",))


def test_a_replay_that_goes_on_longer_diverged_where_the_record_ends():
    found = compare(TRAINING, of(*TRAINING.steps, step("loss", 2, loss=1.0)))
    assert found.first_divergence == FirstDivergence(stream="loss", step=2, names=("beyond the record",))


def test_a_final_state_after_another_number_of_steps_diverged():
    replayed = of(*TRAINING.steps[:5], step("weights:SGD#0 final", 12, d={"0.0": "da", "0.1": "db"}))
    assert compare(TRAINING, replayed).first_divergence == FirstDivergence(
        stream="weights:SGD#0 final", step=9, names=("missing",)
    )


def test_steps_that_only_the_replay_digested_are_not_compared():
    more = of(*TRAINING.steps, step("weights:SGD#0", 3, d={"0.0": "99"}))
    assert compare(TRAINING, more).first_divergence is None


def test_a_digest_that_was_not_taken_again_is_unknown_and_no_difference():
    later = step("weights:SGD#0", 7, d={"0.0": "99", "0.1": "98"})
    replayed = of(*TRAINING.steps[:4], later, TRAINING.steps[5])
    found = compare(TRAINING, replayed)
    assert found.first_divergence is None
    assert (found.steps_compared, found.undigested) == (5, 1)
    assert judge({"acc": 0.5}, {"acc": 0.5}, steps=found).level == UNRESOLVED


def test_values_are_compared_where_digests_are_missing():
    replayed = changed(TRAINING, 2, digests={}, values={"lr": (0.2).hex()})
    found = compare(TRAINING, replayed)
    assert found.first_divergence == FirstDivergence(stream="weights:SGD#0", step=0, names=("lr",))
    assert found.undigested == 1


def test_streams_of_only_one_side_are_named():
    found = compare(TRAINING, of(*TRAINING.steps[1:], step("fit:PCA#0", 0, x=1)))
    assert found.missing_streams == ("batch",)
    assert found.extra_streams == ("fit:PCA#0",)
    assert not found.same_structure


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (0.1, 0.1, True),
        (0.1, math.nextafter(0.1, 1), False),
        (0.0, -0.0, False),
        (math.nan, -math.nan, True),
        (math.nan, 0.0, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
    ],
)
def test_bits_decide_and_nan_equals_nan(one, other, same):
    assert same_bits(one, other) is same


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.floats(), min_size=1),
    st.sampled_from(["same bytes", "same predictions"]),
)
def test_equal_metrics_and_outs_are_bit_exact(metrics, word):
    found = judge(metrics, dict(metrics), outs={"model": word})
    assert found.level == BIT_EXACT
    assert all(it.ok for it in found.metrics)


@pytest.mark.parametrize(
    ("recorded", "replayed", "level"),
    [
        (0.90, 0.919, WITHIN),  # 1.9 percentage points
        (0.90, 0.921, DIVERGED),
        (0.01, 0.02, WITHIN),  # a share, so points count and not that it doubled
        (0.0, 0.015, WITHIN),
        (100.0, 101.9, WITHIN),  # 1.9 per cent
        (100.0, 102.1, DIVERGED),
        (-50.0, -50.5, WITHIN),
        (0.99, 1.005, WITHIN),  # not both in [0, 1]: relative
        (0.5, 1.5, DIVERGED),
        (0.0, -0.0, WITHIN),
        (0.0, 5.0, DIVERGED),
        (math.nan, 0.5, DIVERGED),
        (0.5, math.nan, DIVERGED),
        (math.inf, 1e300, DIVERGED),
        (1e-320, 1e300, DIVERGED),
    ],
)
def test_the_tolerance_of_one_metric(recorded, replayed, level):
    assert judge({"m": recorded}, {"m": replayed}).level == level


def test_a_difference_and_its_limit_are_in_the_same_unit():
    share, other = judge({"acc": 0.9, "rmse": 200.0}, {"acc": 0.91, "rmse": 201.0}).metrics
    assert (share.relative, share.limit) == (False, 0.02)
    assert share.difference == pytest.approx(0.01)
    assert (other.relative, other.limit) == (True, 0.02)
    assert other.difference == pytest.approx(0.005)


def test_one_metric_outside_its_limit_is_enough_to_diverge():
    found = judge({"acc": 0.9, "loss": 2.0}, {"acc": 0.9, "loss": 3.0})
    assert found.level == DIVERGED
    assert [it.key for it in found.metrics if not it.ok] == ["loss"]
    assert "loss" in found.reason


def test_equal_metrics_with_another_step_are_within_tolerance_and_say_where():
    other = compare(TRAINING, changed(TRAINING, 3, values={"loss": (1.2500001).hex()}))
    found = judge({"acc": 0.9}, {"acc": 0.9}, steps=other)
    assert found.level == WITHIN
    assert found.first_divergence == FirstDivergence(stream="loss", step=1, names=("loss",))
    assert "loss at step 1" in found.reason


def test_equal_predictions_are_not_called_equal_bytes():
    found = judge({"loss": 1.0}, {"loss": 1.0}, outs={"model": "same predictions", "rows": "same bytes"})
    assert found.reason == (
        "Equal: 1 metric, 2 outs. Of model the recorded example's predictions, not the bytes."
    )


def test_a_differing_out_is_not_bit_exact():
    assert judge({"acc": 0.9}, {"acc": 0.9}, outs={"model": "differs"}).level == WITHIN
    assert judge({}, {}, outs={"model": "differs"}).level == DIVERGED


def test_without_metrics_a_differing_step_diverged():
    other = compare(TRAINING, changed(TRAINING, 3, values={"loss": (2.0).hex()}))
    assert judge({}, {}, steps=other).level == DIVERGED


def test_steps_alone_can_be_bit_exact():
    found = judge({}, {}, steps=compare(TRAINING, TRAINING))
    assert found.level == BIT_EXACT
    assert found.steps_compared == 6
    assert found.reason == "Equal: 6 steps."


@pytest.mark.parametrize(
    ("recorded", "replayed", "told"),
    [({"a": 1.0}, {}, "no metric a"), ({}, {"a": 1.0}, "metric a"), ({}, {}, "no metric, no out")],
)
def test_another_structure_is_not_comparable(recorded, replayed, told):
    found = judge(recorded, replayed)
    assert found.level == NOT_COMPARABLE
    assert told in found.reason


def test_other_streams_are_not_comparable():
    found = judge({"a": 1.0}, {"a": 1.0}, steps=compare(TRAINING, of(*TRAINING.steps[1:])))
    assert found.level == NOT_COMPARABLE
    assert "batch" in found.reason


def test_a_run_without_steps_is_judged_by_its_metrics():
    assert judge({"a": 1.0}, {"a": 1.0}, steps=Comparison()).level == BIT_EXACT


@given(trajectories)
def test_who_follows_a_trajectory_to_its_end_finds_nothing(trajectory):
    follower = Follower(trajectory)
    for record in trajectory.steps:
        follower.take(record)
    assert (follower.first, follower.compared) == (None, len(trajectory.steps))
    assert follower.is_complete


@given(trajectories.filter(lambda it: any(s.values for s in it.steps)), st.data())
def test_who_follows_finds_the_same_place_as_who_compares_at_the_end(trajectory, data):
    index = data.draw(st.sampled_from([i for i, s in enumerate(trajectory.steps) if s.values]))
    replayed = changed(trajectory, index, values={**trajectory.steps[index].values, "new": (0.5).hex()})
    follower = Follower(trajectory)
    for record in replayed.steps:
        follower.take(record)
    found = compare(trajectory, replayed)
    assert (follower.first, follower.last_equal) == (found.first_divergence, found.last_equal)


def test_a_longer_training_is_noticed_where_the_record_ends():
    follower = Follower(TRAINING)
    follower.take(step("weights:SGD#0", 5, d={"0.0": "99"}))  # digests may be taken of more steps
    assert follower.first is None
    follower.take(step("loss", 2, loss=1.0))
    assert follower.first == FirstDivergence(stream="loss", step=2, names=("beyond the record",))


def test_a_window_holds_no_final_state_and_is_complete_once_passed():
    window = StepWindow(first=0, last=1)
    follower = Follower(within(TRAINING, window))
    assert {it.stream for it in within(TRAINING, window).steps} == {"batch", "loss", "weights:SGD#0"}
    for record in TRAINING.steps[:3]:
        follower.take(record)
    assert not follower.is_complete
    follower.passed(step("loss", 2, loss=9.0))
    assert follower.is_complete
    assert follower.first is None


def test_a_verdict_on_a_few_steps_does_not_stand_for_the_run():
    whole = Verdict(level=DIVERGED, at=1.0)
    part = Verdict(level=BIT_EXACT, at=2.0, window=StepWindow(first=0, last=5))
    assert latest_verdict([whole, part]) == whole
    assert latest_verdict([part]) is None


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (TRAINING, "All recorded steps agree: 6."),
        (
            of(*TRAINING.steps[:1], replace(TRAINING.steps[1], values={}), *TRAINING.steps[2:]),
            "Steps part at loss",
        ),
        (of(*TRAINING.steps[1:]), "Steps of different kinds: batch."),
        (of(*TRAINING.steps, step("epoch", 0, loss=1.0)), "Steps of different kinds: epoch."),
    ],
)
def test_where_two_runs_part_is_said_in_a_sentence(other, sentence):
    assert parted(compare(TRAINING, other)).startswith(sentence)
