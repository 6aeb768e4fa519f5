"""The pages of what two runs do not share, and of why they came out differently."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from relive.core.causes import Cause, Tried, WhyReport, WhyStatus
from relive.core.compare import parted
from relive.core.facts import Difference
from relive.core.ids import short_id
from relive.errors import NotFound
from relive.hub.web.marks import Mark
from relive.hub.web.views.run import RunHead, get_head
from relive.hub.web.views.runs import RunLine, run_lines
from relive.services.context import Services
from relive.services.differing import differ, find_answer, list_answers

_MOST_OF_A_GROUP: Final = 100
_STATUSES: Final = {
    WhyStatus.FOUND: Mark("✔", "found", "good"),
    WhyStatus.NO_DIFFERENCE: Mark("≡", "no difference", "good"),
    WhyStatus.WITHIN_NOISE: Mark("≈", "within the noise", "good"),
    WhyStatus.UNEXPLAINED: Mark("?", "unexplained", "warn"),
    WhyStatus.NOT_REPRODUCED: Mark("?", "not reproduced", "warn"),
    WhyStatus.STOPPED: Mark("⊘", "stopped", "warn"),
}
_OUTCOMES: Final = {
    "as the first": Mark("○", "as the first", "quiet"),
    "as the second": Mark("●", "as the second", "good"),
    "otherwise": Mark("◐", "otherwise", "busy"),
    "failed": Mark("✖", "failed", "bad"),
}


class ChangeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of both runs; `share` names it in the causes."""

    key: str
    before: float | None
    after: float | None
    difference: float | None


class DiffGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs of one kind that differ; `more` are not shown."""

    name: str
    items: tuple[tuple[str, str, str], ...]
    more: int


class DiffPage(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs input by input.

    Attributes:
        before: The first run; `after` the second.
        code: Kind ("add", "del", "head", "") and text of each line of the code's difference.
        command: What finds out which of it matters.
        answers: Runs that hold an answer to why these two differ, or still look for it, newest first.
        pools: Where it can be asked.
        parted: Where their recorded steps part, or that they agree, as a sentence; empty if nothing is known.
    """

    project: str
    before: RunLine
    after: RunLine
    groups: tuple[DiffGroup, ...]
    metrics: tuple[ChangeLine, ...]
    code: tuple[tuple[str, str], ...]
    is_cut: bool
    command: str
    answers: tuple[RunLine, ...]
    pools: tuple[str, ...]
    parted: str = ""


class CauseLine(msgspec.Struct, frozen=True, kw_only=True):
    """One cause; `shares` has a number for each metric of the page, None where it is not known."""

    cause: Cause
    without: Mark | None
    shares: tuple[float | None, ...]


class TriedLine(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the search, with the inputs that it had of the second run."""

    names: str
    more: int
    mark: Mark
    it: Tried


class WhyTab(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to why.

    Attributes:
        metrics: Those that differ, in the order of each cause's shares.
        counts: What was counted, and how many.
    """

    head: RunHead
    report: WhyReport
    mark: Mark
    metrics: tuple[ChangeLine, ...]
    causes: tuple[CauseLine, ...]
    tried: tuple[TriedLine, ...]
    counts: tuple[tuple[str, int], ...]


def get_diff(services: Services, before_id: str, after_id: str) -> DiffPage:
    """Compare two runs input by input.

    Raises:
        NotFound: There is no such run, or one has no recipe.
    """
    store = services.store
    one, other = store.get_run(before_id), store.get_run(after_id)
    shown = differ(services, one, other)
    found = shown.found
    before, after = run_lines(services, [one, other])
    return DiffPage(
        project=store.get_project(one.project_id).name,
        before=before,
        after=after,
        groups=tuple(_groups(found.inputs)),
        metrics=tuple(_change(it.key, it.before, it.after) for it in found.metrics),
        code=tuple((_kind(line), line) for line in shown.code),
        is_cut=shown.is_cut,
        command=f"relive why {short_id(one.id)} {short_id(other.id)}",
        answers=run_lines(services, list_answers(services, one, other)),
        pools=tuple(pool.name for pool in store.list_pools()),
        parted=parted(found.steps) if found.steps is not None else "",
    )


def get_why(services: Services, run_id: str) -> WhyTab:
    """Give the answer that a run holds.

    Raises:
        NotFound: There is no such run, or it holds none.
    """
    head = get_head(services, run_id)
    report = find_answer(services, head.id)
    if report is None:
        raise NotFound(kind="answer to why in run", name=short_id(head.id), hint="relive why BEFORE AFTER")
    metrics = tuple(_change(it.key, it.before, it.after) for it in report.metrics)
    counts = {phase: report.runs(phase) for phase in ("search", "reproduction", "shares")}
    return WhyTab(
        head=head,
        report=report,
        mark=_STATUSES[report.status],
        metrics=metrics,
        causes=tuple(_cause(it, metrics) for it in report.causes),
        tried=tuple(_tried(it) for it in report.tried),
        counts=(
            ("to search", counts["search"]),
            ("to reproduce both", counts["reproduction"]),
            ("to share the effect out", counts["shares"]),
            ("known before", report.runs(reused=True)),
        ),
    )


def _groups(inputs: Sequence[Difference]) -> Iterable[DiffGroup]:
    for group, members in itertools.groupby(inputs, key=lambda it: it.group):
        listed = list(members)
        shown = listed[:_MOST_OF_A_GROUP]
        yield DiffGroup(
            name=group.label,
            items=tuple((it.name, it.before or "", it.after or "") for it in shown),
            more=len(listed) - len(shown),
        )


def _change(key: str, before: float | None, after: float | None) -> ChangeLine:
    difference = None if before is None or after is None else after - before
    return ChangeLine(key=key, before=before, after=after, difference=difference)


def _cause(cause: Cause, metrics: Sequence[ChangeLine]) -> CauseLine:
    shares = tuple(cause.shares.get(it.key) for it in metrics)
    return CauseLine(cause=cause, without=_OUTCOMES.get(cause.without), shares=shares)


def _tried(it: Tried) -> TriedLine:
    shown = it.names[:4]
    return TriedLine(
        names=", ".join(shown), more=len(it.names) - len(shown), mark=_OUTCOMES[it.outcome], it=it
    )


def _kind(line: str) -> str:
    if line.startswith(("--- ", "+++ ", "@@ ")):
        return "head"
    return {"+": "add", "-": "del"}.get(line[:1], "")
