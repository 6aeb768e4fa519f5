"""A database of each released schema is brought up to the newest, and holds what it held."""

import pytest

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


def test_what_is_gone_is_noticed(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'relive.db'}", ManualClock(START)) as store:
        fill(store)
        held = read_back(store)
        assert_holds(read_back(store), held)
        store.delete_tag(held["runs"][0]["id"], "note")
        with pytest.raises(AssertionError, match="tags"):
            assert_holds(read_back(store), held)
