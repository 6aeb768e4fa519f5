"""Series as charts read them: places and values in binary, reduced by the store with every extreme kept.

Layout, little-endian: `RLS1`, the number of series (u32), the number of points of each (u32), padding to
eight bytes, all places (f64), all values (f32). A place is a step, or seconds; a value may be NaN or
infinite.
"""

import struct
import sys
from array import array
from collections.abc import Sequence

from relive.core.run import Run
from relive.core.series import Points
from relive.errors import InvalidInput
from relive.services.context import Services

MAGIC = b"RLS1"
MOST_POINTS = 4000
MOST_SERIES = 50
ALONG = ("step", "time", "relative")


def read_series(
    services: Services, run_ids: Sequence[str], key: str, *, points: int, along: str = "step"
) -> bytes:
    """Give one metric of several runs, at most `points` points each; absent series are empty.

    Args:
        services: The hub's.
        run_ids: Of which runs, in this order.
        key: The metric.
        points: How many points a series may have.
        along: What their places are: "step", "time" (since the epoch) or "relative" (since the start), in
            seconds.

    Raises:
        NotFound: There is no such run.
        InvalidInput: Too many runs or points were asked for.
    """
    if not 2 <= points <= MOST_POINTS:
        raise InvalidInput(field="points", value=points, wanted=f"2 to {MOST_POINTS}")
    if len(run_ids) > MOST_SERIES:
        raise InvalidInput(field="runs", value=len(run_ids), wanted=f"at most {MOST_SERIES} runs")
    if along not in ALONG:
        raise InvalidInput(field="x", value=along, wanted=", ".join(ALONG))
    store = services.store
    found = []
    for run_id in run_ids:
        run = store.get_run(run_id)
        series = store.get_points(run.id, key, max_points=points)
        found.append((_places(series, run, along), series.values))
    return pack(found)


def pack(series: Sequence[tuple[Sequence[float], Sequence[float]]]) -> bytes:
    """Write series, each as (places, values), in the layout above."""
    sizes = (len(values) for _, values in series)
    counts = struct.pack(f"<4sI{len(series)}I", MAGIC, len(series), *sizes)
    places = array("d", (place for of, _ in series for place in of))
    values = array("f", (_as_float32(value) for _, of in series for value in of))
    if sys.byteorder == "big":
        places.byteswap()
        values.byteswap()
    return counts + b"\0" * (-len(counts) % 8) + places.tobytes() + values.tobytes()


def _places(series: Points, run: Run, along: str) -> Sequence[float]:
    if along == "step":
        return series.steps
    if along == "time" or not series:
        return series.times
    first = min(series.times)
    # What was imported may say that it was logged before its run began.
    start = run.started_at if run.started_at is not None and run.started_at <= first else first
    return array("d", (at - start for at in series.times))


def _as_float32(value: float) -> float:
    """A number beyond float32 becomes an infinity, as it would in any such array."""
    try:
        struct.pack("<f", value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return value
