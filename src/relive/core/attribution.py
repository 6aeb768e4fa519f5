"""Which of the inputs that two runs do not share make one result out of the other: a search by re-running.

A *fact* is one input that differs. A *subset* of the facts stands for the run A with these of B's inputs, so
the empty one is A, and the full one B. The search lays the facts in a row, the likely ones first, and looks
at A with more and more of B's inputs: where the result changes from one place of the row to the next, a fact
acts. Halving finds these places, and each answer tells about both sides, so three causes among a hundred
facts need some twenty runs. What acts only together with a later fact shows in the next round, which starts
from the causes found so far. Nothing is believed that was not run: A with the causes must be B, and without
any one of them it must not.

A run that fails says nothing: it is neither equal nor different. Where all runs between two places fail, the
facts between them are held together until each was tried alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Final, TypeAlias

Subset: TypeAlias = frozenset[str]
# Equal words stand for equal results; None for a run that failed.
Outcome: TypeAlias = str | None
Ask: TypeAlias = Callable[[Sequence[Subset]], Sequence[Outcome]]

NOTHING: Final[Subset] = frozenset()
_FAILED: Final = "failed"
# Of so many facts that fail one by one, every two are tried together.
_PAIRED: Final = 5


@dataclass(frozen=True)
class Suspect:
    """A fact that may be a cause; the heavier, the likelier."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Finding:
    """What the search found.

    Attributes:
        causes: The smallest set that makes B out of A, in the order of the row.
        without: For each cause, what came out without it; None where that run failed.
        is_proven: Whether A with them is B, and without any of them is not.
        reinstated: Facts that had been cleared for free and were searched all the same.
    """

    causes: tuple[str, ...]
    without: Mapping[str, Outcome]
    is_proven: bool
    reinstated: tuple[str, ...] = ()


@dataclass
class Search:
    """One search; its fields say how far it is, also after `ask` has raised.

    Attributes:
        suspects: In the order in which they are laid in a row.
        cleared: Facts that should not matter; searched only if the others do not explain B.
        ask: Runs subsets, and gives what each came out as; it remembers, so asking twice costs nothing.
        width: Up to how many subsets are asked at a time that may turn out not to be needed; what is needed
            in any case is asked at once.
        causes: What was found so far.
        segments: Names between places that are known to come out otherwise: at least one of each acts.
    """

    suspects: Sequence[Suspect]
    ask: Ask
    cleared: Sequence[Suspect] = ()
    width: int = 1
    causes: list[str] = field(default_factory=list)
    segments: list[tuple[str, ...]] = field(default_factory=list)

    def run(self) -> Finding:
        """Search until the causes are proven.

        What A with all suspects comes out as is taken to be B until the proof fails.
        """
        after = self._ends()
        if after is None:
            return Finding((), {}, is_proven=False)
        row, reinstated = list(self.suspects), tuple[str, ...]()
        # Cleared for free means: A with all the others is taken to be B, until the proof fails.
        if not self._explain(row, after, end=after):
            row += [it for it in self.cleared if it not in row]
            reinstated = tuple(it.name for it in self.cleared)
            self._explain(row, after, end=None)
        return self._prove(row, after, reinstated)

    def guess(self) -> list[str]:
        """Search without the proof: a place to start from for another search, with a dearer `ask`."""
        after = self._ends()
        if after is not None:
            self._explain(list(self.suspects), after, end=after)
        return list(self.causes)

    def settle(self, causes: Sequence[str]) -> Finding:
        """Prove a set of causes that came from elsewhere, without what of it is not needed."""
        after = self._ends()
        if after is None:
            return Finding((), {}, is_proven=False)
        self.causes = list(causes)
        return self._prove([*self.suspects, *self.cleared], after, ())

    def _ends(self) -> Outcome:
        """Give what B comes out as; None if there is nothing to search for."""
        every = frozenset(it.name for it in (*self.suspects, *self.cleared))
        before, after = self.ask([NOTHING, every])
        return None if before is None or before == after else after

    def _explain(self, row: list[Suspect], after: str, end: Outcome) -> bool:
        """Add causes until A with them is B; tell whether that was reached.

        `end` is what A with the whole row is taken to come out as in the first round; None to look.
        """
        while True:
            base = frozenset(self.causes)
            (outcome,) = self.ask([base])
            if outcome == after:
                return True
            rest = [it for it in row if it.name not in base]
            if end is None:
                (end,) = self.ask([base | {it.name for it in rest}])
            found = self._changes(base, outcome, rest, end)
            if not found:
                return False
            self.causes += found
            end = None

    def _changes(self, base: Subset, first: Outcome, rest: list[Suspect], last: Outcome) -> list[str]:
        """Find the facts of a row at which the result changes, starting from A with `base`."""
        # Where A with the causes fails, what makes it run is looked for: that is wanted as well.
        from_failure = first is None
        known: dict[int, Outcome] = {0: _FAILED if from_failure else first, len(rest): last}
        weights = [it.weight for it in rest]
        while True:
            probes = _probes(known, weights, self.width)
            self.segments = [tuple(it.name for it in rest[low:high]) for low, high in _segments(known)]
            if not probes:
                break
            answers = self.ask([base | {it.name for it in rest[:place]} for place in probes])
            for place, answer in zip(probes, answers, strict=True):
                known[place] = _FAILED if from_failure and answer is None else answer
        return [name for segment in self.segments for name in segment]

    def _prove(self, row: list[Suspect], after: str, reinstated: tuple[str, ...]) -> Finding:
        """Take away what is not needed, and see that each of the others is."""
        order = {it.name: index for index, it in enumerate(row)}
        causes = sorted(self.causes, key=order.__getitem__)
        self.segments = []
        if self.ask([frozenset(causes)])[0] != after:
            self.causes = causes
            return Finding(tuple(causes), {}, is_proven=False, reinstated=reinstated)
        while True:
            self.causes = causes
            whole = frozenset(causes)
            answers = self.ask([whole - {name} for name in causes])
            without = dict(zip(causes, answers, strict=True))
            gone = self._removable(whole, without, after)
            if not gone:
                return Finding(tuple(causes), without, is_proven=True, reinstated=reinstated)
            causes = [name for name in causes if name not in gone]

    def _removable(self, whole: Subset, without: Mapping[str, Outcome], after: str) -> Subset:
        """Give what can go: all that is needless if that works, else one of it; empty if all is needed.

        Two facts that need each other fail one without the other, so those that fail are taken together, too.
        """
        needless = [name for name in reversed(list(without)) if without[name] == after]
        failing = [name for name in without if without[name] is None]
        if needless:
            tries = [frozenset(needless), frozenset(needless[:1])]
        else:
            tries = [frozenset(failing)] if len(failing) > 1 else []
            tries += map(frozenset, combinations(failing, 2)) if 2 < len(failing) <= _PAIRED else []
        for names in tries:
            if names != whole and self.ask([whole - names])[0] == after:
                return names
        return NOTHING


def at_most(search: Search) -> int:
    """Give how many runs the search may still need as it stands: an upper bound, far above what is usual."""
    between = sum(len(segment) - 1 for segment in search.segments)
    n_causes = len(search.causes) + sum(map(len, search.segments))
    return between + n_causes + 1


def _segments(known: Mapping[int, Outcome]) -> list[tuple[int, int]]:
    """Give the stretches between neighbouring places that came out, and came out differently."""
    resolved = sorted(place for place, outcome in known.items() if outcome is not None)
    return [(low, high) for low, high in pairwise(resolved) if known[low] != known[high]]


def _probes(known: Mapping[int, Outcome], weights: list[float], width: int) -> list[int]:
    """Choose the places to look at next, the likeliest first; none if every change is pinned down.

    Every stretch is halved, as no answer about one of them spares another; if these are fewer than `width`,
    the halves of the heaviest are halved as well, though one of the two would do.
    """
    gaps = [gap for segment in _segments(known) if (gap := _gap(known, *segment)) is not None]
    n_needed, probes = len(gaps), list[int]()
    while gaps and len(probes) < max(n_needed, width):
        open_ = gaps[: n_needed - len(probes)] or gaps
        low, high = max(open_, key=lambda gap: sum(weights[gap[0] : gap[1]]))
        gaps.remove((low, high))
        middle = _middle(low, high, weights)
        probes.append(middle)
        gaps += [gap for gap in ((low, middle), (middle, high)) if gap[1] - gap[0] > 1]
    return probes


def _gap(known: Mapping[int, Outcome], low: int, high: int) -> tuple[int, int] | None:
    """Give the part of a stretch that is worth a look; None if there is none.

    Places that failed lie side by side as a rule (one fact needs another that comes later), so the borders of
    the failing part are looked for from both sides, and what lies between them is left alone.
    """
    failed = [place for place in known if low < place < high]
    if not failed:
        return (low, high) if high - low > 1 else None
    if min(failed) - low > 1:
        return low, min(failed)
    return (max(failed), high) if high - max(failed) > 1 else None


def _middle(low: int, high: int, weights: list[float]) -> int:
    """Give the place between two at which the weight is split most evenly."""
    total = sum(weights[low:high])
    best, lightest, before = low + 1, float("inf"), 0.0
    for place in range(low + 1, high):
        before += weights[place - 1]
        if abs(total - 2 * before) < lightest:
            best, lightest = place, abs(total - 2 * before)
    return best
