"""Parquet as we write it: every value comes back, and a file that is none is named."""

import io
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.errors import InvalidInput
from relive.formats.parquet import DOUBLE, INT64, TEXT, ParquetWriter, read_parquet
from relive.formats.thrift import BINARY, I64, LIST, read_struct, write_struct

texts = st.text(st.characters(codec="utf-8"), max_size=20)
rows = st.lists(st.tuples(texts, st.integers(-(2**63), 2**63 - 1), st.floats()), max_size=30)


def write(path: Path, batches: list[list[tuple[str, int, float]]]) -> None:
    with open(path, "wb") as file:
        writer = ParquetWriter(file, {"key": TEXT, "step": INT64, "value": DOUBLE})
        for batch in batches:
            columns = list(zip(*batch, strict=True)) or [(), (), ()]
            writer.write(dict(zip(("key", "step", "value"), columns, strict=True)))
        writer.close()


@given(st.lists(rows, max_size=4))
def test_what_goes_in_comes_out_bit_by_bit(tmp_path_factory, batches):
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    write(path, batches)
    found = [
        (key, step, struct.pack("<d", value))
        for table in read_parquet(path)
        for key, step, value in zip(table["key"], table["step"], table["value"], strict=True)
    ]
    assert found == [(key, step, struct.pack("<d", value)) for batch in batches for key, step, value in batch]


def test_the_metadata_says_what_other_readers_look_for(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, [[("a", 1, 0.5), ("b", 2, math.nan)], [("c", 3, 1.5)]])
    data = path.read_bytes()
    assert data[:4] == data[-4:] == b"PAR1"
    (length,) = struct.unpack("<I", data[-8:-4])
    footer, end = read_struct(data, len(data) - 8 - length)
    assert end == len(data) - 8
    assert footer[3] == 3
    assert [it.get(4) for it in footer[2]] == [b"schema", b"key", b"step", b"value"]
    assert [it.get(1) for it in footer[2]] == [None, TEXT, INT64, DOUBLE]
    assert footer[2][1][6] == 0  # UTF8
    assert [group[3] for group in footer[4]] == [2, 1]
    for group in footer[4]:
        assert group[2] == sum(chunk[3][7] for chunk in group[1])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: b"PAR1" + data[-40:],
        lambda data: data[:4] + bytes(50) + data[54:],
    ],
)
def test_a_file_that_is_damaged_is_named(tmp_path, spoil):
    path = tmp_path / "a.parquet"
    write(path, [[("a", step, 0.5) for step in range(100)]])
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InvalidInput, match="parquet"):
        list(read_parquet(path))


def test_thrift_reads_lists_longer_than_its_short_form_and_numbers_far_apart():
    items = [b"x" * number for number in range(40)]
    data = write_struct([(1, I64, -(2**62)), (9, LIST, (BINARY, items))])
    assert read_struct(io.BytesIO(data).getvalue()) == ({1: -(2**62), 9: items}, len(data))
    with pytest.raises(InvalidInput):
        read_struct(data[:-3])
