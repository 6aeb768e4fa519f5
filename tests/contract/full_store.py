"""Writing until there is no room: what a full database does, whatever it is that is full.

Run as `python -m tests.contract.full_store FOLDER` it does so on the disk of FOLDER, with a ballast that it
then takes away. SQLite follows the links of its path, so it has to run where the disk is mounted.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from relive.core.event import Event
from relive.errors import StoreFull
from relive.stores.sql.store import SqlStore
from relive.testing.stores_samples import a_run
from tests.contract.databases import opened

MOST = 500
PIECE = "x" * 10_000
BALLAST_BYTES = 2**20


def fill_until_full(store: SqlStore, make_room: Callable[[], None]) -> int:
    """Write until nothing goes in: what was acknowledged is there, what was refused is not."""
    run = a_run(store)

    def fill() -> None:
        for number in range(MOST):
            with store.transaction():
                store.record_event(Event(kind="k", actor="a", subject="s", facts={"number": number}))
                store.set_tags(run.id, {f"tag {number}": PIECE})

    with pytest.raises(StoreFull, match=r"relive\.db"):
        fill()
    kept = len(store.list_events(limit=2 * MOST))
    assert 5 < kept < MOST
    assert len(store.list_tags([run.id])[run.id]) == kept
    make_room()
    store.set_tags(run.id, {"after": PIECE})
    assert len(store.list_tags([run.id])[run.id]) == kept + 1
    with store._db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    return kept


def main(folder: Path) -> None:
    """Fill the disk of a folder."""
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * BALLAST_BYTES)
    with opened(f"sqlite:///{folder / 'relive.db'}", durable=True) as store:
        print(fill_until_full(store, ballast.unlink))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
