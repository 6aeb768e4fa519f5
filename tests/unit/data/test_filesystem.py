"""A version through fsspec: found by its scheme, listed, read at any place, and never written."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from relive.client.filesystem import DatasetFileSystem
from relive.client.hub import HubClient
from relive.core.digest import Digest
from tests.support.live import LiveHub
from tests.unit.data.conftest import add_it


@pytest.fixture
def system(hub: HubClient, live: LiveHub, folder: Path) -> DatasetFileSystem:
    """A file system whose hub has the folder as d@v1."""
    add_it(hub, folder)
    return DatasetFileSystem(hub=live.url, token=live.admin, skip_instance_cache=True)


def test_fsspec_finds_it_by_the_scheme(live: LiveHub) -> None:
    system, path = url_to_fs("relive://d@v1/sub/small.txt", hub=live.url, token=live.admin)
    assert isinstance(system, DatasetFileSystem)
    assert path == "d@v1/sub/small.txt"


def test_folders_and_files_are_listed(system: DatasetFileSystem) -> None:
    names = ["big.bin", "empty", "link", "rows.csv", "run.sh", "sub"]
    assert sorted(system.ls("relive://d@v1", detail=False)) == [f"d@v1/{name}" for name in names]
    assert sorted(system.ls("d@v1/sub/", detail=False)) == ["d@v1/sub/same.txt", "d@v1/sub/small.txt"]
    assert system.ls("d@v1/empty", detail=False) == ["d@v1/empty"]
    assert sorted(system.glob("d@v1/**/*.txt")) == ["d@v1/sub/same.txt", "d@v1/sub/small.txt"]
    assert len(system.find("d@v1")) == 7
    assert [it[0] for it in system.walk("d@v1")] == ["d@v1", "d@v1/sub"]
    assert system.isdir("d@v1/sub")
    assert system.isfile("d@v1/rows.csv")
    assert not system.exists("d@v1/nothing")


def test_what_is_known_of_a_file(system: DatasetFileSystem, hub: HubClient) -> None:
    info = system.info("d@v1/link")
    assert (info["size"], info["type"]) == (6, "file"), "a link is the file that it leads to"
    entry = hub.dataset_manifest(hub.get_dataset_version("d@v1").version).find("sub/small.txt")
    assert entry is not None
    assert system.checksum("d@v1/sub/small.txt") == system.ukey("d@v1/link") == Digest(entry.digest)


def test_a_file_is_read_at_any_place(system: DatasetFileSystem, folder: Path) -> None:
    whole = (folder / "big.bin").read_bytes()
    with system.open("relive://d@v1/big.bin") as file:
        file.seek(8_000_000)
        assert file.read(100) == whole[8_000_000:8_000_100]
    assert system.cat_file("d@v1/big.bin", start=-10) == whole[-10:]
    with system.open("d@v1/rows.csv", "r") as text:
        assert text.readline() == "id,name\n"


def test_files_are_copied_out(system: DatasetFileSystem, folder: Path, tmp_path: Path) -> None:
    system.get("d@v1/sub", str(tmp_path / "out"), recursive=True)
    assert (tmp_path / "out/small.txt").read_text() == "hello\n"
    found = fsspec.filesystem("file")
    assert isinstance(found, LocalFileSystem)


def test_nothing_is_written(system: DatasetFileSystem) -> None:
    with pytest.raises(OSError, match="never changes: relive data add"):
        system.open("d@v1/rows.csv", "wb")
    with pytest.raises(IsADirectoryError):
        system.open("d@v1/sub")


@pytest.mark.parametrize("path", ["d@v7/rows.csv", "nobody@v1", "d@v1/rows.csv/more", "d@v1/no", ""])
def test_what_is_not_there_is_not_found(system: DatasetFileSystem, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        system.info(path)


def test_the_latest_holds_until_it_is_asked_for_again(
    system: DatasetFileSystem, hub: HubClient, folder: Path
) -> None:
    assert system.cat_file("d/rows.csv").startswith(b"id,name\n0,")
    (folder / "rows.csv").write_text("id,name\n7,other\n")
    add_it(hub, folder)
    assert system.cat_file("d/rows.csv").startswith(b"id,name\n0,")
    system.invalidate_cache()
    assert system.cat_file("d/rows.csv") == b"id,name\n7,other\n"


def test_a_worker_of_its_own_process_gets_it(system: DatasetFileSystem) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(system.cat_file, ("d@v1/sub/small.txt",)) == b"hello\n"


def test_relive_itself_does_not_need_fsspec() -> None:
    code = "import relive, sys; relive.dataset; sys.exit('fsspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
