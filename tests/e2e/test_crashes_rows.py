"""Exact moments that no kill hits: services on real stores, another's step between two of one's own."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from relive.stores.sql.store import SqlStore, open_store

LOOK = """
import sys
from relive.stores.sql.store import open_store
store = open_store(sys.argv[1])
print([project.name for project in store.list_projects()])
store.close()
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """A fact store in a file."""
    opened = open_store(f"sqlite:///{tmp_path / 'relive.db'}")
    yield opened
    opened.close()


def test_another_process_that_looks_at_the_database_takes_no_acknowledged_write_with_it(
    store: SqlStore, tmp_path: Path
) -> None:
    """SQLite deletes the log if nobody locks the file; closing it once frees all locks of a process."""
    url = f"sqlite:///{tmp_path / 'relive.db'}"

    def look() -> str:
        command = [sys.executable, "-c", LOOK, url]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    store.create_project("before")
    with store.transaction():
        other = threading.Thread(target=store.list_projects)  # on a connection of its own
        other.start()
        other.join()
        store.create_project("during")
    assert look() == "['before', 'during']\n"
    store.create_project("after")
    assert look() == "['after', 'before', 'during']\n"
