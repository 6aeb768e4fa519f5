"""Deleting blobs that nothing refers to.

What is referred to is found by reading, not by knowing: every digest in any text of the database is a root,
and every digest in a JSON document among the blobs so found (manifests, recipes, locks, signed statements) is
followed. So a new table or a new document cannot be forgotten, and what looks like a digest by chance costs
room and nothing else.

A blob that nothing refers to stays while it is younger than a day or than the oldest open work, and while it
is pinned: whoever was told "it is there" has a day to refer to it. A pin and a deletion cannot meet, because
each is one row of the same table; see `KeepingStore.doom_blobs`.
"""

import base64
import binascii
import re
import secrets
import time
from collections.abc import Generator, Iterator, Sequence
from itertools import chain
from typing import Final

import msgspec

from relive.core.digest import Digest, parse_digest
from relive.core.event import Event
from relive.errors import BlobNotFound, Conflict
from relive.ports.blobs import BlobInfo
from relive.services.context import Services
from relive.services.marks import Marks
from relive.services.trace_removal import purge_traces
from relive.wire.housekeeping import GcLine, GcProgress, GcReport

DAY_S: Final = 86_400.0
# Work that is still open after so long is taken for abandoned: it keeps nothing that it did not name.
ABANDONED_S: Final = 30 * DAY_S
# Whoever sends a large file in parts may be away for so long, and then goes on with it.
IDLE_UPLOAD_S: Final = 7 * DAY_S
_LOCK: Final = "gc"
# Longer than any single step takes.
_LEASE_S: Final = 600.0
_DIGEST: Final = re.compile(rb"blake3:[0-9a-f]{64}")
_LONGEST_DIGEST: Final = 71
_DOCUMENT, _MANIFEST = b'{"', b'{"entries":['
_STATEMENT: Final = b'{"payload'
_LONGEST_STATEMENT: Final = 16 << 20
_BLOBS_A_STEP: Final = 500


def find_missing(services: Services, digests: Sequence[Digest]) -> list[Digest]:
    """Tell which blobs are not here; the others stay for a day, whether or not anything refers to them.

    Raises:
        InvalidDigest: One is none.
    """
    asked = list(dict.fromkeys(map(parse_digest, digests)))
    too_late = services.store.pin_blobs(asked)  # before they are looked for
    absent = set(services.blobs.missing(asked)) | too_late
    return [digest for digest in asked if digest in absent]


def collect(
    services: Services, *, deleted_before: float, dry_run: bool = False, by: str = "hub"
) -> Generator[GcLine, None, None]:
    """Purge what was deleted, delete blobs that nothing refers to, and give the room back.

    Args:
        deleted_before: Runs and experiments that were deleted before this time are purged.
        dry_run: Only count. Blobs of what would be purged count as referred to.
        by: Who wants it, for the event.

    Yields:
        Progress, and the report at the end.

    Raises:
        Conflict: Another collection is under way.
    """
    store = services.store
    holder = f"{services.place.owner}/{secrets.token_hex(4)}"
    if not store.hold_lock(_LOCK, holder, lease_s=_LEASE_S):
        raise Conflict(subject="the blob store", reason="another collection is under way")
    try:
        # What came later than this is somebody's work.
        now = time.time()
        opened = store.oldest_open(since=now - ABANDONED_S)
        before = min(now - DAY_S, now if opened is None else opened)
        report = GcReport(dry_run=dry_run)
        for line in _steps(services, report, deleted_before, before):
            if not store.hold_lock(_LOCK, holder, lease_s=_LEASE_S):
                raise Conflict(subject="the blob store", reason="another hub took this collection over")
            if isinstance(line, GcReport):
                _tell(services, line, by)
            yield line
    finally:
        store.free_lock(_LOCK, holder)


def purge(services: Services, *, before: float) -> Iterator[tuple[int, int]]:
    """Delete what was deleted before a time for good; gives how many runs and experiments, as it goes on.

    An experiment of many traces takes many steps, which give none.
    """
    store = services.store
    while found := _some_deleted(services, before):
        runs, experiments = found
        for experiment_id in experiments:
            yield from ((0, 0) for _ in purge_traces(services, experiment_id))
        gone = (sum(map(store.purge_run, runs)), sum(map(store.purge_experiment, experiments)))
        yield gone
        if not any(gone):
            return  # all were restored meanwhile


def _some_deleted(services: Services, before: float) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    found = services.store.list_deleted(before=before)
    return (found.runs, found.experiments) if found.runs or found.experiments else None


def _steps(services: Services, report: GcReport, deleted_before: float, before: float) -> Iterator[GcLine]:
    store = services.store
    if report.dry_run:
        found = store.list_deleted(before=deleted_before, limit=1_000_000)
        report = msgspec.structs.replace(report, runs=len(found.runs), experiments=len(found.experiments))
    else:
        for runs, experiments in purge(services, before=deleted_before):
            counted = {"runs": report.runs + runs, "experiments": report.experiments + experiments}
            report = msgspec.structs.replace(report, **counted)
            yield GcProgress(phase="purge", done=report.runs)
        store.release_blobs(before=before)  # also what a collection left that was killed
    idle = services.blobs.drop_uploads(before=time.time() - IDLE_UPLOAD_S, dry_run=report.dry_run)
    report = msgspec.structs.replace(report, uploads=idle.n_blobs, freed_bytes=idle.size_bytes)
    with Marks(services.place.data_dir) as marks:
        yield from _mark(services, marks)
        for grown in _sweep(services, marks, report, before):
            report = grown
            yield GcProgress(phase="sweep", done=report.blobs)
    if not report.dry_run:
        yield GcProgress(phase="compact", done=0)
        given_back = store.compact() + store.give_back(most_bytes=1 << 40)
        report = msgspec.structs.replace(report, database_bytes=given_back)
    yield report


def _mark(services: Services, marks: Marks) -> Iterator[GcProgress]:
    for digests in services.store.list_digests():
        marks.add(digests, documents=True)
    yield GcProgress(phase="mark", done=len(marks))
    while documents := marks.take():
        for digest in documents:
            _follow(services, marks, digest)
        yield GcProgress(phase="mark", done=len(marks))


def _follow(services: Services, marks: Marks, digest: str) -> None:
    """Mark what a document refers to; anything else refers to nothing."""
    try:
        pieces = services.blobs.iter_chunks(digest)
    except BlobNotFound:
        return  # a name of something else: not every digest is a blob's
    first = next(pieces, b"")
    if not first.startswith(_DOCUMENT):
        return
    # A manifest lists files, and nobody's file is a document of ours.
    documents = not first.startswith(_MANIFEST)
    is_statement = first.startswith(_STATEMENT)
    whole, tail = bytearray(), b""
    for piece in chain([first], pieces):
        window = tail + piece
        marks.add({found.decode() for found in _DIGEST.findall(window)}, documents=documents)
        tail = window[-_LONGEST_DIGEST + 1 :]
        if is_statement and len(whole) < _LONGEST_STATEMENT:
            whole += piece
    if is_statement:
        marks.add({found.decode() for found in _DIGEST.findall(_payload(bytes(whole)))}, documents=True)


def _payload(statement: bytes) -> bytes:
    """Give what a signed statement says, which lies in base64."""
    try:
        envelope = msgspec.json.decode(statement, type=dict[str, msgspec.Raw])
        return base64.b64decode(msgspec.json.decode(envelope["payload"], type=str))
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        return b""  # it only looked like one


def _sweep(services: Services, marks: Marks, report: GcReport, before: float) -> Iterator[GcReport]:
    """Delete what is not marked; gives the report as it grows."""
    waiting: list[BlobInfo] = []
    for blob in services.blobs.list():
        is_referred = blob.digest in marks
        is_young = not is_referred and blob.stored_at >= before
        report = msgspec.structs.replace(
            report,
            blobs=report.blobs + 1,
            referred=report.referred + is_referred,
            young=report.young + is_young,
        )
        if not is_referred and not is_young:
            waiting.append(blob)
        if len(waiting) >= _BLOBS_A_STEP:
            report, waiting = _delete(services, waiting, report, before), []
            yield report
        elif report.blobs % (20 * _BLOBS_A_STEP) == 0:
            yield report
    yield _delete(services, waiting, report, before)


def _delete(services: Services, blobs: list[BlobInfo], report: GcReport, before: float) -> GcReport:
    if report.dry_run:
        gone = blobs
        n_pinned = 0
    else:
        doomed = services.store.doom_blobs([blob.digest for blob in blobs])
        n_pinned = len(blobs) - len(doomed)
        gone = [
            blob
            for blob in blobs
            if blob.digest in doomed and services.blobs.delete(blob.digest, stored_before=before)
        ]
        services.store.release_blobs(before=before)
    return msgspec.structs.replace(
        report,
        pinned=report.pinned + n_pinned,
        deleted=report.deleted + len(gone),
        freed_bytes=report.freed_bytes + sum(blob.size_bytes for blob in gone),
    )


def _tell(services: Services, report: GcReport, by: str) -> None:
    if not report.dry_run:
        facts = msgspec.to_builtins(report)
        services.record(Event(kind="gc.done", actor=by, subject="hub", facts=facts))
