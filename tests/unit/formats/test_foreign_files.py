"""Files of other trackers: what was written is read, whatever its size, and noise does no harm."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.errors import InvalidInput
from relive.formats.protobuf import fields, first, signed, texts, whole
from relive.formats.tfevents import read_events
from relive.formats.wandb_file import read_rows, read_run
from tests.support.foreign import event, field, float32, items, scalar, write_events, write_wandb

values = st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=50), st.floats(allow_nan=False))
points_of_32_bits = st.lists(
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(width=32, allow_nan=False)), max_size=10
)
messages = st.lists(st.tuples(st.integers(1, 2**29 - 1), values), max_size=10)


@given(messages)
def test_fields_come_back_in_their_order(message):
    data = b"".join(field(number, value) for number, value in message)
    expected = [
        (number, struct.pack("<d", value) if isinstance(value, float) else value) for number, value in message
    ]
    assert list(fields(data)) == expected


@given(st.binary(max_size=60))
def test_noise_is_a_message_or_is_refused(data):
    with suppress(InvalidInput):
        assert all(number >= 0 for number, _ in fields(data))


def test_the_last_value_of_a_field_counts_and_missing_ones_are_empty():
    data = field(1, "a") + field(1, "b") + field(2, -5) + float32(3, 0.5)
    assert (texts(data, 1), first(data, 1), first(data, 9)) == (["a", "b"], b"b", b"")
    assert (whole(data, 2), whole(data, 9), signed(2**64 - 5)) == (-5, 0, -5)
    for broken in (data[:-1], b"\x0b", b"\xff" * 11, b"\x0a\x05ab"):
        with pytest.raises(InvalidInput):
            list(fields(broken))


@given(st.lists(st.integers(0, 80_000), max_size=6))
def test_records_of_any_size_come_back_over_blocks(tmp_path_factory, sizes):
    path = tmp_path_factory.mktemp("wandb") / "run-a.wandb"
    texts_of = ["x" * size for size in sizes]
    write_wandb(path, [field(2, items(1, {"a": f'"{text}"'})) for text in texts_of])
    assert [row.values["a"] for row in read_rows(path)] == texts_of
    assert read_run(path).run_id == ""


@given(points_of_32_bits)
def test_scalars_come_back_with_their_steps(tmp_path_factory, points):
    path = tmp_path_factory.mktemp("events") / "events.out.tfevents.1"
    write_events(path, [event(step, 1.5, scalar("x", value)) for step, value in points])
    assert [(it.step, it.value) for it in read_events(path)] == points


@given(st.binary(max_size=100))
def test_noise_instead_of_events_ends_the_file_or_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("events") / "events.out.tfevents.1"
    path.write_bytes(struct.pack("<QI", len(data), 0) + data + bytes(4))
    with suppress(InvalidInput):
        assert all(it.kind for it in read_events(path))
