"""A changed file of code taken apart into places that can be exchanged one by one.

Not every mixture of two versions is a program: a call without the import that it needs fails. That says
nothing about the result and costs a run, so what by its own words cannot stand alone is put together with
what it needs. What is not seen here fails when it is run, and counts as unresolved.
"""

import ast
import builtins
import difflib
import textwrap
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, TypeAlias

MOST_BYTES: Final = 256 * 1024
# Each costs the search runs; those that are nearest to each other are one beyond that.
_MOST_CHANGES: Final = 12
_MOST_TEXT: Final = 2000
_BUILTINS: Final = frozenset(dir(builtins))


@dataclass(frozen=True)
class Hunk:
    """One place of a file.

    Attributes:
        start: The first line of it in the old version, from 0; `end` is the first behind it.
        new_start: The first line of it in the new version, from 0; `new_end` is the first behind it.
        old: What the old version has there, line by line with their ends.
        new: What the new version has there.
    """

    start: int
    end: int
    new_start: int
    new_end: int
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]

    @property
    def lines(self) -> str:
        """Name its lines, from 1: those of the new version, or of the old one for what is only gone."""
        first, behind = (self.new_start, self.new_end) if self.new else (self.start, self.end)
        return str(first + 1) if behind - first == 1 else f"{first + 1}-{behind}"


# Those that can only be exchanged together, in the order of the file.
Change: TypeAlias = tuple[Hunk, ...]


def changes_of(before: bytes, after: bytes, *, is_python: bool) -> list[Change]:
    """Give the changes that make the second version of the first, in the order of the file.

    Args:
        before: The old version.
        after: The new one.
        is_python: Whether what cannot stand alone can be told.

    Returns:
        Nothing if the versions are equal; one change that is everything if they cannot be taken apart.
    """
    found = _fewer(_hunks(before.splitlines(keepends=True), after.splitlines(keepends=True)))
    if not is_python or len(found) < 2:
        return found
    mine, theirs = _needs(before), _needs(after)
    if mine is None or theirs is None:
        return [tuple(hunk for change in found for hunk in change)]  # no program: its parts cannot be told
    return _Joined(before, found, mine | theirs).found()


def with_changes(before: bytes, changes: Iterable[Change]) -> bytes:
    """Give the old version with some of the changes."""
    lines = before.splitlines(keepends=True)
    hunks = (hunk for change in changes for hunk in change)
    # From behind, so that the places of the others stay what they are.
    for hunk in sorted(hunks, key=lambda it: it.start, reverse=True):
        lines[hunk.start : hunk.end] = hunk.new
    return b"".join(lines)


def is_same_program(before: bytes, changes: Collection[Change], change: Change) -> bool:
    """Tell whether a change alters no syntax tree, whether it comes first or last."""
    others = [it for it in changes if it != change]
    pairs: tuple[tuple[list[Change], list[Change]], ...] = (([], [change]), (others, [*others, change]))
    trees = [[tree_of(with_changes(before, it)) for it in pair] for pair in pairs]
    return all(one is not None and one == other for one, other in trees)


def text_of(change: Change, version: Literal["old", "new"]) -> str:
    """Give what a version has at the places of a change, for people: without margins, and not all of much."""
    lines = b"".join(line for hunk in change for line in getattr(hunk, version))
    text = textwrap.dedent(lines.decode(errors="replace")).strip()
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"


def tree_of(data: bytes) -> str | None:
    """Give a Python file's syntax tree as text; None if it has none."""
    tree = _parse(data)
    return None if tree is None else ast.dump(tree)


def _hunks(old: list[bytes], new: list[bytes]) -> list[Hunk]:
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    return [
        Hunk(i, j, i_, j_, tuple(old[i:j]), tuple(new[i_:j_]))
        for tag, i, j, i_, j_ in matcher.get_opcodes()
        if tag != "equal"
    ]


def _fewer(hunks: list[Hunk]) -> list[Change]:
    changes: list[Change] = [(it,) for it in hunks]
    while len(changes) > _MOST_CHANGES:
        gaps = [right[0].start - left[-1].end for left, right in pairwise(changes)]
        nearest = gaps.index(min(gaps))
        changes[nearest : nearest + 2] = [changes[nearest] + changes[nearest + 1]]
    return changes


def _parse(data: bytes) -> ast.Module | None:
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _needs(data: bytes) -> frozenset[str] | None:
    """Give the names that a program reads and nowhere binds; None for what is no program."""
    tree = _parse(data)
    if tree is None:
        return None
    nodes = list(ast.walk(tree))
    read = {it.id for it in nodes if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Load)}
    return frozenset(read) - set(_bound(nodes)) - _BUILTINS


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg(arg=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name.partition(".")[0]
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
            case _:
                continue


class _Joined:
    """Hunks put together until each change can be there alone, and be missing alone."""

    def __init__(self, before: bytes, changes: list[Change], allowed: frozenset[str]) -> None:
        self._before = before
        self._allowed = allowed
        self._changes = changes

    def found(self) -> list[Change]:
        while len(self._changes) > 1:
            lame = next((it for it in self._changes if not self._stands(it)), None)
            if lame is None:
                break
            self._join(lame, self._partner(lame))
        return self._changes

    def _stands(self, change: Change) -> bool:
        others = [it for it in self._changes if not set(it) <= set(change)]
        return all(self._is_program(it) for it in ([change], others))

    def _is_program(self, changes: list[Change]) -> bool:
        needs = _needs(with_changes(self._before, changes))
        return needs is not None and needs <= self._allowed

    def _partner(self, change: Change) -> Change:
        """Give what it needs, or else what is nearest."""
        at = self._changes.index(change)
        others = [it for it in self._changes if it is not change]
        others.sort(key=lambda it: abs(self._changes.index(it) - at))
        return next((it for it in others if self._stands((*change, *it))), others[0])

    def _join(self, one: Change, other: Change) -> None:
        kept = [it for it in self._changes if it is not one and it is not other]
        joined = tuple(sorted((*one, *other), key=lambda it: it.start))
        self._changes = sorted([*kept, joined], key=lambda it: it[0].start)
