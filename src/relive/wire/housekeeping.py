"""Keeping house: what was deleted, what was kept and why.

POST /api/v1/gc    Collect → lines of JSON: `GcProgress` while it goes on, `GcReport` at the end
"""

import msgspec


class Collect(msgspec.Struct, frozen=True, kw_only=True):
    """Asks to delete what nothing refers to; with `dry_run` only to count it."""

    dry_run: bool = False


class GcProgress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """Where a collection stands.

    Attributes:
        phase: "purge", "mark", "sweep" or "compact".
        done: How many runs, references or blobs it has dealt with.
    """

    phase: str
    done: int


class GcReport(msgspec.Struct, frozen=True, kw_only=True, tag="report"):
    """What a collection did, or with `dry_run` would do.

    Attributes:
        runs: Runs that were deleted long enough ago and are purged.
        experiments: Likewise.
        blobs: How many there were.
        referred: Blobs that something refers to.
        young: Blobs that nothing refers to yet: they came within the last day, or while open work went on.
        pinned: Blobs that somebody was told are there.
        deleted: Blobs that are gone.
        uploads: Uploads in parts that got nothing for a week, and are thrown away.
        freed_bytes: What both took.
        database_bytes: What the database gave back to the file system.
    """

    dry_run: bool
    runs: int = 0
    experiments: int = 0
    blobs: int = 0
    referred: int = 0
    young: int = 0
    pinned: int = 0
    deleted: int = 0
    uploads: int = 0
    freed_bytes: int = 0
    database_bytes: int = 0


GcLine = GcProgress | GcReport
