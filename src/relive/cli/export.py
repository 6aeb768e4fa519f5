"""`relive export`: write runs into a folder that anyone can read."""

from collections.abc import Iterator
from pathlib import Path

import click

from relive.cli.output import err, escape, json_option, out, plural, print_json
from relive.client import exporting
from relive.client.hub import HubClient, connect
from relive.errors import HubRefused


@click.command(name="export")
@click.argument("what")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
def export_command(what: str, folder: Path, as_json: bool) -> None:
    """Write a PROJECT, or one RUN, into a FOLDER: Parquet and JSON, artifacts as files.

    What is there already is left as it is, so an export can be cut off and run again. `relive import relive`
    reads the folder back.

    \b
    Examples:
      relive export digits ./digits-runs
      relive export 7f3a90c1 ./one-run
    """
    hub = connect()

    def said(run: exporting.ExportedRun) -> None:
        err.print(f"{run.run.id[:8]} {escape(run.run.name)}: {plural(run.points, 'point')}")

    count = exporting.export(hub, _asked(hub, what), folder, said)
    if as_json:
        print_json({"folder": str(folder), "runs": count})
    else:
        out.print(f"{plural(count, 'run')} written to {escape(str(folder))}.")


def _asked(hub: HubClient, what: str) -> Iterator[str]:
    """Give the runs of a project of this name, else the run of this id."""
    if any(it.project.name == what for it in hub.list_projects()):
        return (run.id for run in hub.each_run(what))
    try:
        return iter((hub.get_run(what).run.id,))
    except HubRefused as error:
        raise click.UsageError(f"There is no project and no run {what!r}.") from error
