"""The answer to why two runs came out differently, as a record."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from relive.errors import InvalidInput

# The artifact that holds an answer, and the tags of its run: the two runs that it is about.
ANSWER: Final = "why.json"
BEFORE_TAG: Final = "relive.why.before"
AFTER_TAG: Final = "relive.why.after"
# Of a run that tries some of the inputs: the digest of all that goes into it.
VARIANT_TAG: Final = "relive.variant"


class WhyStatus(StrEnum):
    """How the question was answered; the first three need no further run."""

    FOUND = "found"
    NO_DIFFERENCE = "no_difference"
    WITHIN_NOISE = "within_noise"
    UNEXPLAINED = "unexplained"
    NOT_REPRODUCED = "not_reproduced"
    STOPPED = "stopped"


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One input that makes the second run's result out of the first's, with the others.

    Attributes:
        group: The kind of input, as `relive diff` calls it.
        before: What the first run had; "" for nothing.
        after: What the second had.
        without: What came out with all other causes: "as the first", "otherwise", "failed", "not tried".
        shares: Metric to its part of the difference (Shapley value); absent where a run it needs failed or
            was not made.
    """

    name: str
    group: str
    before: str
    after: str
    without: str = "not tried"
    shares: dict[str, float] = {}


class Cleared(msgspec.Struct, frozen=True, kw_only=True):
    """An input that differs and was not tried, with the reason why it cannot matter."""

    name: str
    group: str
    reason: str


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """The first run with some of the second's inputs, as it was run.

    Attributes:
        names: The inputs that were the second's.
        outcome: "as the first", "as the second", "otherwise" or "failed".
        reason: Why it failed.
        phase: What it was run for: "reproduction", "search" or "shares".
        reused: Whether it had been run before.
        until: The step behind which it was ended, because that told enough; None for a whole run.
    """

    names: tuple[str, ...]
    run_id: str
    outcome: str
    phase: str
    reason: str = ""
    reused: bool = False
    metrics: dict[str, float] = {}
    until: int | None = None


class MetricChange(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of both runs, as they came out here; `noise` is what repeats differ by, None if by nothing."""

    key: str
    before: float | None
    after: float | None
    noise: float | None = None


class WhyReport(msgspec.Struct, frozen=True, kw_only=True):
    """Why two runs came out differently.

    Attributes:
        before: Id of the first run.
        after: Id of the second.
        metric: The one that was asked for; empty for the whole result.
        reason: One sentence for people.
        compared: What made two results equal: "3 metrics, 2 states".
        suspects: Inputs of which some may still be causes; empty once the causes are proven.
        uncontrolled: What differs and cannot be exchanged here.
        missing: Runs that sharing the effect out would still need.
        facts: How many inputs differ that can be exchanged, cleared ones included.
    """

    before: str
    after: str
    status: WhyStatus
    metric: str = ""
    reason: str = ""
    compared: str = ""
    causes: tuple[Cause, ...] = ()
    metrics: tuple[MetricChange, ...] = ()
    suspects: tuple[str, ...] = ()
    cleared: tuple[Cleared, ...] = ()
    uncontrolled: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tried: tuple[Tried, ...] = ()
    missing: int = 0
    facts: int = 0
    id: str = ""
    at: float = 0.0

    def runs(self, phase: str = "", *, reused: bool = False) -> int:
        """Count the runs of a phase, or of all: those that were made, or those that were there."""
        return sum(it.reused == reused and phase in ("", it.phase) for it in self.tried)


def check_metric(asked: str, recorded: Iterable[str]) -> None:
    """Do nothing if there is such a metric to explain, or none was asked for.

    Args:
        asked: Its name; empty for the whole result.
        recorded: The metrics of both runs; what only one of them has differs, and can be explained.

    Raises:
        InvalidInput: Neither run has it: its difference is none, and that would sound like an answer.
    """
    known = sorted(set(recorded))
    if asked and asked not in known:
        wanted = f"a metric of the two runs: {', '.join(known) or 'they have none'}"
        raise InvalidInput(field="metric", value=asked, wanted=wanted)
