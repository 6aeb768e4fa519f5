"""Who writes what: the outs of all runs of a pipeline, found by any path that touches them."""

from collections.abc import Iterable
from typing import NamedTuple

from relive.core.paths import ROOT, folders_of, overlap
from relive.core.problems import Problem


class Out(NamedTuple):
    """One out of one run."""

    path: str
    key: str
    stage: str


class Makers:
    """The outs of a pipeline's runs.

    Instances of one matrix may write the same out, each in its own folder. Such an out is `shared`: whoever
    reads it must say which instance is meant.
    """

    def __init__(self, outs: Iterable[Out]) -> None:
        self._at: dict[str, list[Out]] = {}
        self._below: dict[str, list[Out]] = {}
        for out in outs:
            self._at.setdefault(out.path, []).append(out)
            for folder in folders_of(out.path):
                self._below.setdefault(folder, []).append(out)
        self._shared = {
            out.path
            for at in self._at.values()
            for out in at
            if any(it.key != out.key for it in self._touched(out.path))
        }

    def touching(self, path: str) -> list[Out]:
        """Give every out that is this path, lies in it, or holds it; the root alone touches nothing."""
        return [] if path == ROOT else self._touched(path)

    def holding(self, path: str) -> list[Out]:
        """Give every out that is this path or holds it."""
        return [out for place in (path, *folders_of(path)) for out in self._at.get(place, ())]

    def is_shared(self, path: str) -> bool:
        """Tell whether several runs write this out, or one in another."""
        return path in self._shared

    def clashes(self) -> list[Problem]:
        """Find outs of different stages, or of one run, that are the same or lie in one another."""
        problems = []
        for path in self._at:
            for out in self._at[path]:
                others = [it for it in self.holding(path) if it is not out and _clash(it, out)]
                problems += [_problem(out, other) for other in others[:1]]
        return list(dict.fromkeys(problems))

    def _touched(self, path: str) -> list[Out]:
        return self.holding(path) + self._below.get(path, [])


def _clash(one: Out, other: Out) -> bool:
    return (one.stage != other.stage or one.key == other.key) and overlap(one.path, other.path)


def _problem(out: Out, other: Out) -> Problem:
    if out.stage == other.stage:
        what = (
            f"name {out.path} twice"
            if out.path == other.path
            else f"name both {other.path} and {out.path} in it"
        )
        return Problem(0, f"stages.{out.stage}.outs", f"{what}; expected each path once")
    theirs = "the same" if out.path == other.path else f"{other.path}, which holds it"
    first, second = sorted((out.stage, other.stage)) if out.path == other.path else (other.stage, out.stage)
    what = f"name {out.path}, and those of {first} {theirs}; expected every out to be written by one stage"
    return Problem(0, f"stages.{second}.outs", what)
