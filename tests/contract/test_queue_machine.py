"""The queue agrees with a simple model of it, on both databases."""

from contextlib import ExitStack

import pytest

from relive.stores.sql.store import SqlStore
from relive.testing.queue_machine import run_queue_machine
from relive.testing.stores_samples import ManualClock
from tests.contract.databases import BACKENDS, fresh_url, opened


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_calls_in_any_order(request, tmp_path, backend):
    url = fresh_url(backend, request, tmp_path)
    with ExitStack() as stack:
        store = stack.enter_context(opened(url, ManualClock()))

        def make_store(clock: ManualClock) -> SqlStore:
            # One database for all sequences: making another takes longer than a sequence.
            store._db._clock = clock
            with store._db.engine.begin() as connection:
                connection.exec_driver_sql("DELETE FROM jobs")
            return store

        run_queue_machine(make_store, examples=40, steps=40)
