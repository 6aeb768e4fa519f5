"""Trajectories as bytes: what goes in comes out, equal ones have equal bytes, and broken ones are refused."""

import json
import math

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relive.capture.hooks.schedule import parse_plan
from relive.core.trajectory import StepRecord, Trajectory
from relive.errors import InvalidInput
from relive.formats.trajectory import (
    FORMAT,
    decode_trajectory,
    digest_steps,
    encode_trajectory,
    write_digest_steps,
)

names = st.text(min_size=1, max_size=6)
records = st.builds(
    StepRecord,
    stream=names,
    step=st.integers(-(2**63), 2**63 - 1),
    digests=st.dictionaries(names, st.binary(min_size=1, max_size=40).map(bytes.hex), max_size=4),
    values=st.dictionaries(names, st.floats().map(float.hex), max_size=4),
)
trajectories = st.lists(records, max_size=20).map(lambda steps: Trajectory(steps=tuple(steps)))


@given(trajectories)
@example(Trajectory())
@example(
    Trajectory(steps=(StepRecord(stream="s", step=0, values={"a": "nan", "b": "-inf", "c": "-0x0.0p+0"}),))
)
def test_what_goes_in_comes_out(trajectory):
    assert decode_trajectory(encode_trajectory(trajectory)) == trajectory


@given(trajectories)
def test_the_order_of_names_does_not_change_the_bytes(trajectory):
    turned = Trajectory(
        steps=tuple(
            msgspec.structs.replace(
                step, digests=dict(reversed(step.digests.items())), values=dict(reversed(step.values.items()))
            )
            for step in trajectory.steps
        )
    )
    assert encode_trajectory(turned) == encode_trajectory(trajectory)


@given(trajectories, trajectories)
def test_different_trajectories_have_different_bytes(one, other):
    assert (encode_trajectory(one) == encode_trajectory(other)) == (one == other)


def test_the_bytes_of_a_stored_trajectory_never_change():
    trajectory = Trajectory(
        steps=(
            StepRecord(stream="loss", step=0, values={"loss": (2.5).hex()}),
            StepRecord(stream="weights:SGD#0", step=1, digests={"0.1": "bb", "0.0": "aabb"}),
            StepRecord(stream="loss", step=1, values={"loss": (1.0).hex()}),
        )
    )
    assert encode_trajectory(trajectory).hex() == (
        "96b372656c6976652e7472616a6563746f72792f319293a46c6f73739091a46c6f737393ad776569676874733a53474423"
        "309292a3302e300292a3302e31019093000100930001"
        "01c403aabbbbc4100000000000000440000000000000f03f"
    )


def test_a_step_of_a_large_model_costs_little_more_than_its_digests():
    digests = {f"0.{i}[64,64]": f"{i:016x}" for i in range(50)}
    steps = tuple(StepRecord(stream="weights:Adam#0", step=n, digests=digests) for n in range(1000))
    assert len(encode_trajectory(Trajectory(steps=steps))) < 1000 * (50 * 8 + 6) + 2000


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data):
    with pytest.raises(InvalidInput):
        decode_trajectory(data)


@given(trajectories.filter(lambda it: it.steps), st.data())
def test_a_cut_off_trajectory_is_refused(trajectory, data):
    whole = encode_trajectory(trajectory)
    with pytest.raises(InvalidInput):
        decode_trajectory(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize(
    "document",
    [
        ("relive.trajectory/2", [], [], [], b"", b""),
        (FORMAT, [], [0], [0], b"", b""),  # a shape that is not there
        (FORMAT, [("s", [], [])], [0], [], b"", b""),
        (FORMAT, [("s", [], ["v"])], [0], [0], b"", b"1234"),  # half a value
        (FORMAT, [("s", [("d", 8)], [])], [0], [0], b"1234", b""),
        (FORMAT, [("s", [("d", -1)], [])], [0], [0], b"1234", b""),
        (FORMAT, [("s", [], [])], [], [], b"", b""),  # a shape that no step has
        (FORMAT, [], [], [], b"", b"12345678"),  # a value that no step has
        (FORMAT, [("s", [], ["b", "a"])], [0], [0], b"", b"0" * 16),  # names not sorted
        (FORMAT, [("s", [], []), ("s", [], [])], [0, 1], [0, 1], b"", b""),
        (FORMAT, [("s", [], [])], [-1], [0], b"", b""),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(document):
    with pytest.raises(InvalidInput):
        decode_trajectory(msgspec.msgpack.encode(document))


@pytest.mark.parametrize("text", ["", "xyz", "AB", "abc", "ab cd"])
def test_a_digest_that_is_not_hexadecimal_is_refused_by_name(text):
    with pytest.raises(InvalidInput, match="weights step 3"):
        encode_trajectory(Trajectory(steps=(StepRecord(stream="weights", step=3, digests={"w": text}),)))


@pytest.mark.parametrize("text", ["", "0.1", "1", "0x1p+0", "NaN", "infinity"])
def test_a_value_that_is_not_exact_is_refused_by_name(text):
    with pytest.raises(InvalidInput, match="value 'loss'"):
        encode_trajectory(Trajectory(steps=(StepRecord(stream="loss", step=3, values={"loss": text}),)))


def test_the_plan_of_a_replay_names_the_digested_steps_of_each_stream(tmp_path):
    trajectory = Trajectory(
        steps=(
            StepRecord(stream="weights:SGD#0", step=4, digests={"w": "aa"}),
            StepRecord(stream="weights:SGD#0", step=1, digests={"w": "aa"}),
            StepRecord(stream="loss", step=0, values={"loss": (1.0).hex()}),
            StepRecord(stream="p1/weights:SGD#0", step=9, digests={"w": "aa"}),
            StepRecord(stream="rank3/batch", step=2, digests={"0": "aa"}),
            StepRecord(stream="step:train/x", step=5, digests={"0": "aa"}),
        )
    )
    expected = {"batch": [2], "step:train/x": [5], "weights:SGD#0": [1, 4, 9]}
    assert digest_steps(trajectory) == expected
    write_digest_steps(trajectory, tmp_path / "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text()) == expected
    plan = parse_plan((tmp_path / "plan.json").read_text())
    assert plan["weights:SGD#0"] == {1, 4, 9}
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_every_nan_is_written_the_same():
    assert (-math.nan).hex() == "nan"
