"""Digests, and the one way to write a document as bytes."""

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.digest import Digest, canonical_json, digest_of_hex, hex_of, is_digest, parse_digest
from relive.errors import InvalidDigest, InvalidInput

DIGEST = "blake3:" + "0a" * 32

# Finite floats only: the others are refused, which has tests of its own.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


class Sample(msgspec.Struct):
    """A struct with its fields out of order and a set, whose order is no part of it."""

    z: int
    a: dict[str, float]
    names: set[str]


def test_a_digest_is_given_back():
    assert parse_digest(DIGEST) == DIGEST
    assert digest_of_hex("0a" * 32) == DIGEST
    assert hex_of(DIGEST) == "0a" * 32


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0a" * 32,
        "sha256:" + "0a" * 32,
        "blake3:" + "0A" * 32,
        "blake3:" + "0a" * 31,
        "blake3:" + "0a" * 33,
        DIGEST + "\n",
        " " + DIGEST,
        "blake3:../../etc/passwd" + "0" * 48,
        "blake3:" + "٠" * 64,  # digits of another script
        None,
        7,
        DIGEST.encode(),
    ],
)
def test_anything_else_is_refused_with_the_value(value):
    assert not is_digest(value)
    with pytest.raises(InvalidDigest) as caught:
        parse_digest(value)
    assert caught.value.facts()["value"] == value
    assert "64 lower-case hexadecimal" in str(caught.value)


def test_messages_refuse_what_is_no_digest():
    assert msgspec.convert(DIGEST, Digest) == DIGEST
    for wrong in (DIGEST + "\n", DIGEST[:-1], DIGEST.upper()):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Digest)


def test_canonical_bytes_are_these():
    """Stored digests depend on these very bytes; if this fails, the code is wrong, not the test."""
    document = {"b": [1, 1.0, 1e16, 1e-7, -0.0, 0.1], "a": {"ü": None, "Z": True, "": '\n"\\/é\u2028😀'}}
    expected = '{"a":{"":"\\n\\"\\\\/é\u2028😀","Z":true,"ü":null},"b":[1,1.0,1e+16,1e-07,-0.0,0.1]}'
    assert canonical_json(document) == expected.encode()


def test_keys_are_sorted_by_code_point():
    # UTF-16 would put the second first.
    assert (
        canonical_json({"\ue000": 1, "\U00010000": 2, "a": 3}) == '{"a":3,"\ue000":1,"\U00010000":2}'.encode()
    )


def test_structs_are_written_by_their_fields():
    sample = Sample(z=1, a={"y": 1.5, "x": 2.0}, names={"q", "p"})
    assert canonical_json(sample) == b'{"a":{"x":2.0,"y":1.5},"names":["p","q"],"z":1}'
    assert canonical_json([sample]) == b"[" + canonical_json(sample) + b"]"


@given(JSON)
def test_what_goes_in_comes_out(document):
    assert json.loads(canonical_json(document)) == document


@given(JSON)
def test_reading_and_writing_again_gives_the_same_bytes(document):
    data = canonical_json(document)
    assert canonical_json(json.loads(data)) == data


@given(st.dictionaries(st.text(), JSON, min_size=2), st.randoms(use_true_random=False))
def test_the_order_of_keys_is_no_part_of_a_document(document, random):
    items = list(document.items())
    random.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(document)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused_with_their_place(value):
    with pytest.raises(InvalidInput, match=r"\$\.metrics\.loss\[1\]"):
        canonical_json({"metrics": {"loss": [1.0, value]}})


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"a": {1: "x"}}, "a key of $.a"),
        ({"a": ["\ud800"]}, "$.a[0]"),
        ({"\udcff": 1}, "a key of $"),
        ({"a": object()}, "document"),
        ({"a": 1j}, "document"),
    ],
)
def test_what_json_cannot_say_is_refused(document, field):
    with pytest.raises(InvalidInput) as caught:
        canonical_json(document)
    assert caught.value.field == field


def test_a_document_without_end_is_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(InvalidInput, match="JSON values"):
        canonical_json(endless)
