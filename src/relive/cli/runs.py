"""`relive runs`, `show`, `logs`, `cancel`: reading runs, and ending one."""

import sys
import time
from collections.abc import Sequence

import click

from relive.cli.output import ago, duration, escape, json_option, number, out, plural, print_json, print_table
from relive.cli.verdicts import judged_line, print_claims, verdict_line
from relive.client.hub import HubClient, connect
from relive.core.ids import short_id
from relive.core.recipe import Observed, UndeclaredRead, WrittenFile
from relive.core.run import Run, RunStatus
from relive.core.trajectory import latest_verdict
from relive.replay.archive_claims import find_claims
from relive.wire.hub import RunDetail

_GLYPHS = {
    RunStatus.FINISHED: "● finished",
    RunStatus.RUNNING: "▶ running",
    RunStatus.SCHEDULED: "… scheduled",
    RunStatus.FAILED: "✗ failed",
    RunStatus.KILLED: "- killed",
    RunStatus.LOST: "? lost",
}
_FILES_SHOWN = 3
_POLL_S = 0.5


@click.command()
@click.option("--project", default="", help="Only runs of this project.")
@click.option("--status", default="", help="Only runs that are finished, failed, running, ….")
@click.option("--filter", "filter_text", default="", help="Only runs that fit, such as 'metrics.acc > 0.9'.")
@click.option("--text", default="", help="Only runs with these words in name, stage, commit or id.")
@click.option(
    "--order", default="", help="Fields between commas, each with ASC or DESC.  [default: created_at DESC]"
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@json_option
def runs(
    project: str, status: str, filter_text: str, text: str, order: str, limit: int, as_json: bool
) -> None:
    """List runs that fit, newest first.

    A filter compares metrics.KEY, params.KEY, tags.KEY, datasets.name and attributes (name, status, kind,
    stage, commit, actor, experiment, created_at, started_at, ended_at) with = != > >= < <= LIKE ILIKE IN
    and IS NULL, joined by AND, OR, NOT and brackets. Text stands in quotes, a key with spaces in backticks.

    \b
    Examples:
      relive runs --project digits --order "metrics.accuracy DESC"
      relive runs --filter "metrics.acc > 0.9 and params.model = 'resnet'"
      relive runs --filter "status = 'failed' and started_at > '2026-11-01'" --json
      relive runs --filter "tags.team IS NULL or not (params.lr = '0.1')"
    """
    found = connect().list_runs(
        project=project, status=status, filter=filter_text, text=text, order=order, limit=limit
    )
    if as_json:
        print_json(found)
        return
    now = time.time()
    print_table(
        ("RUN", "NAME", "STATUS", "COMMIT", "TOOK", "STARTED"),
        (
            (
                short_id(run.id),
                run.name,
                _GLYPHS[run.status],
                short_id(run.commit),
                duration(_took(run)),
                ago(run.started_at or run.created_at, now),
            )
            for run in found
        ),
        empty="No runs yet. Start one: relive run -- python train.py",
    )


@click.command()
@click.argument("run")
@json_option
def show(run: str, as_json: bool) -> None:
    """Show a run: its result, everything that went in, everything that came out.

    RUN is an id or the beginning of one.

    \b
    Examples:
      relive show 7f3a
      relive show 7f3a --json
    """
    hub = connect()
    detail = hub.get_run(run)
    recipe = hub.get_recipe(detail.run.id) if detail.run.recipe else None
    claims = find_claims(hub, detail)
    if as_json:
        print_json({"detail": detail, "recipe": recipe, "claims": claims})
        return
    is_unpushed = recipe is not None and recipe.observed is not None and recipe.observed.unpushed
    _print_head(detail, "   not pushed" if is_unpushed else "")
    print_claims(claims)
    if detail.metrics:
        print_table(
            ("METRIC", "LAST", "MIN", "MAX", "POINTS"),
            ((m.key, number(m.last), number(m.min), number(m.max), m.count) for m in detail.metrics),
            empty="",
        )
    if detail.params:
        out.print("params     " + escape("  ".join(f"{key}={value}" for key, value in detail.params.items())))
    print_table(
        ("INPUT", "FROM", "DIGEST"), ((i.path, i.origin, i.manifest[7:19]) for i in detail.inputs), empty=""
    )
    _print_made(detail)
    if recipe is not None and recipe.observed is not None:
        hardware = recipe.observed.hardware
        out.print(escape(f"machine    {hardware.cpu_model}, {hardware.cores_allowed} cores, {hardware.os}"))
        imported = sum(1 for item in recipe.observed.distributions if item.imported)
        out.print(
            f"software   {len(recipe.observed.distributions)} packages ({imported} imported), "
            f"{len(recipe.observed.libraries)} shared libraries, isolation {recipe.observed.isolation}"
            + (" (hermetic)" if recipe.observed.hermetic else "")
        )
        if uncommitted := str(recipe.observed.uncommitted):
            out.print(escape(f"no commit  {uncommitted}"))
        out.print(escape(f"recorded   {recipe.observed.completeness}; {_undeclared(recipe.observed)}"))
        if written := recipe.observed.written:
            out.print(escape(f"wrote      {plural(len(written), 'file')}, not declared: {_first(written)}"))


def _undeclared(observed: Observed) -> str:
    """Say how many files were read that nobody had declared, and which came first."""
    if not observed.reads:
        is_known = observed.completeness == "full"
        return "nothing was read that is not declared" if is_known else "what else it read is not known"
    return f"{plural(len(observed.reads), 'file')} read, not declared: {_first(observed.reads)}"


def _first(files: Sequence[UndeclaredRead | WrittenFile]) -> str:
    return ", ".join(file.path for file in files[:_FILES_SHOWN]) + (
        ", …" if len(files) > _FILES_SHOWN else ""
    )


def _took(run: Run) -> float | None:
    if run.usage is not None:
        return run.usage.wall_s
    return run.ended_at - run.started_at if run.ended_at and run.started_at else None


def _print_made(detail: RunDetail) -> None:
    print_table(
        ("OUT", "SIZE", "FILES", "DIGEST"),
        ((a.path, f"{a.size_bytes:,} B", a.files, a.manifest[7:19]) for a in detail.artifacts),
        empty="",
    )
    print_table(
        ("DATA MADE", "SIZE", "FILES", "DIGEST"),
        ((v.ref, f"{v.size_bytes:,} B", v.files, v.digest[7:19]) for v in detail.datasets),
        empty="",
    )


def _print_head(detail: RunDetail, of_commit: str) -> None:
    run = detail.run
    out.print(f"[bold]{escape(run.name)}[/]  {run.id}")
    reason = f": {run.reason}" if run.reason else ""
    out.print(escape(f"status     {_GLYPHS[run.status]}{reason}"))
    if run.heard_at is not None and run.status in (RunStatus.RUNNING, RunStatus.LOST):
        out.print(f"heard of   {ago(run.heard_at, time.time())}")
    verdict = latest_verdict(detail.verdicts)
    if verdict is not None:
        out.print(escape(f"replay     {verdict_line(verdict)}"))
        out.print(escape(f"           {judged_line(verdict, len(detail.verdicts))}"))
    out.print(escape(f"command    {run.command}"))
    tainted = "   tainted: an input changed while it ran" if run.tainted else ""
    out.print(escape(f"commit     {run.commit or 'none'}{of_commit}{tainted}"))
    out.print(f"recipe     {run.recipe_digest or 'not closed yet'}")
    out.print(f"page       {detail.url}")


@click.command()
@click.argument("run")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
def logs(run: str, follow: bool) -> None:
    """Print what a run wrote.

    \b
    Examples:
      relive logs 7f3a
      relive logs -f 7f3a
    """
    hub = connect(retry_for_s=30.0 if follow else 0.0)
    run_id = hub.get_run(run).run.id
    position = _print_log(hub, run_id, 0)
    while follow:
        ended = hub.get_run(run_id).run.status.is_final  # asked before reading, so that the end is not missed
        position = _print_log(hub, run_id, position)
        if ended:
            break
        time.sleep(_POLL_S)


def _print_log(hub: HubClient, run_id: str, position: int) -> int:
    for piece in hub.read_log(run_id, start=position):
        sys.stdout.buffer.write(piece)
        position += len(piece)
    sys.stdout.flush()
    return position


@click.command()
@click.argument("run")
@json_option
def cancel(run: str, as_json: bool) -> None:
    """Ask a run to end; its command gets SIGTERM, later SIGKILL.

    \b
    Example:
      relive cancel 7f3a
    """
    ended = connect().cancel_run(run)
    if as_json:
        print_json(ended)
    else:
        out.print(f"Run {short_id(ended.id)} is asked to end.")
