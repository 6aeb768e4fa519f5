"""Why two runs came out differently: prepare, reproduce both, search by re-running, prove, share out."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

from relive.client.hub import HubClient
from relive.core.attribution import NOTHING, Finding, Outcome, Search, Subset, at_most
from relive.core.causes import Cause, Cleared, MetricChange, Tried, WhyReport, WhyStatus
from relive.core.facts import FactGroup, Trees, differences, facts_of
from relive.core.ids import short_id
from relive.core.shares import shares, subsets_of
from relive.replay.diff import Side, data_of
from relive.replay.draft import Draft, variables_of
from relive.replay.outcomes import Bits, Measure, WithinNoise, mean, spread, stable_bits
from relive.replay.swaps import Swap, cleared, find_swaps
from relive.replay.variant import Result, Variants, read_result

_REPEATS: Final = 3
# What a variant runs with is this machine's: no exchange reaches it.
_UNCONTROLLED: Final = (FactGroup.HARDWARE, FactGroup.READS)
_MOST_NAMED: Final = 50


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


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        metric: The only metric that counts; empty for the whole result.
        max_runs: Most runs to start; None for as many as it takes.
        parallel: Runs at a time.
        most_for_shares: Most runs that only sharing the effect out may take.
    """

    metric: str = ""
    max_runs: int | None = None
    parallel: int = 1
    most_for_shares: int = 12


@dataclass
class Why:
    """One question about two runs.

    Args:
        hub: Where both are recorded, and where variants are kept.
        one: The run to start from.
        other: The run to arrive at.
    """

    hub: HubClient
    one: Side
    other: Side
    question: Question
    progress: Progress
    swaps: list[Swap] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.variants = Variants(self.hub)
        self._drafts = self._take_apart()
        self.swaps = self.swaps or find_swaps(*self._drafts, self.hub.blobs)
        self._results: dict[Subset, Result] = {}
        self._measure: Measure = Bits(())
        self._search: Search | None = None
        self._phase = "reproduction"
        self._started = 0

    @property
    def uncontrolled(self) -> tuple[str, ...]:
        """Name what differs and cannot be exchanged here."""
        facts = [facts_of(side.recipe, side.lock, Trees()) for side in (self.one, self.other)]
        found = [it for it in differences(*facts) if it.group in _UNCONTROLLED]
        return tuple(f"{it.group.label}: {it.name}" for it in found[:_MOST_NAMED])

    def answer(self) -> WhyReport:
        """Find the causes; what is known so far if it is stopped.

        Raises:
            HubUnreachable, HubRefused: The hub went away.
            EnvironmentFailed: The wheels of the two are kept nowhere.
        """
        try:
            return self._answer()
        except Stopped as stopped:
            return self._report(WhyStatus.STOPPED, f"{stopped} The same command goes on from here.")

    def _answer(self) -> WhyReport:
        if not self.swaps:
            return self._report(WhyStatus.UNEXPLAINED, "No input differs that can be exchanged.")
        ends = [NOTHING, self._every]
        self._run_all(ends)
        failed = [self._results[end].failure for end in ends if self._results[end].failure]
        if failed:
            which = short_id((self.one if self._results[NOTHING].failure else self.other).detail.run.id)
            return self._report(WhyStatus.NOT_REPRODUCED, f"The copy of {which} failed: {failed[0]}")
        status = self._choose_measure()
        if status is not None:
            return status
        self._clear_what_was_not_read()
        self._phase = "search"
        suspects = [it.suspect for it in self.swaps if not it.cleared]
        clear = [it.suspect for it in self.swaps if it.cleared]
        self._search = Search(suspects, self._ask, clear, width=self.question.parallel)
        finding = self._search.run()
        if finding.reinstated:
            self.notes.append(
                "What had been cleared for free was searched as well: the rest did not explain it."
            )
        if not finding.is_proven:
            left = "what cannot be exchanged here acts as well"
            return self._report(
                WhyStatus.UNEXPLAINED, f"No set of inputs made the second out of the first: {left}."
            )
        return self._share_out(finding)

    def _choose_measure(self) -> WhyReport | None:
        """Choose what tells results apart; give the report if nothing does."""
        records = [read_result(self.hub, side.detail) for side in (self.one, self.other)]
        copies = [self._results[NOTHING], self._results[self._every]]
        bits = stable_bits(list(zip(records, copies, strict=True)), self.question.metric)
        self._measure = bits
        keys = sorted({key for it in (*records, *copies) for key in it.metrics})
        wanted = [key for key in keys if self.question.metric in ("", key)]
        if not wanted and self.question.metric:
            return self._report(WhyStatus.NO_DIFFERENCE, f"Neither run has a metric {self.question.metric}.")
        unstable = [key for key in wanted if ("metric", key) not in bits.names]
        if unstable:
            self.notes.append(f"The copies did not come out bit by bit as recorded: {', '.join(unstable)}.")
        if bits.outcome(copies[0]) != bits.outcome(copies[1]):
            return None
        if not unstable:
            said = f"Both came out the same here: {bits.compared or 'nothing to compare'}."
            return self._report(WhyStatus.NO_DIFFERENCE, said)
        return self._measure_noise()

    def _measure_noise(self) -> WhyReport | None:
        self.progress.note("repeating both, because they do not come out as recorded")
        repeats = [
            [self._results[end], *(self._repeat(end, number) for number in range(1, _REPEATS))]
            for end in (NOTHING, self._every)
        ]
        if any(copy.failure for copies in repeats for copy in copies):
            return self._report(WhyStatus.NOT_REPRODUCED, "A repeat failed.")
        noise = spread(repeats, self.question.metric)
        measure = WithinNoise(noise, [("first", mean(repeats[0])), ("second", mean(repeats[1]))])
        self._measure = measure
        if measure.outcome(repeats[1][0]) == "first":
            said = "The two do not differ by more than their repeats do."
            return self._report(WhyStatus.WITHIN_NOISE, said)
        return None

    def _clear_what_was_not_read(self) -> None:
        """Clear files that neither copy opened, where it is known for both which they opened."""
        opened = [self._results[end].opened for end in (NOTHING, self._every)]
        if None in opened:
            self.notes.append("Not every open was seen, so no file is cleared for not having been read.")
            return
        read = frozenset().union(*(it for it in opened if it is not None))
        self.swaps = [
            cleared(it, "neither run read it") if it.path and it.path not in read else it for it in self.swaps
        ]

    def _share_out(self, finding: Finding) -> WhyReport:
        """Run the subsets of the causes that are missing, if they are few, and make the report."""
        self._phase = "shares"
        subsets = subsets_of(finding.causes)
        missing = [it for it in subsets if it not in self._results]
        if len(missing) <= self.question.most_for_shares:
            try:
                self._run_all(missing)
            except Stopped:
                self.notes.append("It was stopped before the effect was shared out among the causes.")
        whole = frozenset(finding.causes)
        after = self._outcome(whole)
        if any(self._outcome(it) == after for it in subsets if it != whole and it in self._results):
            self.notes.append("A smaller part of the causes makes the second run as well, by another way.")
        n_causes = len(finding.causes)
        said = f"{n_causes} input{'s make' if n_causes > 1 else ' makes'} the second out of the first."
        return self._report(WhyStatus.FOUND, said, finding)

    def _ask(self, subsets: Sequence[Subset]) -> list[Outcome]:
        self._run_all(subsets)
        return [self._outcome(it) for it in subsets]

    def _outcome(self, subset: Subset) -> Outcome:
        return self._measure.outcome(self._results[subset])

    def _run_all(self, subsets: Sequence[Subset]) -> None:
        """Have every subset's result: known, kept on the hub, or run now."""
        todo = [it for it in dict.fromkeys(subsets) if it not in self._results]
        if not todo:
            return
        with ThreadPoolExecutor(self.question.parallel, thread_name_prefix="variants") as threads:
            futures = [threads.submit(self._run_one, subset) for subset in todo]
            for subset, future in zip(todo, futures, strict=True):
                self._results[subset] = future.result()
        for subset in todo:
            self._tell(subset, self._results[subset])

    def _run_one(self, subset: Subset) -> Result:
        return self._run(subset, self._draft(subset))

    def _repeat(self, end: Subset, number: int) -> Result:
        result = self._run(end, self._draft(end), repeat=number)
        self._tell(end, result)
        return result

    def _run(self, subset: Subset, draft: Draft, *, repeat: int = 0) -> Result:
        declared = [side.recipe.declared for side in (self.one, self.other)]
        outs = _common(*(it.outs for it in declared))
        work = draft.work(self.hub.blobs, outs, _common(*(it.metrics_files for it in declared)))
        key = self.variants.key(work, repeat)
        found = self.variants.find(work.project, key)
        if found is not None:
            return found
        if self.question.max_runs is not None and self._started >= self.question.max_runs:
            raise Stopped(f"{self._started} runs were made, as many as it may.")
        self._started += 1
        self.progress.trying(self._sorted(subset), self._started, self._at_most())
        replay_of = self._repeated(subset)
        result = self.variants.run(work, key, name=self._title(subset), replay_of=replay_of)
        if result.is_cancelled:
            raise Stopped("It was stopped.")
        return result

    def _tell(self, subset: Subset, result: Result) -> None:
        it = Tried(
            names=self._sorted(subset),
            run_id=result.run_id,
            outcome=self._word(subset, result),
            phase=self._phase,
            reason=result.failure,
            reused=result.reused,
            metrics=result.metrics,
        )
        self.tried.append(it)
        self.progress.tried(it)

    def _word(self, subset: Subset, result: Result) -> str:
        if result.failure:
            return "failed"
        if self._phase == "reproduction":
            return "as the second" if subset else "as the first"
        outcome = self._measure.outcome(result)
        if outcome == self._outcome(NOTHING):
            return "as the first"
        return "as the second" if outcome == self._outcome(self._every) else "otherwise"

    def _draft(self, subset: Subset) -> Draft:
        """Give the first run with some of the second's inputs; with all of them it is the second itself."""
        one, other = self._take_apart()
        if subset == self._every:
            return other
        for swap in self.swaps:
            if swap.name in subset:
                swap.put(one)
        return one

    def _take_apart(self) -> tuple[Draft, Draft]:
        one, other = self.one, self.other
        return (
            Draft.of(one, data_of(one, self.hub), variables_of(one, other)),
            Draft.of(other, data_of(other, self.hub), variables_of(other, one)),
        )

    @property
    def _every(self) -> Subset:
        return frozenset(it.name for it in self.swaps)

    def _sorted(self, subset: Subset) -> tuple[str, ...]:
        return tuple(it.name for it in self.swaps if it.name in subset)

    def _repeated(self, subset: Subset) -> str:
        """Give the run that a subset repeats with nothing changed."""
        if subset not in (NOTHING, self._every):
            return ""
        return (self.other if subset else self.one).detail.run.id

    def _title(self, subset: Subset) -> str:
        name = short_id(self.one.detail.run.id)
        if subset == self._every or not subset:
            return f"why: copy of {short_id(self._repeated(subset))}"
        names = self._sorted(subset)
        return f"why: {name} with {', '.join(names[:3])}{' …' if len(names) > 3 else ''}"

    def _at_most(self) -> int:
        left = at_most(self._search) if self._search else 2 * len(self.swaps) + 2
        return self._started + left - 1

    def _report(self, status: WhyStatus, reason: str, finding: Finding | None = None) -> WhyReport:
        return WhyReport(
            before=self.one.detail.run.id,
            after=self.other.detail.run.id,
            status=status,
            metric=self.question.metric,
            reason=reason,
            compared=self._measure.compared,
            causes=tuple(self._causes(finding)) if finding else (),
            metrics=self._metrics(),
            suspects=self._suspects(status),
            cleared=tuple(
                Cleared(name=it.name, group=it.group.name.lower(), reason=it.cleared)
                for it in self.swaps
                if it.cleared
            ),
            uncontrolled=self.uncontrolled,
            notes=tuple(self.notes),
            tried=tuple(self.tried),
            missing=sum(it not in self._results for it in subsets_of(finding.causes)) if finding else 0,
            facts=len(self.swaps),
        )

    def _suspects(self, status: WhyStatus) -> tuple[str, ...]:
        """Name what may still be a cause: where the search was, or all that was not cleared."""
        if status not in (WhyStatus.STOPPED, WhyStatus.UNEXPLAINED):
            return ()
        if self._search is None or not (self._search.causes or self._search.segments):
            return tuple(it.name for it in self.swaps if not it.cleared)
        within = [name for segment in self._search.segments for name in segment]
        return tuple(dict.fromkeys((*self._search.causes, *within)))

    def _causes(self, finding: Finding) -> list[Cause]:
        by_name = {it.name: it for it in self.swaps}
        parts = self._shares(finding)
        return [
            Cause(
                name=name,
                group=by_name[name].group.name.lower(),
                before=by_name[name].before,
                after=by_name[name].after,
                without=self._word(NOTHING, self._results[frozenset(finding.causes) - {name}]),
                shares={key: part[name] for key, part in parts.items()},
            )
            for name in finding.causes
        ]

    def _shares(self, finding: Finding) -> dict[str, dict[str, float]]:
        known = {it: self._results[it] for it in subsets_of(finding.causes) if it in self._results}
        found = {}
        for change in self._metrics():
            values = {
                it: result.metrics[change.key] for it, result in known.items() if change.key in result.metrics
            }
            part = shares(finding.causes, values)
            if part is not None:
                found[change.key] = part
        return found

    def _metrics(self) -> tuple[MetricChange, ...]:
        """Give the metrics that the copies differ in; none before both are there."""
        if NOTHING not in self._results or self._every not in self._results:
            return ()
        was, is_ = (self._results[end].metrics for end in (NOTHING, self._every))
        noise = self._measure.noise if isinstance(self._measure, WithinNoise) else {}
        return tuple(
            MetricChange(key=key, before=was.get(key), after=is_.get(key), noise=noise.get(key))
            for key in sorted(was.keys() | is_.keys())
            if self.question.metric in ("", key) and was.get(key) != is_.get(key)
        )


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Give what both expect: a variant need not leave what only one of them does."""
    return tuple(path for path in one if path in other)
