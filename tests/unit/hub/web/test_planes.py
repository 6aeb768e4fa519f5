"""Parallel coordinates and scatter plots: every value has its place, whatever it is."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.hub.web.views.compare import Look, get_compare
from relive.hub.web.views.planes import Scale, parallel, scatter

_VALUE = st.none() | st.floats() | st.integers(-(2**63), 2**63) | st.booleans() | st.text(max_size=5)


@given(st.lists(_VALUE, min_size=1, max_size=12))
def test_every_value_lies_on_its_axis_or_is_missing(values):
    scale = Scale(values)
    for value in values:
        place = scale.place(value)
        is_missing = value is None or (scale.is_number and not math.isfinite(value))
        assert (place is None) == is_missing
        assert place is None or -1e-9 <= place <= 1 + 1e-9
    assert all(0 <= place <= 1 for place, _ in scale.ticks())


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=12, unique=True))
def test_a_larger_number_is_never_lower(values):
    scale = Scale(values)
    places = [place for value in sorted(values) if (place := scale.place(value)) is not None]
    assert len(places) == len(values)
    assert all(a <= b + 1e-9 for a, b in pairwise(places))


def test_a_wide_span_is_read_in_powers_of_ten():
    scale = Scale([1e-4, 1e-2, 1.0])
    assert scale.place(1e-2) == pytest.approx(0.5)
    assert scale.ticks() == [(0.0, "0.0001"), (0.5, "0.01"), (1.0, "1")]


@given(st.lists(st.tuples(_VALUE, _VALUE), min_size=1, max_size=10))
def test_all_runs_are_drawn_inside(pairs):
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    names = [str(index) for index in range(len(pairs))]
    plot = scatter("a", "b", names, xs, ys)
    assert len(plot.dots) + plot.missing == len(pairs)
    assert all(plot.left <= dot.x <= plot.right and plot.top <= dot.y <= plot.bottom for dot in plot.dots)
    drawn = parallel([("a", "a"), ("b", "b")], names, {"a": xs, "b": ys})
    assert len(drawn.lines) == len(pairs)
    assert all(line.path.count(",") == 2 and "nan" not in line.path for line in drawn.lines)


def test_a_comparison_draws_what_differs(services):
    store = services.store
    runs = store.list_runs(project_id=store.get_project("sentiment").id, limit=50)
    page = get_compare(services, "sentiment", [run.id for run in runs])
    assert page.axes == (
        "params.batch_size",
        "params.dropout",
        "params.lr",
        "params.optimizer",
        "params.seed",
        "metrics.train/loss",
        "metrics.val/accuracy",
        "metrics.val/loss",
    )
    assert page.parallel is not None
    assert len(page.parallel.lines) == 50
    assert (page.sx, page.sy) == ("params.batch_size", "metrics.train/loss")
    look = Look(axes=("params.lr", "metrics.val/loss", "params.none"), sx="params.lr", sy="metrics.val/loss")
    asked = get_compare(services, "sentiment", [run.id for run in runs], look)
    assert asked.axes == ("params.lr", "metrics.val/loss")
    assert asked.scatter is not None
    assert len(asked.scatter.dots) == 50
