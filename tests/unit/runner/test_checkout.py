"""A job's files: the commit's tree, the inputs over it, and room for what the run writes."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from relive.client.blobs import BlobClient
from relive.client.transport import Transport
from relive.core.recipe import DataInput
from relive.errors import BlobNotFound, InvalidInput, StoreFull
from relive.formats.hashing import blake3_digest
from relive.runner.checkout import checkout, clear_outputs, lay_inputs, require_disk, working_folder
from tests.support.fake_hub import FakeHub, running_hub


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def blobs(hub, tmp_path):
    return BlobClient(Transport(hub.url), cache=tmp_path / "cache")


def dep(hub: FakeHub, path: str, files: dict[str, str], origin: str = "stage:a") -> DataInput:
    return DataInput(path=path, manifest=hub.put_tree(files), size_bytes=1, origin=origin)


def test_exactly_the_tree_is_laid_out(hub, blobs, tmp_path):
    checkout(blobs, hub.put_tree({"a": "1", "b/c": "2"}), tmp_path / "tree")
    found = {str(it.relative_to(tmp_path / "tree")) for it in (tmp_path / "tree").rglob("*") if it.is_file()}
    assert found == {"a", "b/c"}


def test_a_tree_the_hub_does_not_have_is_named(hub, blobs, tmp_path):
    with pytest.raises(BlobNotFound):
        checkout(blobs, blake3_digest(b"?"), tmp_path / "tree")


def test_inputs_lie_over_the_code_whatever_their_order(hub, blobs, tmp_path):
    tree = tmp_path / "tree"
    code = {"data/a": "old", "t.py": "x"}
    checkout(blobs, hub.put_tree(code), tree)
    deps = [dep(hub, "data/", {"data/a": "new", "data/b": "more"}), dep(hub, ".", code, origin="code")]
    expected = lay_inputs(blobs, deps, tree)
    assert (tree / "data/a").read_text() == "new"
    assert expected == {
        "data/a": blake3_digest(b"new"),
        "data/b": blake3_digest(b"more"),
        "t.py": blake3_digest(b"x"),
    }


def test_what_the_run_writes_is_not_taken_from_the_commit(hub, tmp_path):
    tree = tmp_path / "tree"
    for path in ("out/old", "metrics.json", "model/start", "data/a"):
        (tree / path).parent.mkdir(exist_ok=True, parents=True)
        (tree / path).write_text("x")
    (tree / "link").symlink_to("data")
    inputs = [dep(hub, ".", {}, origin="code"), dep(hub, "model/start", {})]
    clear_outputs(tree, ["out", "metrics.json", "model", "link", "never-there"], inputs)
    left = sorted(str(it.relative_to(tree)) for it in tree.rglob("*") if it.is_file())
    assert left == ["data/a", "model/start"]
    assert not (tree / "link").is_symlink()


def test_a_working_folder_may_be_made_but_not_lead_out(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(tmp_path)
    assert working_folder(tree, ".") == tree
    assert working_folder(tree, "sub/deep").is_dir()
    for path in ("..", "../tree2", "link", "/etc"):
        with pytest.raises(InvalidInput):
            working_folder(tree, path)


def test_a_disk_that_would_be_full_is_not_written_to(hub, blobs, tmp_path, monkeypatch):
    monkeypatch.setenv("RELIVE_RESERVE_MIB", "100")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 150 * 2**20))
    require_disk(tmp_path / "not/yet/there", 50 * 2**20)
    with pytest.raises(StoreFull) as caught:
        require_disk(tmp_path, 50 * 2**20 + 1)
    assert (caught.value.needed_bytes, caught.value.free_bytes) == (50 * 2**20 + 1, 50 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 0))
    with pytest.raises(StoreFull):
        checkout(blobs, hub.put_tree({"a": "1"}), tmp_path / "tree")
    assert not Path(tmp_path / "tree/a").exists()
