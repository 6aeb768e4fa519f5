"""Series as charts read them: steps and values in binary, reduced by the store with every extreme kept.

Layout, little-endian: `RLS1`, the number of series (u32), the number of points of each (u32), padding to
eight bytes, all steps (f64), all values (f32). A value may be NaN or infinite.
"""

import struct
import sys
from array import array
from collections.abc import Sequence

from relive.core.run import Metric
from relive.errors import InvalidInput
from relive.services.context import Services

MAGIC = b"RLS1"
MOST_POINTS = 4000
_MOST_SERIES = 20


def read_series(services: Services, run_ids: Sequence[str], key: str, *, points: int) -> bytes:
    """Give one metric of several runs, at most `points` points each; absent series are empty.

    Raises:
        NotFound: There is no such run.
        InvalidInput: Too many runs or points were asked for.
    """
    if not 2 <= points <= MOST_POINTS:
        raise InvalidInput(field="points", value=points, wanted=f"2 to {MOST_POINTS}")
    if len(run_ids) > _MOST_SERIES:
        raise InvalidInput(field="runs", value=len(run_ids), wanted=f"at most {_MOST_SERIES} runs")
    store = services.store
    return pack([store.get_series(store.get_run(run_id).id, key, max_points=points) for run_id in run_ids])


def pack(series: Sequence[Sequence[Metric]]) -> bytes:
    """Write series in the layout above."""
    counts = struct.pack(f"<4sI{len(series)}I", MAGIC, len(series), *(len(points) for points in series))
    steps = array("d", (point.step for points in series for point in points))
    values = array("f", (_as_float32(point.value) for points in series for point in points))
    if sys.byteorder == "big":
        steps.byteswap()
        values.byteswap()
    return counts + b"\0" * (-len(counts) % 8) + steps.tobytes() + values.tobytes()


def _as_float32(value: float) -> float:
    """A number beyond float32 becomes an infinity, as it would in any such array."""
    try:
        struct.pack("<f", value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return value
