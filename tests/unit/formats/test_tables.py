"""What goes into a table comes out of it, whatever it is."""

import math
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.formats.parquet import DOUBLE, INT64, TEXT, ParquetWriter, read_parquet
from relive.formats.tables import Rows


class Colour(StrEnum):
    """Two words."""

    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct, frozen=True):
    """Something within a row."""

    name: str
    size: int


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """A row with a field of each kind."""

    name: str
    colour: Colour
    count: int
    is_big: bool
    weight: float
    length: int | None = None
    height: float | None = None
    tags: dict[str, str] = {}
    parts: tuple[Part, ...] = ()


ROWS = Rows(Thing)
# What UTF-8 can hold.
text = st.text(st.characters(exclude_categories=["Cs"]))
whole = st.integers(-(2**63), 2**63 - 1)
things = st.builds(
    Thing,
    name=text,
    colour=st.sampled_from(Colour),
    count=whole,
    is_big=st.booleans(),
    weight=st.floats(allow_nan=False),
    length=st.none() | whole,
    height=st.none() | st.floats(allow_nan=False),
    tags=st.dictionaries(text, text),
    parts=st.lists(st.builds(Part, text, whole)).map(tuple),
)


def test_each_kind_has_its_column() -> None:
    assert ROWS.columns == {
        "name": TEXT,
        "colour": TEXT,
        "count": INT64,
        "is_big": INT64,
        "weight": DOUBLE,
        "length": INT64,
        "has_length": INT64,
        "height": DOUBLE,
        "has_height": INT64,
        "tags": TEXT,
        "parts": TEXT,
    }


@given(st.lists(things))
def test_what_goes_in_comes_out(given_things: list[Thing]) -> None:
    assert list(ROWS.read(ROWS.write(given_things))) == given_things


def test_it_comes_out_of_a_file_as_well(tmp_path: Path) -> None:
    some = [
        Thing(name="a\0ü", colour=Colour.BLUE, count=-1, is_big=True, weight=math.inf, length=0),
        Thing(name="", colour=Colour.RED, count=0, is_big=False, weight=0.1, tags={"a": '"'}),
    ]
    buffer = BytesIO()
    writer = ParquetWriter(buffer, ROWS.columns)
    writer.write(ROWS.write(some))
    writer.close()
    (tmp_path / "t.parquet").write_bytes(buffer.getvalue())
    assert [it for table in read_parquet(tmp_path / "t.parquet") for it in ROWS.read(table)] == some


@pytest.mark.parametrize(
    ("column", "value"), [("colour", "green"), ("tags", "["), ("tags", "[]"), ("parts", '[{"name": 1}]')]
)
def test_what_is_none_is_refused(column: str, value: Any) -> None:
    table = ROWS.write([Thing(name="a", colour=Colour.RED, count=1, is_big=False, weight=1.0)])
    with pytest.raises(msgspec.MsgspecError):
        list(ROWS.read(table | {column: [value]}))
    del table[column]
    with pytest.raises(KeyError):
        list(ROWS.read(table))
