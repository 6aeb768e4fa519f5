"""`relive data`: what a person types and sees."""

import errno
import os
from pathlib import Path

import pytest

from relive.client import laying
from tests.unit.cli.conftest import Shell


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table and a file, and a cache of this test's own."""
    monkeypatch.setenv("RELIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "sales"
    root.mkdir()
    (root / "rows.csv").write_text("id,v\n1,a\n2,b\n")
    (root / "image.bin").write_bytes(os.urandom(300_000))
    return root


def test_nothing_to_list_says_so(relive: Shell) -> None:
    assert relive("data", "list").out == "No data sets yet: relive data add PATH --name NAME\n"
    assert "no data set 'none'" in relive("data", "log", "none", code=1).err
    assert "data set" in relive("data", "show", "a@b", code=2).err


def test_the_way_of_a_data_set(relive: Shell, folder: Path) -> None:
    first = relive("data", "add", "sales", "--name", "sales", "-m", "first").out
    assert first.startswith("✓ sales@v1: 2 files, 293.0 KiB, ")
    assert relive("data", "add", "sales", "--name", "sales").out == "Nothing changed: it is sales@v1.\n"
    (folder / "rows.csv").write_text("id,v\n1,a\n2,B\n3,c\n")
    added = relive("data", "add", "sales", "--name", "sales", "-m", "second", "--json").json
    assert (added["new"], added["version"]["number"]) == (True, 2)
    assert added["version"]["added_bytes"] < 1000
    lines = relive("data", "log", "sales").lines
    assert [line.split()[0] for line in lines[:3]] == ["VERSION", "v2", "v1"]
    assert relive("data", "list").lines[1].split()[:3] == ["sales@v2", "sales", "2"]
    shown = relive("data", "show", "sales").out
    assert "read by 0 runs" in shown
    assert "rows.csv: 3 rows" in shown
    assert relive("data", "files", "sales@v1", "*.csv").lines[1].startswith("rows.csv  13 bytes")


def test_what_this_machine_refuses_is_said_in_a_line(
    relive: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relive("data", "add", "sales", "--name", "sales")
    said = relive("data", "get", "sales", "--to", "sales/rows.csv/below", code=1).err
    assert said == "✗ Not a directory: sales/rows.csv/below\n"

    def full(descriptor: int, data: memoryview) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(laying, "_write_all", full)
        said = relive("data", "get", "sales", "--to", "out", code=1).err
    assert "✗ No space left on device" in said
    assert "Traceback" not in said
    assert [path.name for path in Path("out").rglob("*") if path.is_file()] == []
    relive("data", "get", "sales", "--to", "out")
    assert relive("data", "verify", "sales", "out").out == "✓ out is sales@v1: 2 files.\n"


def test_get_and_verify(relive: Shell, folder: Path) -> None:
    relive("data", "add", "sales", "--name", "sales")
    relive("data", "get", "sales@v1", "--to", "out")
    assert (Path("out") / "image.bin").read_bytes() == (folder / "image.bin").read_bytes()
    assert "0 files written (0 bytes), 2 were there" in relive("data", "get", "sales@v1", "--to", "out").out
    assert relive("data", "get", "sales@v1", "rows.csv", "--to", "part", "--json").json["files"] == 1
    assert "no file of sales@v1 'none'" in relive("data", "get", "sales@v1", "none", code=1).err
    assert relive("data", "verify", "sales@v1").out == "✓ The hub has every byte of sales@v1: 2 files.\n"
    assert relive("data", "verify", "sales@v1", "out").out == "✓ out is sales@v1: 2 files.\n"
    (Path("out") / "rows.csv").write_text("other")
    (Path("out") / "new").touch()
    (Path("out") / "image.bin").unlink()
    problems = relive("data", "verify", "sales@v1", "out", "--json", code=1).json["problems"]
    assert problems == [
        ["image.bin", "is missing"],
        ["new", "is not in the version"],
        ["rows.csv", "has other bytes, or another mode"],
    ]


def test_what_differs(relive: Shell, folder: Path) -> None:
    relive("data", "add", "sales", "--name", "sales")
    (folder / "rows.csv").write_text("id,v\n1,a\n2,B\n3,c\n")
    (folder / "added").touch()
    for other in ("./sales", "sales@v2"):
        said = relive("data", "diff", "sales@v1", other, "--key", "id").out
        assert "+ added" in said
        assert "rows: 1 added, 0 removed, 1 changed, 1 the same" in said
        assert '~ {"id":"2","v":"B"}' in said
        assert "Files: 1 added, 0 removed, 0 moved, 1 changed, 1 the same." in said
        relive("data", "add", "sales", "--name", "sales")
    assert relive("data", "diff", "sales@v2", "./sales").out == "Nothing differs: 3 files.\n"
    assert relive("data", "diff", "sales@v1", "sales@v2", "--files-only", "--json").json["added"] == ["added"]
    assert "a column of both" in relive("data", "diff", "sales@v1", "sales@v2", "--key", "no", code=2).err


def test_what_it_takes_and_to_forget_it(relive: Shell, folder: Path) -> None:
    relive("data", "add", "sales", "--name", "sales")
    (folder / "rows.csv").write_text("x\n")
    relive("data", "add", "sales", "--name", "sales")
    taken = relive("data", "du", "sales", "--json").json
    assert taken["packs"] == 2
    assert 300_000 < taken["stored_bytes"] < 302_000
    assert "for 2 versions" in relive("data", "du", "sales").out
    relive("data", "delete", "sales@v1", "--yes")
    assert [it["number"] for it in relive("data", "log", "sales", "--json").json["versions"]] == [2]
    assert relive("data", "delete", "sales@v2", code=None).code != 0  # nobody is there to say yes
    assert "no data set 'sales@v1'" in relive("data", "get", "sales@v1", code=1).err
