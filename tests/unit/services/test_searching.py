"""Searching runs as people ask for it: filter and order as text, words, a status."""

import pytest

from relive.core.run import Metric, RunStatus
from relive.core.search import Field, Order, Side
from relive.errors import InvalidFilter, InvalidInput
from relive.ports.search import Search
from relive.ports.stores import Store
from relive.services.searching import read_orders, search_runs
from relive.testing.stores_samples import a_project, a_run
from tests.support.bench import Bench

CREATED = Field(Side.ATTRIBUTE, "created_at")


def fill(store: Store) -> str:
    """Make three runs in a project, and give its id."""
    project = a_project(store, "otters").id
    for number, name in enumerate(("brave otter", "calm otter", "wolf")):
        status = RunStatus.FAILED if name == "wolf" else RunStatus.FINISHED
        run = a_run(store, project_id=project, name=name, status=status, created_at=100.0 + number)
        store.record_metrics(run.id, [Metric("acc", number / 2)])
    return project


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["wolf", "calm otter", "brave otter"]),
        ({"filter_text": "metrics.acc >= 0.5"}, ["wolf", "calm otter"]),
        ({"filter_text": "metrics.acc >= 0.5", "status": "finished"}, ["calm otter"]),
        ({"status": "failed"}, ["wolf"]),
        ({"order_text": "metrics.acc"}, ["brave otter", "calm otter", "wolf"]),
        ({"order_text": "-metrics.acc"}, ["wolf", "calm otter", "brave otter"]),
        ({"order_text": "status DESC, name"}, ["brave otter", "calm otter", "wolf"]),
    ],
)
def test_runs_are_found(bench: Bench, asked, found):
    project = fill(bench.services.store)
    page = search_runs(bench.services, Search(project_id=project), **asked)
    assert [run.name for run in page.runs] == found


def test_words_and_pages_go_with_a_filter(bench: Bench):
    project = fill(bench.services.store)
    asked = Search(project_id=project, text="ott", limit=1)
    first = search_runs(bench.services, asked, filter_text="metrics.acc >= 0")
    after = Search(project_id=project, text="ott", limit=1, after=first.next)
    second = search_runs(bench.services, after, filter_text="metrics.acc >= 0")
    assert [run.name for run in first.runs + second.runs] == ["calm otter", "brave otter"]
    assert second.next == ""


def test_what_cannot_be_read_is_refused_with_its_place(bench: Bench):
    with pytest.raises(InvalidFilter) as caught:
        search_runs(bench.services, Search(), filter_text="status = 'x' AND wolf = 1")
    assert caught.value.at == 17
    with pytest.raises(InvalidFilter, match="order_by"):
        search_runs(bench.services, Search(), order_text="name,,status")
    with pytest.raises(InvalidInput, match="status"):
        search_runs(bench.services, Search(), status="sleeping")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", [Order(CREATED, ascending=False)]),
        ("  ", [Order(CREATED, ascending=False)]),
        ("name", [Order(Field(Side.ATTRIBUTE, "name")), Order(CREATED)]),
        ("-name", [Order(Field(Side.ATTRIBUTE, "name"), ascending=False), Order(CREATED, ascending=False)]),
        ("metrics.a", [Order(Field(Side.METRIC, "a")), Order(CREATED, ascending=False)]),
        ("created_at", [Order(CREATED)]),
        (
            "-metrics.`a, b` , params.'x,y' DESC,-created_at",
            [
                Order(Field(Side.METRIC, "a, b"), ascending=False),
                Order(Field(Side.PARAM, "x,y"), ascending=False),
                Order(CREATED, ascending=False),
            ],
        ),
    ],
)
def test_orders_stand_between_commas(text, read):
    assert list(read_orders(text)) == read
