"""A hub of the same user on the same machine: packs go past HTTP, and whatever does not fit goes by it."""

import os
import stat
from collections import deque
from pathlib import Path

import pytest

from relive.client.beside import BlobsBeside, find_beside
from relive.client.blobs import BlobClient
from relive.client.credentials import HubAddress, announce_hub
from relive.client.hub import HubClient
from relive.client.laying import lay
from relive.client.packed import KEPT_BLOCKS, PackedVersion, Sweep
from relive.client.transport import Transport
from relive.core.dataset import DatasetVersion
from relive.errors import BlobCorrupt, HubRefused, StoreFull
from relive.formats.blob_folder import blob_path, given_name, is_given_name
from relive.formats.hashing import blake3_digest
from tests.support.bench import Bench
from tests.support.live import LiveHub
from tests.unit.data.conftest import add_it

DATA = os.urandom(1 << 20)
DIGEST = blake3_digest(DATA)


@pytest.fixture
def root(bench: Bench) -> Path:
    """The folder of the hub's blobs."""
    return Path(bench.services.blobs.root)  # type: ignore[attr-defined]


@pytest.fixture
def announced(live: LiveHub, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveHub:
    """A hub that said on this machine where its blobs lie."""
    monkeypatch.setenv("RELIVE_HOME", str(tmp_path / "home"))
    announce_hub(HubAddress(live.url, pid=os.getpid(), blobs=str(root)))
    return live


@pytest.fixture
def near(announced: LiveHub) -> HubClient:
    """A client that knows."""
    return HubClient(Transport(announced.url, announced.admin))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of what went by HTTP."""
    sizes: list[int] = []
    before = Transport.put_stream

    def counted(self: Transport, path: str, source: object, size_bytes: int) -> None:
        sizes.append(size_bytes)
        before(self, path, source, size_bytes)  # type: ignore[arg-type]

    monkeypatch.setattr(Transport, "put_stream", counted)
    return sizes


def test_a_version_goes_in_and_out_past_http(
    near: HubClient, folder: Path, tmp_path: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = add_it(near, folder).version
    assert max(sent) < 1 << 20  # manifest and layout
    monkeypatch.setattr(HubClient, "read_pack", _never)
    lay(PackedVersion(near, version), near.dataset_manifest(version), tmp_path / "out")
    for path in ("big.bin", "rows.csv", "sub/small.txt", "run.sh", "link"):
        assert (tmp_path / "out" / path).read_bytes() == (folder / path).read_bytes()


def test_a_file_of_pieces_from_everywhere_comes_out_whole(
    near: HubClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks lie in memory that is used again: each must be written before that."""
    root = tmp_path / "in"
    root.mkdir()
    parts = [os.urandom(1_500_000) for _ in range(12)]
    (root / "one").write_bytes(b"".join(parts))
    add_it(near, root)
    (root / "one").write_bytes(b"".join(part[:400_000] + os.urandom(70_000) + part for part in parts[::-1]))
    (root / "text").write_text("".join(f"{number}\n" for number in range(900_000)))
    version = add_it(near, root).version
    monkeypatch.setattr(HubClient, "read_pack", _never)
    source = PackedVersion(near, version)
    lay(source, source.manifest, tmp_path / "out")
    for path in ("one", "text"):
        assert (tmp_path / "out" / path).read_bytes() == (root / path).read_bytes()
    with Sweep(source, ()) as sweep:
        pieces = [it for entry in source.manifest.entries for it in source.pieces_of(entry)]
        blocks = sweep.blocks(pieces)
        held: deque[tuple[memoryview, bytes]] = deque(maxlen=KEPT_BLOCKS - 1)
        given = 0
        for block in blocks:
            given += 1
            held.append((block, bytes(block)))
            assert all(bytes(view) == before for view, before in held)
        assert given > KEPT_BLOCKS * 4


def test_what_was_given_is_a_blob_as_any_other(near: HubClient, root: Path, bench: Bench) -> None:
    assert near.blobs.put_bytes(DATA) == DIGEST
    path = blob_path(root, DIGEST)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert bench.services.blobs.verify(DIGEST).size_bytes == len(DATA)
    assert near.blobs.put_bytes(DATA) == DIGEST
    assert list((root / "tmp").iterdir()) == []


def test_what_is_there_already_is_only_asked_for(
    near: HubClient, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    near.blobs.put_bytes(DATA)
    monkeypatch.setattr(BlobsBeside, "give", _never)
    assert near.blobs.put_bytes(DATA) == DIGEST
    assert sent == []


def test_a_part_that_is_left_of_a_blob_that_came_meanwhile_is_removed(near: HubClient, root: Path) -> None:
    beside = near.blobs.beside
    assert beside is not None
    near.blobs.put_bytes(DATA)
    assert beside.give(DIGEST, DATA)
    assert list((root / "tmp").iterdir()) == []


def test_another_hubs_folder_is_not_used(
    live: LiveHub, tmp_path: Path, bench: Bench, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELIVE_HOME", str(tmp_path / "home"))
    stranger = tmp_path / "stranger"
    for name in ("tmp", "blake3"):
        (stranger / name).mkdir(parents=True)
    announce_hub(HubAddress(live.url, pid=os.getpid(), blobs=str(stranger)))
    client = HubClient(Transport(live.url, live.admin))
    assert client.blobs.put_bytes(DATA) == DIGEST
    assert sent == [len(DATA)]
    assert bench.services.blobs.read(DIGEST) == DATA
    assert list((stranger / "tmp").iterdir()) == []


@pytest.mark.parametrize("blobs", ["", "/nowhere/at/all", "/proc"])
def test_without_a_folder_of_this_user_nothing_is_beside(
    blobs: str, live: LiveHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELIVE_HOME", str(tmp_path / "home"))
    assert find_beside(Transport(live.url, live.admin)) is None
    announce_hub(HubAddress(live.url, pid=os.getpid(), blobs=blobs))
    assert find_beside(Transport(live.url, live.admin)) is None


def test_a_hub_at_another_address_has_nothing_beside(announced: LiveHub) -> None:
    assert find_beside(Transport("http://127.0.0.1:1")) is None
    assert find_beside(Transport(announced.url + "/")) is not None


def test_a_damaged_file_of_addresses_is_no_reason_to_fail(announced: LiveHub, tmp_path: Path) -> None:
    (tmp_path / "home/hub.json").write_text("{")
    assert find_beside(Transport(announced.url)) is None


def test_a_pack_that_is_gone_is_asked_of_the_hub(near: HubClient, folder: Path, root: Path) -> None:
    version = add_it(near, folder).version
    source = PackedVersion(near, version)
    pack = source.layout.packs[0].digest
    assert source.beside is not None
    path = blob_path(root, pack)
    whole = path.read_bytes()
    assert source.beside.read(pack, 3, 9) == whole[3:9]
    assert source.beside.read(pack, 0, len(whole) + 1) is None
    path.unlink()
    fresh = PackedVersion(near, version)
    with pytest.raises(HubRefused):
        fresh.read(fresh.layout.pieces_of(_hash(version, fresh))[0])  # type: ignore[index]


def test_a_damaged_pack_is_refused(near: HubClient, folder: Path, root: Path, tmp_path: Path) -> None:
    version = add_it(near, folder).version
    source = PackedVersion(near, version)
    path = blob_path(root, source.layout.packs[0].digest)
    path.chmod(0o600)
    with open(path, "r+b") as file:
        file.seek(100_000)
        file.write(bytes(1000))
    with pytest.raises(BlobCorrupt):
        lay(source, source.manifest, tmp_path / "out")


def test_a_store_that_is_full_says_so(
    near: HubClient, root: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.services.blobs.budget, "_reserve_bytes", 1 << 60)  # type: ignore[attr-defined]
    with pytest.raises(StoreFull):
        near.blobs.put_bytes(DATA)
    assert list((root / "tmp").iterdir()) == []


def test_a_disk_that_takes_no_part_leaves_it_to_http(
    near: HubClient, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(part: Path, data: bytes) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr("relive.client.beside._write", full)
    assert near.blobs.put_bytes(DATA) == DIGEST
    assert sent == [len(DATA)]


class TestTheCall:
    """What the hub takes, and from whom."""

    @pytest.mark.parametrize("name", ["../../etc/passwd", "a.part", "", "f" * 32, "/" + "f" * 31 + ".part"])
    def test_a_name_of_another_form_is_refused(self, name: str, live: LiveHub) -> None:
        answer = live.ask("POST", f"/api/v1/blobs/{DIGEST}/adopt", {"name": name})
        assert answer.status == 400
        assert not is_given_name(name)

    def test_a_part_that_is_not_there_is_not_found(self, live: LiveHub) -> None:
        answer = live.ask("POST", f"/api/v1/blobs/{DIGEST}/adopt", {"name": given_name()})
        assert (answer.status, answer.json["code"]) == (404, "blob_not_found")

    def test_a_link_is_not_followed(self, live: LiveHub, root: Path) -> None:
        (root / "secret").write_text("x")
        for make in (Path.symlink_to, Path.hardlink_to):
            part = root / "tmp" / given_name()
            make(part, root / "secret")
            answer = live.ask("POST", f"/api/v1/blobs/{DIGEST}/adopt", {"name": part.name})
            assert answer.status >= 400
        assert not blob_path(root, DIGEST).exists()

    def test_said_twice_it_is_one_blob(self, live: LiveHub, root: Path) -> None:
        part = root / "tmp" / given_name()
        part.write_bytes(DATA)
        for _ in range(2):
            answer = live.ask("POST", f"/api/v1/blobs/{DIGEST}/adopt", {"name": part.name})
            assert (answer.status, answer.json["size_bytes"]) == (200, len(DATA))

    def test_a_store_without_a_folder_says_not_found(
        self, live: LiveHub, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bench.services.blobs, "inbox", None)
        answer = live.ask("POST", f"/api/v1/blobs/{DIGEST}/adopt", {"name": given_name()})
        assert answer.status == 404


def test_many_threads_read_one_folder(near: HubClient, root: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    blobs = {near.blobs.put_bytes(data): data for data in (os.urandom(1 << 20) for _ in range(8))}
    beside = BlobClient(near.transport).beside
    assert beside is not None

    def read(number: int) -> bool:
        digest = list(blobs)[number % len(blobs)]
        return beside.read(digest, number, number + 1000) == blobs[digest][number : number + 1000]

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(read, range(400)))


def _hash(version: DatasetVersion, source: PackedVersion) -> bytes:
    return bytes.fromhex(source.entry("big.bin").digest.removeprefix("blake3:"))


def _never(*args: object) -> None:
    raise AssertionError("called")
