"""`relive gc`: delete what nothing refers to any more."""

import sys

import click

from relive.cli.output import err, json_option, out, plural, print_json, size
from relive.client.hub import connect
from relive.errors import HubUnreachable
from relive.wire.housekeeping import GcProgress, GcReport

_PHASES = {
    "purge": "runs purged",
    "mark": "blobs that something refers to",
    "sweep": "blobs looked at",
    "compact": "giving room back",
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@json_option
def gc(dry_run: bool, as_json: bool) -> None:
    """Delete for good what was deleted long ago, and blobs that nothing refers to.

    \b
    Nothing that is younger than a day is touched, nor what an open run or pipeline may still need.
    RELIVE_KEEP_DELETED_DAYS says how long deleted runs can be restored.

    \b
    Example:
      relive gc --dry-run
      relive gc
    """
    hub = connect()
    report: GcReport | None = None
    phase = ""
    for line in hub.collect_garbage(dry_run=dry_run):
        if isinstance(line, GcReport):
            report = line
        elif sys.stderr.isatty():
            err.print(f"\r{_progress(line):<60}", end="")
        elif line.phase != phase:
            phase = line.phase
            err.print(_progress(line))
    if sys.stderr.isatty():
        err.print(f"\r{'':<60}\r", end="")
    if report is None:
        raise HubUnreachable(url=hub.transport.base_url, reason="it ended before its report")
    if as_json:
        print_json(report)
    else:
        _tell(report)


def _progress(line: GcProgress) -> str:
    return f"{line.phase}: {line.done:,} {_PHASES.get(line.phase, '')}"


def _tell(report: GcReport) -> None:
    verb = "would be" if report.dry_run else "were"
    out.print(f"{plural(report.runs, 'run')}, {plural(report.experiments, 'experiment')} {verb} purged.")
    out.print(
        f"{plural(report.deleted, 'blob')} of {report.blobs:,} {verb} deleted: {size(report.freed_bytes)}."
    )
    if report.uploads:
        out.print(f"{plural(report.uploads, 'upload')} that nobody went on with {verb} thrown away.")
    kept = f"{report.referred:,} referred to, {report.young:,} too young, {report.pinned:,} pinned"
    out.print(f"Kept: {kept}.")
    if report.database_bytes:
        out.print(f"The database gave {size(report.database_bytes)} back.")
