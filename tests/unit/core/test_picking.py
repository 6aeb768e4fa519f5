"""What people type picks the files that they mean, and no others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.digest import PREFIX
from relive.core.picking import pick_files, pick_folder
from relive.errors import NotFound

DIGEST = PREFIX + "0" * 64
PATHS = ("a.csv", "glob*", "globe", "train/a.png", "train/deep/b.png", "training/c.png", "é/日本.txt")
NAMES = st.text("ab*?[]é \n", min_size=1, max_size=4)


def manifest(*paths: str) -> Manifest:
    """A manifest of files of one size."""
    return Manifest.of(ManifestEntry(path, DIGEST, 1) for path in paths)


def picked(*wanted: str) -> list[str]:
    """Pick of the usual files."""
    return [entry.path for entry in pick_files(manifest(*PATHS), wanted, "d@v1").entries]


@pytest.mark.parametrize(
    ("wanted", "paths"),
    [
        ((), list(PATHS)),
        (("a.csv",), ["a.csv"]),
        (("train",), ["train/a.png", "train/deep/b.png"]),
        (("train/",), ["train/a.png", "train/deep/b.png"]),
        (("train/*.png",), ["train/a.png", "train/deep/b.png"]),
        (("train*/c.png",), ["training/c.png"]),
        (("*.PNG", "a.csv"), None),
        (("é",), ["é/日本.txt"]),
        (("glob*",), ["glob*", "globe"]),
        (("glob[*]",), ["glob*"]),
        (("a.csv", "*.csv", "a.csv"), ["a.csv"]),
    ],
)
def test_files_folders_and_globs(wanted: tuple[str, ...], paths: list[str] | None) -> None:
    if paths is None:
        with pytest.raises(NotFound, match=r"file of d@v1 '\*\.PNG'"):
            picked(*wanted)
    else:
        assert picked(*wanted) == paths


@given(paths=st.sets(NAMES, min_size=1, max_size=6), data=st.data())
def test_a_file_is_always_picked_by_its_own_name(paths: set[str], data: st.DataObject) -> None:
    whole = manifest(*paths)
    name = data.draw(st.sampled_from(sorted(paths)))
    found = pick_files(whole, [name], "d@v1")
    assert whole.find(name) in found.entries
    assert set(found.entries) <= set(whole.entries)


def test_a_folder_is_what_lies_below_it() -> None:
    whole = manifest(*PATHS)
    assert [it.path for it in pick_folder(whole, "train", "d@v1")] == ["train/a.png", "train/deep/b.png"]
    assert [it.path for it in pick_folder(whole, "train/deep", "d@v1")] == ["train/deep/b.png"]
    assert list(pick_folder(whole, "", "d@v1")) == list(whole.entries)
    for none in ("trai", "a.csv", "train/a.png/x"):
        with pytest.raises(NotFound, match="folder of d@v1"):
            pick_folder(whole, none, "d@v1")
