"""The verdict banner: one sentence that says whether a run can be lived again."""

from collections.abc import Iterator, Sequence

import msgspec

from relive.core.durations import NOT_JUDGED
from relive.core.ids import short_id
from relive.core.run import Run, RunKind
from relive.core.trajectory import MetricDifference, SpotCheck, Verdict, latest_verdict
from relive.errors import NotFound
from relive.hub.web.marks import NEVER_REPLAYED, VERDICTS, Mark
from relive.services.context import Services

_NEVER = Mark("·", "never", "quiet")


class Banner(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a run in one sentence.

    Attributes:
        sentence: What a replay showed, or that there was none.
        url: Where the evidence is.
        command: What makes a (new) verdict; empty where nothing can.
        at: When it was judged; 0 for never.
    """

    mark: Mark
    sentence: str
    url: str
    command: str
    at: float = 0.0


class MetricLine(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of a replay beside the record; `basis` says where the limit comes from."""

    key: str
    recorded: float | None
    replayed: float | None
    difference: str
    limit: str
    basis: str
    mark: Mark


class VerdictDetail(msgspec.Struct, frozen=True, kw_only=True):
    """All evidence of one replay.

    Attributes:
        facts: Who judged what, where: words to what they say; empty ones are left out.
    """

    mark: Mark
    sentence: str
    at: float
    replay_run_id: str
    facts: tuple[tuple[str, str], ...]
    metrics: tuple[MetricLine, ...]
    outs: tuple[tuple[str, str, Mark], ...]
    inputs_differ: tuple[str, ...]


def verdicts_on(services: Services, run: Run) -> list[Verdict]:
    """Give the verdicts that tell about a run: on its replays, or of a replay the one on itself."""
    return verdicts_of(services, [run])[run.id]


def verdicts_of(services: Services, runs: Sequence[Run]) -> dict[str, list[Verdict]]:
    """Give what `verdicts_on` gives for each of many runs, in one query."""
    subjects = {run.id: run.replay_of if _is_replay(run) else run.id for run in runs}
    found = services.store.list_verdicts_of(list(dict.fromkeys(subjects.values())))
    return {
        run.id: [
            verdict
            for verdict in found.get(subjects[run.id], ())
            if not _is_replay(run) or verdict.replay_run_id == run.id
        ]
        for run in runs
    }


def _is_replay(run: Run) -> bool:
    return run.kind is RunKind.REPLAY and bool(run.replay_of)


def mark_of(verdicts: Sequence[Verdict]) -> Mark:
    """Give the mark of the last verdict, for a place whose head says what it is about."""
    last = latest_verdict(verdicts)
    return VERDICTS[last.level] if last else _NEVER


def banner(run: Run, verdicts: Sequence[Verdict]) -> Banner:
    """Say in one sentence whether a run can be lived again."""
    is_copy = run.kind is RunKind.REPLAY and bool(run.replay_of)
    url = f"/r/{run.replay_of if is_copy else run.id}/replay"
    command = f"relive replay {short_id(run.id)}"
    last = latest_verdict(verdicts)
    if last is not None:
        said = f"A copy of {short_id(run.replay_of)}. {_sentence(last)}" if is_copy else _sentence(last)
        return Banner(mark=VERDICTS[last.level], sentence=said, url=url, command=command, at=last.at)
    if not run.status.is_final:
        sentence = "It can be replayed when it has ended: its recipe is closed then."
    elif not run.recipe:
        sentence, command = "It cannot be replayed: no recipe of its inputs was recorded.", ""
    else:
        sentence = "Its recipe is complete; no one has rebuilt it from that yet."
    return Banner(mark=NEVER_REPLAYED, sentence=sentence, url=url, command=command)


def banner_of(services: Services, run_id: str) -> Banner:
    """Say it of a run that this hub may not have, as of a version that a client registered from elsewhere."""
    try:
        run = services.store.get_run(run_id) if run_id else None
    except NotFound:
        run = None
    if run is None:
        sentence = "It cannot be replayed: this hub has no run that made it."
        return Banner(mark=NEVER_REPLAYED, sentence=sentence, url="", command="")
    return banner(run, services.store.list_verdicts(run.id))


def detail(verdict: Verdict) -> VerdictDetail:
    """Lay out all evidence of a verdict."""
    return VerdictDetail(
        mark=VERDICTS[verdict.level],
        sentence=_sentence(verdict),
        at=verdict.at,
        replay_run_id=verdict.replay_run_id,
        facts=tuple((word, said) for word, said in _facts(verdict) if said),
        metrics=tuple(_line(metric) for metric in verdict.metrics),
        outs=tuple((path, word, _out_mark(word)) for path, word in sorted(verdict.outs.items())),
        inputs_differ=verdict.inputs_differ,
    )


def _facts(verdict: Verdict) -> Iterator[tuple[str, str]]:
    first, equal = verdict.first_divergence, verdict.last_equal
    window, spots = verdict.window, verdict.spots
    yield "Steps compared", f"{verdict.steps_compared:,}"
    yield "Only steps", f"{window.first} to {window.last}" if window else ""
    yield "Only segments", _segments(spots) if spots else ""
    yield "Parts first at", f"{first.stream}, step {first.step}: {', '.join(first.names)}" if first else ""
    yield "Last equal step", f"{equal.stream}, step {equal.step}" if equal else ""
    yield "Accepted instead", ", ".join(verdict.substitutes)
    yield "Judged by", verdict.by
    yield "On", verdict.machine


def _segments(spots: SpotCheck) -> str:
    return f"{len(spots.drawn)} of {spots.segments}: {spots.steps} (drawn with --seed {spots.seed})"


def _sentence(verdict: Verdict) -> str:
    return verdict.reason or f"A replay was judged {VERDICTS[verdict.level].word}."


def _line(metric: MetricDifference) -> MetricLine:
    unit = " %" if metric.relative else ""
    scale = 100 if metric.relative else 1

    def text(value: float | None) -> str:
        return "–" if value is None else "0" if value == 0 else f"{value * scale:.3g}{unit}"

    same = metric.ok and metric.difference == 0
    mark = Mark("≡", "equal", "good") if same else Mark("≈", "within", "good")
    if metric.basis == NOT_JUDGED:
        mark = Mark("·", "not judged", "quiet")
    return MetricLine(
        key=metric.key,
        recorded=metric.recorded,
        replayed=metric.replayed,
        difference=text(metric.difference),
        limit=text(metric.limit),
        basis=metric.basis,
        mark=mark if metric.ok else Mark("≠", "outside", "bad"),
    )


def _out_mark(word: str) -> Mark:
    return Mark("≠", word, "bad") if word == "differs" else Mark("≡", word, "good")
