"""A version is read without being written out: any place of any file, checked, and as an input of runs."""

import csv
import io
import os
import random
from pathlib import Path

import pytest

import relive
from relive.client import packed
from relive.client.dataset import OpenDataset, read_tags
from relive.client.hub import HubClient
from relive.client.packed import PackedVersion
from relive.core.access import Caller, Scope
from relive.core.pipeline import StageStatus
from relive.errors import HubRefused, InvalidInput, NotFound
from relive.runner.checkout import lay_inputs
from relive.services import datasets
from relive.services.recording import keep_records
from relive.wire.jobs import Records
from tests.support.bench import Bench
from tests.support.live import LiveHub
from tests.unit.data.conftest import add_it

TRAIN = """
version: 1
stages:
  train: {cmd: "cat data/d/rows.csv", deps: [train.py, {dataset: d@latest, path: data/d}], outs: [o]}
"""
ADA = Caller(name="ada", scope=Scope.MEMBER)


@pytest.fixture
def opened(hub: HubClient, folder: Path) -> OpenDataset:
    """The folder as a version that is open."""
    return OpenDataset(PackedVersion(hub, add_it(hub, folder).version))


class TestReading:
    def test_files_are_listed_and_read(self, opened: OpenDataset, folder: Path) -> None:
        assert opened.files("sub/*") == ["sub/same.txt", "sub/small.txt"]
        assert len(opened.files()) == 7
        assert opened.read("big.bin") == (folder / "big.bin").read_bytes()
        assert opened.read("empty") == b""
        assert opened.read("link") == b"hello\n"
        assert opened.size("big.bin") == 9_000_000
        assert repr(opened) == "<dataset d@v1, 7 files>"

    def test_any_place_of_a_file(self, opened: OpenDataset, folder: Path) -> None:
        whole = (folder / "big.bin").read_bytes()
        chance = random.Random(1)
        with opened.open("big.bin") as file:
            for _ in range(60):
                at, length = chance.randrange(9_100_000), chance.randrange(400_000)
                file.seek(at)
                assert file.read(length) == whole[at : at + length]
                assert file.tell() == max(at, min(len(whole), at + length))
            assert file.seek(-5, os.SEEK_END) == len(whole) - 5
            assert file.read() == whole[-5:]

    def test_text_and_csv(self, opened: OpenDataset) -> None:
        with opened.open("rows.csv", "r") as file:
            rows = list(csv.DictReader(file))
        assert rows[999] == {"id": "999", "name": "name 999"}

    def test_only_what_is_read_is_fetched(self, hub: HubClient, opened: OpenDataset, monkeypatch) -> None:
        asked: list[int] = []
        real = packed.fetch

        def counted(source: PackedVersion, pack: int, start: int, end: int) -> bytes:
            asked.append(end - start)
            return real(source, pack, start, end)

        monkeypatch.setattr(packed, "fetch", counted)
        assert opened.read("sub/small.txt") == b"hello\n"
        assert opened.read("sub/same.txt") == b"hello\n"
        assert len(asked) == 1
        assert sum(asked) < 3_000_000

    def test_what_cannot_be_done(self, opened: OpenDataset) -> None:
        with pytest.raises(InvalidInput, match="never changes"):
            opened.open("rows.csv", "wb")
        with pytest.raises(NotFound, match="none"):
            opened.open("none")
        with opened.open("rows.csv") as file, pytest.raises(ValueError, match="before the beginning"):
            file.raw.seek(-1)  # type: ignore[attr-defined]
        with opened.open("rows.csv") as file, pytest.raises(io.UnsupportedOperation):
            file.write(b"x")

    def test_some_files_are_written(self, opened: OpenDataset, tmp_path: Path) -> None:
        opened.get(tmp_path / "out", "sub")
        assert (tmp_path / "out/sub/small.txt").read_text() == "hello\n"
        assert not (tmp_path / "out/big.bin").exists()

    def test_by_its_name(self, live: LiveHub, opened: OpenDataset, monkeypatch) -> None:
        monkeypatch.setenv("RELIVE_HUB", live.url)
        monkeypatch.setenv("RELIVE_TOKEN", live.admin)
        assert relive.dataset("d@v1").version == opened.version
        assert relive.dataset("d", hub=live.url, token=live.admin).files() == opened.files()
        with pytest.raises(HubRefused, match="no data set"):
            relive.dataset("d@v2")
        with pytest.raises(InvalidInput):
            relive.dataset("d@")


class TestLineage:
    def test_a_run_that_uses_a_version_is_an_edge(self, opened: OpenDataset, bench: Bench) -> None:
        run = bench.services.store.get_run(bench.by_hand().run_id)
        tags = read_tags(opened) | {"relive.dataset.none@v1": "x", "relive.dataset.": "", "other": "1"}
        for _ in range(2):
            keep_records(bench.services, run.id, Records(batch="b", fence=0, tags=tags), fence=None)
        detail = datasets.version_detail(bench.services, opened.version)
        assert [read.run_id for read in detail.reads] == [run.id]
        (edge,) = bench.services.store.list_inputs(run.id)
        assert (edge.path, edge.origin, edge.manifest) == ("d", "dataset:d@v1", opened.version.digest)
        assert bench.services.store.list_reads_of_run(run.id) == [opened.version]

    def test_a_run_that_makes_a_version_is_named(self, hub: HubClient, folder: Path, bench: Bench) -> None:
        run_id = bench.by_hand().run_id
        version = add_it(hub, folder, run_id=run_id).version
        detail = hub.get_dataset_version("d")
        assert detail.made_by is not None
        assert (detail.made_by.id, version.source_run_id) == (run_id, run_id)
        with pytest.raises(HubRefused, match="no run"):
            add_it(hub, folder / "rows.csv", "other", run_id="f" * 32)

    def test_a_stage_gets_the_version_that_it_names(
        self, hub: HubClient, folder: Path, bench: Bench, tmp_path: Path
    ) -> None:
        add_it(hub, folder)
        pipeline = bench.start({"relive.yaml": TRAIN, "train.py": ""})
        stage = bench.stages(pipeline)["train"]
        assert stage.status is StageStatus.QUEUED, stage.reason
        _, work = bench.running(stage)
        data = next(dep for dep in work.deps if dep.path == "data/d")
        assert data.origin == "dataset:d@v1"
        expected = lay_inputs(hub.blobs, work.deps, tmp_path / "tree")
        assert (tmp_path / "tree/data/d/rows.csv").read_bytes() == (folder / "rows.csv").read_bytes()
        assert (tmp_path / "tree/data/d/link").is_symlink()
        assert "data/d/big.bin" in expected
        version = hub.get_dataset_version("d")
        assert [(read.run_id, read.path) for read in version.reads] == [(stage.run_id, "data/d")]

    def test_new_data_is_another_cache_key(self, hub: HubClient, folder: Path, bench: Bench) -> None:
        add_it(hub, folder)
        files = {"relive.yaml": TRAIN, "train.py": ""}
        first = bench.stages(bench.start(files))["train"]
        bench.finish(first, outs={"o": b"1"})
        again = bench.stages(bench.start(files | {"README": "1"}))["train"]
        assert (again.status, again.cache_key) == (StageStatus.CACHED, first.cache_key)
        (folder / "rows.csv").write_text("id\n")
        add_it(hub, folder)
        third = bench.stages(bench.start(files | {"README": "2"}))["train"]
        assert third.status is StageStatus.QUEUED
        assert third.cache_key != first.cache_key

    def test_a_version_that_is_not_there_fails_its_stage(self, bench: Bench) -> None:
        stage = bench.stages(bench.start({"relive.yaml": TRAIN, "train.py": ""}))["train"]
        assert stage.status is StageStatus.FAILED
        assert "no data set 'd'" in stage.reason


def test_the_pages_show_versions_and_lineage(
    live: LiveHub, hub: HubClient, folder: Path, bench: Bench
) -> None:
    from relive.hub.web.views import datasets as views

    assert views.list_datasets(bench.services) == []
    run_id = bench.by_hand().run_id
    version = add_it(hub, folder, message="<first>", run_id=run_id).version
    tags = {f"relive.dataset.{version.ref}": version.digest}
    keep_records(bench.services, run_id, Records(batch="b", fence=0, tags=tags), fence=None)
    (line,) = views.list_datasets(bench.services)
    assert line.newest == version
    page = views.get_version(bench.services, "d", "latest")
    assert next((it.name, it.files) for it in page.lines) == ("sub", 2)
    assert page.made_by is not None
    assert page.made_by.id == run_id == page.reads[0].id
    below = views.get_version(bench.services, "d", "v1", folder="sub/")
    assert [it.path for it in below.lines] == ["sub/same.txt", "sub/small.txt"]
    with pytest.raises(NotFound, match="folder"):
        views.get_version(bench.services, "d", "1", folder="none")
    for path in ("/data", "/d/d", "/d/d/v/1", "/d/d/v/1?folder=sub"):
        answer = live.ask("GET", path)
        assert answer.status == 200, answer.body
        assert b"<first>" not in answer.body
        assert b"d" in answer.body
    assert live.ask("GET", "/d/none").status == 404
    assert live.ask("GET", "/d/d/v/9").status == 404
