"""YAML from strangers: what words mean, which lines they stand in, and what is refused."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from relive.core.problems import Problem
from relive.formats.yaml_tree import DEEPEST, MOST_VALUES, Entries, Items, Scalar, read_tree, to_plain


def plain(text: str) -> Any:
    """Read YAML with which nothing is wrong."""
    problems: list[Problem] = []
    tree = read_tree(text.encode(), problems)
    assert problems == []
    return to_plain(tree)


def complaint(data: bytes | str) -> str:
    """Read YAML with which something is wrong, and give all that is said."""
    problems: list[Problem] = []
    read_tree(data if isinstance(data, bytes) else data.encode(), problems)
    assert problems
    return "\n".join(str(problem) for problem in problems)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("NO", "NO"),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("'null'", "null"),
        ('"true"', "true"),
        ("1", 1),
        ("-7", -7),
        ("+7", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("010", "010"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("3.10", 3.1),
        ("1e-5", 1e-5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e5", 100000.0),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("'1'", "1"),
        ("|\n  text\n", "text\n"),
        (">-\n  a\n  b\n", "a b"),
    ],
)
def test_words_mean_what_yaml_1_2_says(word, value):
    read = plain(f"key: {word}\n")["key"]
    assert read == value
    assert type(read) is type(value)


def test_nan_is_a_number():
    assert plain("a: .nan")["a"] != plain("a: .nan")["a"]


def test_a_number_too_long_for_an_integer_stays_text():
    digits = "9" * 5000
    assert plain(f"a: {digits}") == {"a": digits}


def test_every_node_knows_its_line_and_every_scalar_its_text():
    tree = read_tree(b"# comment\na: 3.10\nb:\n  - x\n  - {c: 'y'}\n", [])
    assert isinstance(tree, Entries)
    assert tree.lines == {"a": 2, "b": 3}
    assert tree.entries["a"] == Scalar(2, "3.10", plain=True)
    items = tree.entries["b"]
    assert isinstance(items, Items)
    assert [item.line for item in items.items] == [4, 5]


def test_keys_are_the_text_they_are_written_as():
    assert plain("on: 1\n3.10: 2\n'x': 3\ntrue: 4") == {"on": 1, "3.10": 2, "x": 3, "true": 4}


def test_an_empty_file_has_no_tree():
    assert plain("") is None
    assert plain("# only a comment\n") is None
    assert plain("---\n") is None


def test_a_byte_order_mark_is_no_text():
    assert to_plain(read_tree("\ufeffa: 1".encode(), [])) == {"a": 1}


def test_aliases_repeat_and_merges_give_way():
    bases = "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\n"
    text = f"{bases}x:\n  <<: *base\n  b: 9\ny:\n  <<: [*base, *other]\n"
    assert plain(text)["x"] == {"a": 1, "b": 9}
    assert plain(text)["y"] == {"a": 1, "b": 2, "c": 4}
    assert plain("a: &a [1, 2]\nb: *a") == {"a": [1, 2], "b": [1, 2]}


def bomb(levels: int, width: int = 9) -> str:
    """Give a file whose aliases would make width ** levels values."""
    first = f"a0: &a0 [{', '.join('x' * width)}]"
    others = (f"a{up}: &a{up} [{', '.join([f'*a{up - 1}'] * width)}]" for up in range(1, levels))
    return "\n".join([first, *others])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bomb(9), f"over {MOST_VALUES} values, counting those that aliases repeat"),
        ("a: &a [*a]", "refers to *a, which is not defined before it"),
        ("a: *nowhere", "line 1: a refers to *nowhere"),
        ("- " * (DEEPEST + 5), f"deeper than {DEEPEST} levels"),
        ("[" * 100_000, f"deeper than {DEEPEST} levels"),
        ("{a: " * 100_000, f"deeper than {DEEPEST} levels"),
        ("".join(f"k{index}: v\n" for index in range(MOST_VALUES + 1)), f"over {MOST_VALUES} values"),
        ("a: 1\nb: 2\na: 3", "line 3: a is there twice, first in line 1; expected each key once"),
        ("x: {y: 1, y: 2, y: 3}", "line 1: x.y is there twice"),
        ("a: !!python/object/apply:os.system [x]", "has the tag"),
        ("a: !!str 3.10", "quote what is text"),
        ("? [a, b]\n: 1", "a key that is a list"),
        ("&a a: 1\n*a : 2", "an alias; expected text"),
        ("<<: 1", "has a `<<` that is no mapping"),
        ("a: 1\n---\nb: 2", "line 2: the file begins a second document"),
        ("a: [1, 2\nb: 1", "line 2: the file is not YAML: did not find expected ',' or ']'"),
        ("a: [1, 2\nb: 1", "; it began in line 1"),
        ("a: b: c", "mapping values are not allowed"),
        ("a:\n\t- b", "line 2: the file has a tab at character 1, where YAML wants spaces"),
        ("a:\n  b: 1\n\tc: 2", "line 3: the file has a tab at character 1, where YAML wants spaces"),
        ("a: 1\nb: @x", "line 2: the file is not YAML: found character that cannot start any token"),
        ("a: 1\nb: @x", "put what begins with @ in quotes"),
        ("%YAML 9.9\n---\na: 1", "incompatible YAML document"),
        ("a: \x01", "control characters are not allowed"),
        (b"a: 1\nb: \xe9", "line 2: the file is not UTF-8 (byte 0xe9)"),
        ("a: 1".encode("utf-16"), "is in UTF-16; expected UTF-8"),
    ],
)
def test_what_is_wrong_is_said(data, words):
    assert words in complaint(data)


def test_what_follows_a_doubled_key_is_read_all_the_same():
    problems: list[Problem] = []
    tree = read_tree(b"a: 1\na: 2\nb: {c: 1, c: 2}", problems)
    assert to_plain(tree) == {"a": 2, "b": {"c": 2}}
    assert [problem.where for problem in problems] == ["a", "b.c"]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    problems: list[Problem] = []
    tree = read_tree(data, problems)
    assert tree is None or isinstance(tree, Scalar | Items | Entries)
    assert all(str(problem) for problem in problems)


@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%@`,? \n\t<0.1e~"), max_size=80))
def test_any_text_is_read_or_refused(text):
    problems: list[Problem] = []
    tree = read_tree(text.encode(), problems)
    assert tree is not None or problems or to_plain(tree) is None


# Without the line breaks of YAML 1.1 that 1.2 has given up.
texts = st.text(st.characters(exclude_characters="\x85\u2028\u2029", exclude_categories=["Cs"]), max_size=8)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(trees, st.booleans())
def test_what_a_yaml_writer_writes_comes_back(tree, flow):
    # Quoted, because plain words mean more to YAML 1.1, which this writer follows.
    text = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True)
    assert plain(text) == tree
