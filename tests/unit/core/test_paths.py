"""Paths of a stage become relative to the checkout, and never leave it."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.paths import folders_of, is_within, overlap, rooted
from relive.errors import InvalidInput


@pytest.mark.parametrize(
    ("path", "wdir", "expected"),
    [
        ("model/", ".", "model"),
        ("./data//train.csv", ".", "data/train.csv"),
        (".", ".", "."),
        ("model", "train", "train/model"),
        ("../data", "train", "data"),
        ("a/../b", ".", "b"),
        ("..", "train", "."),
        (".gitignore", ".", ".gitignore"),
        ("a b/ü.csv", ".", "a b/ü.csv"),
    ],
)
def test_rooted(path, wdir, expected):
    assert rooted(path, wdir) == expected


@pytest.mark.parametrize(
    ("path", "wdir"),
    [
        ("", "."),
        ("/etc/passwd", "."),
        ("..", "."),
        ("../x", "."),
        ("a/../../x", "."),
        ("../../x", "train"),
        (".git", "."),
        (".git/config", "."),
        ("x/../.git/hooks", "."),
        ("a\0b", "."),
        ("a\nb", "."),
    ],
)
def test_what_leaves_the_repository_is_refused(path, wdir):
    with pytest.raises(InvalidInput) as caught:
        rooted(path, wdir)
    assert caught.value.value == path


@given(st.text(st.sampled_from("ab./"), max_size=20), st.sampled_from([".", "a", "a/b"]))
def test_a_rooted_path_stays_inside_and_is_rooted_already(path, wdir):
    try:
        whole = rooted(path, wdir)
    except InvalidInput:
        return
    assert not whole.startswith("/")
    assert ".." not in whole.split("/")
    assert posixpath.normpath(whole) == whole
    assert rooted(whole) == whole


def test_folders_come_from_the_inside():
    assert list(folders_of("a/b/c.csv")) == ["a/b", "a"]
    assert list(folders_of("c.csv")) == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a", "a", True),
        ("a/b", "a", True),
        ("a", "a/b", True),
        ("ab", "a", False),
        ("a/b", "a/c", False),
        (".", "x", True),
    ],
)
def test_overlap_is_by_whole_names(one, other, expected):
    assert overlap(one, other) is expected
    assert overlap(other, one) is expected


def test_within_has_a_direction():
    assert is_within("a/b", "a")
    assert not is_within("a", "a/b")
