"""Two streams of operations: the first that differs is named, in the way in which it does."""

import json
from pathlib import Path
from typing import Any

import pytest

from relive.core.trajectory import StepRecord, Trajectory
from relive.errors import InvalidInput
from relive.replay.drill import clock_of
from relive.replay.operations import Kind, first_difference, is_over, read_operations

END = {"end": "step"}


def op(name: str = "aten.mm.default", **changes: Any) -> dict[str, Any]:
    return {
        "op": name,
        "at": "train.py:3",
        "in": [["self float32[2, 2]", "aa"]],
        "out": {"0": "bb"},
        **changes,
    }


def spool(folder: Path, name: str, *lines: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def compared(tmp_path: Path, mine: dict[str, Any], theirs: dict[str, Any]) -> Any:
    one = spool(tmp_path / "one", "1-0-7.ops", op("aten.relu.default"), mine, END)
    other = spool(tmp_path / "other", "2-0-9.ops", op("aten.relu.default"), theirs, END)
    return first_difference(read_operations(one), read_operations(other))


def test_equal_streams_have_no_difference(tmp_path: Path) -> None:
    assert compared(tmp_path, op(), op(at="train.py:4", node="MmBackward0")) is None


@pytest.mark.parametrize(
    ("change", "kind", "names"),
    [
        ({"op": "aten.add.Tensor"}, Kind.ANOTHER, ()),
        (
            {"in": [["self float32[2, 3]", "aa"]]},
            Kind.ARGUMENTS,
            ("self float32[2, 2] → self float32[2, 3]",),
        ),
        ({"in": []}, Kind.ARGUMENTS, ("self float32[2, 2] → nothing",)),
        (
            {"in": [["self float32[2, 2]", "ab"]], "out": {"0": "bc"}},
            Kind.INPUTS,
            ("self float32[2, 2]",),
        ),
        ({"rng": "01", "out": {"0": "bc"}}, Kind.RANDOM, ("0",)),
        ({"out": {"0": "bc"}}, Kind.RESULT, ("0",)),
        ({"out": {"0": "bb", "1": "cc"}}, Kind.RESULT, ("1",)),
    ],
)
def test_the_way_in_which_an_operation_differs_is_told(
    tmp_path: Path, change: dict[str, Any], kind: Kind, names: tuple[str, ...]
) -> None:
    found = compared(tmp_path, op(), {**op(), **change})
    assert (found.index, found.kind, found.names, found.shown.at) == (1, kind, names, "train.py:3")


def test_other_inputs_with_the_same_result_are_no_difference(tmp_path: Path) -> None:
    # What memory held before it was written is an input of what fills it.
    assert compared(tmp_path, op(), {**op(), "in": [["self float32[2, 2]", "ff"]]}) is None


def test_a_stream_that_ends_earlier_differs_there(tmp_path: Path) -> None:
    one = spool(tmp_path / "one", "1-0-7.ops", op(), END)
    other = spool(tmp_path / "other", "1-0-7.ops", op(), op("aten.add.Tensor"), END)
    found = first_difference(read_operations(one), read_operations(other))
    assert found is not None
    assert (found.index, found.kind, found.one, found.shown.name) == (
        1,
        Kind.MISSING,
        None,
        "aten.add.Tensor",
    )


def test_ranks_are_laid_beside_each_other(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, files in ((one, ("1-0-7", "2-1-8")), (other, ("1-1-9", "2-0-5"))):
        for name in files:
            rank = name.split("-")[1]
            spool(folder, f"{name}.ops", op(out={"0": f"{rank}{folder.name if rank == '1' else ''}"}), END)
    found = first_difference(read_operations(one), read_operations(other))
    assert found is not None
    assert (found.rank, found.kind) == (1, Kind.RESULT)


def test_a_process_that_only_one_of_them_has_is_a_difference(tmp_path: Path) -> None:
    one = spool(tmp_path / "one", "1-0-7.ops", op(), END)
    spool(one, "2-0-8.ops", op("aten.add.Tensor"), END)
    other = spool(tmp_path / "other", "1-0-7.ops", op(), END)
    found = first_difference(read_operations(other), read_operations(one))
    assert found is not None
    assert (found.kind, found.one, found.shown.name) == (Kind.MISSING, None, "aten.add.Tensor")


def test_what_is_torn_or_foreign_ends_what_is_read(tmp_path: Path) -> None:
    folder = spool(tmp_path / "one", "1-0-7.ops", op(), op())
    with open(folder / "1-0-7.ops", "a") as file:
        file.write('{"op": "aten.a')
    (folder / "2-0-9.ops").symlink_to("/etc/passwd")
    (folder / "x.ops").write_bytes(b"\xff\x00")
    (process,) = read_operations(folder)
    assert (len(process.operations), process.end) == (2, "")
    assert read_operations(tmp_path / "nothing") == ()


def test_a_step_is_over_when_one_process_says_so_and_every_rank(tmp_path: Path) -> None:
    folder = spool(tmp_path / "one", "1-0-7.ops", op())
    assert not is_over(folder)
    assert not is_over(tmp_path / "nothing")
    spool(folder, "2-0-9.ops", op(), END)
    assert is_over(folder), "a first script of a shell ends without coming to the step"
    spool(folder, "3-1-8.ops", op())
    assert not is_over(folder), "a rank that waits for another would hang"
    spool(folder, "3-1-8.ops", op(), END)
    assert is_over(folder)


def test_the_clock_of_a_step_is_the_weights_if_there_are_any() -> None:
    def trajectory(**lasts: int) -> Trajectory:
        names = {"batch": "batch", "loss": "loss", "weights": "weights:SGD#0", "final": "weights:SGD#0 final"}
        steps = (
            StepRecord(stream=names.get(name, name), step=at)
            for name, last in lasts.items()
            for at in {0, last}
        )
        return Trajectory(steps=tuple(steps))

    both = trajectory(batch=90, loss=50, weights=30, final=50)
    assert clock_of(both, "7").stream == "weights:SGD#0"
    assert (clock_of(both, "50").until, clock_of(both, "49").until) == (50, 50)
    assert clock_of(both, "80").stream == "batch"
    assert clock_of(both, "loss@7").stream == "loss"
    ranks = Trajectory(steps=(StepRecord(stream="rank1/weights:SGD#0", step=4),))
    assert clock_of(ranks, "2").stream == "weights:SGD#0"
    for wrong in ("51@", "91", "loss@51", "", "@", "²"):
        with pytest.raises(InvalidInput):
            clock_of(both, wrong)
    with pytest.raises(InvalidInput, match="it recorded none"):
        clock_of(None, "0")
