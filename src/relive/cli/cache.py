"""`relive cache`: the environments, wheels and blobs that this machine keeps."""

import time
from pathlib import Path

import click

from relive import settings
from relive.cli.output import Group, ago, json_option, out, plural, print_json, print_table, size
from relive.runner.cache import list_entries
from relive.runner.cache import prune as prune_cache


@click.group(cls=Group)
def cache() -> None:
    """Environments, wheels and blobs that this machine keeps, and making room among them."""


@cache.command()
@json_option
def show(as_json: bool) -> None:
    """Say how much lies in the cache, by kind.

    \b
    Example:
      relive cache show
    """
    folder = Path(settings.cache())
    entries = list_entries(folder)
    if as_json:
        print_json({"folder": str(folder), "entries": entries})
        return
    now = time.time()
    rows = []
    for kind in sorted({entry.kind for entry in entries}):
        of_kind = [entry for entry in entries if entry.kind == kind]
        total = sum(entry.size_bytes for entry in of_kind)
        rows.append((kind, len(of_kind), size(total), ago(of_kind[0].used_at, now)))
    print_table(("KIND", "ENTRIES", "SIZE", "LONGEST UNUSED"), rows, empty=f"Nothing lies in {folder}.")


@cache.command()
@click.option(
    "--max-gib", type=click.FloatRange(min=0), help="What may stay; default RELIVE_CACHE_GIB.", default=None
)
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    help="What was not used for longer goes; default RELIVE_CACHE_DAYS.",
    default=None,
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@json_option
def prune(max_gib: float | None, days: float | None, dry_run: bool, as_json: bool) -> None:
    """Remove what was unused for long, then the longest unused until the rest is small enough.

    What a running process needs stays. Everything else is fetched or built anew when it is next needed.

    \b
    Example:
      relive cache prune --max-gib 20
    """
    keep_gib = settings.get_int("RELIVE_CACHE_GIB") if max_gib is None else max_gib
    keep_days = settings.get_int("RELIVE_CACHE_DAYS") if days is None else days
    done = prune_cache(
        Path(settings.cache()),
        now=time.time(),
        max_age_s=keep_days * 86400,
        max_bytes=int(keep_gib * 2**30),
        dry_run=dry_run,
    )
    if as_json:
        print_json(done)
        return
    verb = "would go" if dry_run else "went"
    out.print(f"{plural(done.entries, 'thing')} {verb}: {size(done.freed_bytes)}.")
    out.print(f"{size(done.kept_bytes)} stay.")
