"""Trajectories: the recorded steps of a run, and the verdict on one that repeats it."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

from relive.core.tolerance import Noise

# What every form of a message can hold: MessagePack ends at 64 bits, JavaScript here.
_LARGEST_STEP: Final = 2**53
StepNumber = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_STEP)]

# A stream of this ending holds one step only: the final state, always digested.
FINAL = " final"


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded step.

    Attributes:
        stream: What was recorded: "weights:SGD#0", "batch", "loss", "fit:LogisticRegression#0", "round:…".
        step: Counts from 0 within its stream.
        digests: Tensor or field name to hex digest of its bytes.
        values: Name to exact number, as `float.hex()`.
    """

    stream: str
    step: int
    digests: dict[str, str] = {}
    values: dict[str, str] = {}


class Trajectory(msgspec.Struct, frozen=True, kw_only=True):
    """All steps of a run in the order they happened."""

    steps: tuple[StepRecord, ...] = ()


class VerdictLevel(StrEnum):
    """How far a replay agrees with the run it repeats."""

    BIT_EXACT = "bit_exact"
    WITHIN_TOLERANCE = "within_tolerance"
    DIVERGED = "diverged"
    UNRESOLVED = "unresolved"
    NOT_COMPARABLE = "not_comparable"

    @property
    def is_good(self) -> bool:
        """Tell whether the run could be made again."""
        return self in (VerdictLevel.BIT_EXACT, VerdictLevel.WITHIN_TOLERANCE)


class MetricDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of both runs and how it was judged; `limit` and `difference` in the same unit.

    Attributes:
        basis: Where the limit comes from, for people; empty in verdicts of earlier versions.
        noise: What is known of the metric's noise, in its own unit.
    """

    key: str
    recorded: float | None
    replayed: float | None
    difference: float | None
    limit: float | None
    relative: bool
    ok: bool
    basis: str = ""
    noise: Noise | None = None


class StepWindow(msgspec.Struct, frozen=True, kw_only=True):
    """Step numbers from `first` to `last`, both included."""

    first: StepNumber
    last: StepNumber

    def __contains__(self, step: int) -> bool:
        """Tell whether a step's number is among them."""
        return self.first <= step <= self.last


class StepPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a stream."""

    stream: str
    step: int


class FirstDivergence(msgspec.Struct, frozen=True, kw_only=True):
    """Where two trajectories part: the first step and the tensors that differ there."""

    stream: str
    step: int
    names: tuple[str, ...]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay showed.

    Attributes:
        run_id: The run that was repeated.
        replay_run_id: The run that repeated it.
        last_equal: The last step that agreed before they part; None if they do not, or at the very first.
        outs: Out path to "same bytes", "same predictions" or "differs".
        files: Path of a file that was left undeclared to "same bytes", "differs" or whose it is.
        steps_compared: Steps present in both trajectories.
        window: The steps that were judged, and nothing else; None for all of the run.
        inputs_differ: Facts of the recipe that were not equal, "name: recorded → replayed".
        equal_inputs: Nothing differed that can change a result: the replay tells about noise.
        substitutes: What was accepted instead of the recorded, as it was asked for.
        reason: One sentence for people.
        machine: Where the replay ran.
        at: When it was judged, seconds since the epoch.
        by: Who had it judged.
    """

    level: VerdictLevel
    run_id: str = ""
    replay_run_id: str = ""
    metrics: tuple[MetricDifference, ...] = ()
    first_divergence: FirstDivergence | None = None
    last_equal: StepPlace | None = None
    outs: dict[str, str] = {}
    files: dict[str, str] = {}
    steps_compared: int = 0
    window: StepWindow | None = None
    inputs_differ: tuple[str, ...] = ()
    equal_inputs: bool = False
    substitutes: tuple[str, ...] = ()
    reason: str = ""
    facts: dict[str, Any] = {}
    machine: str = ""
    at: float = 0.0
    by: str = ""
    id: str = ""


def latest_verdict(verdicts: Iterable[Verdict]) -> Verdict | None:
    """Give the last verdict on a whole run; what was said of a few of its steps does not stand for it."""
    return max((it for it in verdicts if it.window is None), key=lambda it: it.at, default=None)
