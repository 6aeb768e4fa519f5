"""A database of each released schema is brought up to the newest, and holds what it held."""

import json

import pytest
from sqlalchemy import text

from relive.core.search import Field, Order, Side
from relive.ports.search import Search
from relive.stores.sql.engine import Database
from relive.stores.sql.schema import HEAD, VERSION, prepare
from relive.testing.stores_samples import ManualClock
from tests.contract.databases import BACKENDS, fresh_url, opened
from tests.migrations.content import START, assert_holds, fill, read_back
from tests.migrations.schemas import schema_of
from tests.migrations.stored import held_by, released, restore


def schema_at(url: str):
    database = Database(url)
    prepare(database)
    with database.read() as connection:
        found = schema_of(connection), connection.execute(VERSION.select()).scalar_one()
    database.close()
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("revision", released())
def test_a_stored_database_comes_up_with_all_it_held(request, tmp_path, backend, revision):
    url = fresh_url(backend, request, tmp_path)
    restore(revision, backend, url)
    with opened(url, ManualClock(START)) as store:
        assert_holds(read_back(store), held_by(revision, backend))
    (tmp_path / "new").mkdir()
    assert schema_at(url) == schema_at(fresh_url(backend, request, tmp_path / "new"))


def test_every_schema_has_its_stored_database():
    assert released()[-1] == HEAD, "keep one of the newest schema: python -m tests.migrations.stored"


@pytest.mark.parametrize("backend", BACKENDS)
def test_params_of_every_kind_get_into_the_new_index(request, tmp_path, backend):
    url = fresh_url(backend, request, tmp_path)
    restore("0007", backend, url)
    # As revision 0007 kept them: JSON of any length, NUL as an escape.
    values = ['"x\\u0000"', '"\\\\u0000\\""', '"' + "é" * 5000 + '"', '{"a":"\\u0000"}', "[1]", "-1.5", '""']
    database = Database(url)
    with database.engine.begin() as connection:
        run_id = connection.exec_driver_sql("SELECT id FROM runs").scalar_one()
        for number, value in enumerate(values):
            row = {"run_id": run_id, "key": f"p{number}", "value": value}
            connection.execute(text("INSERT INTO params VALUES (:run_id, :key, :value)"), row)
    database.close()
    with opened(url, ManualClock(START)) as store:
        params = store.list_params([run_id])[run_id]
        assert [params[f"p{number}"] for number in range(len(values))] == [json.loads(it) for it in values]
        for number in range(len(values)):
            order = Order(Field(Side.PARAM, f"p{number}"))
            assert [run.id for run in store.search_runs(Search(orders=(order,))).runs] == [run_id]


def test_what_is_gone_is_noticed(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'relive.db'}", ManualClock(START)) as store:
        fill(store)
        held = read_back(store)
        assert_holds(read_back(store), held)
        store.delete_tag(held["runs"][0]["id"], "note")
        with pytest.raises(AssertionError, match="tags"):
            assert_holds(read_back(store), held)
