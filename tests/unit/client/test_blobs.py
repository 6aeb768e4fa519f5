"""The blob client: what is sent and what not, what is laid out, and that no byte is believed unhashed."""

import os
import resource
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relive.client import blobs as module
from relive.client.blobs import BlobClient
from relive.client.transport import Transport
from relive.core.artifact import Manifest, ManifestEntry
from relive.errors import (
    BlobDigestMismatch,
    BlobNotFound,
    HubRefused,
    HubUnreachable,
    InvalidInput,
    NotFound,
    StoreFull,
)
from relive.formats.hashing import blake3_digest
from relive.formats.manifest_io import HashCache
from tests.support.fake_hub import FakeHub, running_hub


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as running:
        yield running


def client(hub: FakeHub, tmp_path: Path, **options) -> BlobClient:
    return BlobClient(Transport(hub.url, **options), cache=tmp_path / "cache")


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    return {str(it.relative_to(folder)): it.read_bytes() for it in folder.rglob("*") if it.is_file()}


FILES = {"train.py": b"print(1)\n", "data/a.csv": b"1,2\n", "data/deep/b.csv": b"", "same.csv": b"1,2\n"}


def test_a_tree_comes_back_as_it_was(hub, tmp_path):
    blobs = client(hub, tmp_path)
    source = lay(tmp_path / "source", FILES)
    (source / "train.py").chmod(0o755)
    (source / "latest").symlink_to("data/a.csv")
    digest, manifest = blobs.upload_tree(source)
    laid = blobs.materialise(digest, tmp_path / "target")
    assert laid == manifest
    assert read(tmp_path / "target") == read(source)
    assert os.access(tmp_path / "target/train.py", os.X_OK)
    assert not os.access(tmp_path / "target/same.csv", os.X_OK)
    assert os.readlink(tmp_path / "target/latest") == "data/a.csv"


@given(
    tree=st.dictionaries(
        st.lists(st.sampled_from(["a", "b", "ü.txt", "x y"]), min_size=1, max_size=3).map("/".join),
        st.binary(max_size=200),
        max_size=8,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_comes_back_as_it_was(hub, tmp_path_factory, tree):
    kept = {p: d for p, d in tree.items() if not any(q != p and q.startswith(f"{p}/") for q in tree)}
    tmp_path = tmp_path_factory.mktemp("tree")
    blobs = client(hub, tmp_path)
    source = lay(tmp_path / "source", kept)
    source.mkdir(exist_ok=True)
    digest, _ = blobs.upload_tree(source)
    blobs.materialise(digest, tmp_path / "target")
    assert read(tmp_path / "target") == kept


def test_what_the_hub_has_is_not_sent_again(hub, tmp_path):
    blobs = client(hub, tmp_path)
    source = lay(tmp_path / "source", FILES)
    blobs.upload_tree(source)
    puts = [path for method, path in hub.requests if method == "PUT"]
    assert len(puts) == 4  # three different contents and the manifest
    hub.requests.clear()
    blobs.upload_tree(source)
    assert [method for method, _ in hub.requests] == ["POST", "POST"]


def test_some_paths_of_a_folder_are_kept_with_their_whole_names(hub, tmp_path):
    source = lay(tmp_path / "source", FILES)
    digest, _ = client(hub, tmp_path).upload_tree(source, ["data", "train.py"])
    assert set(hub.tree(digest)) == {"data/a.csv", "data/deep/b.csv", "train.py"}


def test_a_path_that_does_not_exist_is_named(hub, tmp_path):
    with pytest.raises(NotFound) as caught:
        client(hub, tmp_path).upload_tree(tmp_path, ["nothing/here"])
    assert caught.value.name == "nothing/here"


def test_many_digests_are_asked_for_in_portions(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ASKED_AT_ONCE", 10)
    there = hub.put(b"there")
    digests = [blake3_digest(str(i).encode()) for i in range(25)]
    assert client(hub, tmp_path).missing([*digests, there]) == set(digests)
    assert len(hub.requests) == 3


def test_a_blob_that_is_not_there_is_named(hub, tmp_path):
    digest = blake3_digest(b"nowhere")
    with pytest.raises(BlobNotFound) as caught:
        client(hub, tmp_path).get_file(digest, tmp_path / "out")
    assert caught.value.name == digest
    assert not (tmp_path / "out").exists()


def test_other_bytes_than_announced_are_refused_and_leave_nothing(hub, tmp_path):
    digest = hub.put(b"right")
    hub.path_of(digest).write_bytes(b"wrong")
    blobs = client(hub, tmp_path)
    with pytest.raises(BlobDigestMismatch):
        blobs.get_bytes(digest)
    with pytest.raises(BlobDigestMismatch):
        blobs.get_file(digest, tmp_path / "out")
    tree = Manifest.of([ManifestEntry("a/out", digest, 5)])
    with pytest.raises(BlobDigestMismatch):
        blobs.materialise(tree, tmp_path / "target")
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith((".partial", "out"))]


def test_a_damaged_cache_is_fetched_again(hub, tmp_path):
    tree = Manifest.of([ManifestEntry("a", hub.put(b"right"), 5)])
    blobs = client(hub, tmp_path)
    blobs.materialise(tree, tmp_path / "one")
    (cached,) = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    cached.write_bytes(b"wrong")
    blobs.materialise(tree, tmp_path / "two")
    assert (tmp_path / "two/a").read_bytes() == b"right"


def test_the_second_time_nothing_is_fetched(hub, tmp_path):
    digest = hub.put_tree({"a": "1", "b/c": "2"})
    blobs = client(hub, tmp_path)
    manifest = blobs.materialise(digest, tmp_path / "one")
    hub.requests.clear()
    blobs.materialise(manifest, tmp_path / "two")
    assert hub.requests == []
    assert read(tmp_path / "two") == {"a": b"1", "b/c": b"2"}


def test_a_laid_out_file_is_nobody_elses(hub, tmp_path):
    digest = hub.put_tree({"a": "1"})
    blobs = client(hub, tmp_path)
    blobs.materialise(digest, tmp_path / "one")
    with open(tmp_path / "one/a", "r+b") as file:
        file.write(b"9")
    blobs.materialise(digest, tmp_path / "two")
    assert (tmp_path / "two/a").read_bytes() == b"1"


def test_large_files_are_not_kept_twice(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CACHED_AT_MOST_BYTES", 10)
    digest = hub.put_tree({"small": "1", "large": "x" * 11})
    client(hub, tmp_path).materialise(digest, tmp_path / "target")
    cached = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert cached == [b"1"]
    assert (tmp_path / "target/large").read_text() == "x" * 11


def test_a_tree_is_laid_over_what_is_there(hub, tmp_path):
    outside = lay(tmp_path / "outside", {"keep": b"mine"})
    target = lay(tmp_path / "target", {"a": b"a file", "b/c": b"a folder's", "other": b"stays"})
    (target / "link").symlink_to(outside)
    digest = hub.put_tree({"a/now": "folder", "b": "file", "link/keep": "theirs"})
    client(hub, tmp_path).materialise(digest, target)
    assert read(target) == {"a/now": b"folder", "b": b"file", "link/keep": b"theirs", "other": b"stays"}
    assert read(outside) == {"keep": b"mine"}, "it was written through a link"


def test_a_file_that_changes_while_it_is_sent_is_refused(hub, tmp_path):
    source = lay(tmp_path / "source", {"a": b"before"})
    blobs = client(hub, tmp_path)
    stale = Manifest.of([ManifestEntry("a", blake3_digest(b"BEFORE"), 6)])
    with pytest.raises(HubRefused) as caught:
        blobs.put_tree(source, stale)
    assert caught.value.error_code == "blob_digest_mismatch"


def test_a_full_hub_takes_no_manifest_either(hub, tmp_path):
    hub.full = True
    source = lay(tmp_path / "source", FILES)
    with pytest.raises(StoreFull):
        client(hub, tmp_path).upload_tree(source)
    assert list(hub.folder.iterdir()) == []


def test_a_link_out_of_the_tree_is_read_as_its_file_and_a_broken_one_refused(hub, tmp_path):
    source = lay(tmp_path / "source", {"a": b"1"})
    lay(tmp_path, {"outside.csv": b"far"})
    (source / "far").symlink_to(tmp_path / "outside.csv")
    digest, _ = client(hub, tmp_path).upload_tree(source)
    assert hub.tree(digest) == {"a": b"1", "far": b"far"}
    (source / "broken").symlink_to("nowhere")
    with pytest.raises(InvalidInput) as caught:
        client(hub, tmp_path).upload_tree(source)
    assert caught.value.field == "broken"


def test_a_pipe_cannot_be_kept(hub, tmp_path):
    source = lay(tmp_path / "source", {"a": b"1"})
    os.mkfifo(source / "pipe")
    with pytest.raises(InvalidInput) as caught:
        client(hub, tmp_path).upload_tree(source)
    assert caught.value.field == "pipe"


def test_a_hub_that_goes_away_in_the_middle_is_waited_for(hub, tmp_path):
    digest = hub.put_tree({f"f{i}": "x" * 1000 for i in range(200)})
    blobs = client(hub, tmp_path, retry_for_s=60)
    manifest = blobs.fetch_manifest(digest)
    hub.go_away()
    returned = threading.Timer(0.5, hub.come_back)
    returned.start()
    blobs.materialise(manifest, tmp_path / "target")
    returned.join()
    assert len(read(tmp_path / "target")) == 200


def test_without_patience_one_failure_ends_all(hub, tmp_path):
    digest = hub.put_tree({f"f{i}": "x" for i in range(50)})
    blobs = client(hub, tmp_path)
    manifest = blobs.fetch_manifest(digest)
    hub.go_away()
    with pytest.raises(HubUnreachable):
        blobs.materialise(manifest, tmp_path / "target")


def test_a_large_file_goes_both_ways_through_little_memory(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CACHED_AT_MOST_BYTES", 1024)
    size = 200 * 1024 * 1024
    source = tmp_path / "source"
    source.mkdir()
    with open(source / "large", "wb") as file:
        file.truncate(size)
        file.write(b"begin")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    blobs = client(hub, tmp_path)
    digest, _ = blobs.upload_tree(source)
    blobs.materialise(digest, tmp_path / "target")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert (tmp_path / "target/large").stat().st_size == size
    assert grown < 60 * 1024 * 1024, f"{grown >> 20} MiB, client and server together"


def test_known_digests_are_not_computed_again(hub, tmp_path):
    source = lay(tmp_path / "source", {"a": b"1"})
    os.utime(source / "a", ns=(1, 1))
    hashes = HashCache(tmp_path / "hashes")
    BlobClient(Transport(hub.url), cache=tmp_path / "cache", hashes=hashes).upload_tree(source)
    hashes.save()
    assert HashCache(tmp_path / "hashes").digest_of(source / "a")[0] == blake3_digest(b"1")
