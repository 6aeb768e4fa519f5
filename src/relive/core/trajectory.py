"""Trajectories: the recorded steps of a run, and the verdict on one that repeats it."""

from enum import StrEnum
from typing import Any

import msgspec

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


class MetricDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of both runs and how it was judged; `limit` and `difference` in the same unit."""

    key: str
    recorded: float | None
    replayed: float | None
    difference: float | None
    limit: float | None
    relative: bool
    ok: bool


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
        outs: Out path to "same bytes", "same predictions" or "differs".
        steps_compared: Steps present in both trajectories.
        inputs_differ: Facts of the recipe that were not equal, "name: recorded → replayed".
        reason: One sentence for people.
    """

    level: VerdictLevel
    run_id: str = ""
    replay_run_id: str = ""
    metrics: tuple[MetricDifference, ...] = ()
    first_divergence: FirstDivergence | None = None
    outs: dict[str, str] = {}
    steps_compared: int = 0
    inputs_differ: tuple[str, ...] = ()
    reason: str = ""
    facts: dict[str, Any] = {}
    at: float = 0.0
    id: str = ""
