"""A spot check is called equal only where each segment began with the recorded state and came to its end."""

from typing import Any

import pytest

from relive.core.run import RunStatus
from relive.core.spots import draw, segments_of
from relive.core.trajectory import SpotCheck, StepRecord, Trajectory, Verdict, VerdictLevel, latest_verdict
from relive.replay.spots_judged import Made, judge_spots
from relive.replay.watch import Stop
from relive.wire.jobs import StageReport

RUN = "7f3a" + "0" * 28
FINISHED = StageReport(fence=1, status=RunStatus.FINISHED)
KILLED = StageReport(fence=1, status=RunStatus.KILLED, reason="cancelled")
FAILED = StageReport(fence=1, status=RunStatus.FAILED, reason="exit code 1: division by zero")


def mark(step: int, digest: str = "aa") -> StepRecord:
    return StepRecord(stream="checkpoint", step=step, digests={"weights": digest, "random": "cc"})


def loss(step: int, value: float = 0.5) -> StepRecord:
    return StepRecord(stream="loss", step=step, values={"loss": value.hex()})


INITIAL = StepRecord(stream="weights:SGD#0", step=0, digests={"w": "00"})


def record() -> Trajectory:
    """Thirty steps, with a state every ten."""
    steps = [INITIAL]
    for step in range(30):
        steps += [loss(step), *([mark(step + 1)] if step % 10 == 9 else [])]
    return Trajectory(steps=tuple(steps))


def spots_of(*firsts: int) -> SpotCheck:
    every = segments_of(record(), [10, 20, 30])
    whole = draw(every, 3, 0)
    return SpotCheck(segments=3, drawn=tuple(it for it in whole.drawn if it.first in firsts), seed=0)


def made(*steps: StepRecord, **more: Any) -> Made:
    return Made(trajectory=Trajectory(steps=steps), **{"report": KILLED, "stop": Stop.ALL_SEEN, **more})


def second() -> list[StepRecord]:
    """Give what a spot check of the second segment records."""
    return [INITIAL, mark(10), *(loss(step) for step in range(10, 20)), mark(20)]


def judged(found: Made, *firsts: int) -> Verdict:
    return judge_spots(RUN, record(), found, spots_of(*firsts))


def test_equal_segments_are_spot_checked_and_no_more():
    verdict = judged(made(*second()), 11)
    assert verdict.level is VerdictLevel.SPOT_CHECKED
    assert not verdict.level.is_good, "it says nothing of the whole run"
    assert verdict.reason == (
        "Equal: 1 of 3 segments (steps 11..20); a single changed segment would have been missed with "
        "probability 0.67."
    )
    assert verdict.steps_compared == 11


def test_it_never_stands_for_the_run():
    whole = Verdict(level=VerdictLevel.BIT_EXACT, at=1.0)
    spot = Verdict(level=VerdictLevel.SPOT_CHECKED, spots=spots_of(11), at=2.0)
    assert latest_verdict([whole, spot]) == whole
    assert latest_verdict([spot]) is None


def test_a_loss_that_differs_is_named_with_its_segment_and_the_replay_that_decides():
    steps = [loss(16, 0.25) if it == loss(16) else it for it in second()]
    verdict = judged(made(*steps), 11)
    assert verdict.level is VerdictLevel.DIVERGED
    assert verdict.first_divergence is not None
    assert (verdict.first_divergence.stream, verdict.first_divergence.step) == ("loss", 16)
    assert "segment 11..20" in verdict.reason
    assert "relive replay 7f3a0000 --until-divergence" in verdict.reason


def test_a_state_at_the_end_that_differs_is_a_difference():
    verdict = judged(made(*second()[:-1], mark(20, "bb")), 11)
    assert verdict.level is VerdictLevel.DIVERGED
    assert verdict.first_divergence is not None
    assert verdict.first_divergence.names == ("weights",)


def test_other_initial_weights_are_found_whatever_was_drawn():
    other = StepRecord(stream="weights:SGD#0", step=0, digests={"w": "11"})
    verdict = judged(made(other, *second()[1:]), 11)
    assert verdict.level is VerdictLevel.DIVERGED
    assert "before the first segment" in verdict.reason


def test_the_first_segment_needs_no_state():
    steps = [INITIAL, *(loss(step) for step in range(10)), mark(10)]
    assert judged(made(*steps), 1).level is VerdictLevel.SPOT_CHECKED


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (made(failure="the state of step 10 cannot be had"), "the state of step 10 cannot be had"),
        (
            made(INITIAL, notes=("state of step 10: RuntimeError: not a zip",)),
            "The state of step 10 could not be loaded: state of step 10: RuntimeError: not a zip",
        ),
        (made(INITIAL, report=FINISHED, stop=None), "The program ended before step 20."),
        (
            made(INITIAL, notes=("state of step 100: of another",), report=FINISHED, stop=None),
            "The program ended before step 20.",
        ),
        (made(INITIAL, report=FAILED, stop=None), "failed before the end of segment 11..20: exit code 1"),
        (made(INITIAL, mark(10), loss(10), report=FAILED, stop=None), "division by zero"),
        (
            made(INITIAL, mark(10, "bb"), *second()[2:]),
            "After the state of step 10 was loaded, another was there: weights.",
        ),
    ],
)
def test_what_was_not_made_is_unresolved_and_never_a_difference(found: Made, said: str):
    verdict = judged(found, 11)
    assert verdict.level is VerdictLevel.UNRESOLVED
    assert said in verdict.reason


def test_a_digest_that_was_not_taken_again_leaves_it_open():
    bare = StepRecord(stream="checkpoint", step=20)
    assert judged(made(*second()[:-1], bare), 11).level is VerdictLevel.UNRESOLVED


def test_a_stream_that_a_segment_lacks_is_a_difference():
    verdict = judged(made(INITIAL, mark(10), mark(20)), 11)
    assert verdict.level is VerdictLevel.DIVERGED
    assert verdict.first_divergence is not None
    assert (verdict.first_divergence.stream, verdict.first_divergence.names) == ("loss", ("missing",))


def test_one_that_the_record_lacks_is_one_too():
    batch = StepRecord(stream="batch", step=3, digests={"0": "dd"})
    verdict = judged(made(*second()[:-1], batch, mark(20)), 11)
    assert verdict.first_divergence is not None
    assert verdict.first_divergence.names == ("not in the record",)


def test_the_first_segment_that_differs_decides():
    third = [*(loss(step) for step in range(20, 29)), loss(29, 0.1), mark(30)]
    verdict = judged(made(*second(), *third), 11, 21)
    assert verdict.level is VerdictLevel.DIVERGED
    assert "segment 21..30" in verdict.reason
    assert verdict.steps_compared == 22
