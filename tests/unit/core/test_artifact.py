"""Manifests: which trees they hold, which they refuse, and that their bytes name them."""

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.digest import canonical_json
from relive.errors import InvalidManifest

DIGEST = "blake3:" + "0a" * 32
OTHER = "blake3:" + "0b" * 32

NAMES = st.text(st.sampled_from("ab.é-0/😀"), min_size=1, max_size=3).filter(
    lambda name: "/" not in name and name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
FILES = st.builds(
    ManifestEntry,
    path=PATHS,
    digest=st.sampled_from([DIGEST, OTHER]),
    size_bytes=st.integers(0, 2**50),
    executable=st.booleans(),
)


@st.composite
def entry_lists(draw):
    """Entries that make a tree: no path twice, none that is also a folder."""
    entries = draw(st.lists(FILES, max_size=12, unique_by=lambda entry: entry.path))
    paths = {entry.path for entry in entries}
    return [entry for entry in entries if not any(other.startswith(entry.path + "/") for other in paths)]


def file(path: str, digest: str = DIGEST, size_bytes: int = 1) -> ManifestEntry:
    return ManifestEntry(path, digest, size_bytes)


def link(path: str, target: str) -> ManifestEntry:
    return ManifestEntry(path, link=target)


@given(entry_lists(), st.randoms(use_true_random=False))
def test_the_order_of_entries_is_no_part_of_a_tree(entries, random):
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert Manifest.of(shuffled) == Manifest.of(entries)
    assert Manifest.of(shuffled).to_bytes() == Manifest.of(entries).to_bytes()


@given(entry_lists())
def test_what_goes_in_comes_out(entries):
    manifest = Manifest.of(entries)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert set(manifest.entries) == set(entries)
    assert manifest.n_files == len(entries)
    assert manifest.size_bytes == sum(entry.size_bytes for entry in entries)
    assert manifest.digests == {entry.digest for entry in entries}


@given(entry_lists(), PATHS)
def test_find_gives_the_entry_or_none(entries, path):
    by_path = {entry.path: entry for entry in entries}
    manifest = Manifest.of(entries)
    assert manifest.find(path) == by_path.get(path)
    assert all(manifest.find(known) == entry for known, entry in by_path.items())


@given(entry_lists(), PATHS)
def test_a_subtree_holds_what_lies_in_the_folder(entries, folder):
    expected = {
        entry.path.removeprefix(f"{folder}/"): entry.digest
        for entry in entries
        if entry.path.startswith(f"{folder}/")
    }
    assert {entry.path: entry.digest for entry in Manifest.of(entries).subtree(folder).entries} == expected


@given(entry_lists(), entry_lists())
def test_two_trees_have_the_same_bytes_only_if_they_are_the_same(left, right):
    assume(set(left) != set(right))
    assert Manifest.of(left).to_bytes() != Manifest.of(right).to_bytes()


def test_canonical_bytes_are_these():
    """Digests of stored artifacts depend on these very bytes; if this fails, the code is wrong."""
    manifest = Manifest.of(
        [
            link("latest", "runs/2"),
            ManifestEntry("bin/run", DIGEST, 5, executable=True),
            file("empty", OTHER, 0),
        ]
    )
    assert (
        manifest.to_bytes()
        == (
            f'{{"entries":[{{"digest":"{DIGEST}","executable":true,"path":"bin/run","size_bytes":5}},'
            f'{{"digest":"{OTHER}","path":"empty"}},'
            '{"link":"runs/2","path":"latest"}],"format":"relive.manifest/1"}'
        ).encode()
    )


def test_an_empty_tree_is_a_tree():
    assert Manifest.from_bytes(Manifest().to_bytes()) == Manifest()
    assert Manifest().find("a") is None
    assert Manifest().subtree("a") == Manifest()


def test_a_folder_is_not_confused_with_names_that_begin_alike():
    manifest = Manifest.of([file("data/a"), file("data-old/a"), file("data.csv"), file("data0")])
    assert [entry.path for entry in manifest.subtree("data").entries] == ["a"]
    assert manifest.subtree("data/") == manifest.subtree("data")
    assert manifest.subtree("data.csv") == Manifest()
    assert manifest.subtree("") == manifest


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "..", "../a", "a/../b", "a/..", ".", "./a", "a/./b", "a//b", "a/", "a\0b", "\udcff"],
)
def test_paths_that_cannot_be_laid_out_are_refused(path):
    with pytest.raises(InvalidManifest) as caught:
        Manifest.of([file(path)])
    assert caught.value.value == path


@pytest.mark.parametrize("path", ["n" * 256, "é" * 128, "d/" * 2048 + "f", "x" * 10_000_000])
def test_paths_longer_than_a_file_system_takes_are_refused_in_few_words(path):
    with pytest.raises(InvalidManifest) as caught:
        Manifest.of([file(path)])
    assert len(str(caught.value)) < 500


def test_names_as_long_as_a_file_system_takes_are_kept():
    longest = "/".join(["n" * 255] * 15 + ["é" * 127])
    assert Manifest.of([file(longest)]).find(longest) is not None


def test_a_path_that_is_file_and_folder_is_refused():
    # "a.txt" sorts between the two, so that neighbours alone would not tell.
    with pytest.raises(InvalidManifest, match="either a file or a folder") as caught:
        Manifest.of([file("x/a"), file("x/a.txt"), file("x/a/b/c")])
    assert caught.value.value == "x/a"
    with pytest.raises(InvalidManifest, match="either a file or a folder"):
        Manifest.of([link("x", "y"), file("x/passwd"), file("y/passwd")])


def test_a_path_given_twice_is_refused():
    with pytest.raises(InvalidManifest, match="each path once"):
        Manifest.of([file("a", DIGEST), file("a", OTHER)])


def test_entries_out_of_order_are_refused():
    with pytest.raises(InvalidManifest, match="sorted by path"):
        Manifest((file("b"), file("a")))


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        (file("a", digest=""), "digest"),
        (file("a", digest=DIGEST.upper()), "digest"),
        (file("a", size_bytes=-1), "0 bytes or more"),
        (ManifestEntry("a", DIGEST, link="b"), "link without digest"),
        (ManifestEntry("a", size_bytes=1, link="b"), "link without digest"),
        (ManifestEntry("a", executable=True, link="b"), "link without digest"),
    ],
)
def test_entries_that_contradict_themselves_are_refused(entry, wanted):
    with pytest.raises(InvalidManifest, match=wanted):
        Manifest.of([entry])


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", ""),
        ("a", "/etc/passwd"),
        ("a", ".."),
        ("a", "../a"),
        ("d/a", "../../x"),
        ("d/a", "b/../../../x"),
        ("d/a", "b/.."),  # stays inside by its letters, but `b` may be a link to elsewhere
        ("a", "b\0"),
        ("a", "\udcff"),
        ("a", "n/" * 3000),
    ],
)
def test_links_that_could_lead_outside_are_refused(path, target):
    with pytest.raises(InvalidManifest) as caught:
        Manifest.of([link(path, target)])
    assert caught.value.value == target


@pytest.mark.parametrize(
    ("path", "target"), [("a", "b"), ("d/a", "../b"), ("d/e/a", "../../x/y"), ("d/a", "..")]
)
def test_links_that_stay_inside_are_kept(path, target):
    assert Manifest.of([link(path, target)]).entries[0].link == target


def test_a_link_that_points_out_of_a_folder_has_no_place_in_its_subtree():
    manifest = Manifest.of([link("d/a", "../b"), file("b")])
    with pytest.raises(InvalidManifest, match="inside the manifest"):
        manifest.subtree("d")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"{}",
        b'{"entries":[],"format":"relive.manifest/9"}',
        b'{"entries":[],"format":"relive.manifest/1","more":1}',
        b'{"entries":[{"path":"a"}],"format":"relive.manifest/1"}',
        b'{"entries":[{"link":"b","more":1,"path":"a"}],"format":"relive.manifest/1"}',
        b'{"format":"relive.manifest/1","entries":[]}',  # keys not sorted
        b'{"entries":[], "format":"relive.manifest/1"}',  # a space
        b'{"entries":[{"link":"\\ud800","path":"a"}],"format":"relive.manifest/1"}',
        b"[" * 100_000,
    ],
)
def test_bytes_that_are_no_manifest_are_refused(data):
    with pytest.raises(InvalidManifest):
        Manifest.from_bytes(data)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data):
    with pytest.raises(InvalidManifest):
        Manifest.from_bytes(data)


def test_a_manifest_inside_a_message_is_checked_too():
    message = msgspec.json.encode(
        {"entries": [{"path": "../a", "digest": DIGEST}], "format": "relive.manifest/1"}
    )
    with pytest.raises(InvalidManifest):
        msgspec.json.decode(message, type=Manifest)


def test_a_manifest_is_itself_a_document():
    manifest = Manifest.of([file("a")])
    assert canonical_json(manifest) == manifest.to_bytes()
