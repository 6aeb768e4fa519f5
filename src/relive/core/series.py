"""Points of one series as columns: a million of them without an object each."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from relive.core.run import Metric


@dataclass(frozen=True, slots=True)
class Points:
    """Points of one series, in its order: step, time, value, with NaN before every number.

    Attributes:
        steps: 64-bit whole numbers.
        times: Seconds since the epoch, UTC.
        values: Numbers; may be NaN or infinite.
    """

    steps: "array[int]"
    times: "array[float]"
    values: "array[float]"

    def __len__(self) -> int:
        """Give how many."""
        return len(self.steps)

    def part(self, start: int, end: int) -> "Points":
        """Give those from `start` to before `end`."""
        return Points(self.steps[start:end], self.times[start:end], self.values[start:end])

    def as_metrics(self, key: str) -> list[Metric]:
        """Give an object for each."""
        rows = zip(self.steps, self.times, self.values, strict=True)
        return [Metric(key, value, step, at) for step, at, value in rows]


def no_points() -> Points:
    """Give none, to add to."""
    return Points(array("q"), array("d"), array("d"))


def join(parts: Iterable[Points]) -> Points:
    """Give points that lie one after the other as one."""
    whole = no_points()
    for part in parts:
        whole.steps.extend(part.steps)
        whole.times.extend(part.times)
        whole.values.extend(part.values)
    return whole
