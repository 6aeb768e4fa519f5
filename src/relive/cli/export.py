"""`relive export`: write runs into a folder that anyone can read."""

from collections.abc import Iterator
from pathlib import Path

import click

from relive.cli.output import err, escape, json_option, out, plural, print_json
from relive.client import exporting
from relive.client.copies import write_copies
from relive.client.hub import HubClient, connect
from relive.errors import HubRefused
from relive.replay.archive import ArchiveOptions, write_archive
from relive.replay.plan import resolve_run


@click.command(name="export")
@click.argument("what")
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--self-contained", is_flag=True, help="One file that replays the run where nothing is but Python."
)
@click.option(
    "--with-interpreter", is_flag=True, help="Pack its Python, too: same system, same or newer libc."
)
@click.option(
    "--data-limit", "limit_mib", default=1024, metavar="MIB", help="Name larger inputs by digest.  [1024]"
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@json_option
def export_command(
    what: str,
    folder: Path | None,
    self_contained: bool,
    with_interpreter: bool,
    limit_mib: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Write a PROJECT, or one RUN, into a FOLDER: Parquet and JSON, artifacts as files.

    Of a PROJECT its traces and data sets for evaluation are written, too. A run that is there already is left
    as it is, so an export can be cut off and run again. `relive import relive` reads the folder back.

    With --self-contained a RUN or a model's version becomes one FILE with its code, data, wheels, results and
    signed provenance: `python FILE replay` makes it again on a machine with nothing but Python, and its
    index.html tells an auditor what is claimed and what is not known.

    \b
    Examples:
      relive export digits ./digits-runs
      relive export 7f3a90c1 ./one-run
      relive export digits@champion --self-contained -o digits.zip
    """
    if self_contained:
        if output is None or folder is not None:
            raise click.UsageError("--self-contained writes one file: name it with -o FILE.")
        options = ArchiveOptions(interpreter=with_interpreter, data_limit_bytes=limit_mib << 20)
        _write_archive(what, output, options, as_json=as_json)
        return
    if folder is None or output is not None or with_interpreter:
        raise click.UsageError("Name a FOLDER; -o and --with-interpreter go with --self-contained.")
    _write_folder(what, folder, as_json=as_json)


def _write_folder(what: str, folder: Path, *, as_json: bool) -> None:
    hub = connect()

    def said(run: exporting.ExportedRun) -> None:
        err.print(f"{run.run.id[:8]} {escape(run.run.name)}: {plural(run.points, 'point')}")

    count = exporting.export(hub, _asked(hub, what), folder, said)
    copied = write_copies(hub, what, folder) if _is_project(hub, what) else None
    if as_json:
        beside = {} if copied is None else {"traces": copied.traces, "datasets": copied.datasets}
        print_json({"folder": str(folder), "runs": count} | beside)
        return
    parts = [plural(count, "run")]
    if copied is not None and copied.traces:
        parts.append(plural(copied.traces, "trace"))
    if copied is not None and copied.datasets:
        parts.append(f"{plural(copied.datasets, 'data set')} for evaluation")
    out.print(f"{', '.join(parts)} written to {escape(str(folder))}.")


def _write_archive(what: str, output: Path, options: ArchiveOptions, *, as_json: bool) -> None:
    hub = connect()
    written = write_archive(hub, resolve_run(hub, what)[0], output, options)
    if as_json:
        print_json(written)
        return
    size = f"{written.size_bytes / 2**20:,.1f} MiB, {plural(written.members, 'member')}"
    out.print(f"{escape(str(output))}: {size}, content {written.digest[:16]}…")
    for sentence in written.lacking:
        err.print(f"[yellow]![/] it cannot replay itself: {escape(sentence)}")


def _is_project(hub: HubClient, what: str) -> bool:
    return any(it.project.name == what for it in hub.list_projects())


def _asked(hub: HubClient, what: str) -> Iterator[str]:
    """Give the runs of a project of this name, else the run of this id."""
    if _is_project(hub, what):
        return (run.id for run in hub.each_run(what))
    try:
        return iter((hub.get_run(what).run.id,))
    except HubRefused as error:
        raise click.UsageError(f"There is no project and no run {what!r}.") from error
