"""`relive pipeline`: what pushes started."""

import time
from pathlib import Path

import click

from relive.cli.output import (
    Group,
    ago,
    duration,
    err,
    escape,
    json_option,
    out,
    plural,
    print_json,
    print_table,
)
from relive.cli.repository import current_project, remote_project
from relive.client.hub import HubClient, connect
from relive.core.expand import plan
from relive.core.ids import short_id
from relive.core.job import JobState
from relive.core.pipeline import PipelineStatus, Stage, StageStatus
from relive.errors import Conflict, HubRefused, InvalidPipelineFile
from relive.formats.pipeline_file import parse_pipeline
from relive.wire.hub import PipelineDetail, StartPipeline

_GLYPHS = {
    StageStatus.SUCCEEDED: "✓",
    StageStatus.CACHED: "=",
    StageStatus.FAILED: "✗",
    StageStatus.RUNNING: "▶",
    StageStatus.QUEUED: "…",
    StageStatus.WAITING: "…",
    StageStatus.SKIPPED: "-",
    StageStatus.CANCELLED: "-",
}
_EXIT = {PipelineStatus.SUCCEEDED: 0, PipelineStatus.GATED: 3}
_POLL_S = 0.3


@click.group(cls=Group)
def pipeline() -> None:
    """What pushes started: list, show, watch, explain, cancel, run again.

    A pipeline is named by its number in this repository's project, as PROJECT:NUMBER, or by its id.
    """


@pipeline.command("list")
@click.option("--project", default="", help="The project; default: this repository's, outside of one all.")
@click.option("--all", "everywhere", is_flag=True, help="Of every project.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@json_option
def list_(project: str, everywhere: bool, limit: int, as_json: bool) -> None:
    """List pipelines, newest first.

    \b
    Example:
      relive pipeline list --project digits
    """
    if everywhere and project:
        raise click.UsageError("--all and --project exclude one another.")
    if not project and not everywhere and (project := remote_project()) and not as_json:
        err.print(escape(f"Of project {project}, where this repository is pushed to; --all for every one."))
    found = connect().list_pipelines(project=project, limit=limit)
    if as_json:
        print_json(found)
        return
    now = time.time()
    print_table(
        ("PIPELINE", "STATUS", "COMMIT", "TITLE", "BY", "TOOK", "STARTED"),
        (
            (
                f"{item.project}:{item.pipeline.number}",
                item.pipeline.status.value,
                short_id(item.pipeline.commit),
                item.pipeline.title[:48],
                item.pipeline.actor,
                duration(_took(item)),
                ago(item.pipeline.created_at, now),
            )
            for item in found
        ),
        empty=f"No pipelines{f' of {project}' if project else ''} yet. Start one: git push relive main",
    )


@pipeline.command()
@click.argument("ref")
@json_option
def show(ref: str, as_json: bool) -> None:
    """Show a pipeline with its stages.

    \b
    Example:
      relive pipeline show 3
    """
    detail = connect().get_pipeline(_full(ref))
    if as_json:
        print_json(detail)
        return
    _print_head(detail)
    for stage in detail.stages:
        _print_stage(stage)


@pipeline.command()
@click.argument("ref")
@json_option
def watch(ref: str, as_json: bool) -> None:
    """Follow a pipeline to its end; exits with 0, 1 (failed) or 3 (stopped by a gate).

    \b
    Example:
      relive pipeline watch 3
    """
    raise SystemExit(follow(connect(retry_for_s=60.0), _full(ref), as_json=as_json))


@pipeline.command()
@click.argument("ref")
@click.option("--stage", default="", help="Only this stage.")
@json_option
def why(ref: str, stage: str, as_json: bool) -> None:
    """Say why each stage ran again, or why it did not.

    \b
    Example:
      relive pipeline why 3 --stage train
    """
    found = connect().explain_pipeline(_full(ref), stage=stage)
    if as_json:
        print_json(found)
        return
    for item in found:
        against = f" (compared with pipeline {item.compared_with})" if item.compared_with else ""
        out.print(f"[bold]{escape(item.stage)}[/]  {item.status}{against}")
        for change in item.changes or (item.reason or "nothing it depends on changed",):
            out.print(f"  {escape(change)}")


@pipeline.command()
@click.argument("ref")
@json_option
def cancel(ref: str, as_json: bool) -> None:
    """End a pipeline: what waits does not start, what runs is asked to end.

    \b
    Example:
      relive pipeline cancel 3
    """
    detail = connect().cancel_pipeline(_full(ref))
    if as_json:
        print_json(detail)
    else:
        out.print(f"Pipeline {detail.project}:{detail.pipeline.number} is asked to end.")


@pipeline.command()
@click.argument("ref")
@click.option("--from", "from_stage", default="", help="Take nothing from the cache from this stage on.")
@click.option("--wait/--no-wait", default=True, help="Follow it to its end.")
@json_option
def rerun(ref: str, from_stage: str, wait: bool, as_json: bool) -> None:
    """Run a pipeline's commit again.

    \b
    Example:
      relive pipeline rerun 3 --from train
    """
    hub = connect(retry_for_s=60.0)
    earlier = hub.get_pipeline(_full(ref))
    request = StartPipeline(project=earlier.project, rerun_of=earlier.pipeline.id, from_stage=from_stage)
    _started(hub, hub.start_pipeline(request).id, wait=wait, as_json=as_json)


@pipeline.command()
@click.option("--project", default="", help="The project; default: this repository's.")
@click.option("--rev", default="", help="Branch or commit on the hub; default: the default branch.")
@click.option("--wait/--no-wait", default=True, help="Follow it to its end.")
@json_option
def start(project: str, rev: str, wait: bool, as_json: bool) -> None:
    """Start a pipeline without a push.

    \b
    Example:
      relive pipeline start --rev main
    """
    hub = connect(retry_for_s=60.0)
    request = StartPipeline(project=project or current_project(), rev=rev)
    _started(hub, hub.start_pipeline(request).id, wait=wait, as_json=as_json)


@pipeline.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path), default="relive.yaml")
@json_option
def check(path: Path, as_json: bool) -> None:
    """Check a relive.yaml without pushing it; needs no hub.

    \b
    Example:
      relive pipeline check
    """
    try:
        spec = parse_pipeline(path.read_bytes(), path=str(path))
        planned = plan(spec, branch="main", commit="0" * 40, trigger="push", path=str(path))
    except InvalidPipelineFile as error:
        error.hint = None  # it would name this command
        raise
    if as_json:
        print_json(planned)
        return
    out.print(escape(f"{path} is fine: {plural(len(planned), 'stage')}"))
    for node in planned:
        needs = f"   after {', '.join(node.needs)}" if node.needs else ""
        out.print(escape(f"  {node.key}{needs}"))


def follow(hub: HubClient, ref: str, *, as_json: bool = False) -> int:
    """Print a pipeline's stages as they end, or all of it as JSON at its end; gives its exit code."""
    said: set[str] = set()
    while True:
        detail = _find(hub, ref)
        if detail is None:
            time.sleep(_POLL_S)
            continue
        if not as_json:
            _print_news(detail, said)
        if detail.pipeline.status.is_final:
            if as_json:
                print_json(detail)
            else:
                out.print(f"{detail.pipeline.status.value}   {detail.url}")
            return _EXIT.get(detail.pipeline.status, 1)
        time.sleep(_POLL_S)


def _print_news(detail: PipelineDetail, said: set[str]) -> None:
    if detail.pipeline.id not in said:
        said.add(detail.pipeline.id)
        _print_head(detail)
    for stage in detail.stages:
        if stage.status.is_final and stage.id not in said:
            said.add(stage.id)
            _print_stage(stage)


def _find(hub: HubClient, ref: str) -> PipelineDetail | None:
    """Give a pipeline; None while its planning, which has the same id, is still queued."""
    try:
        return hub.get_pipeline(ref)
    except HubRefused as error:
        planning = next((job for job in hub.list_jobs(limit=1000) if job.id == ref), None)
        if error.status != 404 or planning is None:
            raise
    if not planning.state.is_final:
        return None
    if planning.state is JobState.DONE:
        return hub.get_pipeline(ref)  # planned just now
    raise Conflict(subject=f"pipeline {short_id(ref)}", reason=f"its planning failed: {planning.error}")


def _started(hub: HubClient, pipeline_id: str, *, wait: bool, as_json: bool) -> None:
    if wait:
        raise SystemExit(follow(hub, pipeline_id, as_json=as_json))
    if as_json:
        print_json({"id": pipeline_id})
    else:
        out.print(f"Pipeline {pipeline_id} is queued: relive pipeline watch {pipeline_id}")


def _full(ref: str) -> str:
    return f"{current_project()}:{ref}" if ref.isdigit() and len(ref) < 32 else ref


def _print_head(detail: PipelineDetail) -> None:
    item = detail.pipeline
    out.print(
        f"[bold]{escape(detail.project)} #{item.number}[/]  {short_id(item.commit)} {escape(item.title)}"
    )
    out.print(f"  {item.status.value}, {item.trigger} by {escape(item.actor)}   {detail.url}")
    for line in (*item.warnings, *item.error.splitlines()):
        out.print(f"  ! {escape(line)}")


def _print_stage(stage: Stage) -> None:
    seconds = stage.ended_at - stage.started_at if stage.ended_at and stage.started_at else None
    run = f"  run {short_id(stage.run_id)}" if stage.run_id else ""
    line = f"  {_GLYPHS[stage.status]} {stage.key:<24} {stage.status.value:<9} {duration(seconds):>8}{run}"
    out.print(escape(line.rstrip()))
    for reason in stage.reason.splitlines():
        out.print(f"      {escape(reason)}")


def _took(detail: PipelineDetail) -> float | None:
    item = detail.pipeline
    return item.ended_at - item.started_at if item.ended_at and item.started_at else None
