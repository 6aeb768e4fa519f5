"""Params files of five kinds, flattened to names, without running anything."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.digest import canonical_json
from relive.core.pipeline import ParamsRef
from relive.errors import InvalidInput
from relive.formats.params_file import MAX_BYTES, collect_params, read_params

EXPECTED = {"seed": 1, "train.lr": 0.1, "train.layers": [64, 32], "train.opt.name": "adam", "train.on": True}

FILES = {
    "params.yaml": "seed: 1\ntrain:\n  lr: 0.1\n  layers: [64, 32]\n  opt: {name: adam}\n  on: true\n",
    "params.json": """
        {"seed": 1, "train": {"lr": 0.1, "layers": [64, 32], "opt": {"name": "adam"}, "on": true}}""",
    "params.toml": """
seed = 1
[train]
lr = 0.1
layers = [64, 32]
on = true
[train.opt]
name = "adam"
""",
    "params.py": """
import os
seed = 1
home = os.getcwd()
class train:
    lr: float = 0.1
    layers = [64, 32]
    on = True
    opt = {'name': 'adam'}
    def build(self): ...
""",
}


def read(text: str, *keys: str, path: str = "params.yaml") -> dict[str, Any]:
    """Read params from text."""
    return read_params(text.encode(), path=path, keys=keys)


@pytest.mark.parametrize("path", FILES)
def test_every_kind_of_file_says_the_same(path):
    assert read(FILES[path], path=path) == EXPECTED


@pytest.mark.parametrize("path", FILES)
def test_a_key_stands_for_all_below_it(path):
    assert list(read(FILES[path], "train.opt", "seed", path=path)) == ["seed", "train.opt.name"]
    assert read(FILES[path], "train.lr", path=path) == {"train.lr": 0.1}
    assert set(read(FILES[path], "train", path=path)) == set(EXPECTED) - {"seed"}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["train.lrr"], "one of: train.lr"),
        (["zebra"], "a key of this file (seed, train.layers"),
        (["tra"], "a key of this file"),
        (["train.lr.x"], "one of: train.lr"),
    ],
)
def test_a_missing_key_is_refused_with_the_file_and_what_is_near(keys, words):
    with pytest.raises(InvalidInput) as caught:
        read(FILES["params.yaml"], *keys)
    assert caught.value.field == f"params.yaml:{keys[0]}"
    assert words in str(caught.value)


def test_python_is_not_run(tmp_path):
    target = tmp_path / "touched"
    text = f"open({str(target)!r}, 'w')\nlr = 0.1\nother = lr * 2\n"
    assert read(text, path="params.py") == {"lr": 0.1}
    assert not target.exists()


def test_values_are_what_json_can_say():
    text = "a = 2024-01-02\nb = 12:30:00\nc = nan\nd = inf\ne = -inf\nf = 2024-01-02T03:04:05Z\n"
    assert read(text, path="p.toml") == {
        "a": "2024-01-02",
        "b": "12:30:00",
        "c": "nan",
        "d": "inf",
        "e": "-inf",
        "f": "2024-01-02T03:04:05+00:00",
    }
    python = "a = {3, 1}\nb = (1, None)\nc = b'x'\nd = 1j\nf = {1: 2}\n"
    assert read(python, path="p.py") == {"a": [1, 3], "b": [1, None], "c": "b'x'", "d": "1j", "f.1": 2}


def test_numbers_as_yaml_1_2_says():
    assert read("a: 1e-5\nb: yes\nc: 010\nd: {}\n") == {"a": 1e-5, "b": "yes", "c": "010", "d": {}}


@pytest.mark.parametrize("path", FILES)
def test_an_empty_file_has_no_params(path):
    assert read("" if path != "params.json" else "{}", path=path) == {}


@pytest.mark.parametrize(
    ("path", "data", "words"),
    [
        ("p.yaml", b"a: [", "is not YAML"),
        ("p.yaml", b"a: 1\na: 2", "is there twice"),
        ("p.yaml", b"- 1", "names with values at its top"),
        ("p.yaml", b"\xff\xff", "is not UTF-8"),
        ("p.json", b"{", "a file that can be read"),
        ("p.json", b"[1]", "names with values at its top"),
        ("p.json", b"[" * 100_000, "a file that can be read"),
        ("p.json", b'{"a": \xff}', "a file that can be read"),
        ("p.toml", b"a = ", "a file that can be read"),
        ("p.py", b"a = (", "a file that can be read"),
        ("p.py", b"a = " + b"(" * 5000, "a file that can be read"),
        ("p.py", b"a\0 = 1", "a file that can be read"),
        ("p.csv", b"a", "one of: .yaml, .yml, .json, .toml, .py"),
        ("params", b"a", "one of: .yaml"),
        ("p.yaml", b" " * (MAX_BYTES + 1), "at most 1048576 bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_files_name(path, data, words):
    with pytest.raises(InvalidInput) as caught:
        read_params(data, path=path)
    assert path in caught.value.field
    assert words in str(caught.value)


def test_params_of_several_files_are_put_together():
    files = {"a.yaml": b"lr: 1\nx: 1\nsame: 5\n", "b.json": b'{"lr": 2, "y": 3, "same": 5}'}
    refs = [
        ParamsRef(file="a.yaml"),
        ParamsRef(file="b.json", keys=("lr",)),
        ParamsRef(file="b.json", keys=("y", "same")),
    ]
    assert collect_params(refs, files.__getitem__) == {
        "a.yaml:lr": 1,
        "x": 1,
        "same": 5,
        "b.json:lr": 2,
        "y": 3,
    }


keys = st.from_regex("[a-z]{1,5}", fullmatch=True)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | keys
inner = st.recursive(
    leaves | st.lists(leaves, max_size=3), lambda it: st.dictionaries(keys, it, max_size=3), max_leaves=8
)
trees = st.dictionaries(keys, inner, max_size=4)


def leaves_of(tree: dict[str, Any], name: str = "") -> int:
    """Count what a tree says under a name of its own."""
    return sum(leaves_of(value) if isinstance(value, dict) and value else 1 for value in tree.values())


@given(trees)
def test_json_and_yaml_of_the_same_tree_give_the_same_params_and_a_cache_key(tree):
    from_json = read(json.dumps(tree), path="p.json")
    from_yaml = read(json.dumps(tree), path="p.yaml")  # JSON is YAML 1.2
    assert from_json == from_yaml
    assert len(from_json) == leaves_of(tree)
    assert canonical_json(from_json)


@given(st.binary(max_size=200), st.sampled_from(list(FILES)))
def test_any_bytes_are_read_or_refused(data, path):
    try:
        params = read_params(data, path=path)
    except InvalidInput:
        return  # and nothing else
    assert canonical_json({"n": len(params)})
