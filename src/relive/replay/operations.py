"""What two runs did around one step, operation by operation, and the first in which they differ.

The hooks of a run write it (`capture.hooks.drill`). What comes out of a user's process is not trusted: a line
that is no operation ends what is read of its file.
"""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from relive.capture.hooks.drill import SUFFIX
from relive.formats.points import open_regular

_MOST_BYTES: Final = 1 << 30
_TAIL_BYTES: Final = 64


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation, or one recorded step.

    Attributes:
        name: "aten.mm.default", or "fit:LogisticRegression#0 step 1".
        at: The nearest line of the program: "train.py:12"; empty if none is near.
        inputs: Each for people, with the digest if there is more to it.
        outputs: Digests or exact values of what it left, by name; none of views.
        node: Node of the backward pass that it belongs to; empty for none.
        rng: Digest of the generator that it drew from; empty for none.
    """

    name: str = msgspec.field(name="op")
    at: str = ""
    inputs: tuple[tuple[str, str], ...] = msgspec.field(name="in", default=())
    outputs: dict[str, str] = msgspec.field(name="out", default_factory=dict)
    node: str = ""
    rng: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """Give what can be said of its inputs: shapes, types and numbers."""
        return tuple(text for text, _ in self.inputs)


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """The operations of one process; `end` says why there are no more of them, empty if nobody knows."""

    rank: int
    operations: tuple[Operation, ...] = ()
    end: str = ""


class Kind(StrEnum):
    """In what way two operations differ."""

    ANOTHER = "another operation"
    ARGUMENTS = "other arguments"
    INPUTS = "other inputs"
    RANDOM = "another random state"
    RESULT = "another result from the same inputs"
    MISSING = "only one of them has it"


class FirstOperation(msgspec.Struct, frozen=True, kw_only=True):
    """The first operation that differs.

    Attributes:
        index: Counts from 0 within the window, in the process of this rank.
        one: As the first side did it; None if it had ended.
        names: Outputs that differ; if it is about arguments or inputs, those.
    """

    index: int
    kind: Kind
    one: Operation | None
    other: Operation | None
    names: tuple[str, ...] = ()
    rank: int = 0

    @property
    def shown(self) -> Operation:
        """Give the operation to name: the first side's, if it has one."""
        found = self.one or self.other
        assert found is not None
        return found


class _End(msgspec.Struct, frozen=True):
    end: str


_LINE: Final = msgspec.json.Decoder(Operation)
_ENDED: Final = msgspec.json.Decoder(_End)


def read_operations(spool: Path) -> tuple[Process, ...]:
    """Read what the processes of a run wrote into its spool, by rank and in the order in which they began."""
    found = [_read(spool / name, name) for name in _files(spool)]
    return tuple(sorted((it for it in found if it.operations), key=lambda it: it.rank))


def is_over(spool: Path) -> bool:
    """Tell whether the step is over: in every rank of a distributed training, else in one process."""
    ends = {
        name: _tail(spool / name).endswith(b"}\n") and b'{"end"' in _tail(spool / name)
        for name in _files(spool)
    }
    ranks = [has_ended for name, has_ended in ends.items() if _rank(name)]
    return any(ends.values()) and all(ranks)


def first_difference(one: Sequence[Process], other: Sequence[Process]) -> FirstOperation | None:
    """Find the first operation that differs; None if all agree.

    Operations are laid beside each other by their number. What a view shows or memory held before anything
    was written to it is not compared.
    """
    for mine, theirs in zip(one, other, strict=False):
        found = _first(mine, theirs)
        if found is not None:
            return found
    longer = one[len(other) :] or other[len(one) :]
    if not longer:
        return None
    only = longer[0].operations[0]
    is_mine = len(one) > len(other)
    return FirstOperation(
        index=0,
        kind=Kind.MISSING,
        one=only if is_mine else None,
        other=None if is_mine else only,
        rank=longer[0].rank,
    )


def _first(one: Process, other: Process) -> FirstOperation | None:
    for index in range(max(len(one.operations), len(other.operations))):
        mine, theirs = (it.operations[index] if index < len(it.operations) else None for it in (one, other))
        found = _difference(mine, theirs)
        if found is not None:
            kind, names = found
            return FirstOperation(index=index, kind=kind, one=mine, other=theirs, names=names, rank=one.rank)
    return None


def _difference(one: Operation | None, other: Operation | None) -> tuple[Kind, tuple[str, ...]] | None:
    if one is None or other is None:
        return Kind.MISSING, ()
    if one.name != other.name:
        return Kind.ANOTHER, ()
    if one.texts != other.texts:
        return Kind.ARGUMENTS, _unequal(one.texts, other.texts)
    names = sorted(one.outputs.keys() | other.outputs.keys())
    differing = tuple(it for it in names if one.outputs.get(it) != other.outputs.get(it))
    if not differing:
        return None
    inputs = tuple(
        text for (text, mine), (_, theirs) in zip(one.inputs, other.inputs, strict=True) if mine != theirs
    )
    if inputs:
        return Kind.INPUTS, inputs
    return (Kind.RANDOM if one.rng != other.rng else Kind.RESULT), differing


def _unequal(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    length = max(len(one), len(other))
    pairs = (
        (dict(enumerate(one)).get(n, "nothing"), dict(enumerate(other)).get(n, "nothing"))
        for n in range(length)
    )
    return tuple(f"{mine} → {theirs}" for mine, theirs in pairs if mine != theirs)


def _files(spool: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(spool) if name.endswith(SUFFIX))
    except FileNotFoundError:
        return []


def _rank(name: str) -> int:
    parts = name.split("-")
    return int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else 0


def _read(path: Path, name: str) -> Process:
    operations: list[Operation] = []
    end = ""
    for line in _lines(path):
        try:
            operations.append(_LINE.decode(line))
        except msgspec.MsgspecError:
            end = _ended(line)
            break
    return Process(rank=_rank(name), operations=tuple(operations), end=end)


def _ended(line: bytes) -> str:
    try:
        return _ENDED.decode(line).end
    except msgspec.MsgspecError:
        return ""  # it was killed within the line


def _lines(path: Path) -> list[bytes]:
    fd = open_regular(path)
    if fd < 0:
        return []
    with open(fd, "rb") as file:
        return file.read(_MOST_BYTES).splitlines()


def _tail(path: Path) -> bytes:
    fd = open_regular(path)
    if fd < 0:
        return b""
    with open(fd, "rb") as file:
        file.seek(max(0, os.fstat(fd).st_size - _TAIL_BYTES))
        return file.read()
