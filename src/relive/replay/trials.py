"""The first run with some of the second's inputs, made as runs: each once, counted, and told of."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from relive.client.hub import HubClient
from relive.core.attribution import NOTHING, Outcome, Search, Subset, at_most
from relive.core.causes import Tried
from relive.core.ids import short_id
from relive.replay.diff import Side, data_of
from relive.replay.draft import Draft
from relive.replay.early import Horizon
from relive.replay.outcomes import Bits, Measure
from relive.replay.swaps import Swap, find_swaps
from relive.replay.variant import Result, Variants


class Stopped(Exception):
    """Nothing more may be run: somebody stopped it, or the runs are used up."""


class Progress(Protocol):
    """Is told how the search goes on; may be called from several threads."""

    def note(self, sentence: str) -> None:
        """Say something about the whole."""

    def trying(self, names: Sequence[str], number: int, at_most: int) -> None:
        """Say which of the second run's inputs the run of this number (from 1) has."""

    def tried(self, it: Tried) -> None:
        """Say what a run came out as."""


def line_of_start(names: Sequence[str], number: int, at_most: int) -> str:
    """Say which run begins; see `Progress.trying`."""
    return f"run {number} of at most {at_most}: {_listed(names)}"


def line_of_end(it: Tried) -> str:
    """Say what a run came out as."""
    known = " (known)" if it.reused else ""
    known += f" (until step {it.until})" if it.until is not None else ""
    reason = f": {it.reason.splitlines()[0][:100]}" if it.reason else ""
    return f"  {_listed(it.names)} → {it.outcome}{known}{reason}"


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "the first as it is"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"the first with {', '.join(names[:3])}{more}"


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        metric: The only metric that counts; empty for the whole result.
        max_runs: Most runs to start; None for as many as it takes.
        parallel: Runs at a time.
        ahead: Whether to make runs that may turn out not to be needed where fewer than `parallel` are.
        most_for_shares: Most runs that only sharing the effect out may take.
    """

    metric: str = ""
    max_runs: int | None = None
    parallel: int = 1
    ahead: bool = False
    most_for_shares: int = 12

    @property
    def width(self) -> int:
        """How many subsets the search may ask for that it might not need."""
        return self.parallel if self.ahead else 1


@dataclass
class Trials:
    """Makes the runs that a search asks for.

    Attributes:
        swaps: What can be exchanged; a subset names some of them.
        results: What whole runs came out as.
        beginnings: What runs came out as that were ended at a horizon.
        measure: Tells results apart; chosen once both copies are there.
        phase: What runs are made for from now on.
        search: The one that asks, for the bound.
        maker: Makes the runs; None to make them on this machine.
    """

    hub: HubClient
    one: Side
    other: Side
    question: Question
    progress: Progress
    swaps: list[Swap] = field(default_factory=list)
    results: dict[Subset, Result] = field(default_factory=dict)
    beginnings: dict[Subset, Result] = field(default_factory=dict)
    tried: list[Tried] = field(default_factory=list)
    measure: Measure = field(default_factory=lambda: Bits(()))
    phase: str = "reproduction"
    search: Search | None = None
    maker: Variants | None = None

    def __post_init__(self) -> None:
        self.variants = self.maker or Variants(self.hub)
        self.swaps = self.swaps or find_swaps(*self._take_apart(), self.hub.blobs)
        self._started, self._counting = 0, threading.Lock()

    @property
    def every(self) -> Subset:
        """Give the subset of all exchanges: the second run."""
        return frozenset(it.name for it in self.swaps)

    def outcome(self, subset: Subset) -> Outcome:
        """Say what the whole run of a subset came out as."""
        return self.measure.outcome(self.results[subset])

    def run(self, subsets: Sequence[Subset]) -> None:
        """Have every subset's result: known, kept on the hub, or run now.

        Raises:
            Stopped: Nothing more may be run.
        """
        self._run_all(subsets, self.results, None)

    def begin(self, subsets: Sequence[Subset], horizon: Horizon) -> None:
        """Have every subset's beginning; a whole run has one as well. Raises as `run`."""
        known = {it: result for it, result in self.results.items() if it in subsets}
        self.beginnings.update(known)
        self._run_all(subsets, self.beginnings, horizon)

    def repeat(self, ends: Sequence[Subset], times: int) -> list[list[Result]]:
        """Run each of the two some more times; give what came out of each. Raises as `run`."""
        todo = [(end, number) for end in ends for number in range(1, times + 1)]
        found: dict[Subset, list[Result]] = {end: [] for end in ends}

        def keep(place: int, result: Result) -> None:
            found[todo[place][0]].append(result)
            self._tell(todo[place][0], result)

        self._at_once([partial(self._run_one, end, None, repeat=number) for end, number in todo], keep)
        return [found[end] for end in ends]

    def run_all_exchanged(self) -> Outcome:
        """Say what the first run comes out as with all that can be exchanged. Raises as `run`.

        The subset of all stands for the second run itself; what cannot be exchanged shows here.
        """
        one, _ = self._take_apart()
        for swap in self.swaps:
            swap.put(one)
        result = self._run_one(self.every, None, draft=one)
        self._tell(self.every, result)
        return self.measure.outcome(result)

    def word(self, result: Result) -> str:
        """Say for people what a whole run came out as."""
        if result.failure:
            return "failed"
        outcome = self.measure.outcome(result)
        if outcome == self.outcome(NOTHING):
            return "as the first"
        return "as the second" if outcome == self.outcome(self.every) else "otherwise"

    def _run_all(self, subsets: Sequence[Subset], known: dict[Subset, Result], until: Horizon | None) -> None:
        todo = [it for it in dict.fromkeys(subsets) if it not in known]

        def keep(place: int, result: Result) -> None:
            known[todo[place]] = result
            self._tell(todo[place], result, until)

        self._at_once([partial(self._run_one, subset, until) for subset in todo], keep)

    def _at_once(self, runs: Sequence[Callable[[], Result]], keep: Callable[[int, Result], None]) -> None:
        """Make runs side by side; what came out is kept in their order, whichever ended first.

        After one that could not be made no other is started, and its error is raised once all are over.
        """
        failed: BaseException | None = None
        with ThreadPoolExecutor(self.question.parallel, thread_name_prefix="variants") as threads:
            futures = [threads.submit(it) for it in runs]
            for place, future in enumerate(futures):
                if future.cancelled():
                    continue
                error = future.exception()
                if error is None:
                    keep(place, future.result())
                elif failed is None:
                    failed = error
                    for it in futures:
                        it.cancel()
        if failed is not None:
            raise failed

    def _run_one(
        self, subset: Subset, until: Horizon | None, *, repeat: int = 0, draft: Draft | None = None
    ) -> Result:
        declared = [side.recipe.declared for side in (self.one, self.other)]
        outs = _common(*(it.outs for it in declared))
        metrics_files = _common(*(it.metrics_files for it in declared))
        work = (draft or self._draft(subset)).work(self.hub.blobs, outs, metrics_files)
        key = self.variants.key(work, repeat)
        found = self.variants.find(work.project, key, until)
        if found is not None:
            return found
        with self._counting:
            if self.question.max_runs is not None and self._started >= self.question.max_runs:
                raise Stopped(f"{self._started} runs were made, as many as it may.")
            self._started += 1
            self.progress.trying(self.sorted(subset), self._started, self._at_most())
        replay_of = self._repeated(subset)
        result = self.variants.run(work, key, name=self._title(subset), replay_of=replay_of, until=until)
        if result.is_cancelled:
            raise Stopped("It was stopped.")
        return result

    def _tell(self, subset: Subset, result: Result, until: Horizon | None = None) -> None:
        it = Tried(
            names=self.sorted(subset),
            run_id=result.run_id,
            outcome=self._told_word(subset, result, until),
            phase=self.phase,
            reason=result.failure,
            reused=result.reused,
            metrics=result.metrics,
            until=until.step if until is not None and result.is_beginning else None,
        )
        self.tried.append(it)
        self.progress.tried(it)

    def _told_word(self, subset: Subset, result: Result, until: Horizon | None) -> str:
        if result.failure:
            return "failed"
        if self.phase == "reproduction":
            return "as the second" if subset else "as the first"
        return self.word(result) if until is None else until.word_of(until.outcome("", result.beginning))

    def _draft(self, subset: Subset) -> Draft:
        """Give the first run with some of the second's inputs; with all of them it is the second itself."""
        one, other = self._take_apart()
        if subset == self.every:
            return other
        for swap in self.swaps:
            if swap.name in subset:
                swap.put(one)
        return one

    def _take_apart(self) -> tuple[Draft, Draft]:
        one, other = (Draft.of(side, data_of(side, self.hub)) for side in (self.one, self.other))
        return one, other

    def sorted(self, subset: Subset) -> tuple[str, ...]:
        """Give the names of a subset in the order of the exchanges."""
        return tuple(it.name for it in self.swaps if it.name in subset)

    def _repeated(self, subset: Subset) -> str:
        """Give the run that a subset repeats with nothing changed."""
        if subset not in (NOTHING, self.every):
            return ""
        return (self.other if subset else self.one).detail.run.id

    def _title(self, subset: Subset) -> str:
        if subset in (NOTHING, self.every):
            return f"why: copy of {short_id(self._repeated(subset))}"
        names, first = self.sorted(subset), short_id(self.one.detail.run.id)
        return f"why: {first} with {', '.join(names[:3])}{' …' if len(names) > 3 else ''}"

    def _at_most(self) -> int:
        left = at_most(self.search) if self.search else 2 * len(self.swaps) + 2
        return self._started + left - 1


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Give what both expect: a variant need not leave what only one of them does."""
    return tuple(path for path in one if path in other)
