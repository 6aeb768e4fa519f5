"""Metrics files of four kinds: numbers by name, and a note about the rest."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.errors import InvalidInput
from relive.formats.metrics_file import LONGEST_NAME, MAX_BYTES, MOST_METRICS, MetricsFile, read_metrics


def read(text: str, path: str = "metrics.json") -> MetricsFile:
    """Read metrics from text."""
    return read_metrics(text.encode(), path=path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("m.json", '{"accuracy": 0.9, "val": {"loss": 1, "top": {"k": 5}}}'),
        ("m.yaml", "accuracy: 0.9\nval: {loss: 1, top: {k: 5}}\n"),
        ("m.yml", "accuracy: 9e-1\nval:\n  loss: 1\n  top:\n    k: 5\n"),
        ("m.toml", "accuracy = 0.9\n[val]\nloss = 1\n[val.top]\nk = 5\n"),
        ("a/b/m.csv", "accuracy,val.loss,val.top.k\n0.1,9,5\n0.9,1,5\n\n"),
        ("m.tsv", "accuracy\tval.loss\tval.top.k\n0.9\t1\t5\n"),
    ],
)
def test_every_kind_of_file_says_the_same(path, text):
    assert read(text, path) == MetricsFile({"accuracy": 0.9, "val.loss": 1.0, "val.top.k": 5.0})


def test_numbers_that_are_not_finite_are_kept():
    values = read('{"a": NaN, "b": Infinity, "c": -Infinity, "d": 1e999}').values
    assert math.isnan(values["a"])
    assert (values["b"], values["c"], values["d"]) == (math.inf, -math.inf, math.inf)
    assert math.isnan(read("a: .nan", "m.yaml").values["a"])
    assert math.isnan(read("a\nnan\n", "m.csv").values["a"])


def test_truth_values_count_as_one_and_zero():
    assert read('{"a": true, "b": false}').values == {"a": 1.0, "b": 0.0}
    assert read("a,b\nTrue,false\n", "m.csv").values == {"a": 1.0, "b": 0.0}


def test_what_is_no_number_is_left_out_with_a_note():
    found = read(
        '{"n": 1, "name": "x", "list": [1, 2], "none": null, "big": 1' + "0" * 400 + "}", "out/m.json"
    )
    assert found.values == {"n": 1.0}
    assert found.notes == (
        "out/m.json: not numbers, left out: name (text), list (a list), none (empty), big (too large)",
    )


def test_a_note_stays_short():
    (note,) = read(json.dumps({f"t{index}": "x" for index in range(20)})).notes
    assert note.endswith("t4 (text) and 15 more")


def test_the_last_row_of_a_table_counts_and_empty_cells_are_no_numbers():
    found = read("epoch, loss ,name\n1,0.5,a\n2,0.25,\n", "m.csv")
    assert found.values == {"epoch": 2.0, "loss": 0.25}
    assert found.notes == ("m.csv: not numbers, left out: name (text)",)


@pytest.mark.parametrize(
    ("path", "text"), [("m.json", "{}"), ("m.yaml", ""), ("m.toml", ""), ("m.csv", ""), ("m.csv", "a,b\n")]
)
def test_a_file_without_numbers_gives_none(path, text):
    assert read(text, path).values == {}


@pytest.mark.parametrize(
    ("path", "data", "words"),
    [
        ("m.json", b"{", "a file that can be read"),
        ("m.json", b"", "a file that can be read"),
        ("m.json", b"[1, 2]", "names with numbers at its top"),
        ("m.json", b"0.9", "names with numbers at its top"),
        ("m.json", b'{"a":' * 100_000, "a file that can be read"),
        ("m.json", b'{"a": \xff}', "a file that can be read"),
        ("m.json", b'{"a": 1' + b"0" * 10_000 + b"}", "a file that can be read"),
        ("m.json", b'{"": 1}', "a name of 1 to 250"),
        ("m.json", b'{"a\\nb": 1}', "printable characters"),
        ("m.json", json.dumps({"x" * (LONGEST_NAME + 1): 1}).encode(), "a name of 1 to 250"),
        ("m.json", json.dumps({str(n): n for n in range(MOST_METRICS + 1)}).encode(), "at most 10000"),
        ("m.yaml", b"a: [", "is not YAML"),
        ("m.toml", b"a = ", "a file that can be read"),
        ("m.csv", b"a,a\n1,2\n", "two columns 'a'"),
        ("m.csv", b"a,b\n1\n", "its last row has 1 cells, its first 2"),
        ("m.csv", b'a\n"1', "a file that can be read"),
        ("m.txt", b"a", "one of: .json, .yaml, .yml, .toml, .csv, .tsv"),
        ("m.json", b" " * (MAX_BYTES + 1), "at most 16777216 bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_files_name(path, data, words):
    with pytest.raises(InvalidInput) as caught:
        read_metrics(data, path=path)
    assert path in caught.value.field
    assert words in str(caught.value)


names = st.from_regex("[a-z]{1,6}", fullmatch=True)
numbers = st.floats() | st.integers(-(10**15), 10**15)


@given(st.dictionaries(names, numbers | st.dictionaries(names, numbers, min_size=1), max_size=6))
def test_what_python_writes_is_read_to_the_last_digit(tree):
    expected: dict[str, float] = {}
    for name, value in tree.items():
        inner = (
            {f"{name}.{key}": item for key, item in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
        expected |= {key: float(item) for key, item in inner.items()}
    found = read(json.dumps(tree)).values
    assert found.keys() == expected.keys()
    assert all(found[key] == expected[key] or math.isnan(expected[key]) for key in expected)


@given(st.dictionaries(names, st.floats(), min_size=1))
def test_a_table_is_read_to_the_last_digit(row):
    text = ",".join(row) + "\n" + ",".join(repr(value) for value in row.values()) + "\n"
    found = read(text, "m.csv").values
    assert found.keys() == row.keys()
    assert all(found[key] == row[key] or math.isnan(row[key]) for key in row)


@given(st.binary(max_size=200), st.sampled_from(["m.json", "m.yaml", "m.toml", "m.csv", "m.tsv"]))
def test_any_bytes_are_read_or_refused(data, path):
    try:
        found = read_metrics(data, path=path)
    except InvalidInput:
        return  # and nothing else
    assert all(isinstance(value, float) for value in found.values.values())
