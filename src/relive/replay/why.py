"""Why two runs came out differently: prepare, reproduce both, search by re-running, prove, share out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from relive.client.hub import HubClient
from relive.core.attribution import NOTHING, Finding, Outcome, Search, Subset, Suspect
from relive.core.causes import Cause, Cleared, MetricChange, WhyReport, WhyStatus, check_metric
from relive.core.facts import FactGroup, Trees, differences, facts_of
from relive.core.ids import short_id
from relive.core.shares import shares, subsets_of
from relive.replay.diff import Side
from relive.replay.early import find_horizon
from relive.replay.outcomes import WithinNoise, limits_of, mean, stable_bits
from relive.replay.swaps import cleared
from relive.replay.trials import Progress, Question, Stopped, Trials
from relive.replay.variant import Variants, read_result

_REPEATS: Final = 4
# What a variant runs with is this machine's: no exchange reaches it.
_UNCONTROLLED: Final = (FactGroup.HARDWARE, FactGroup.READS)
_MOST_NAMED: Final = 50


@dataclass
class Why:
    """One question about two runs.

    Args:
        hub: Where both are recorded, and where variants are kept.
        one: The run to start from.
        other: The run to arrive at.
        maker: Makes the runs; None to make them on this machine.

    Raises:
        InvalidInput: Neither run has the metric that is asked about.
    """

    hub: HubClient
    one: Side
    other: Side
    question: Question
    progress: Progress
    notes: list[str] = field(default_factory=list)
    maker: Variants | None = None

    def __post_init__(self) -> None:
        sides = (self.one, self.other)
        check_metric(self.question.metric, (it.key for side in sides for it in side.detail.metrics))
        self.trials = Trials(self.hub, self.one, self.other, self.question, self.progress, maker=self.maker)

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
        if not self.trials.swaps:
            return self._report(WhyStatus.UNEXPLAINED, "No input differs that can be exchanged.")
        ends = [NOTHING, self.trials.every]
        self.trials.run(ends)
        failed = [self.trials.results[end].failure for end in ends if self.trials.results[end].failure]
        if failed:
            which = short_id((self.one if self.trials.results[NOTHING].failure else self.other).detail.run.id)
            return self._report(WhyStatus.NOT_REPRODUCED, f"The copy of {which} failed: {failed[0]}")
        status = self._choose_measure()
        if status is not None:
            return status
        self._clear_what_was_not_read()
        self._clear_what_fed_the_same()
        self.trials.phase = "search"
        suspects = [it.suspect for it in self.trials.swaps if not it.cleared]
        clear = [it.suspect for it in self.trials.swaps if it.cleared]
        begun = self._search_beginnings(suspects, clear)
        self.trials.search = Search(suspects, self._ask, clear, width=self.question.width, causes=begun)
        finding = self.trials.search.run()
        if finding.reinstated:
            self.notes.append(
                "What had been cleared for free was searched as well: the rest did not explain it."
            )
        every = self.trials.every
        is_all = finding.is_proven and frozenset(finding.causes) == every
        if not finding.is_proven or (
            is_all and self.trials.run_all_exchanged() != self.trials.outcome(every)
        ):
            left = "what cannot be exchanged here acts as well"
            return self._report(
                WhyStatus.UNEXPLAINED, f"No set of inputs made the second out of the first: {left}."
            )
        return self._share_out(finding)

    def _choose_measure(self) -> WhyReport | None:
        """Choose what tells results apart; give the report if nothing does."""
        records = [read_result(self.hub, side.detail) for side in (self.one, self.other)]
        copies = [self.trials.results[NOTHING], self.trials.results[self.trials.every]]
        bits = stable_bits(list(zip(records, copies, strict=True)), self.question.metric)
        self.trials.measure = bits
        keys = sorted({key for it in (*records, *copies) for key in it.metrics})
        wanted = [key for key in keys if self.question.metric in ("", key)]
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
        ends = (NOTHING, self.trials.every)
        more = self.trials.repeat(ends, _REPEATS - 1)
        repeats = [[self.trials.results[end], *copies] for end, copies in zip(ends, more, strict=True)]
        if any(copy.failure for copies in repeats for copy in copies):
            return self._report(WhyStatus.NOT_REPRODUCED, "A repeat failed.")
        noise = limits_of(repeats, self.question.metric)
        measure = WithinNoise(noise, [("first", mean(repeats[0])), ("second", mean(repeats[1]))])
        self.trials.measure = measure
        if measure.outcome(repeats[1][0]) == "first":
            said = "The two do not differ by more than their repeats do."
            return self._report(WhyStatus.WITHIN_NOISE, said)
        self.notes.append("Judged within the noise: one comparison in a hundred errs.")
        return None

    def _clear_what_was_not_read(self) -> None:
        """Clear files that neither copy opened, where it is known for both which they opened."""
        opened = [self.trials.results[end].opened for end in (NOTHING, self.trials.every)]
        if None in opened:
            self.notes.append("Not every open was seen, so no file is cleared for not having been read.")
            return
        read = frozenset().union(*(it for it in opened if it is not None))
        self.trials.swaps = [
            cleared(it, "neither run read it") if it.path and it.path not in read else it
            for it in self.trials.swaps
        ]

    def _clear_what_fed_the_same(self) -> None:
        """Clear data if every fit and every step of training got the same: it came out of other files."""
        one, other = (self.trials.results[end].fed for end in (NOTHING, self.trials.every))
        if one and one == other:
            self.trials.swaps = [
                cleared(it, "every fit and batch got the same data") if it.group is FactGroup.DATA else it
                for it in self.trials.swaps
            ]

    def _search_beginnings(self, suspects: list[Suspect], clear: list[Suspect]) -> list[str]:
        """Search with runs that are ended once the first steps have told enough; only a guess."""
        if isinstance(self.trials.measure, WithinNoise):
            return []  # what does not reproduce itself has no beginning that tells
        ends = [self.trials.results[end] for end in (NOTHING, self.trials.every)]
        took = min(self._took_s(it.run_id) for it in ends)
        one, other = (self.trials.variants.trajectory(it.run_id) for it in ends)
        horizon = find_horizon(one, other, took)
        if horizon is None:
            return []
        horizon = replace(horizon, run_id=ends[0].run_id)
        self.progress.note(f"the two part at step {horizon.step}: runs of the search end there")

        def ask(subsets: Sequence[Subset]) -> list[Outcome]:
            self.trials.begin(subsets, horizon)
            found = [self.trials.beginnings[it] for it in subsets]
            return [horizon.outcome(it.failure, it.beginning) for it in found]

        self.trials.search = Search(suspects, ask, clear, width=self.question.width)
        return self.trials.search.guess()

    def _took_s(self, run_id: str) -> float:
        usage = self.hub.get_run(run_id).run.usage
        return usage.wall_s if usage else 0.0

    def _share_out(self, finding: Finding) -> WhyReport:
        """Run the subsets of the causes that are missing, if they are few, and make the report."""
        self.trials.phase = "shares"
        subsets = subsets_of(finding.causes)
        missing = [it for it in subsets if it not in self.trials.results]
        if len(missing) <= self.question.most_for_shares:
            try:
                self.trials.run(missing)
            except Stopped:
                self.notes.append("It was stopped before the effect was shared out among the causes.")
        finding = self._with_fewest(finding)
        n_causes = len(finding.causes)
        said = f"{n_causes} input{'s make' if n_causes > 1 else ' makes'} the second out of the first."
        return self._report(WhyStatus.FOUND, said, finding)

    def _with_fewest(self, finding: Finding) -> Finding:
        """Take the smallest part of the causes that makes the second run as well, if the shares met one."""
        whole, search = frozenset(finding.causes), self.trials.search
        parts = [it for it in subsets_of(finding.causes) if it != whole and it in self.trials.results]
        after = self.trials.outcome(whole)
        smaller = next((it for it in parts if self.trials.outcome(it) == after), None)
        if smaller is None or search is None:
            return finding
        try:
            return search.settle(self.trials.sorted(smaller))
        except Stopped:
            self.notes.append(
                "A smaller part of the causes makes the second run as well; it was stopped there."
            )
            return finding

    def _ask(self, subsets: Sequence[Subset]) -> list[Outcome]:
        self.trials.run(subsets)
        return [self.trials.outcome(it) for it in subsets]

    def _report(self, status: WhyStatus, reason: str, finding: Finding | None = None) -> WhyReport:
        return WhyReport(
            before=self.one.detail.run.id,
            after=self.other.detail.run.id,
            status=status,
            metric=self.question.metric,
            reason=reason,
            compared=self.trials.measure.compared,
            causes=tuple(self._causes(finding)) if finding else (),
            metrics=self._metrics(),
            suspects=self._suspects(status),
            cleared=tuple(
                Cleared(name=it.name, group=it.group.name.lower(), reason=it.cleared)
                for it in self.trials.swaps
                if it.cleared
            ),
            uncontrolled=self.uncontrolled,
            notes=tuple(self.notes),
            tried=tuple(self.trials.tried),
            missing=sum(it not in self.trials.results for it in subsets_of(finding.causes)) if finding else 0,
            facts=len(self.trials.swaps),
        )

    def _suspects(self, status: WhyStatus) -> tuple[str, ...]:
        """Name what may still be a cause: where the search was, or all that was not cleared."""
        if status not in (WhyStatus.STOPPED, WhyStatus.UNEXPLAINED):
            return ()
        if self.trials.search is None or not (self.trials.search.causes or self.trials.search.segments):
            return tuple(it.name for it in self.trials.swaps if not it.cleared)
        within = [name for segment in self.trials.search.segments for name in segment]
        return tuple(dict.fromkeys((*self.trials.search.causes, *within)))

    def _causes(self, finding: Finding) -> list[Cause]:
        by_name = {it.name: it for it in self.trials.swaps}
        parts = self._shares(finding)
        return [
            Cause(
                name=name,
                group=by_name[name].group.name.lower(),
                before=by_name[name].before,
                after=by_name[name].after,
                without=self.trials.word(self.trials.results[frozenset(finding.causes) - {name}]),
                shares={key: part[name] for key, part in parts.items()},
            )
            for name in finding.causes
        ]

    def _shares(self, finding: Finding) -> dict[str, dict[str, float]]:
        known = {
            it: self.trials.results[it] for it in subsets_of(finding.causes) if it in self.trials.results
        }
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
        if NOTHING not in self.trials.results or self.trials.every not in self.trials.results:
            return ()
        was, is_ = (self.trials.results[end].metrics for end in (NOTHING, self.trials.every))
        noise = self.trials.measure.noise if isinstance(self.trials.measure, WithinNoise) else {}
        return tuple(
            MetricChange(key=key, before=was.get(key), after=is_.get(key), noise=noise.get(key))
            for key in sorted(was.keys() | is_.keys())
            if self.question.metric in ("", key) and was.get(key) != is_.get(key)
        )
