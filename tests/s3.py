"""S3 servers of the tests' own: moto lets everyone in; rclone, over a folder, checks signatures.

Both are real servers on 127.0.0.1 with one bucket; whoever uses them takes a prefix of its own.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

BUCKET = "relive"
# rclone takes no shorter ones.
ACCESS_KEY, SECRET_KEY = "RELIVEKEY", "RELIVESECRET12"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
START_LIMIT_S = 120.0
_ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+")


@contextmanager
def running_moto(folder: Path) -> Iterator[str]:
    """Run a moto server, and give its address; about 2 s."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with _server(command, folder) as endpoint:
        reply = urllib3.request("PUT", f"{endpoint}/{BUCKET}", timeout=START_LIMIT_S)
        assert reply.status == 200, reply.data
        yield endpoint


def find_rclone() -> Path | None:
    """Give the rclone binary, or None if it is not installed."""
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.exists() else shutil.which("rclone")
    return Path(found) if found else None


@contextmanager
def running_rclone(binary: Path, folder: Path, *, port: int = 0) -> Iterator[str]:
    """Run an rclone S3 server over a folder, and give its address; started again there it has what it had."""
    # Before the start: rclone keeps the list of buckets for minutes.
    (folder / "root" / BUCKET).mkdir(parents=True, exist_ok=True)
    keys = ["--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
    command = [str(binary), "serve", "s3", "--addr", f"127.0.0.1:{port}", *keys, str(folder / "root")]
    with _server(command, folder) as endpoint:
        yield endpoint


def fresh_url(endpoint: str) -> str:
    """Give the URL of an empty place on a server."""
    return f"s3://{BUCKET}/{secrets.token_hex(8)}?endpoint={endpoint}&region=us-east-1"


@contextmanager
def _server(command: list[str], folder: Path) -> Iterator[str]:
    """Run a server that prints its address."""
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
