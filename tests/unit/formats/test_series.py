"""What is packed comes back, to the bit."""

import math
from array import array

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.series import Points, no_points
from relive.errors import InvalidInput
from relive.formats.series import FORMAT, pack_points, unpack_points

STEPS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
ROWS = st.lists(st.tuples(STEPS, st.floats(allow_nan=False), st.floats()), max_size=40)


def points_of(rows) -> Points:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return Points(array("q", columns[0]), array("d", columns[1]), array("d", columns[2]))


@given(ROWS)
def test_every_bit_comes_back(rows):
    points = points_of(rows)
    found = unpack_points(pack_points(points))
    assert found.steps == points.steps
    assert found.times.tobytes() == points.times.tobytes()
    assert found.values.tobytes() == points.values.tobytes()


def test_a_usual_series_takes_few_bytes():
    count = 4096
    times = [1.8e9 + 0.05 * step + 0.001 * math.sin(step * 7.7) for step in range(count)]
    values = [2.0 * math.exp(-step / 1000) + 0.1 * math.sin(step * 12.9898) for step in range(count)]
    packed = pack_points(points_of(zip(range(count), times, values, strict=True)))
    assert len(packed) / count < 11


def test_equal_points_are_equal_bytes():
    assert pack_points(no_points()) == pack_points(no_points())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        pack_points(points_of([(1, 2.0, 3.0)]))[:-3],
        msgspec.msgpack.encode((FORMAT + 1, (0, b""), (0, b""), (0, b""))),
        msgspec.msgpack.encode((FORMAT, (0, b"x"), (0, b""), (0, b""))),
    ],
)
def test_other_bytes_are_refused(data):
    with pytest.raises(InvalidInput, match="packed points"):
        unpack_points(data)
