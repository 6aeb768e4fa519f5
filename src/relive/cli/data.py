"""`relive data`: data in versions."""

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relive.cli.output import Group, ago, escape, json_option, out, plural, print_json, print_table, size
from relive.cli.progress import Progress
from relive.cli.repository import remote_project
from relive.client.hub import connect

if TYPE_CHECKING:
    from relive.cli.data_diff import Problems
    from relive.client.hub import HubClient
    from relive.core.dataset import DatasetVersion
    from relive.data.add import Added, Wish

_PATH = click.Path(path_type=Path)


@click.group(cls=Group)
def data() -> None:
    """Data sets in versions: add, list, log, get, compare, verify.

    A version is named NAME@vNUMBER or NAME@latest: sales@v3, sales@latest.
    """


@data.command()
@click.argument("path")
@click.option("--name", required=True, help="Of the data set.")
@click.option("-m", "--message", default="", help="What is in this version, or what changed.")
@click.option("--project", default="", envvar="RELIVE_PROJECT", help="Default: the run's, this repository's.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave such paths or names out; repeatable.")
@click.option("--run", "run_id", default="", envvar="RELIVE_RUN_ID", help="The run that made the data.")
@json_option
def add(
    path: str,
    name: str,
    message: str,
    project: str,
    exclude: tuple[str, ...],
    run_id: str,
    as_json: bool,
) -> None:
    """Add what lies in PATH, a folder, a file or an address, as the next version of a data set.

    Only what the store does not have is sent: of a large file that changed, the pieces around the change.
    Data that is the same as the newest version adds nothing. Cut off, it is simply run again. PATH may be a
    .dvc file or a dvc.lock: then it is what DVC tracks by it, out of the work tree or DVC's cache. What lies
    at an address (http, https) is read once for its digest and stays there.

    \b
    Examples:
      relive data add ./images --name digits -m "first scan"
      relive data add sales.csv --name sales -m "November" --json
      relive data add images.dvc --name images
      relive data add https://example.org/rows.parquet --name rows
    """
    from relive.client.referenced import is_address
    from relive.data.add import Wish, add_reference
    from relive.data.dvc import is_dvc, lay_tracked

    wish = Wish(
        name=name,
        project=project or remote_project() or name,
        message=message,
        source=path if is_address(path) else f"file:{Path(path).resolve()}",
        run_id=run_id,
    )
    if is_address(path):
        added = add_reference(connect(), path, wish)
    elif is_dvc(Path(path)):
        with tempfile.TemporaryDirectory(prefix=".relive-", dir=Path(path).parent) as folder:
            lay_tracked(Path(path), Path(folder))
            added = _add(Path(folder), exclude, wish)
    else:
        added = _add(Path(path), exclude, wish)
    version = added.version
    if as_json:
        print_json({"version": version, "new": added.is_new})
    elif added.is_new:
        much = f"{plural(version.files, 'file')}, {size(version.size_bytes)}"
        out.print(f"✓ {escape(version.ref)}: {much}, {size(version.added_bytes)} stored for it.")
    elif added.stored_bytes:
        out.print(f"✓ {escape(version.ref)} is whole again: {size(added.stored_bytes)} stored anew.")
    else:
        out.print(f"Nothing changed: it is {escape(version.ref)}.")


def _add(path: Path, exclude: tuple[str, ...], wish: "Wish") -> "Added":
    from relive.data.add import add
    from relive.data.profile import profile_tables
    from relive.data.scan import place_of

    place = place_of(path, exclude)
    with Progress("read") as told:
        return add(
            connect(),
            place,
            wish,
            profile=lambda it: profile_tables(place.root, it),
            told=lambda it: told(it.files, it.all_files, it.size_bytes),
        )


@data.command("list")
@click.option("--project", default="", help="Only this project's.")
@click.option("--limit", default=100, show_default=True, help="At most so many.")
@json_option
def list_(project: str, limit: int, as_json: bool) -> None:
    """List data sets, each with its newest version.

    \b
    Example:
      relive data list
    """
    found = connect().list_datasets(project=project, limit=limit)
    if as_json:
        print_json(found)
        return
    now = time.time()
    rows = [(item, version) for item in found for version in item.versions[:1]]
    print_table(
        ("DATA SET", "PROJECT", "FILES", "SIZE", "ADDED", "MESSAGE"),
        (
            (
                version.ref,
                item.project,
                version.files,
                size(version.size_bytes),
                ago(version.created_at, now),
                version.message,
            )
            for item, version in rows
        ),
        empty="No data sets yet: relive data add PATH --name NAME",
    )


@data.command()
@click.argument("name")
@click.option("--limit", default=50, show_default=True, help="At most so many.")
@json_option
def log(name: str, limit: int, as_json: bool) -> None:
    """Show the versions of a data set, newest first.

    \b
    Example:
      relive data log sales
    """
    detail = connect().get_dataset(name, limit=limit)
    if as_json:
        print_json(detail)
        return
    now = time.time()
    print_table(
        ("VERSION", "FILES", "SIZE", "STORED", "ADDED", "BY", "MESSAGE"),
        (
            (
                f"v{version.number}",
                version.files,
                size(version.size_bytes),
                size(version.added_bytes),
                ago(version.created_at, now),
                version.created_by,
                version.message,
            )
            for version in detail.versions
        ),
        empty="No versions yet.",
    )
    out.print(escape(detail.url))


@data.command()
@click.argument("version")
@click.argument("paths", nargs=-1)
@click.option("--to", "target", type=_PATH, default=None, help="The folder; default: the data set's name.")
@json_option
def get(version: str, paths: tuple[str, ...], target: Path | None, as_json: bool) -> None:
    """Write a version's files into a folder, or only those that PATHS name: files, folders, globs.

    What is there already with the right bytes is not fetched again, so a get that was cut off is simply run
    again. Every file is checked against its digest before it has its name.

    \b
    Examples:
      relive data get sales@v3
      relive data get digits@latest 'train/*.png' labels.csv --to ./digits
    """
    from relive.client.laying import lay
    from relive.client.packed import PackedVersion
    from relive.core.picking import pick_files

    hub = connect()
    source = PackedVersion(hub, hub.get_dataset_version(version).version)
    manifest = pick_files(source.manifest, paths, source.version.ref)
    folder = target or Path(source.version.name)
    with Progress("written") as told:
        laid = lay(source, manifest, folder, lambda files, done: told(files, manifest.n_files, done))
    if as_json:
        print_json({"version": source.version, "folder": str(folder), **laid._asdict()})
    else:
        there = f", {laid.there:,} were there" if laid.there else ""
        much = f"{plural(laid.files, 'file')} written ({size(laid.size_bytes)}){there}"
        out.print(f"✓ {escape(source.version.ref)} in {escape(str(folder))}: {much}.")


@data.command()
@click.argument("version")
@click.argument("paths", nargs=-1)
@json_option
def files(version: str, paths: tuple[str, ...], as_json: bool) -> None:
    """List a version's files, or those that PATHS name: files, folders, globs.

    \b
    Example:
      relive data files digits@v2 'train/*.png'
    """
    from relive.core.picking import pick_files

    hub = connect()
    found = hub.get_dataset_version(version).version
    chosen = pick_files(hub.dataset_manifest(found), paths, found.ref)
    if as_json:
        print_json(chosen.entries)
        return
    print_table(
        ("PATH", "SIZE", "DIGEST"),
        (
            (it.path, f"-> {it.link}" if it.link else size(it.size_bytes), it.digest[7:19])
            for it in chosen.entries
        ),
        empty="No files.",
    )


@data.command()
@click.argument("before")
@click.argument("after")
@click.option("--key", multiple=True, metavar="COLUMN", help="Tells which row of a table it is; repeatable.")
@click.option("--files-only", is_flag=True, help="Do not look into tables.")
@json_option
def diff(before: str, after: str, key: tuple[str, ...], files_only: bool, as_json: bool) -> None:
    """Say what differs between two versions, or between a version and a folder on this machine.

    Files are compared by their digests. Tables of both (CSV, TSV, JSON lines, Parquet) are compared row by
    row: added and removed, and with --key changed.

    \b
    Examples:
      relive data diff sales@v2 sales@v3 --key id
      relive data diff sales@latest ./sales
    """
    from relive.cli.data_diff import compare, show

    found = compare(connect(), before, after, key=key, with_rows=not files_only)
    if as_json:
        print_json(found)
    else:
        show(found)


@data.command()
@click.argument("version")
@click.argument("path", type=_PATH, required=False)
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave such paths or names out; repeatable.")
@json_option
def verify(version: str, path: Path | None, exclude: tuple[str, ...], as_json: bool) -> None:
    """Check every byte of a version as the hub has it, or of the folder PATH against the version.

    Files in PATH that have not changed since they were read last are not read again. The exit code is 1 if
    anything differs.

    \b
    Examples:
      relive data verify sales@v3
      relive data verify sales@v3 ./sales
    """
    hub = connect()
    found = hub.get_dataset_version(version).version
    if path is not None:
        problems = _differ(hub, found, path, exclude)
    else:
        from relive.cli.data_diff import verify_stored

        with Progress("verified") as told:
            problems = verify_stored(hub, found, lambda number, done: told(number, found.files, done))
    if as_json:
        print_json({"version": found, "problems": problems})
    elif problems:
        print_table(("PATH", "PROBLEM"), problems, empty="")
    else:
        what = f"{path} is {found.ref}" if path is not None else f"The hub has every byte of {found.ref}"
        out.print(f"✓ {escape(what)}: {plural(found.files, 'file')}.")
    if problems:
        sys.exit(1)


def _differ(hub: "HubClient", version: "DatasetVersion", path: Path, exclude: tuple[str, ...]) -> "Problems":
    from relive.data.scan import is_unchanged, place_of

    place = place_of(path, exclude)
    if is_unchanged(place, version.digest):
        return []
    from relive.cli.data_diff import verify_folder

    return verify_folder(hub, version, place)


@data.command()
@click.argument("name")
@click.option("--limit", default=1000, show_default=True, help="At most so many versions.")
@json_option
def du(name: str, limit: int, as_json: bool) -> None:
    """Say what a data set takes in the hub's store: all of its packs, and what each version added.

    \b
    Example:
      relive data du sales
    """
    from relive.cli.data_diff import show_usage

    show_usage(connect(), name, limit, as_json=as_json)


@data.command()
@click.argument("version")
@json_option
def show(version: str, as_json: bool) -> None:
    """Show a version: its digest, its tables, the run that made it and the runs that read it.

    \b
    Example:
      relive data show sales@v3
    """
    from relive.cli.data_diff import show_version

    detail = connect().get_dataset_version(version)
    if as_json:
        print_json(detail)
    else:
        show_version(detail)


@data.command()
@click.argument("version")
@click.option("-o", "--output", type=_PATH, default=None, help="Write to this file instead.")
def croissant(version: str, output: Path | None) -> None:
    """Print a version's metadata as Croissant 1.0 (JSON-LD): files with SHA-256, tables with their columns.

    Addresses in it are relative: it belongs into the folder that `relive data get` writes.

    \b
    Example:
      relive data croissant sales@v3 -o sales/croissant.json
    """
    import json

    from relive.client.dataset import OpenDataset
    from relive.client.packed import PackedVersion
    from relive.data.croissant import to_croissant

    hub = connect()
    detail = hub.get_dataset_version(version)
    opened = OpenDataset(PackedVersion(hub, detail.version))
    manifest = hub.dataset_manifest(detail.version)
    document = to_croissant(detail.version, manifest, lambda entry: opened.open(entry.path), detail.url)
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")


@data.command()
@click.argument("version")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def delete(version: str, yes: bool, as_json: bool) -> None:
    """Forget a version that no run read; `relive gc` then frees what no other version needs.

    \b
    Example:
      relive data delete sales@v2 --yes
    """
    hub = connect()
    found = hub.get_dataset_version(version).version
    if not yes:
        click.confirm(f"Forget {found.ref} ({plural(found.files, 'file')})?", abort=True, err=True)
    hub.delete_dataset_version(found.ref)
    if as_json:
        print_json(found)
    else:
        out.print(f"{escape(found.ref)} is forgotten.")
