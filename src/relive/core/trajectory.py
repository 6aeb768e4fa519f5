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

_SHOWN_SEGMENTS: Final = 6


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
    SPOT_CHECKED = "spot_checked"

    @property
    def is_good(self) -> bool:
        """Tell whether the run could be made again."""
        return self in (VerdictLevel.BIT_EXACT, VerdictLevel.WITHIN_TOLERANCE)


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """Steps of a training between two checkpoints.

    Attributes:
        first: Its first step, counted from 1 over all optimizers; the state before it is known.
        last: Its last; there is a checkpoint behind it, or the end of the training.
    """

    first: int
    last: int

    @property
    def begin(self) -> int:
        """The step behind which it begins, 0 for the start of the program."""
        return self.first - 1

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"


class SpotCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Which segments of a training were made again.

    Attributes:
        segments: How many the training has.
        drawn: Those that were.
        seed: With which they were drawn.
    """

    segments: int
    drawn: tuple[Segment, ...]
    seed: int

    @property
    def missed(self) -> float:
        """How probable it was that one changed segment is not among those that were drawn."""
        return 1 - len(self.drawn) / self.segments

    @property
    def steps(self) -> str:
        """Name the steps of what was drawn."""
        more = len(self.drawn) - _SHOWN_SEGMENTS
        named = ", ".join(map(str, self.drawn[:_SHOWN_SEGMENTS])) + (f" and {more} more" if more > 0 else "")
        return f"steps {named}"

    @property
    def sentence(self) -> str:
        """Say what was looked at, and what that proves at most."""
        count = f"{len(self.drawn)} of {self.segments} segments ({self.steps})"
        if len(self.drawn) == self.segments:
            return f"{count}: every segment from its own checkpoint; metrics and outs were not judged"
        chance = f"{self.missed:.2g}" if self.missed < 0.995 else f"{self.missed:.4g}"
        return f"{count}; a single changed segment would have been missed with probability {chance}"


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
        spots: The segments that were made again, and nothing else; None for all of the run.
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
    spots: SpotCheck | None = None
    inputs_differ: tuple[str, ...] = ()
    equal_inputs: bool = False
    substitutes: tuple[str, ...] = ()
    reason: str = ""
    facts: dict[str, Any] = {}
    machine: str = ""
    at: float = 0.0
    by: str = ""
    id: str = ""

    @property
    def is_whole(self) -> bool:
        """Tell whether all of the run was judged: what was said of a part does not stand for it."""
        return self.window is None and self.spots is None


def latest_verdict(verdicts: Iterable[Verdict]) -> Verdict | None:
    """Give the last verdict on a whole run."""
    return max((it for it in verdicts if it.is_whole), key=lambda it: it.at, default=None)
