"""When two results count as equal: bit by bit where runs reproduce themselves, within the noise where not."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final, Protocol

from relive.core.attribution import Outcome
from relive.core.compare import same_bits
from relive.core.digest import canonical_json
from relive.core.tolerance import Noise, limit_of_noise
from relive.replay.variant import Result

_METRIC, _STATE, _OUT = "metric", "state", "out"
_PLURALS: Final = {_METRIC: "metrics", _STATE: "final states", _OUT: "outs"}

# What is compared, and its exact value: ("metric", "accuracy") → float.hex() of it.
Marks = dict[tuple[str, str], str]


class Measure(Protocol):
    """Tells results apart."""

    @property
    def compared(self) -> str:
        """Say for people what is compared."""

    def outcome(self, result: Result) -> Outcome:
        """Give a word that is the same for equal results; None for a run that failed."""


def marks_of(result: Result) -> Marks:
    """Give all that can be compared of a result."""
    return {
        **{(_METRIC, key): value.hex() for key, value in result.metrics.items()},
        **{(_STATE, name): value for name, value in result.states.items()},
        **{(_OUT, path): digest for path, digest in result.outs.items()},
    }


@dataclass(frozen=True)
class Bits:
    """Every bit of some marks."""

    names: tuple[tuple[str, str], ...]

    @property
    def compared(self) -> str:
        """Say for people what is compared."""
        kinds = [kind for kind, _ in self.names]
        counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
        return ", ".join(
            f"{count} {_PLURALS[kind] if count > 1 else _PLURALS[kind][:-1]}"
            for kind, count in counts.items()
        )

    def outcome(self, result: Result) -> Outcome:
        """Give the marks as text."""
        if result.failure:
            return None
        marks = marks_of(result)
        return canonical_json([marks.get(name) for name in self.names]).decode()


@dataclass
class WithinNoise:
    """Metrics, equal where they lie within what repeats of one run spread over.

    Attributes:
        noise: Metric to the largest difference that is still noise, in its unit.
        centres: Results that were met so far, each with its word; the first are those of the two runs.
    """

    noise: Mapping[str, float]
    centres: list[tuple[str, Mapping[str, float]]] = field(default_factory=list)

    @property
    def compared(self) -> str:
        """Say for people what is compared."""
        return ", ".join(f"{key} within {width:.3g}" for key, width in sorted(self.noise.items()))

    def outcome(self, result: Result) -> Outcome:
        """Give the word of the first result that this one cannot be told from, or a new one."""
        if result.failure:
            return None
        for word, centre in self.centres:
            if all(self._is_near(key, centre, result.metrics) for key in self.noise):
                return word
        self.centres.append((f"result {len(self.centres)}", dict(result.metrics)))
        return self.centres[-1][0]

    def _is_near(self, key: str, one: Mapping[str, float], other: Mapping[str, float]) -> bool:
        if key not in one or key not in other:
            return key not in one and key not in other
        return same_bits(one[key], other[key]) or abs(one[key] - other[key]) <= self.noise[key]


def stable_bits(pairs: Sequence[tuple[Result, Result]], metric: str) -> Bits:
    """Choose what can be compared bit by bit: what every run's copy has as its record has it.

    Args:
        pairs: Each run as it was recorded, and as its copy came out.
        metric: The only one that counts; empty for the whole result.
    """
    names = dict.fromkeys(name for pair in pairs for result in pair for name in marks_of(result))
    both = [(marks_of(one), marks_of(other)) for one, other in pairs]
    stable = [name for name in names if all(one.get(name) == other.get(name) for one, other in both)]
    if metric:
        return Bits(tuple(name for name in stable if name == (_METRIC, metric)))
    exact = [name for name in stable if name[0] != _OUT]
    copies = [copy for _, copy in both]
    # The bytes of a model's file change for reasons that are none: they count only where nothing else does.
    if not _differ(exact, copies) and not any(kind == _STATE for kind, _ in exact):
        exact = stable
    return Bits(tuple(sorted(exact)))


def _differ(names: Iterable[tuple[str, str]], marks: Sequence[Marks]) -> bool:
    return any(len({it.get(name) for it in marks}) > 1 for name in names)


def limits_of(repeats: Sequence[Sequence[Result]], metric: str) -> dict[str, float]:
    """Give for each metric what is still noise: what two repeats differ by at most, 99 times of 100.

    Args:
        repeats: For each run all its copies; the spread within each is pooled.
        metric: The only one that counts; empty for all.
    """
    keys = {key for copies in repeats for copy in copies for key in copy.metrics if metric in ("", key)}
    return {key: _limit([_values(copies, key) for copies in repeats]) for key in sorted(keys)}


def _values(copies: Sequence[Result], key: str) -> list[float]:
    return [copy.metrics[key] for copy in copies if key in copy.metrics]


def _limit(groups: Sequence[Sequence[float]]) -> float:
    usable = [values for values in groups if len(values) > 1 and all(map(math.isfinite, values))]
    freedom = sum(len(values) - 1 for values in usable)
    if not freedom:
        return 0.0
    spread = [value - fmean(values) for values in usable if len(set(values)) > 1 for value in values]
    squares = sum(it * it for it in spread)
    limit = limit_of_noise(Noise(n=freedom + 1, mean=0.0, sd=math.sqrt(squares / freedom)))
    return limit.limit if limit else 0.0


def mean(copies: Sequence[Result]) -> dict[str, float]:
    """Give the mean of each metric that all copies have."""
    keys = set.intersection(*(set(copy.metrics) for copy in copies)) if copies else set()
    return {key: sum(copy.metrics[key] for copy in copies) / len(copies) for key in sorted(keys)}
