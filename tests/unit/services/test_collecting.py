"""Blobs that nothing refers to go; everything else stays."""

import os
import threading
import time

import pytest

from relive.core.artifact import Manifest
from relive.core.digest import canonical_json
from relive.core.run import Artifact
from relive.core.stored_file import StoredFile
from relive.core.trace import Span, Trace
from relive.errors import Conflict, InvalidDigest, NotFound
from relive.formats.hashing import blake3_digest
from relive.services.collecting import DAY_S, collect, find_missing
from relive.services.marks import Marks
from relive.wire.housekeeping import GcProgress, GcReport
from tests.support.bench import Bench


def let_age(bench: Bench, days: float = 3.0) -> None:
    """Let every blob be so old."""
    at = time.time() - days * DAY_S
    for path in (bench.services.place.data_dir / "blobs").rglob("*"):
        if path.is_file():
            os.utime(path, (at, at))


def collected(bench: Bench, *, dry_run: bool = False) -> GcReport:
    """Collect, and give the report."""
    *progress, report = collect(bench.services, deleted_before=time.time() + 60, dry_run=dry_run)
    assert all(isinstance(line, GcProgress) for line in progress)
    assert isinstance(report, GcReport)
    return report


def has(bench: Bench, digest: str) -> bool:
    """Tell whether a blob is there."""
    return bench.services.blobs.find(digest) is not None


def put(bench: Bench, data: bytes) -> str:
    """Store bytes that nothing refers to."""
    return bench.services.blobs.put(data).digest


def test_what_nothing_refers_to_goes_and_everything_else_stays(bench):
    lost = [put(bench, b"nobody's"), bench.keep({"a": b"no manifest names me", "b": b"nor me"})]
    version = bench.version(weights=b"the weights")
    code = bench.keep({"train.py": b"print()"})
    run = bench.finished_by_hand()
    bench.services.store.set_run(run.id, recipe=bench.recipe("train", code=code), log=put(bench, b"a log"))
    before = {blob.digest for blob in bench.services.blobs.list()}
    let_age(bench)
    report = collected(bench)
    gone = before - {blob.digest for blob in bench.services.blobs.list()}
    assert gone == {*lost, blake3_digest(b"no manifest names me"), blake3_digest(b"nor me")}
    assert (report.deleted, report.blobs) == (len(gone), len(before))
    assert report.referred == len(before) - len(gone)
    assert report.freed_bytes > len(b"nobody's")
    for digest in (version.manifest, version.contract, code):
        assert all(has(bench, it) for it in bench.manifest(digest).digests)
    assert has(bench, version.provenance)
    assert bench.events("gc.done")[0][1]["deleted"] == len(gone)


def test_what_only_a_signed_statement_says_stays(bench):
    inner = put(bench, b"named in base64")
    statement = bench.services.signer.sign("x/y", canonical_json({"subject": inner}))
    run = bench.finished_by_hand()
    bench.services.store.set_tags(run.id, {"statement": put(bench, statement)})
    let_age(bench)
    collected(bench)
    assert has(bench, inner)


def test_a_digest_across_two_pieces_of_a_document_is_found(bench):
    inner = put(bench, b"far in")
    # The border of a piece lies in the middle of the digest.
    document = canonical_json({"a": "x" * ((1 << 20) - 40), "b": inner})
    run = bench.finished_by_hand()
    bench.services.store.set_tags(run.id, {"document": put(bench, document)})
    let_age(bench)
    collected(bench)
    assert has(bench, inner)


def test_a_dry_run_deletes_nothing(bench):
    lost = put(bench, b"nobody's")
    run = bench.finished_by_hand()
    bench.services.store.set_run(run.id, deleted_at=time.time())
    let_age(bench)
    report = collected(bench, dry_run=True)
    assert (report.dry_run, report.runs, report.deleted) == (True, 1, 1)
    assert has(bench, lost)
    assert bench.services.store.find_run(run.id) is not None
    assert bench.events("gc.done") == []


def test_what_is_young_stays(bench):
    fresh = put(bench, b"just here")
    report = collected(bench)
    assert (report.young, report.deleted) == (1, 0)
    assert has(bench, fresh)


def test_what_came_while_open_work_goes_on_stays(bench):
    made = bench.by_hand()
    store = bench.services.store
    uploaded = put(bench, b"an out of a long run")
    let_age(bench)
    with pytest.MonkeyPatch.context() as patch:
        started = time.time() - 5 * DAY_S
        patch.setattr(store, "oldest_open", lambda since: started if started > since else None)
        collected(bench)
        assert has(bench, uploaded)
        started = time.time() - 40 * DAY_S  # abandoned
        collected(bench)
    assert not has(bench, uploaded)
    assert store.get_run(made.run_id).ended_at is None


def test_who_is_told_that_a_blob_is_there_has_a_day_to_refer_to_it(bench):
    there, absent = put(bench, b"there"), blake3_digest(b"absent")
    let_age(bench)
    assert find_missing(bench.services, [there, absent, there]) == [absent]
    report = collected(bench)
    assert (report.pinned, report.deleted) == (1, 0)
    assert has(bench, there)


def test_a_blob_that_is_being_deleted_is_not_promised(bench):
    doomed = put(bench, b"doomed")
    bench.services.store.doom_blobs([doomed])
    assert find_missing(bench.services, [doomed]) == [doomed]
    bench.services.blobs.put(b"doomed")
    assert collected(bench).deleted == 0
    assert find_missing(bench.services, [doomed]) == []


def test_what_is_no_digest_is_refused(bench):
    with pytest.raises(InvalidDigest):
        find_missing(bench.services, ["x"])


def test_two_collections_do_not_meet(bench):
    first = collect(bench.services, deleted_before=0.0)
    next(first)
    with pytest.raises(Conflict, match="another collection"):
        next(collect(bench.services, deleted_before=0.0))
    first.close()
    assert collected(bench).deleted == 0


def test_a_purged_run_takes_its_blobs_along(bench):
    run, kept = bench.finished_by_hand(), bench.finished_by_hand()
    store = bench.services.store
    manifest = bench.keep({"model": b"weights"})
    shared = bench.keep({"data": b"rows"})
    for it, named in ((run, manifest), (run, shared), (kept, shared)):
        path = "model" if named == manifest else "data"
        store.record_artifact(Artifact(run_id=it.id, path=path, manifest=named, size_bytes=7, files=1))
    store.set_run(run.id, deleted_at=time.time())
    let_age(bench)
    report = collected(bench)
    assert report.runs == 1
    with pytest.raises(NotFound):
        store.get_run(run.id)
    assert not has(bench, manifest)
    assert not has(bench, blake3_digest(b"weights"))
    assert all(
        has(bench, it) for it in (shared, *Manifest.from_bytes(bench.services.blobs.read(shared)).digests)
    )


def test_a_purged_experiment_gives_back_what_its_traces_held(bench):
    store = bench.services.store
    gone, stays = (store.ensure_experiment(bench.project.id, name) for name in ("gone", "stays"))
    kept = {}
    for experiment in (gone, stays):
        trace = Trace(id=f"tr-{experiment.id}", experiment_id=experiment.id, started_ms=1)
        store.create_trace(trace)
        # What a span says is nobody's reference, however it looks.
        said = put(bench, f"told of by {experiment.name}".encode())
        store.record_spans([Span(trace_id=trace.id, id="1", started_ns=1, content=f'"{said}"')])
        attached = put(bench, f"picture of {experiment.name}".encode())
        path = f"{experiment.id}/traces/{trace.id}/artifacts/attachments/a.png"
        store.record_file(StoredFile(path=path, digest=attached, size_bytes=1))
        kept[experiment.name] = (attached, said)
    store.delete_experiment(gone.id)
    let_age(bench)
    report = collected(bench)
    assert report.experiments == 1
    assert {name: tuple(has(bench, it) for it in both) for name, both in kept.items()} == {
        "gone": (False, False),
        "stays": (True, False),
    }
    assert store.find_trace(f"tr-{gone.id}") is None


def test_uploads_and_questions_during_collections_lose_nothing(bench):
    """Each round asks and refers, while collections run: what was promised is there ever after."""
    blobs, store = bench.services.blobs, bench.services.store
    run = bench.finished_by_hand()
    contents = [f"content {number}".encode() for number in range(60)]
    for data in contents:
        blobs.put(data)
    let_age(bench)
    done = threading.Event()
    reports: list[GcReport] = []

    def collect_again() -> None:
        while not done.is_set():
            reports.append(collected(bench))

    collector = threading.Thread(target=collect_again)
    collector.start()
    try:
        for number, data in enumerate(contents):
            digest = blake3_digest(data)
            if find_missing(bench.services, [digest]):
                blobs.put(data)
            assert has(bench, digest)
            store.set_tags(run.id, {f"t{number}": digest})
    finally:
        done.set()
        collector.join()
    collected(bench)
    assert reports
    assert all(has(bench, blake3_digest(data)) for data in contents)


def test_marks_are_taken_once_and_a_file_becomes_a_document(tmp_path):
    one, two = blake3_digest(b"1"), blake3_digest(b"2")
    with Marks(tmp_path) as marks:
        marks.add([one, two], documents=False)
        assert marks.take() == []
        marks.add([one], documents=True)
        assert marks.take() == [one]
        marks.add([one], documents=True)
        assert marks.take() == []
        assert (len(marks), one in marks, blake3_digest(b"3") in marks) == (2, True, False)
    assert list(tmp_path.iterdir()) == []


def test_uploads_that_nobody_goes_on_with_are_thrown_away_after_a_week(bench):
    data, days = b"x" * 100, {"young": 6.0, "old": 8.0}
    for name, age_days in days.items():
        upload = bench.services.blobs.upload(blake3_digest(data), len(data), owner=name)
        with upload.part(0, expected=blake3_digest(data)) as writer:
            writer.write(data)
            writer.commit()
        at = time.time() - age_days * DAY_S
        newest = max((bench.services.place.data_dir / "blobs/uploads").iterdir(), key=os.path.getmtime)
        os.utime(newest, (at, at))
    assert collected(bench, dry_run=True).uploads == 1
    report = collected(bench)
    assert report.uploads == 1
    assert report.freed_bytes > 0
    left = {name: bench.services.blobs.upload(blake3_digest(data), len(data), owner=name) for name in days}
    assert {name: list(upload.missing()) for name, upload in left.items()} == {"young": [], "old": [0]}
    assert left["young"].commit().size_bytes == len(data)
