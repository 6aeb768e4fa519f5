"""Pipelines: the list, and the page that tells whether a push passed, what failed, what was not run again."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from relive.core.gates import GateResult
from relive.core.ids import short_id
from relive.core.pipeline import Action, Pipeline, Stage, StageStatus
from relive.core.run import TestReport
from relive.errors import NotFound
from relive.hub.web.graphlayout import reduce_edges
from relive.hub.web.marks import PIPELINES, STAGES, Mark
from relive.hub.web.views.graphs import Graph, Node, draw
from relive.hub.web.views.logs import Piece, log_length, read_piece
from relive.hub.web.views.run import find_report
from relive.hub.web.views.stages import PipelineLine, pipeline_line, problem, progress
from relive.hub.web.words import branch, count, duration
from relive.services import pipelines
from relive.services.context import Services
from relive.wire.hub import WhyStage

PAGE = 25
_FOLD_FROM = 6
_LOG_SHOWN = 24 * 1024


class PipelinesPage(msgspec.Struct, frozen=True, kw_only=True):
    """The pipelines of a project, newest first."""

    project: str
    git_url: str
    lines: tuple[PipelineLine, ...]
    page: int
    has_next: bool
    is_live: bool
    seen: str


class StageLine(msgspec.Struct, frozen=True, kw_only=True):
    """One stage in the table.

    Attributes:
        took_s: How long it ran, or has run; None if it never began.
        bar: Where in the pipeline's time it ran: start and length in thousandths.
        can_rerun: Whether a re-run may begin here.
    """

    key: str
    action: str
    mark: Mark
    reason: str
    run_id: str
    took_s: float | None
    bar: tuple[int, int]
    attempts: int
    gates: tuple[GateResult, ...]
    tests: TestReport | None
    links: tuple[tuple[str, str], ...]
    why: WhyStage | None
    can_rerun: bool


class StageLog(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one stage's output."""

    stage: str
    run_id: str
    piece: Piece
    is_live: bool


class PipelinePage(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline.

    Attributes:
        seen: Changes with everything the page shows but the log.
        shown: Key of the stage whose log is shown.
        earlier: Number of the pipeline that this one repeats, 0 if none.
    """

    id: str
    project: str
    number: int
    mark: Mark
    title: str
    commit: str
    branch: str
    is_protected: bool
    actor: str
    trigger: str
    earlier: int
    at: float
    took_s: float | None
    is_live: bool
    progress: str
    problem: str
    error: str
    warnings: tuple[str, ...]
    stages: tuple[StageLine, ...]
    graph: Graph | None
    log: StageLog | None
    seen: str

    @property
    def tests(self) -> str:
        """Say how many tests passed; empty if none were reported."""
        reports = [stage.tests for stage in self.stages if stage.tests]
        total = sum(report.tests for report in reports)
        return (
            f"{sum(report.passed for report in reports)} of {count(total, 'test')} passed" if reports else ""
        )


def list_pipelines(services: Services, project_name: str, *, page: int = 1) -> PipelinesPage:
    """Give one page of a project's pipelines.

    Raises:
        NotFound: There is no such project.
    """
    project = services.store.get_project(project_name)
    found = services.store.list_pipelines(project_id=project.id, limit=PAGE + 1, offset=(page - 1) * PAGE)
    lines = tuple(pipeline_line(services, pipeline, project) for pipeline in found[:PAGE])
    return PipelinesPage(
        project=project.name,
        git_url=f"{services.place.public_url}/git/{project.name}.git",
        lines=lines,
        page=page,
        has_next=len(found) > PAGE,
        is_live=any(not pipeline.status.is_final for pipeline in found),
        seen=seen_of(
            [mark.glyph for line in lines for mark, _ in line.strip], [line.mark.glyph for line in lines]
        ),
    )


def get_pipeline(services: Services, project: str, number: int, *, stage: str = "") -> PipelinePage:
    """Give a pipeline; `stage` names the one whose log is shown, else it is the one that says most.

    Raises:
        NotFound: There is no such pipeline.
    """
    found = pipelines.find(services, f"{project}:{number}")
    owner = services.store.get_project(found.project_id)
    stages = services.store.list_stages(found.id)
    now = services.store.now()
    started = found.started_at or found.created_at
    end = found.ended_at or now
    whys = {why.stage: why for why in pipelines.why(services, found.id)}
    lines = tuple(_line(item, started, max(end - started, 0.001), now, whys) for item in stages)
    return PipelinePage(
        id=found.id,
        project=owner.name,
        number=found.number,
        mark=PIPELINES[found.status],
        title=found.title or "no title",
        commit=found.commit,
        branch=branch(found.ref),
        is_protected=found.ref == f"refs/heads/{owner.default_branch}",
        actor=found.actor,
        trigger=found.trigger,
        earlier=_number_of(services, found.rerun_of),
        at=found.created_at,
        took_s=max(0.0, end - started),
        is_live=not found.status.is_final,
        progress=progress(stages),
        problem=problem(found, stages),
        error=found.error,
        warnings=found.warnings,
        stages=lines,
        graph=_graph(owner.name, found, stages, now) if stages else None,
        log=_log(services, stages, stage),
        seen=_seen(found, stages),
    )


def seen_of(*parts: Sequence[Any]) -> str:
    """Give a few characters that change with what is shown."""
    total = 7
    for part in parts:
        for item in part:
            for character in f"{item}\n":
                total = (total * 131 + ord(character)) % 0xFFFFFFFFFF
    return f"{total:010x}"


def _seen(pipeline: Pipeline, stages: Sequence[Stage]) -> str:
    return seen_of(
        [pipeline.status.value, pipeline.error],
        [f"{stage.status.value} {stage.reason} {stage.run_id} {stage.attempts}" for stage in stages],
    )


def _number_of(services: Services, pipeline_id: str) -> int:
    try:
        return services.store.get_pipeline(pipeline_id).number if pipeline_id else 0
    except NotFound:
        return 0


def _line(
    stage: Stage, started: float, whole_s: float, now: float, whys: Mapping[str, WhyStage]
) -> StageLine:
    end = stage.ended_at or now
    took = max(0.0, end - stage.started_at) if stage.started_at else None
    begin = ((stage.started_at or started) - started) / whole_s * 1000
    gates = stage.result.get("gates", ())
    return StageLine(
        key=stage.key,
        action=stage.action.value,
        mark=STAGES[stage.status],
        reason=stage.reason,
        run_id=stage.run_id,
        took_s=None if stage.status is StageStatus.CACHED else took,
        bar=(min(997, max(0, round(begin))), max(3, min(1000, round((took or 0) / whole_s * 1000)))),
        attempts=stage.attempts,
        gates=tuple(msgspec.convert(gate, GateResult, strict=False) for gate in gates),
        tests=find_report(stage),
        links=tuple(_links(stage)),
        why=whys.get(stage.key),
        can_rerun=stage.status.is_final and stage.action is not Action.ENVIRONMENT,
    )


def _links(stage: Stage) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if stage.run_id:
        found.append((f"run {short_id(stage.run_id)}", f"/r/{stage.run_id}"))
    result = stage.result
    if result.get("model_name") and result.get("version"):
        found.append(
            (
                f"{result['model_name']} v{result['version']}",
                f"/m/{result['model_name']}/v/{result['version']}",
            )
        )
    if result.get("endpoint"):
        found.append((f"endpoint {result['endpoint']}", f"/e/{result['endpoint']}"))
    if stage.action is Action.SELECT and result.get("run_id"):
        found.append((f"chose run {short_id(str(result['run_id']))}", f"/r/{result['run_id']}"))
    return found


def _graph(project: str, pipeline: Pipeline, stages: Sequence[Stage], now: float) -> Graph:
    """Draw the stages; many instances of one matrix become one box."""
    groups: dict[str, list[Stage]] = {}
    for stage in stages:
        groups.setdefault(f"{stage.name}\0{stage.action}", []).append(stage)
    box = {
        stage.key: f"{name}" if len(members) >= _FOLD_FROM else stage.key
        for name, members in groups.items()
        for stage in members
    }
    needs: dict[str, list[str]] = {}
    for stage in stages:
        wanted = needs.setdefault(box[stage.key], [])
        wanted += [box[need] for need in stage.planned.needs if need in box and box[need] not in wanted]
    by_box: dict[str, list[Stage]] = {}
    for stage in stages:
        by_box.setdefault(box[stage.key], []).append(stage)
    base = f"/p/{project}/pipelines/{pipeline.number}"
    nodes = [_node(key, members, base, now) for key, members in by_box.items()]
    return draw(nodes, reduce_edges(needs), f"Stages of pipeline {pipeline.number}")


def _node(key: str, members: Sequence[Stage], base: str, now: float) -> Node:
    first = members[0]
    if len(members) == 1:
        took = (first.ended_at or now) - first.started_at if first.started_at else None
        mark = STAGES[first.status]
        timed = took is not None and first.status not in (StageStatus.CACHED, StageStatus.SKIPPED)
        detail = f"{mark.word} · {duration(took)}" if timed else mark.word
        label = (
            f"{first.name}: {first.action.value}"
            if first.key.endswith(f":{first.action.value}")
            else first.key
        )
        title = f"{first.key}: {mark.word}" + (f", {first.reason}" if first.reason else "")
        url = f"/r/{first.run_id}" if first.run_id else f"{base}?{urlencode({'stage': first.key})}"
        return Node(id=key, label=label, detail=detail, title=title, mark=mark, url=url)
    worst = min((member.status for member in members), key=_SEVERITY.index)
    counts = {status: sum(m.status is status for m in members) for status in _SEVERITY}
    said = " · ".join(f"{n} {STAGES[status].word}" for status, n in counts.items() if n)
    return Node(
        id=key,
        label=f"{first.name} × {len(members)}",
        detail=said,
        title=f"{first.name}: {said}",
        mark=STAGES[worst],
        url=f"{base}?{urlencode({'stage': first.key})}",
    )


_SEVERITY = (
    StageStatus.FAILED,
    StageStatus.RUNNING,
    StageStatus.QUEUED,
    StageStatus.CANCELLED,
    StageStatus.WAITING,
    StageStatus.SKIPPED,
    StageStatus.SUCCEEDED,
    StageStatus.CACHED,
)


def _log(services: Services, stages: Sequence[Stage], asked: str) -> StageLog | None:
    """The log of the stage that was asked for, else of one that runs, failed, or ran last.

    What was cached printed in an earlier pipeline: it is shown to those who ask for it.
    """
    with_runs = [stage for stage in stages if stage.run_id and stage.action is Action.RUN]
    order = (StageStatus.RUNNING, StageStatus.FAILED, StageStatus.QUEUED)
    chosen = next((stage for stage in with_runs if stage.key == asked), None)
    for status in order:
        chosen = chosen or next((stage for stage in with_runs if stage.status is status), None)
    ran = [stage for stage in with_runs if stage.status is not StageStatus.CACHED]
    chosen = chosen or max(ran, key=lambda stage: stage.ended_at or 0, default=None)
    if chosen is None:
        return None
    run = services.store.get_run(chosen.run_id)
    start = max(0, log_length(services, run) - _LOG_SHOWN)
    piece = read_piece(services, run, start, skip_part=start > 0)
    return StageLog(stage=chosen.key, run_id=run.id, piece=piece, is_live=not run.status.is_final)
