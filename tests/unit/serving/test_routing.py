"""The router's table is the newest good one of its file."""

from typing import Any

import pytest

from relive.core.endpoint import Route, RoutingTable, Target, encode_table
from relive.serving.routing import TableFile


def table_of(version: Any, *names: Any) -> Any:
    target = Target(revision=1, model="m", version="1", address="unix:/run/m")
    return RoutingTable(version=version, endpoints={name: Route(stable=target) for name in names})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.json"


def put(path: Any, content: Any) -> Any:
    """Put a file in place by a rename, as the hub does."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content if isinstance(content, bytes) else encode_table(content))
    partial.replace(path)


def test_without_a_file_nothing_is_known(path):
    table = TableFile(path)
    assert not table.refresh()
    assert not table.known
    assert table.table.endpoints == {}


def test_a_new_file_is_taken_in_once(path):
    table = TableFile(path)
    put(path, table_of(1, "a"))
    assert table.refresh()
    assert not table.refresh()
    assert list(table.table.endpoints) == ["a"]
    put(path, table_of(2, "a", "b"))
    assert table.refresh()
    assert list(table.table.endpoints) == ["a", "b"]


def test_an_empty_table_is_known(path):
    table = TableFile(path)
    put(path, table_of(0))
    assert table.refresh()
    assert table.known


@pytest.mark.parametrize("broken", [b"", b"{", b'{"version": 3}', b"[]"])
def test_a_broken_file_changes_nothing_and_is_told(path, broken, caplog):
    table = TableFile(path)
    put(path, table_of(1, "a"))
    table.refresh()
    put(path, broken)
    assert not table.refresh()
    assert list(table.table.endpoints) == ["a"]
    assert "cannot be read" in caplog.text
    put(path, table_of(2, "b"))
    assert table.refresh()


def test_a_broken_file_is_told_once(path, caplog):
    table = TableFile(path)
    put(path, b"{")
    for _ in range(3):
        table.refresh()
    assert caplog.text.count("cannot be read") == 1


def test_an_older_table_is_left_out(path, caplog):
    table = TableFile(path)
    put(path, table_of(5, "new"))
    table.refresh()
    put(path, table_of(4, "old"))
    assert not table.refresh()
    assert list(table.table.endpoints) == ["new"]
    assert "routing table 4 is older than 5" in caplog.text


def test_a_file_that_is_gone_changes_nothing(path):
    table = TableFile(path)
    put(path, table_of(1, "a"))
    table.refresh()
    path.unlink()
    assert not table.refresh()
    assert list(table.table.endpoints) == ["a"]
