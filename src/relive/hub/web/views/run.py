"""A run's page: did it work, with what, how good, can it be lived again."""

import hashlib
from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from relive.core.causes import ANSWER, BEFORE_TAG
from relive.core.ids import short_id
from relive.core.pipeline import Pipeline, Stage
from relive.core.run import MetricSummary, Run, RunKind, RunStatus, TestReport
from relive.errors import NotFound
from relive.hub.web.markdown import render
from relive.hub.web.marks import RUNS, Mark
from relive.hub.web.medianames import MEDIA, is_picture
from relive.hub.web.views import verdicts
from relive.hub.web.views.claims import ClaimView, claims_on
from relive.hub.web.views.columns import Cell, param_cell
from relive.hub.web.words import count, duration, exact, moment, number, size
from relive.services.context import Services
from relive.services.curating import NOTE
from relive.services.runs import get_detail
from relive.wire.hub import RunDetail

_HEADLINES = 6
MOST_CHARTS = 12
_MOST_SHOWN = 200
SYSTEM = "system/"
"""What the keys of metrics of the machine begin with, as MLflow's and our own clients log them."""


class Tab(msgspec.Struct, frozen=True):
    """One tab; `key` is the last part of its address, empty for the first."""

    key: str
    name: str
    note: str


class RunHead(msgspec.Struct, frozen=True, kw_only=True):
    """What stands above every tab.

    Attributes:
        pipeline: Number of the pipeline that made it, 0 if none.
        replay_of: The run it repeats, empty if none.
        is_live: Whether it still goes on.
        ref: What people type for it.
        share: The whole address of its page, for others.
    """

    id: str
    ref: str
    share: str
    name: str
    mark: Mark
    kind: str
    project: str
    pipeline: int
    pipeline_title: str
    stage: str
    actor: str
    commit: str
    replay_of: str
    superseded_by: str
    tainted: bool
    at: float
    took_s: float | None
    is_live: bool
    problem: str
    banner: verdicts.Banner
    tabs: tuple[Tab, ...]


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """One metric in large letters; `range` says min and max of a series."""

    key: str
    text: str
    exact: str
    range: str


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The first tab.

    Attributes:
        facts: Name and text: exit code, use of the machine, …
        charts: Keys of the first series, for a look.
        note: What people wrote about it, set; `note_text` as they wrote it.
        seen: Changes with everything the page shows but the charts and the note.
    """

    head: RunHead
    note: Markup
    note_text: str
    seen: str
    headlines: tuple[Headline, ...]
    more_metrics: int
    facts: tuple[tuple[str, str], ...]
    command: str
    params: tuple[tuple[str, Cell], ...]
    tags: tuple[tuple[str, str], ...]
    artifacts: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str, str], ...]
    charts: "tuple[Chart, ...]"
    snippet: str


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """One series; the sentence says for those who cannot see it what it does."""

    key: str
    points: int
    first: float
    last: float
    low: float
    high: float
    last_step: int

    @property
    def sentence(self) -> str:
        """Say in words what the chart shows."""
        ends = f"from {number(self.first)} to {number(self.last)} at step {self.last_step}"
        spread = f"lowest {number(self.low)}, highest {number(self.high)}"
        return f"{self.key}: {ends}, {spread}, {count(self.points, 'point')}"


class ChartsTab(msgspec.Struct, frozen=True, kw_only=True):
    """The charts.

    Attributes:
        key: "charts", or "system" for those of the machine.
        charts: At most twelve at once.
        groups: Prefix of the keys ("train/") and how many series have it, for choosing.
        singles: Metrics that were logged once.
    """

    head: RunHead
    key: str
    charts: tuple[Chart, ...]
    total: int
    find: str
    first: int
    groups: tuple[tuple[str, int], ...]
    singles: tuple[tuple[str, str, str], ...]

    @property
    def next_first(self) -> int:
        """Give the number of the next page's first chart; 0 if this is the last page."""
        behind = self.first + MOST_CHARTS
        return behind if behind < self.total else 0


class TestsTab(msgspec.Struct, frozen=True, kw_only=True):
    """What the tests said; None if the run had no report."""

    head: RunHead
    report: TestReport | None


class ReplayTab(msgspec.Struct, frozen=True, kw_only=True):
    """Every replay of the run, newest first, and what other hubs said of it."""

    head: RunHead
    verdicts: tuple[verdicts.VerdictDetail, ...]
    claims: tuple[ClaimView, ...]


def get_overview(services: Services, run_id: str) -> Overview:
    """Give the first tab.

    Raises:
        NotFound: There is no such run.
        Ambiguous: The beginning of an id fits several.
    """
    detail = get_detail(services, run_id)
    run, head, note = detail.run, _head(services, detail), detail.tags.get(NOTE, "")
    metrics = [item for item in detail.metrics if not item.key.startswith(SYSTEM)]
    return Overview(
        head=head,
        note=render(note),
        note_text=note,
        seen=_seen(detail, head),
        headlines=tuple(_headline(item) for item in metrics[:_HEADLINES]),
        more_metrics=max(0, len(metrics) - _HEADLINES),
        facts=tuple(_facts(run)),
        command=run.command,
        params=tuple((key, param_cell(value)) for key, value in sorted(detail.params.items())),
        tags=tuple((key, text) for key, text in sorted(detail.tags.items()) if key != NOTE),
        artifacts=tuple((item.path, size(item.size_bytes)) for item in detail.artifacts),
        versions=(
            *((f"{v.model} v{v.version}", f"/m/{v.model}/v/{v.version}", v.status) for v in detail.versions),
            *((v.ref, f"/d/{v.name}/v/{v.number}", "data") for v in detail.datasets),
        ),
        charts=_series(metrics)[:4],
        snippet=f"relive show {short_id(run.id)}",
    )


def get_head(services: Services, run_id: str) -> RunHead:
    """Give what stands above every tab."""
    return _head(services, get_detail(services, run_id))


def get_charts(
    services: Services, run_id: str, *, find: str = "", first: int = 0, system: bool = False
) -> ChartsTab:
    """Give twelve of the run's charts, of those whose key holds a text: its own, or those of its machine."""
    detail = get_detail(services, run_id)
    metrics = [item for item in detail.metrics if item.key.startswith(SYSTEM) == system]
    found = [chart for chart in _series(metrics) if find.lower() in chart.key.lower()]
    groups: dict[str, int] = {}
    for chart in _series(metrics):
        prefix, slash, _ = chart.key.rpartition("/")
        if slash:
            groups[f"{prefix}/"] = groups.get(f"{prefix}/", 0) + 1
    singles = [item for item in metrics if item.count == 1]
    return ChartsTab(
        head=_head(services, detail),
        key="system" if system else "charts",
        charts=tuple(found[first : first + MOST_CHARTS]),
        total=len(found),
        find=find,
        first=first,
        groups=tuple(sorted(groups.items())),
        singles=tuple((item.key, number(item.last), exact(item.last)) for item in singles[:_MOST_SHOWN]),
    )


def count_points(services: Services, run_id: str, keys: Sequence[str]) -> dict[str, int | bool]:
    """Tell how many points series have, and under an empty key whether the run still goes on.

    A page that shows them asks this before it reads any of them again.
    """
    run = services.store.get_run(run_id)
    counts = {item.key: item.count for item in services.store.list_metrics([run.id])}
    return {"": not run.status.is_final} | {key: counts.get(key, 0) for key in keys[:MOST_CHARTS]}


def get_replays(services: Services, run_id: str) -> ReplayTab:
    """Give every verdict on the run."""
    detail = get_detail(services, run_id)
    ordered = sorted(detail.verdicts, key=lambda verdict: -verdict.at)
    return ReplayTab(
        head=_head(services, detail),
        verdicts=tuple(verdicts.detail(item) for item in ordered),
        claims=claims_on(services, detail),
    )


def get_tests(services: Services, run_id: str) -> TestsTab:
    """Give what the run's tests said."""
    detail = get_detail(services, run_id)
    return TestsTab(head=_head(services, detail), report=find_report(_stage(services, detail.run)))


def find_report(stage: Stage | None) -> TestReport | None:
    """Give the test report that a stage kept, if it has one."""
    kept = stage.result.get("tests") if stage else None
    return msgspec.convert(kept, TestReport, strict=False) if kept else None


def _head(services: Services, detail: RunDetail) -> RunHead:
    run = detail.run
    pipeline = _pipeline(services, run)
    end = run.ended_at or services.store.now()
    return RunHead(
        id=run.id,
        ref=short_id(run.id),
        share=detail.url,
        name=run.name,
        mark=RUNS[run.status],
        kind=run.kind.value,
        project=detail.project,
        pipeline=pipeline.number if pipeline else 0,
        pipeline_title=pipeline.title if pipeline else "",
        stage=run.stage,
        actor=run.actor,
        commit=run.commit,
        replay_of=run.replay_of,
        superseded_by=run.superseded_by,
        tainted=run.tainted,
        at=run.created_at,
        took_s=max(0.0, end - run.started_at) if run.started_at else None,
        is_live=not run.status.is_final,
        problem=_problem(run),
        banner=verdicts.banner(run, verdicts.verdicts_on(services, run)),
        tabs=_tabs(services, detail),
    )


def _tabs(services: Services, detail: RunDetail) -> tuple[Tab, ...]:
    series = [item.key.startswith(SYSTEM) for item in detail.metrics if item.count > 1]
    report = find_report(_stage(services, detail.run))
    files = sum(item.files for item in detail.artifacts)
    tabs = [
        Tab("", "Overview", ""),
        Tab("charts", "Charts", str(series.count(False) or "")),
        Tab("inputs", "Inputs", ""),
        Tab("replay", "Replay", str(len(detail.verdicts) or "")),
        Tab("logs", "Logs", ""),
        Tab("artifacts", "Artifacts", str(files or "")),
        Tab("lineage", "Lineage", ""),
    ]
    if any(it.path == MEDIA or is_picture(it.path) for it in detail.artifacts):
        tabs.insert(2, Tab("media", "Media", ""))
    if BEFORE_TAG in detail.tags or any(it.path == ANSWER and it.kind == "report" for it in detail.artifacts):
        tabs.insert(1, Tab("why", "Why", ""))
    if any(series):
        tabs.insert(2, Tab("system", "System", str(series.count(True))))
    return (*tabs, Tab("tests", "Tests", f"{report.passed}/{report.tests}")) if report else tuple(tabs)


def _seen(detail: RunDetail, head: RunHead) -> str:
    run = detail.run
    facts = [
        run.status,
        run.reason,
        run.name,
        head.banner.sentence,
        len(detail.params),
        len(detail.artifacts),
    ]
    facts += [(item.key, item.count, item.last) for item in detail.metrics]
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()


def _pipeline(services: Services, run: Run) -> Pipeline | None:
    try:
        return services.store.get_pipeline(run.pipeline_id) if run.pipeline_id else None
    except NotFound:
        return None


def _stage(services: Services, run: Run) -> Stage | None:
    try:
        return services.store.get_stage(run.stage_id) if run.stage_id else None
    except NotFound:
        return None


def _problem(run: Run) -> str:
    if run.status in (RunStatus.FAILED, RunStatus.KILLED, RunStatus.LOST):
        return run.reason or (
            f"exit code {run.exit_code}" if run.exit_code is not None else "no reason was recorded"
        )
    return run.reason if run.tainted else ""


def _facts(run: Run) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if run.exit_code is not None:
        found.append(("Exit code", str(run.exit_code)))
    if run.failure is not None:
        found.append(("Failure", run.failure.value.replace("_", " ")))
    if run.heard_at is not None and run.status in (RunStatus.RUNNING, RunStatus.LOST):
        found.append(("Last heard of", moment(run.heard_at)))
    if run.usage is not None:
        share = run.usage.cpu_s / run.usage.wall_s if run.usage.wall_s else 0.0
        found.append(("Wall time", duration(run.usage.wall_s)))
        found.append(("CPU time", f"{duration(run.usage.cpu_s)} ({share:.1f} cores)"))
        found.append(("Peak memory", size(run.usage.max_rss_bytes)))
    if run.kind is RunKind.REPLAY:
        found.append(("Repeats run", short_id(run.replay_of)))
    return found


def _headline(item: MetricSummary) -> Headline:
    spread = (
        f"{number(item.min)} … {number(item.max)} over {count(item.count, 'point')}" if item.count > 1 else ""
    )
    return Headline(key=item.key, text=number(item.last), exact=exact(item.last), range=spread)


def _series(metrics: Sequence[MetricSummary]) -> tuple[Chart, ...]:
    return tuple(
        Chart(
            key=item.key,
            points=item.count,
            first=item.first,
            last=item.last,
            low=item.min,
            high=item.max,
            last_step=item.last_step,
        )
        for item in metrics
        if item.count > 1
    )
