"""The chores of a day are done once a day, a little at a time, by one hub."""

import os
import time

import msgspec
import pytest

from relive.core.access import Caller, Scope, Token
from relive.core.run import Metric, RunStatus
from relive.core.webhook import Webhook, WebhookDelivery
from relive.errors import StoreUnavailable
from relive.formats.hashing import blake3_digest
from relive.ports.blobs import BlobInfo
from relive.services.collecting import DAY_S, collect
from relive.services.housekeeping import BEGAN, LOCK, Housekeeper, Retention
from relive.services.mlflow import uploads
from relive.services.mlflow.places import UPLOADS, Place
from relive.stores.blobs.local import LocalBlobStore
from relive.testing.stores_samples import a_job
from relive.wire.housekeeping import GcReport
from tests.support.bench import Bench


def keep_house(bench: Bench, **days: float) -> Housekeeper:
    """Do all that is to do now."""
    housekeeper = Housekeeper(bench.services, Retention(**days))
    while housekeeper.tick():
        pass
    return housekeeper


def test_points_of_ended_runs_are_packed(bench):
    run = bench.by_hand()
    store = bench.services.store
    store.record_metrics(run.run_id, [Metric("x", 1.0, step) for step in range(100)])
    store.set_run(run.run_id, status=RunStatus.FINISHED)
    keep_house(bench)
    assert not store.pack_metrics(), "nothing was left to pack"
    assert len(store.get_points(run.run_id, "x")) == 100


def test_what_is_old_goes_and_what_is_not_stays(bench):
    store, now = bench.services.store, time.time()
    old, young = bench.finished_by_hand(), bench.finished_by_hand()
    store.set_run(old.id, deleted_at=now - 31 * DAY_S)
    store.set_run(young.id, deleted_at=now - 29 * DAY_S)
    for name, expires_at in (("old", now - 5), ("young", now + DAY_S)):
        store.create_token(
            Token(id=name, scope=Scope.MEMBER, subject="user:x", expires_at=expires_at), "digest"
        )
    keep_house(bench)
    assert store.find_run(old.id) is None
    assert store.find_run(young.id) is not None
    assert store.find_token("old") is None
    assert store.find_token("young") is not None


def test_folders_of_jobs_that_ended_long_ago_go(bench):
    store, now = bench.services.store, time.time()
    ended, running = a_job(), a_job()
    for job in (ended, running):
        store.put(job)
    store.request_cancel(ended.id)
    jobs = bench.services.place.data_dir / "jobs"
    for name, age_days in ((ended.id, 0), (running.id, 99), ("unknown", 99), ("unknown-young", 1)):
        (jobs / name).mkdir(parents=True)
        (jobs / name / "1.log").write_text("output")
        os.utime(jobs / name, (now - age_days * DAY_S,) * 2)
    keep_house(bench, jobs_days=14.0)
    assert {path.name for path in jobs.iterdir()} == {ended.id, running.id, "unknown-young"}
    store.set_meta(BEGAN, "0")
    keep_house(bench, jobs_days=-1.0)
    assert {path.name for path in jobs.iterdir()} == {running.id}


def test_repositories_are_packed_once_a_day(bench, monkeypatch):
    maintained: list[str] = []
    monkeypatch.setattr(bench.services.repositories, "maintain", maintained.append)
    keep_house(bench)
    keep_house(bench)
    assert maintained == [bench.project.name]
    bench.services.store.set_meta(BEGAN, str(time.time() - 2 * DAY_S))
    keep_house(bench)
    assert len(maintained) == 2


def test_a_chore_that_fails_stops_no_other(bench, monkeypatch, caplog):
    def fail(_project: str) -> None:
        raise StoreUnavailable("the disk", "it is away")

    monkeypatch.setattr(bench.services.repositories, "maintain", fail)
    (bench.services.place.data_dir / "jobs" / "unknown").mkdir(parents=True)
    keep_house(bench, jobs_days=-1.0)
    assert "the disk" in caplog.text
    assert not (bench.services.place.data_dir / "jobs" / "unknown").exists()


def test_only_one_hub_keeps_house(bench):
    assert bench.services.store.hold_lock(LOCK, "another hub", lease_s=60.0)
    assert not Housekeeper(bench.services).tick()
    assert bench.services.store.get_meta(BEGAN) is None


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_it_is_the_same_on_postgresql(bench):
    old = bench.finished_by_hand()
    bench.services.store.set_run(old.id, deleted_at=time.time() - 31 * DAY_S)
    keep_house(bench)
    assert bench.services.store.find_run(old.id) is None


def test_an_abandoned_upload_is_forgotten_and_its_parts_freed(bench):
    store, blobs, long_ago = bench.services.store, bench.services.blobs, time.time() - 8 * DAY_S
    caller = Caller(name="ann", scope=Scope.MEMBER)
    kept: dict[str, BlobInfo] = {}
    for name in ("old", "young"):
        upload = uploads.begin_upload(bench.services, caller, Place(path=f"files/{name}"), 2)
        kept[name] = blobs.put(name.encode())
        uploads.record_part(bench.services, upload, 1, kept[name])
        if name == "old":
            for file in store.list_files(f"{UPLOADS}/{upload}"):
                store.record_file(msgspec.structs.replace(file, created_at=long_ago))
            age(bench, kept[name])
    keep_house(bench)
    assert [file.digest for file in store.list_files(UPLOADS) if file.digest] == [kept["young"].digest]
    *_, report = collect(bench.services, deleted_before=0.0)
    assert isinstance(report, GcReport)
    assert blobs.find(kept["old"].digest) is None
    assert blobs.find(kept["young"].digest) is not None


def test_an_upload_of_our_own_that_nobody_goes_on_with_is_thrown_away(bench):
    folder = bench.services.place.data_dir / "blobs/uploads"
    for name, days in (("young", 6), ("old", 8)):
        upload = bench.services.blobs.upload(blake3_digest(b"x"), 1, owner=name)
        with upload.part(0, expected=blake3_digest(b"x")) as writer:
            writer.write(b"x")
        (file,) = (path for path in folder.iterdir() if path.stat().st_mtime > time.time() - DAY_S)
        os.utime(file, (time.time() - days * DAY_S,) * 2)
    keep_house(bench)
    assert len(list(folder.iterdir())) == 1


def test_what_became_of_old_messages_is_forgotten(bench):
    store, now = bench.services.store, time.time()
    store.create_webhook(Webhook(id="w", name="ci", url="https://x.example", events=("prompt.created",)))
    for name, days in (("old", 31), ("young", 29)):
        store.create_delivery(
            WebhookDelivery(id=name, webhook_id="w", event="x", body="{}", created_at=now - days * DAY_S)
        )
    keep_house(bench)
    assert [delivery.id for delivery in store.list_deliveries()] == ["young"]


def test_a_project_without_a_repository_is_no_failure(bench, caplog):
    bench.services.store.create_project("logged-to-only")
    keep_house(bench)
    assert caplog.text == ""


def age(bench: Bench, blob: BlobInfo) -> None:
    """Let a blob lie there since two days ago, as far as the store can tell."""
    assert isinstance(bench.services.blobs, LocalBlobStore)
    os.utime(bench.services.blobs.path_of(blob.digest), (time.time() - 2 * DAY_S,) * 2)
