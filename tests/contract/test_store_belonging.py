"""What is asked of many runs at once: the list of them is one parameter, whatever it holds."""

import pytest

from relive.core.run import Metric, MetricSummary, RunRecords
from relive.errors import InvalidInput
from relive.stores.sql.belonging import rows_among
from relive.testing.stores_samples import a_run
from tests.contract.databases import BACKENDS, fresh_url, opened

TAGS = 'SELECT run_id, "key", value FROM tags WHERE run_id {among} ORDER BY run_id, "key"'
ASKED = ("list_params", "list_tags", "list_metrics", "list_datasets", "list_model_uses")
ODD = ["", "'", '"', "[]", "{among}", "%s", "?", "\\", "é", "a,b"]


@pytest.fixture(params=BACKENDS)
def store(request, tmp_path):
    with opened(fresh_url(request.param, request, tmp_path)) as store:
        yield store


@pytest.fixture
def runs(store):
    found = [a_run(store).id for _ in range(3)]
    for number, run_id in enumerate(found):
        metrics = [Metric("b", 1.0, number, 5.0), Metric("a", float("nan"), 2, 7.0)]
        records = RunRecords(
            metrics=metrics, params={"z": number, "y": "é"}, tags={"t": "%s", "s": "{among}"}
        )
        store.record_batch(run_id, records)
    return found


def test_more_owners_than_a_statement_has_parameters(store, runs):
    many = [f"{number:032x}" for number in range(40_000)]
    assert store.list_params([*many, *runs]) == {
        run_id: {"y": "é", "z": number} for number, run_id in enumerate(runs)
    }
    assert store.list_tags([*many, runs[1]]) == {runs[1]: {"s": "{among}", "t": "%s"}}


def test_keys_come_in_their_order_and_numbers_as_they_are(store, runs):
    [unknown, known] = store.list_metrics([runs[2]])
    assert (unknown.key, known.key) == ("a", "b")
    assert unknown.last != unknown.last  # not a number
    assert known == MetricSummary(
        run_id=runs[2], key="b", last=1.0, last_step=2, min=1.0, max=1.0, first=1.0, count=1, at=5.0
    )


@pytest.mark.parametrize("asked", ASKED)
def test_an_owner_that_is_none_has_nothing(store, runs, asked):
    assert not getattr(store, asked)(ODD)
    assert not getattr(store, asked)([])


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
def test_an_id_that_no_database_holds_is_refused(store, runs, asked, bad):
    with pytest.raises(InvalidInput):
        getattr(store, asked)([runs[0], bad])


def test_an_index_leads_to_the_rows(store, runs):
    with store._db.read() as connection:
        assert [row[:2] for row in rows_among(connection, TAGS, runs[:1])] == [(runs[0], "s"), (runs[0], "t")]
        if store._db.is_sqlite:
            plan = rows_among(connection, f"EXPLAIN QUERY PLAN {TAGS}", runs)
            assert any("SEARCH tags USING PRIMARY KEY (run_id=?)" in row[3] for row in plan), plan
