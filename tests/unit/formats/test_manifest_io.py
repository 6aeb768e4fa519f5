"""Manifests of folders: what is read, what is known again without reading, and what has changed."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relive.core.artifact import Manifest, ManifestEntry
from relive.errors import InvalidInput, InvalidManifest, NotFound
from relive.formats import manifest_io
from relive.formats.hashing import Hashed, blake3_digest, hash_file
from relive.formats.manifest_io import HashCache, Snapshot, list_tree, make_room, read_manifest


@pytest.fixture
def hashed(monkeypatch):
    """Count the files that are read."""
    read: list[str] = []

    def hash_and_count(path: Path) -> Hashed:
        read.append(path.name)
        return hash_file(path)

    monkeypatch.setattr(manifest_io, "hash_file", hash_and_count)
    return read


def at_rest(path: Path) -> None:
    """Wait until a later write would show in the file's stamp."""
    status = path.stat()
    while time.time_ns() <= max(status.st_mtime_ns, status.st_ctime_ns) + manifest_io._AT_REST_NS:
        time.sleep(0.02)


def test_files_links_and_programs_are_told_apart(tmp_path):
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.csv").write_text("1")
    (tmp_path / "a/link").symlink_to("../run.sh")
    (tmp_path / "folder-link").symlink_to("./a/")
    manifest = read_manifest(tmp_path, list_tree(tmp_path))
    assert manifest.entries == (
        ManifestEntry("a/b.csv", blake3_digest(b"1"), 1),
        ManifestEntry("a/link", link="../run.sh"),
        ManifestEntry("folder-link", link="a"),
        ManifestEntry("run.sh", blake3_digest(b"#!/bin/sh\n"), 10, executable=True),
    )


def test_a_link_to_what_is_not_kept_is_read_as_a_file(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "data.csv").write_text("1")
    (tmp_path / "kept/data.csv").symlink_to("../data.csv")
    manifest = read_manifest(tmp_path, list_tree(tmp_path, "kept"))
    assert manifest.entries == (ManifestEntry("kept/data.csv", blake3_digest(b"1"), 1),)


def test_a_declared_folder_may_be_a_link_to_one(tmp_path):
    (tmp_path / "v3").mkdir()
    (tmp_path / "v3/model").write_text("1")
    (tmp_path / "model").symlink_to("v3")
    assert list(list_tree(tmp_path, "model")) == ["model/model"]


def test_a_link_to_a_folder_elsewhere_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in/loop").symlink_to(tmp_path / "out")
    with pytest.raises(InvalidInput) as caught:
        read_manifest(tmp_path, list_tree(tmp_path, "in"))
    assert caught.value.field == "in/loop"


def test_a_link_to_itself_ends(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "a").symlink_to(".")
    with pytest.raises(NotFound):
        list(list_tree(tmp_path, "nowhere"))
    manifest = read_manifest(tmp_path, ["loop"])
    assert manifest.entries[0].link == "loop"


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff", "wb"):
        pass
    with pytest.raises(InvalidManifest):
        read_manifest(tmp_path, list_tree(tmp_path))


def test_a_file_at_rest_is_read_once(tmp_path, hashed):
    file = tmp_path / "a"
    file.write_text("1")
    at_rest(file)
    cache = HashCache(tmp_path / "cache/hashes")
    assert cache.digest_of(file)[0] == cache.digest_of(file)[0] == blake3_digest(b"1")
    cache.save()
    assert HashCache(tmp_path / "cache/hashes").digest_of(file)[0] == blake3_digest(b"1")
    assert hashed == ["a"]


def test_a_file_written_a_moment_ago_is_not_remembered(tmp_path, hashed, monkeypatch):
    monkeypatch.setattr(manifest_io, "_AT_REST_NS", 3600 * 10**9)
    file = tmp_path / "a"
    file.write_text("1")
    cache = HashCache()
    cache.digest_of(file)
    cache.digest_of(file)
    assert hashed == ["a", "a"]


def test_bytes_changed_behind_the_same_size_and_time_are_seen(tmp_path):
    file = tmp_path / "a"
    file.write_text("1")
    at_rest(file)
    cache = HashCache()
    cache.digest_of(file)
    before = file.stat()
    file.write_text("2")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.digest_of(file)[0] == blake3_digest(b"2")


def test_a_damaged_cache_is_only_empty(tmp_path):
    (tmp_path / "hashes").write_bytes(b"\xff\x00nonsense")
    (tmp_path / "a").write_text("1")
    assert HashCache(tmp_path / "hashes").digest_of(tmp_path / "a")[0] == blake3_digest(b"1")


def expected(root: Path, *names: str) -> dict[str, str]:
    return {name: blake3_digest((root / name).read_bytes()) for name in names}


def test_what_changed_and_what_is_gone_is_named_and_nothing_else(tmp_path):
    for name in "abcd":
        (tmp_path / name).write_text(name)
    snapshot = Snapshot(tmp_path, expected(tmp_path, *"abcd"))
    assert snapshot.changed() == ()
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").unlink()
    os.utime(tmp_path / "c")
    assert snapshot.changed() == ("a", "b")


def test_a_change_that_hides_its_time_is_found(tmp_path):
    file = tmp_path / "a"
    file.write_text("1")
    at_rest(file)
    snapshot = Snapshot(tmp_path, expected(tmp_path, "a"))
    before = file.stat()
    file.write_text("2")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert snapshot.changed() == ("a",)


def test_an_untouched_file_at_rest_is_not_read_again(tmp_path, hashed):
    file = tmp_path / "a"
    file.write_text("1")
    at_rest(file)
    assert Snapshot(tmp_path, expected(tmp_path, "a")).changed() == ()
    assert hashed == []


@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=3)), max_size=6),
    start=st.binary(max_size=3),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_means_other_bytes(tmp_path, steps, start):
    for name in "abc":
        (tmp_path / name).write_bytes(start)
    snapshot = Snapshot(tmp_path, expected(tmp_path, *"abc"))
    for name, data in steps:
        (tmp_path / name).write_bytes(data)
    really = tuple(name for name in "abc" if (tmp_path / name).read_bytes() != start)
    assert snapshot.changed() == really


def test_room_is_made_without_writing_through_links(tmp_path):
    (tmp_path / "outside").mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "file").write_text("x")
    (root / "folder/deep").mkdir(parents=True)
    make_room(root, "link/a").write_text("1")
    make_room(root, "file/a/b").write_text("2")
    make_room(root, "folder").write_text("3")
    assert list((tmp_path / "outside").iterdir()) == []
    assert Manifest.of(read_manifest(root, list_tree(root)).entries).n_files == 3
