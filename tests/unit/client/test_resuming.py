"""Large files over connections that break: what arrived is neither sent nor fetched again."""

import os
import threading
import time
from pathlib import Path

import pytest

from relive.capture.hooks.run import Run
from relive.capture.hooks.spool import Spool
from relive.client import blobs as blobs_module
from relive.client import parts as module
from relive.client.blobs import BlobClient
from relive.client.hub import HubClient
from relive.client.shipping import ship
from relive.client.spool import LocalRun, open_spool, process_started
from relive.client.transport import Transport
from relive.core.artifact import Manifest, ManifestEntry
from relive.errors import HubRefused, HubUnreachable, StoreFull
from relive.formats.hashing import blake3_digest
from relive.stores.blobs import uploads
from relive.stores.blobs.uploads import PartedUpload
from tests.support.fake_hub import FakeHub, running_hub

PART = 1 << 20
DATA = os.urandom(8 * PART + 100)
DIGEST = blake3_digest(DATA)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(PartedUpload, "part_bytes", PART)
    monkeypatch.setattr(blobs_module, "IN_PARTS_FROM_BYTES", 2 * PART)
    with running_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def large(tmp_path) -> Path:
    path: Path = tmp_path / "large.bin"
    path.write_bytes(DATA)
    return path


def client(hub: FakeHub, **options) -> BlobClient:
    return BlobClient(Transport(hub.url, **options))


def sent_parts(hub: FakeHub) -> list[int]:
    """Name the parts that were begun, in order."""
    paths = [path for method, path in hub.requests if method == "PUT" and "/upload/" in path]
    return [int(path.partition("/upload/")[2].partition("?")[0]) for path in paths]


def test_a_connection_that_breaks_costs_a_part(hub, large):
    hub.cuts = [PART // 2, 4 * PART, 6 * PART]
    assert client(hub).put_file(large) == DIGEST
    assert hub.read(DIGEST) == DATA
    assert hub.cuts == []
    assert hub.part_bytes < len(DATA) + 3 * PART
    assert sorted(set(sent_parts(hub))) == list(range(9))


def test_another_process_goes_on_where_the_last_one_died(hub, large):
    """Nothing is kept on this side: a new client asks the hub."""

    class Died(BaseException):
        pass

    def die(_pause_s: float) -> None:
        raise Died

    hub.cuts = [5 * PART]
    first = BlobClient(Transport(hub.url).with_retries(60, pause=die))
    with pytest.raises(Died):
        first.put_file(large)
    before = hub.part_bytes
    hub.requests.clear()
    assert client(hub).put_file(large) == DIGEST
    assert hub.part_bytes - before < 5 * PART
    assert 0 not in sent_parts(hub)


def test_a_hub_that_restarts_in_the_middle_is_waited_for(hub, large, monkeypatch):
    went = threading.Event()
    keep = FakeHub.note

    def note(self, request):
        keep(self, request)
        if len(sent_parts(hub)) == 4 and not went.is_set():
            went.set()
            threading.Thread(target=lambda: (hub.go_away(), hub.come_back())).start()

    monkeypatch.setattr(FakeHub, "note", note)
    assert client(hub).put_file(large) == DIGEST
    assert went.is_set()
    assert hub.read(DIGEST) == DATA


def test_a_hub_that_stays_away_is_said_after_the_patience(hub, large, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    hub.cuts = [3 * PART]
    keep = FakeHub.note

    def note(self, request):
        keep(self, request)
        if not hub.cuts:
            threading.Thread(target=hub.go_away).start()

    monkeypatch.setattr(FakeHub, "note", note)
    with pytest.raises(HubUnreachable):
        client(hub).put_file(large)


def test_what_the_hub_has_meanwhile_is_not_sent(hub, large, monkeypatch):
    """Another sends the same: the next part finds the upload over, and the blob there."""
    keep = FakeHub.note

    def note(self, request):
        keep(self, request)
        if len(sent_parts(hub)) == 3:
            hub.put(DATA)
            for file in hub.uploads.folder.iterdir():
                file.unlink()

    monkeypatch.setattr(FakeHub, "note", note)
    assert client(hub).put_file(large) == DIGEST
    assert len(sent_parts(hub)) < 9


def test_a_hub_that_is_putting_them_together_is_asked_again(hub, large, monkeypatch):
    pauses: list[float] = []
    answers = iter([True, True, False])
    monkeypatch.setattr(PartedUpload, "is_committing", property(lambda self: next(answers, False)))
    patient = Transport(hub.url).with_retries(0, pause=pauses.append)
    assert BlobClient(patient).put_file(large) == DIGEST
    assert pauses == [1.0, 1.0]


def test_a_file_that_changes_while_it_is_sent_is_refused(hub, large):
    stale = Manifest.of([ManifestEntry(large.name, blake3_digest(b"before"), len(DATA))])
    with pytest.raises(HubRefused) as caught:
        client(hub).put_tree(large.parent, stale)
    assert caught.value.error_code == "blob_digest_mismatch"


def test_a_file_that_shrinks_is_refused(hub, large):
    stale = Manifest.of([ManifestEntry(large.name, DIGEST, len(DATA) + PART)])
    with pytest.raises(HubRefused) as caught:
        client(hub).put_tree(large.parent, stale)
    assert caught.value.error_code == "invalid_input"


def test_a_hub_without_room_says_so_before_the_first_byte(hub, large):
    hub.full = True
    with pytest.raises(StoreFull):
        client(hub).put_file(large)
    assert sent_parts(hub) == []


def test_parts_that_never_become_the_file_end_in_an_error(hub, large, monkeypatch):
    def conflict(self):
        raise self._conflict("a part is missing")

    monkeypatch.setattr(PartedUpload, "commit", conflict)
    with pytest.raises(HubRefused, match="a part is missing"):
        client(hub).put_file(large)


def test_a_runs_artifact_goes_on_with_the_next_sending(hub, large, tmp_path, monkeypatch):
    """As the sender's thread does, and `relive sync`: each begins with what is on the disk."""
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    me = LocalRun(project="digits", pid=os.getpid(), process_started=process_started(os.getpid()))
    spool = open_spool(me, tmp_path / "spool")
    run = Run(Spool(str(spool)))
    run.log_artifact(large)
    run.finish()
    hub.cuts = [4 * PART]
    keep = FakeHub.note

    def note(self, request):
        keep(self, request)
        if not hub.cuts and hub.part_bytes == 4 * PART:
            threading.Thread(target=hub.go_away).start()

    monkeypatch.setattr(FakeHub, "note", note)
    with pytest.raises(HubUnreachable):
        ship(HubClient(Transport(hub.url)), spool)
    monkeypatch.setattr(FakeHub, "note", keep)
    hub.go_away()
    hub.come_back()
    assert ship(HubClient(Transport(hub.url)), spool).finished
    assert hub.read(DIGEST) == DATA
    assert hub.part_bytes < len(DATA) + 2 * PART
    assert not spool.exists()


def test_a_hub_that_reads_for_long_is_not_taken_for_one_that_is_away(hub, large, monkeypatch):
    hash_all = uploads._hash

    def slow(descriptor, size_bytes):
        time.sleep(1.5)
        return hash_all(descriptor, size_bytes)

    monkeypatch.setattr(uploads, "_hash", slow)
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    assert client(hub, timeout_s=0.7).put_file(large) == DIGEST
    asked = [path for method, path in hub.requests if path.endswith("/finish")]
    assert len(asked) == 1


def test_a_small_file_goes_at_once(hub, tmp_path):
    (tmp_path / "small").write_bytes(b"1")
    client(hub).put_file(tmp_path / "small")
    assert sent_parts(hub) == []


def test_a_download_goes_on_where_it_broke(hub, tmp_path):
    hub.put(DATA)
    hub.cuts = [PART, 3 * PART, 7 * PART]
    client(hub).get_file(DIGEST, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == DATA
    assert hub.given_bytes < len(DATA) + 3 * PART
    hub.given_bytes, hub.cuts = 0, [PART]
    assert client(hub, retry_for_s=5).get_bytes(DIGEST) == DATA


def test_a_download_that_brings_nothing_more_ends(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(blobs_module, "PATIENCE_S", 0.2)
    hub.put(DATA)
    hub.cuts = [PART]
    keep = FakeHub.note

    def note(self, request):
        keep(self, request)
        if not hub.cuts:
            self.failures.append(503)

    monkeypatch.setattr(FakeHub, "note", note)
    with pytest.raises((HubUnreachable, HubRefused)):
        client(hub).get_file(DIGEST, tmp_path / "got")
    assert not (tmp_path / "got").exists()
    assert not list(tmp_path.glob(".partial*"))
