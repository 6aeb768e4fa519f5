"""Series in binary: what goes in comes out, and no extreme is lost on the way to a chart."""

import math
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.project import Project
from relive.core.run import Metric
from relive.errors import InvalidInput, NotFound
from relive.hub.web.views.series import MAGIC, pack, read_series
from tests.support.seed import open_hub, seeder_of

_POINTS = st.lists(
    st.builds(
        Metric,
        key=st.just("m"),
        value=st.floats(width=32),
        step=st.integers(-(2**53), 2**53),
    ),
    max_size=20,
)


def unpack(data: bytes) -> list[list[tuple[float, float]]]:
    """Read the layout as the charts do."""
    magic, count = struct.unpack_from("<4sI", data)
    assert magic == MAGIC
    counts = struct.unpack_from(f"<{count}I", data, 8)
    start = math.ceil((8 + 4 * count) / 8) * 8
    total = sum(counts)
    steps = struct.unpack_from(f"<{total}d", data, start)
    values = struct.unpack_from(f"<{total}f", data, start + 8 * total)
    found, at = [], 0
    for n in counts:
        found.append(list(zip(steps[at : at + n], values[at : at + n], strict=True)))
        at += n
    return found


def columns(points: list[Metric]) -> tuple[list[float], list[float]]:
    """Give points as places and values."""
    return [float(point.step) for point in points], [point.value for point in points]


@given(st.lists(_POINTS, max_size=5))
def test_what_goes_in_comes_out(series):
    again = unpack(pack([columns(points) for points in series]))
    assert len(again) == len(series)
    for points, read in zip(series, again, strict=True):
        assert [point.step for point in points] == [step for step, _ in read]
        for point, (_, value) in zip(points, read, strict=True):
            assert value == point.value or (math.isnan(value) and math.isnan(point.value))


@pytest.mark.parametrize(
    ("value", "kept"), [(1e300, math.inf), (-1e300, -math.inf), (0.1, pytest.approx(0.1))]
)
def test_a_value_beyond_the_format_is_an_infinity(value, kept):
    assert unpack(pack([([0], [value])])) == [[(0.0, kept)]]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run of 5,000 noisy points with one spike up and one down, and an empty one."""
    config, services = open_hub(tmp_path_factory.mktemp("series") / "hub")
    seeder = seeder_of(config, services, time.time())
    project: Project = services.store.create_project("series")
    run, empty = seeder.run(project, "long"), seeder.run(project, "empty")
    points = [Metric("loss", 1 + math.sin(step / 40) / 10, step) for step in range(5000)]
    points[1234] = Metric("loss", 99.0, 1234)
    points[4321] = Metric("loss", -55.0, 4321)
    services.store.record_metrics(run.id, points)
    yield services, run.id, empty.id
    seeder.services.store.close()
    services.store.close()


@pytest.mark.parametrize("points", [50, 200, 1000, 4000])
def test_a_reduced_series_keeps_its_extremes_and_its_ends(recorded, points):
    services, run_id, _ = recorded
    (series,) = unpack(read_series(services, [run_id], "loss", points=points))
    assert 2 <= len(series) <= points
    assert (1234.0, 99.0) in series
    assert (4321.0, -55.0) in series
    assert (series[0][0], series[-1][0]) == (0.0, 4999.0)
    assert [step for step, _ in series] == sorted(step for step, _ in series)


def test_a_chart_of_twenty_runs_stays_below_its_bytes(recorded):
    services, run_id, _ = recorded
    assert len(read_series(services, [run_id] * 20, "loss", points=1000)) <= 250_000


def test_points_can_stand_along_time(recorded):
    services, _, empty = recorded
    start = services.store.get_run(empty).started_at
    services.store.record_metrics(empty, [Metric("t", 1.0, step, start + 10 * step) for step in range(4)])
    (relative,) = unpack(read_series(services, [empty], "t", points=100, along="relative"))
    assert [place for place, _ in relative] == [0.0, 10.0, 20.0, 30.0]
    (moments,) = unpack(read_series(services, [empty], "t", points=100, along="time"))
    assert [place for place, _ in moments] == [start + 10 * step for step in range(4)]
    services.store.record_metrics(
        empty, [Metric("early", 1.0, 0, start - 100), Metric("early", 1.0, 1, start)]
    )
    (early,) = unpack(read_series(services, [empty], "early", points=100, along="relative"))
    assert [place for place, _ in early] == [0.0, 100.0]


def test_series_that_are_not_there_are_empty(recorded):
    services, run_id, empty = recorded
    assert [len(one) for one in unpack(read_series(services, [run_id, empty], "loss", points=100))][1] == 0
    assert unpack(read_series(services, [run_id], "no such metric", points=100)) == [[]]


def test_what_cannot_be_drawn_is_refused(recorded):
    services, run_id, _ = recorded
    with pytest.raises(InvalidInput, match="points"):
        read_series(services, [run_id], "loss", points=1)
    with pytest.raises(InvalidInput, match="runs"):
        read_series(services, [run_id] * 51, "loss", points=100)
    with pytest.raises(InvalidInput, match="relative"):
        read_series(services, [run_id], "loss", points=100, along="moon")
    with pytest.raises(NotFound):
        read_series(services, ["f" * 32], "loss", points=100)
