"""Params files key by key: nothing but the wanted keys changes, and not how they are written."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from relive.errors import InvalidInput
from relive.replay.documents import MAX_BYTES, differing_keys, with_keys_of

BEFORE = b"""# how it learns
model:
  lr: 1e-3   # not a float for every reader
  layers: [64, 64]
  name: "1"
seed: 1
gone: yes
"""
AFTER = b"""model:
  lr: 1e-4
  layers: [64, 32]
  name: 1
  dropout: 0.1
seed: 1
"""


def test_tells_which_keys_differ_as_they_are_written() -> None:
    assert differing_keys(BEFORE, AFTER, "params.yaml") == {
        ("model", "lr"): ("1e-3", "1e-4"),
        ("model", "layers"): ("[64, 64]", "[64, 32]"),
        ("model", "name"): ('"1"', "1"),
        ("gone",): ("yes", ""),
        ("model", "dropout"): ("", "0.1"),
    }


def test_takes_over_single_keys_of_yaml_as_they_are_written() -> None:
    text = with_keys_of(BEFORE, AFTER, "params.yaml", [("model", "lr"), ("model", "dropout"), ("gone",)])
    assert yaml.safe_load(text) == {
        "model": {"lr": "1e-4", "layers": [64, 64], "name": "1", "dropout": 0.1},
        "seed": 1,
    }
    assert b"lr: 1e-4" in text


def test_takes_over_single_keys_of_json() -> None:
    before, after = b'{"a": {"b": 1, "c": [1]}, "d": 1.50}', b'{"a": {"b": 2, "c": [2]}, "e": null}'
    assert differing_keys(before, after, "p.json") == {
        ("a", "b"): ("1", "2"),
        ("a", "c"): ("[1]", "[2]"),
        ("d",): ("1.5", ""),
        ("e",): ("", "null"),
    }
    text = with_keys_of(before, after, "p.json", [("a", "c"), ("d",)])
    assert json.loads(text) == {"a": {"b": 1, "c": [2]}}


def test_makes_the_mappings_that_lead_to_a_key() -> None:
    text = with_keys_of(b"a: 1\n", b"a: 1\nb:\n  c:\n    d: 2\n", "p.yml", [("b", "c", "d")])
    assert yaml.safe_load(text) == {"a": 1, "b": {"c": {"d": 2}}}
    text = with_keys_of(b'{"b": 1}', b'{"b": {"c": 2}}', "p.json", [("b", "c")])
    assert json.loads(text) == {"b": {"c": 2}}


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"[1, 2]", "p.json"),
        (b"- 1\n- 2\n", "p.yaml"),
        (b"{", "p.json"),
        (b"a: [", "p.yaml"),
        (b"\xff\xfe", "p.yaml"),
        (b"a = 1", "p.toml"),
        (b"{" + b" " * MAX_BYTES + b"}", "p.json"),
        (json.dumps({str(n): n for n in range(501)}).encode(), "p.json"),
        (b"[" * 100_000, "p.json"),
        (b"a: " + b"[" * 100_000, "p.yaml"),
    ],
)
def test_leaves_whole_what_is_no_params_file(data: bytes, path: str) -> None:
    assert differing_keys(data, b'{"a": 1}', path) is None


def test_says_which_file_cannot_be_taken_apart() -> None:
    with pytest.raises(InvalidInput, match=r"p\.json"):
        with_keys_of(b"[1]", b"{}", "p.json", [("a",)])


_LEAF = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab1 :-#'", max_size=5)
)
_TREES = st.recursive(
    st.dictionaries(st.text("abc", min_size=1, max_size=2), _LEAF, max_size=4),
    lambda tree: st.dictionaries(st.text("abc", min_size=1, max_size=2), tree | _LEAF, max_size=3),
    max_leaves=8,
)


@given(_TREES, _TREES, st.sampled_from(["p.json", "p.yaml"]), st.data())
def test_all_keys_make_the_other_file_and_none_the_same(
    before: dict[str, Any], after: dict[str, Any], path: str, data: st.DataObject
) -> None:
    write, read = (json.dumps, json.loads) if path == "p.json" else (yaml.safe_dump, yaml.safe_load)
    one, other = write(before).encode(), write(after).encode()
    keys = differing_keys(one, other, path)
    assert keys is not None
    assert read(with_keys_of(one, other, path, [])) == before
    wanted = [key for key in keys if data.draw(st.booleans())]
    text = with_keys_of(one, other, path, wanted)
    left = differing_keys(text, other, path)
    assert left is not None
    # A key that became a mapping brings what lies under it, so fewer may be left than were not wanted.
    assert not set(left) & {key for key in wanted if key in _leaves_of(after)}


def test_quotes_around_the_same_text_are_no_difference() -> None:
    # In braces `:1` needs quotes, in a block it does not.
    one, other = b'{"b": ":1", "n": "1", "f": !!float 1}', b"b: :1\nn: 1\nf: 1\n"
    assert differing_keys(one, other, "p.yaml") == {
        ("n",): ('"1"', "1"),
        ("f",): ('tag:yaml.org,2002:float "1"', "1"),
    }


def _leaves_of(tree: dict[str, Any], above: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found = set()
    for key, value in tree.items():
        found |= _leaves_of(value, (*above, key)) if isinstance(value, dict) and value else {(*above, key)}
    return found
