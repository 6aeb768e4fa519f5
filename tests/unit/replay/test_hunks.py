"""A changed file taken apart: any mixture can be written, and what needs another change is held with it."""

import ast
import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.replay.hunks import Change, changes_of, is_same_program, text_of, tree_of, with_changes

BEFORE = b"""\
import json

lr = 0.1
steps = 10

def fit(x):
    return x * lr

print(fit(1))
"""


def changed(*pairs: tuple[bytes, bytes]) -> bytes:
    """Give BEFORE with some words replaced."""
    text = BEFORE
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def apart(after: bytes, before: bytes = BEFORE, *, is_python: bool = True) -> list[Change]:
    return changes_of(before, after, is_python=is_python)


def lines(changes: list[Change]) -> list[str]:
    return [",".join(hunk.lines for hunk in change) for change in changes]


def test_places_that_do_not_need_each_other_are_apart() -> None:
    after = changed((b"0.1", b"0.2"), (b"* lr", b"+ lr"))
    found = apart(after)
    assert lines(found) == ["3", "7"]
    assert [(text_of(it, "old"), text_of(it, "new")) for it in found] == [
        ("lr = 0.1", "lr = 0.2"),
        ("return x * lr", "return x + lr"),
    ]
    assert with_changes(BEFORE, found[1:]) == changed((b"* lr", b"+ lr"))


@pytest.mark.parametrize(
    ("pairs", "wanted"),
    [
        # A call and the import that it needs; another change stays apart.
        ([(b"json", b"json\nimport math"), (b"x * lr", b"math.sin(x)")], ["2,8"]),
        ([(b"json", b"json\nimport math"), (b"0.1", b"0.2"), (b"fit(1)", b"math.e")], ["2,10", "4"]),
        # A name that is another everywhere: one change.
        ([(b"lr", b"rate")], ["3,7"]),
        # What begins in one place and ends in another.
        ([(b"steps = 10", b"steps = (10,\n# two"), (b"    return", b"    1)\nif 1:\n    return")], []),
        ([(b"import json\n", b""), (b"steps = 10", b"steps = 11")], ["1", "3"]),
    ],
)
def test_what_needs_another_change_is_one_with_it(
    pairs: list[tuple[bytes, bytes]], wanted: list[str]
) -> None:
    after = changed(*pairs)
    if not wanted:
        assert len(apart(after)) == 1
    else:
        assert lines(apart(after)) == wanted


def test_what_is_no_program_is_one_change() -> None:
    after = changed((b"0.1", b"0.2"), (b"* lr", b"+ ("))
    assert lines(apart(after)) == ["3,7"]
    assert lines(apart(after, is_python=False)) == ["3", "7"]


def test_equal_versions_have_no_change() -> None:
    assert apart(BEFORE) == []


def test_what_is_gone_is_named_by_the_old_lines() -> None:
    assert lines(apart(changed((b"steps = 10\n", b"")))) == ["4"]
    assert lines(apart(changed((b"steps = 10\n", b"a = 1\nb = 2\n")))) == ["4-5"]


def test_many_places_become_fewer_by_the_nearest() -> None:
    before = b"".join(b"x%d = 0\n\n" % n for n in range(20))
    after = b"".join((b"x%d = 1\n\n" if n % 2 else b"x%d = 0\n\n") % n for n in range(20)) + b"y = 1\n"
    found = apart(after, before)
    assert len(found) == 11
    many = apart(before.replace(b"= 0", b"= 1"), before)
    assert len(many) == 12
    assert with_changes(before, many) == before.replace(b"= 0", b"= 1")


def test_a_comment_alters_no_program() -> None:
    found = apart(changed((b"0.1", b"0.1  # slow"), (b"* lr", b"+ lr")))
    assert [is_same_program(BEFORE, found, it) for it in found] == [True, False]
    assert tree_of(b"x = (") is None


def test_a_line_that_is_a_comment_only_in_one_mixture_alters_it() -> None:
    """A line within a text is no comment: one version has the text begin before it."""
    before = b'a = 1\nb = 2\n# one\nc = """x"""\n'
    found = apart(b'a = """\nb = 2\n# two\nc = """ "x"\n', before)
    assert len(found) == 1
    assert not is_same_program(before, found, found[0])


def test_long_texts_are_cut_for_people() -> None:
    (change,) = apart(b"x = 1\n" * 900, b"")
    assert text_of(change, "old") == ""
    assert len(text_of(change, "new")) == 2001


VERSIONS = st.lists(st.sampled_from([b"a\n", b"b\r\n", b"c\n", b"\xff\n", b"\n"]), max_size=12).map(b"".join)


@given(VERSIONS, VERSIONS, st.binary(max_size=3), st.integers(0, 99))
def test_all_changes_make_the_new_version_and_none_the_old(
    before: bytes, after: bytes, end: bytes, seed: int
) -> None:
    after += end
    found = changes_of(before, after, is_python=False)
    assert with_changes(before, []) == before
    random.Random(seed).shuffle(found)
    assert with_changes(before, found) == after


STATEMENTS = st.sampled_from(
    [
        b"import math\n",
        b"a = 1\n",
        b"a = 2\n",
        b"b = a\n",
        b"def f(x):\n    return x\n",
        b"c = f(3)\n",
        b"d = math.pi\n",
        b"try:\n    e = 1\nexcept KeyError as f:\n    print(f)\n",
    ]
)
PROGRAMS = st.lists(STATEMENTS, max_size=8).map(b"".join)


@given(PROGRAMS, PROGRAMS)
def test_each_change_is_a_program_alone_and_missing(before: bytes, after: bytes) -> None:
    found = changes_of(before, after, is_python=True)
    assert with_changes(before, found) == after
    for change in found:
        ast.parse(with_changes(before, [change]))
        ast.parse(with_changes(before, [it for it in found if it != change]))


def test_every_mixture_of_changes_apart_runs() -> None:
    after = changed((b"import json", b"import json, math"), (b"x * lr", b"math.sin(x)"), (b"10", b"11"))
    found = apart(after)
    for size in range(len(found) + 1):
        for some in combinations(found, size):
            exec(compile(with_changes(BEFORE, some), "mixture", "exec"), {})
