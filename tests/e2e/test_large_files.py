"""A large file over connections that break, to a hub that is killed, from a client that is killed.

With RELIVE_SLOW=1 it has 5 GB, and the counts are printed (`-s`).
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from relive.formats.hashing import hash_file
from relive.stores.blobs.uploads import PART_BYTES
from tests.e2e.hub import RealHub, running_hub, wait_for
from tests.e2e.test_crashes_memory import MIB, hub_process, watched
from tests.s3 import CREDENTIALS, fresh_url, running_moto
from tests.support.tcp_proxy import Proxy, running_proxy

IS_SLOW = os.environ.get("RELIVE_SLOW") == "1"
SIZE_BYTES = (5 << 30) if IS_SLOW else 160 * MIB
CUTS = (0.1, 0.23, 0.37, 0.7, 0.88)
MOST_MEMORY_BYTES = 200 * MIB
CLIENT = """
import sys
from pathlib import Path
from relive.client.hub import connect
hub = connect(sys.argv[1], sys.argv[2])
if sys.argv[3] == "put":
    print(hub.blobs.put_file(Path(sys.argv[4])), flush=True)
else:
    hub.blobs.get_file(sys.argv[3], Path(sys.argv[4]))
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RealHub]:
    """A hub of this test's own, for it is killed."""
    with running_hub(tmp_path / "home") as running:
        yield running


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """A file of random bytes."""
    path, draws = tmp_path / "large.bin", random.Random(5)
    with open(path, "wb") as file:
        file.writelines(draws.randbytes(8 * MIB) for _ in range(SIZE_BYTES // (8 * MIB)))
    yield path
    path.unlink()


def client(hub: RealHub, proxy: Proxy, *args: object) -> "subprocess.Popen[str]":
    """Start a client without patience of its own, through the proxy."""
    token = json.loads((hub.home / "tokens.json").read_text())["tokens"][hub.address]
    command = [sys.executable, "-c", CLIENT, f"http://127.0.0.1:{proxy.port}", token, *map(str, args)]
    return subprocess.Popen(command, env=hub.env, stdout=subprocess.PIPE, text=True)


def said(what: str, proxy: Proxy, memory: dict[str, int]) -> None:
    """Print what was counted."""
    kept = ", ".join(f"{name} {size / MIB:.0f} MiB at most" for name, size in memory.items())
    sent, given = (n / SIZE_BYTES for n in (proxy.sent_bytes, proxy.given_bytes))
    print(
        f"\n{what}: file {SIZE_BYTES} bytes; {proxy.n_cuts} cuts; sent {proxy.sent_bytes} ({sent:.4f}x),",
        end=" ",
    )
    print(f"received {proxy.given_bytes} ({given:.4f}x); {kept}")


@pytest.mark.timeout(1800)
def test_an_upload_goes_on_where_it_was(hub: RealHub, large: Path) -> None:
    hub_is_back = threading.Event()

    def kill_hub() -> None:
        hub.kill()
        hub.start()
        hub_is_back.set()

    with running_proxy(hub.port) as proxy:
        for share in CUTS:
            proxy.at(int(SIZE_BYTES * share), proxy.cut)
        proxy.at(int(SIZE_BYTES * 0.5), lambda: threading.Thread(target=kill_hub).start())
        first = client(hub, proxy, "put", large)
        proxy.at(int(SIZE_BYTES * 0.6), first.kill)
        with watched(first.pid, hub_process(hub)) as before:
            first.communicate(timeout=600)
        assert first.returncode == -signal.SIGKILL
        assert hub_is_back.wait(60)
        second = client(hub, proxy, "put", large)
        with watched(second.pid, hub_process(hub)) as after:
            printed, _ = second.communicate(timeout=1500)
    assert second.returncode == 0
    digest = hash_file(large).digest
    assert printed.strip() == digest
    stored = hub.home / "hub/blobs/blake3" / digest[7:9] / digest[7:]
    assert hash_file(stored).digest == digest
    peaks = [*before.bytes.values(), *after.bytes.values()]
    said("upload, client and hub killed once each", proxy, {"client and hub": max(peaks)})
    assert max(peaks) < MOST_MEMORY_BYTES
    # Each break costs a part at most; killing either is a break as well.
    assert proxy.sent_bytes < SIZE_BYTES + (len(CUTS) + 2) * PART_BYTES + MIB
    assert not IS_SLOW or proxy.sent_bytes < 1.1 * SIZE_BYTES
    assert list((hub.home / "hub/blobs/uploads").iterdir()) == []


@pytest.mark.timeout(1800)
def test_a_download_goes_on_where_it_was(hub: RealHub, large: Path, tmp_path: Path) -> None:
    digest = hub.client().blobs.put_file(large)
    target = tmp_path / "fetched.bin"
    with running_proxy(hub.port) as proxy:
        for share in CUTS:
            proxy.at(int(SIZE_BYTES * share), proxy.cut)
        fetching = client(hub, proxy, digest, target)
        with watched(fetching.pid, hub_process(hub)) as peaks:
            fetching.communicate(timeout=1500)
    assert fetching.returncode == 0
    assert hash_file(target).digest == digest
    said("download", proxy, {"client and hub": max(peaks.bytes.values())})
    assert max(peaks.bytes.values()) < MOST_MEMORY_BYTES
    assert proxy.n_cuts == len(CUTS) + 1  # and the last, of nothing
    # What was on its way in the sockets' buffers is lost with each.
    assert proxy.given_bytes < SIZE_BYTES + len(CUTS) * 8 * MIB


def test_two_that_send_the_same_at_once_both_have_it_there(hub: RealHub, large: Path) -> None:
    with running_proxy(hub.port) as proxy:
        both = [client(hub, proxy, "put", large) for _ in range(2)]
        digests = {one.communicate(timeout=600)[0].strip() for one in both}
    assert digests == {hash_file(large).digest}
    assert [one.returncode for one in both] == [0, 0]
    assert hub.client().transport.get("/health", dict[str, str])


def test_an_upload_to_a_bucket_goes_on_where_it_was(
    tmp_path: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "moto").mkdir()
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with running_moto(tmp_path / "moto") as endpoint:
        store = ("--store", fresh_url(endpoint))
        with running_hub(tmp_path / "home", *store) as hub, running_proxy(hub.port) as proxy:
            proxy.at(SIZE_BYTES // 2, proxy.cut)
            sending = client(hub, proxy, "put", large)
            printed, _ = sending.communicate(timeout=600)
            assert printed.strip() == hash_file(large).digest
            assert proxy.sent_bytes < SIZE_BYTES + 2 * PART_BYTES
            fetched = tmp_path / "fetched"
            hub.client().blobs.get_file(printed.strip(), fetched)
            assert hash_file(fetched).digest == printed.strip()
            wait_for(lambda: not list((hub.home / "hub/spool/relive-uploads").iterdir()), timeout_s=10)
