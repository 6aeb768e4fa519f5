"""Segments between checkpoints: which there are, which are drawn, and what that proves."""

import random
from collections import Counter

import pytest

from relive.core.compare import compare
from relive.core.spots import (
    checkpoint_variables,
    draw,
    initial_weights,
    segments_of,
    state_at,
    steps_of,
    without_states,
)
from relive.core.trajectory import Segment, SpotCheck, StepRecord, Trajectory


def mark(step: int, digest: str = "aa") -> StepRecord:
    return StepRecord(stream="checkpoint", step=step, digests={"weights": digest})


def loss(step: int, value: float = 0.5) -> StepRecord:
    return StepRecord(stream="loss", step=step, values={"loss": value.hex()})


def weights(step: int, *, final: bool = False, optimizer: str = "SGD#0") -> StepRecord:
    stream = f"weights:{optimizer}" + (" final" if final else "")
    return StepRecord(stream=stream, step=step, digests={"w": f"{step:02x}"})


def training(steps: int, every: int) -> Trajectory:
    """Give what a training of so many steps with a checkpoint every so many records."""
    found = [weights(0)]
    for step in range(1, steps + 1):
        found += [loss(step - 1), weights(step)]
        if step % every == 0:
            found.append(mark(step))
    return Trajectory(steps=(*found, weights(steps, final=True)))


def names(segments: tuple[Segment, ...]) -> list[str]:
    return [str(it) for it in segments]


class TestSegments:
    def test_they_lie_between_the_states_that_are_kept_and_go_to_the_end_of_the_training(self):
        assert names(segments_of(training(25, 10), [10, 20])) == ["1..10", "11..20", "21..25"]
        assert names(segments_of(training(20, 10), [10, 20])) == ["1..10", "11..20"]

    def test_a_state_that_was_digested_but_not_kept_is_no_boundary(self):
        assert names(segments_of(training(40, 10), [20, 40])) == ["1..20", "21..40"]

    def test_a_file_that_the_record_knows_nothing_of_is_none_either(self):
        assert names(segments_of(training(20, 10), [10, 15, 20])) == ["1..10", "11..20"]

    def test_without_kept_states_there_are_none(self):
        assert segments_of(training(20, 10), []) == ()
        assert segments_of(Trajectory(), [10]) == ()

    def test_what_follows_the_last_state_is_none_if_nobody_knows_how_long_it_is(self):
        killed = Trajectory(steps=training(25, 10).steps[:-1])
        assert names(segments_of(killed, [10, 20])) == ["1..10", "11..20"]

    def test_the_steps_of_two_optimizers_are_counted_together(self):
        both = (weights(12, final=True), weights(13, final=True, optimizer="Adam#0"))
        assert names(segments_of(Trajectory(steps=(mark(20), *both)), [20])) == ["1..20", "21..25"]


class TestSteps:
    def test_they_are_what_was_recorded_between_two_states_with_the_one_at_the_end(self):
        found = steps_of(training(25, 10), Segment(first=11, last=20))
        assert found is not None
        assert [it.step for it in found.steps if it.stream == "loss"] == list(range(10, 20))
        assert [it.step for it in found.steps if it.stream == "checkpoint"] == [20]

    def test_the_first_begins_with_the_record_and_the_last_ends_with_it(self):
        first, last = (steps_of(training(25, 10), it) for it in segments_of(training(25, 10), [10, 20])[::2])
        assert first is not None
        assert last is not None
        assert first.steps[0] == weights(0)
        assert last.steps[-1] == weights(25, final=True)

    def test_a_record_that_does_not_come_to_both_ends_has_none(self):
        ended = Trajectory(steps=training(25, 10).steps[:-1])
        assert steps_of(ended, Segment(first=21, last=25)) is None, "its end was not seen"
        assert steps_of(ended, Segment(first=31, last=40)) is None

    def test_the_states_and_the_initial_weights_are_found(self):
        record = training(20, 10)
        assert state_at(record, 10) == mark(10)
        assert state_at(record, 11) is None
        assert initial_weights(record) == weights(0)
        assert initial_weights(Trajectory(steps=(weights(5), weights(0, optimizer="Adam#0")))) is None


class TestDrawing:
    SEGMENTS = segments_of(training(100, 10), range(10, 101, 10))

    def test_the_same_seed_draws_the_same_and_another_others(self):
        assert draw(self.SEGMENTS, 3, 7) == draw(self.SEGMENTS, 3, 7)
        assert len({draw(self.SEGMENTS, 3, seed).drawn for seed in range(50)}) > 20

    def test_each_is_drawn_once_at_most_and_in_the_order_of_the_training(self):
        drawn = draw(self.SEGMENTS, 4, 1).drawn
        assert list(drawn) == sorted(set(drawn), key=lambda it: it.first)
        assert len(drawn) == 4

    def test_more_than_there_are_is_all(self):
        spots = draw(self.SEGMENTS, 99, 1)
        assert (spots.drawn, spots.missed) == (self.SEGMENTS, 0)
        assert "every segment from its own checkpoint" in spots.sentence

    def test_a_changed_segment_is_missed_as_often_as_is_said(self):
        changed = random.Random(1).choice(self.SEGMENTS)
        missed = sum(changed not in draw(self.SEGMENTS, 3, seed).drawn for seed in range(4000))
        assert missed / 4000 == pytest.approx(draw(self.SEGMENTS, 3, 0).missed, abs=0.03)

    def test_each_segment_is_drawn_as_often_as_the_others(self):
        counts = Counter(it for seed in range(4000) for it in draw(self.SEGMENTS, 1, seed).drawn)
        assert min(counts[it] for it in self.SEGMENTS) > 300


class TestSentence:
    def test_it_says_which_of_how_many_and_what_may_have_been_missed(self):
        spots = SpotCheck(segments=10, drawn=(Segment(first=11, last=20), Segment(first=51, last=60)), seed=7)
        assert spots.sentence == (
            "2 of 10 segments (steps 11..20, 51..60); a single changed segment would have been missed with "
            "probability 0.8"
        )

    def test_a_probability_near_one_is_not_rounded_to_it(self):
        spots = SpotCheck(segments=5000, drawn=(Segment(first=11, last=20),), seed=7)
        assert spots.sentence.endswith("probability 0.9998")

    def test_many_segments_are_counted(self):
        drawn = tuple(Segment(first=n * 10 + 1, last=n * 10 + 10) for n in range(9))
        assert "steps 1..10, 11..20" in SpotCheck(segments=20, drawn=drawn, seed=0).steps
        assert SpotCheck(segments=20, drawn=drawn, seed=0).steps.endswith("51..60 and 3 more")


class TestComparing:
    def test_states_do_not_matter_where_only_one_side_has_them(self):
        plain = Trajectory(steps=tuple(it for it in training(20, 10).steps if it.stream != "checkpoint"))
        for one, other in ((training(20, 10), plain), (plain, training(20, 10))):
            found = compare(one, other)
            assert found.same_structure
            assert found.first_divergence is None

    def test_states_that_both_have_are_compared(self):
        other = Trajectory(
            steps=tuple(mark(20, "bb") if it == mark(20) else it for it in training(20, 10).steps)
        )
        first = compare(training(20, 10), other).first_divergence
        assert first is not None
        assert (first.stream, first.step, first.names) == ("checkpoint", 20, ("weights",))

    def test_those_of_a_second_process_are_left_out_as_well(self):
        second = StepRecord(stream="p1/checkpoint", step=10, digests={"weights": "aa"})
        assert without_states(Trajectory(steps=(loss(0), second)), Trajectory()).steps == (loss(0),)


def test_the_variable_is_there_only_if_checkpoints_are_asked_for():
    assert checkpoint_variables(0) == {}
    assert checkpoint_variables(500) == {"RELIVE_CHECKPOINTS": "500"}
