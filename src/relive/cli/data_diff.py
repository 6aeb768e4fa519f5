"""What `relive data` shows of differences and of damage; apart, because most commands need none of it."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from relive.cli.output import ago, err, escape, number, out, plural, print_json, print_table, size
from relive.client.dataset import OpenDataset
from relive.client.hub import HubClient
from relive.client.packed import PackedVersion
from relive.core.artifact import Manifest
from relive.core.dataset import DatasetVersion
from relive.core.ids import short_id
from relive.data.add import manifest_of
from relive.data.diff import DataDiff, Opener, RowDiff, diff_files, diff_rows, is_table
from relive.data.scan import Place, place_of
from relive.data.verify import verify_pieces
from relive.errors import InvalidInput
from relive.wire.datasets import VersionDetail

_MOST_SHOWN: Final = 20

Problems = list[tuple[str, str]]


def compare(hub: HubClient, before: str, after: str, *, key: Sequence[str], with_rows: bool) -> DataDiff:
    """Compare two versions, or a version and a folder.

    Raises:
        InvalidInput, NotFound, HubRefused: One of them is neither; a key is no column.
    """
    one, two = _open(hub, before), _open(hub, after)
    found = diff_files(one[0], two[0])
    for file in found.changed if with_rows else ():
        entries = one[0].find(file.path), two[0].find(file.path)
        assert entries[0] is not None  # it is in both
        assert entries[1] is not None
        if is_table(file.path) and entries[0].link is None and entries[1].link is None:
            file.rows = _rows((entries[0], entries[1]), (one[1], two[1]), key)
    return found


def show(found: DataDiff) -> None:
    """Print a difference."""
    if found.is_empty:
        out.print(f"Nothing differs: {plural(found.same, 'file')}.")
        return
    for title, paths in (("added", found.added), ("removed", found.removed)):
        for path in paths[:_MOST_SHOWN]:
            out.print(f"{'+' if title == 'added' else '-'} {escape(path)}")
        _say_more(paths, title)
    for source, path in found.moved[:_MOST_SHOWN]:
        out.print(f"> {escape(source)} → {escape(path)}")
    _say_more(found.moved, "moved")
    for file in found.changed[:_MOST_SHOWN]:
        out.print(f"~ {escape(file.path)}: {size(file.size_before)} → {size(file.size_after)}")
        if file.rows is not None:
            _show_rows(file.rows)
    _say_more(found.changed, "changed")
    counts = f"{len(found.added)} added, {len(found.removed)} removed, {len(found.moved)} moved"
    out.print(f"Files: {counts}, {len(found.changed)} changed, {found.same} the same.")


def verify_folder(hub: HubClient, version: DatasetVersion, place: Place) -> Problems:
    """Say how a folder differs from a version; nothing is read that did not change."""
    digest, manifest = manifest_of(place)
    if digest == version.digest:
        return []
    found = diff_files(hub.dataset_manifest(version), manifest)
    gone = [*found.removed, *(source for source, _ in found.moved)]
    new = [*found.added, *(path for _, path in found.moved)]
    return [
        *((path, "is missing") for path in gone),
        *((path, "is not in the version") for path in new),
        *((file.path, "has other bytes, or another mode") for file in found.changed),
    ]


def verify_stored(
    hub: HubClient, version: DatasetVersion, told: Callable[[int, int], None] = lambda files, done: None
) -> Problems:
    """Read every byte of a version from the hub, and say what is damaged; the hub takes it out of its store.

    The hub reads each pack again before: what was damaged on its way stays.
    """
    damage = verify_pieces(PackedVersion(hub, version), told)
    if not damage.problems:
        return []
    lost = hub.check_packs(version, sorted(damage.packs)).lost
    if lost:
        again = f"relive data add PATH --name {version.name}"
        err.print(f"{plural(len(lost), 'pack')} will be stored again with the same files: {again}")
    whole = damage.packs.difference(lost)
    return [*damage.problems, *((pack, "came damaged, but the hub has it whole") for pack in sorted(whole))]


def show_usage(hub: HubClient, name: str, limit: int, *, as_json: bool) -> None:
    """Print what so many versions of a data set take, newest first."""
    versions = hub.get_dataset(name, limit=limit).versions
    packs = {pack.digest: pack.size_bytes for it in versions for pack in hub.dataset_layout(it).packs}
    stored, plain = sum(packs.values()), sum(it.size_bytes for it in versions)
    if as_json:
        print_json({"name": name, "packs": len(packs), "stored_bytes": stored, "size_bytes": plain})
        return
    print_table(
        ("VERSION", "SIZE", "ADDED"),
        ((f"v{it.number}", size(it.size_bytes), size(it.added_bytes)) for it in versions),
        empty="No versions yet.",
    )
    much = f"{size(stored)} in {plural(len(packs), 'pack')} for {plural(len(versions), 'version')}"
    out.print(f"{much}, which are {size(plain)} when written out.")


def show_version(detail: VersionDetail) -> None:
    """Print what is known of a version."""
    version = detail.version
    out.print(f"[bold]{escape(version.ref)}[/]  {escape(version.message)}")
    out.print(f"{plural(version.files, 'file')}, {size(version.size_bytes)}; {version.digest}")
    if version.source:
        out.print(f"from {escape(version.source)}")
    if detail.made_by is not None:
        out.print(f"made by run {short_id(detail.made_by.id)} {escape(detail.made_by.name)}")
    for table in version.profile.get("tables", ()):
        _show_table(table)
    runs = ", ".join(short_id(read.run_id) for read in detail.reads[:_MOST_SHOWN])
    out.print(f"read by {plural(len(detail.reads), 'run')}{': ' if runs else ''}{runs}")
    out.print(f"added {ago(version.created_at, time.time())} by {escape(version.created_by)}; {detail.url}")


def _show_table(table: dict[str, Any]) -> None:
    rows = plural(table.get("rows", 0), "row")
    rows = rows if table.get("all_rows", True) else f"first {rows}"
    out.print(f"\n{escape(table['path'])}: {rows}{escape(table.get('note', ''))}")
    print_table(
        ("COLUMN", "TYPE", "MISSING", "DISTINCT", "MIN", "MAX", "MEAN"),
        (
            (
                it["name"],
                it.get("type", "empty"),
                it.get("missing", 0),
                it.get("distinct", 0) if it.get("distinct", 0) is not None else "many",
                *(_shown(it.get(name)) for name in ("min", "max", "mean")),
            )
            for it in table.get("columns", ())
        ),
        empty="",
    )


def _shown(value: Any) -> str:
    return number(value) if isinstance(value, int | float) else str(value or "")


def _open(hub: HubClient, name: str) -> tuple[Manifest, Opener]:
    """Open a version by its name, or a folder or file of this machine by its path."""
    path = Path(name)
    if "/" in name or name in (".", "..") or ("@" not in name and path.exists()):
        place = place_of(path)
        return manifest_of(place)[1], lambda entry: open(place.root / entry.path, "rb")
    source = PackedVersion(hub, hub.get_dataset_version(name).version)
    opened = OpenDataset(source)
    return source.manifest, lambda entry: opened.open(entry.path)


def _rows(entries: Any, openers: tuple[Opener, Opener], key: Sequence[str]) -> RowDiff:
    try:
        return diff_rows(entries, openers, key)
    except InvalidInput as error:
        if error.field == "key":
            raise
        return RowDiff(note=error.what())


def _show_rows(rows: RowDiff) -> None:
    if rows.note:
        out.print(f"    {escape(rows.note)}")
        return
    for title, names in (("new", rows.columns_added), ("lost", rows.columns_removed)):
        if names:
            out.print(f"    {title} columns: {escape(', '.join(names))}")
    counts = f"{rows.added:,} added, {rows.removed:,} removed"
    changed = f", {rows.changed:,} changed" if rows.key else ""
    out.print(f"    rows: {counts}{changed}, {rows.same:,} the same")
    for kind, mark in (("added", "+"), ("removed", "-"), ("changed", "~")):
        for row in rows.examples.get(kind, [])[:3]:
            out.print(f"      {mark} {escape(msgspec.json.encode(row, enc_hook=str).decode()[:200])}")


def _say_more(items: Sequence[Any], what: str) -> None:
    if len(items) > _MOST_SHOWN:
        out.print(f"  … and {len(items) - _MOST_SHOWN:,} more {what}; --json lists all")
