"""Whether a folder is as it was: told by its stamps alone, and never told wrongly."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from relive.data import scan as scanning
from relive.data.add import manifest_of
from relive.data.scan import Place, is_unchanged, place_of
from tests.unit.data.conftest import age


@pytest.fixture
def rested(tmp_path: Path) -> Path:
    """A folder of plain files that were at rest long before they are read."""
    root = tmp_path / "data"
    for name in ("a/x.bin", "a/b/y.bin", "a.c/z.bin", "top", "a/b/c/d/deep", "ä/ü"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "none").mkdir()
    age()
    return root


def no_slow_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("stamps were compared one by one")

    monkeypatch.setattr(scanning, "recall", refused)


def swap(root: Path) -> None:
    one, two = root / "a/x.bin", root / "top"
    one.rename(root / "t")
    two.rename(one)
    (root / "t").rename(two)


def put_link(root: Path) -> None:
    (root / "top").unlink()
    (root / "top").symlink_to("a/x.bin")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file more": lambda root: (root / "a/new").touch(),
    "a file less": lambda root: (root / "a/b/y.bin").unlink(),
    "a file renamed": lambda root: (root / "top").rename(root / "pot"),
    "a file moved": lambda root: (root / "top").rename(root / "a/top"),
    "two files swapped": swap,
    "a folder renamed": lambda root: (root / "a.c").rename(root / "a-c"),
    "another mode": lambda root: (root / "top").chmod(0o755),
    "the same text again": lambda root: (root / "top").write_text("top"),
    "a link more": lambda root: (root / "l").symlink_to("top"),
    "a link for a file": put_link,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_change_is_seen(rested: Path, change: Callable[[Path], object]) -> None:
    place = place_of(rested)
    digest, _ = manifest_of(place)
    assert is_unchanged(place, digest)
    change(rested)
    assert not is_unchanged(place, digest)


def test_one_walk_tells_that_nothing_changed(rested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_of(rested)
    digest, _ = manifest_of(place)
    no_slow_walk(monkeypatch)
    (rested / "another").mkdir()  # a folder without files is no part of the data
    assert is_unchanged(place, digest)
    assert not is_unchanged(place, f"blake3:{'0' * 64}")


def test_what_is_left_out_may_change(rested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_of(rested, ["a/b/", "*.bin"])
    digest, manifest = manifest_of(place)
    assert [it.path for it in manifest.entries] == ["top", "ä/ü"]
    no_slow_walk(monkeypatch)
    (rested / "a/b/y.bin").write_text("other")
    (rested / ".git").mkdir()
    (rested / ".git/config").touch()
    assert is_unchanged(place, digest)


def test_links_are_compared_too(rested: Path, tmp_path: Path) -> None:
    (rested / "inside").symlink_to("a/x.bin")
    (tmp_path / "outside").write_text("1")
    (rested / "out").symlink_to(tmp_path / "outside")
    age()
    place = place_of(rested)
    digest, _ = manifest_of(place)
    assert is_unchanged(place, digest)
    (tmp_path / "outside").write_text("2")
    assert not is_unchanged(place, digest)


def test_a_single_file_is_compared(rested: Path) -> None:
    place = place_of(rested / "top")
    digest, _ = manifest_of(place)
    assert is_unchanged(place, digest)
    (rested / "top").write_text("pot")
    assert not is_unchanged(place, digest)


def test_a_file_that_did_not_rest_is_missed_when_it_is_gone(rested: Path) -> None:
    place = place_of(rested)
    (rested / "fresh").write_text("1")
    digest, manifest = manifest_of(place)
    assert manifest.find("fresh") is not None
    (rested / "fresh").unlink()
    assert not is_unchanged(place, digest)


@pytest.mark.parametrize("damage", [b"", b"no title\n", b"\xff\xfe", b'{"format":"relive.scan/2"}\n'])
def test_a_damaged_memory_is_no_memory(rested: Path, damage: bytes) -> None:
    place = place_of(rested)
    digest, _ = manifest_of(place)
    file = scanning._memory_file(place)
    file.write_bytes(damage)
    assert not is_unchanged(place, digest)
    assert scanning.recall(place) == scanning.Memory()
    assert manifest_of(place)[0] == digest
    assert is_unchanged(place, digest)


def test_a_memory_is_of_its_own_place(rested: Path) -> None:
    place, other = place_of(rested), place_of(rested, ["top"])
    digest, _ = manifest_of(place)
    os.replace(scanning._memory_file(place), scanning._memory_file(other))
    assert not is_unchanged(other, digest)
    assert scanning.recall(other) == scanning.Memory()


def test_a_cut_off_body_is_no_memory(rested: Path) -> None:
    place = place_of(rested)
    manifest_of(place)
    file = scanning._memory_file(place)
    file.write_bytes(file.read_bytes()[:-20])
    assert scanning.recall(Place(place.root)) == scanning.Memory()
