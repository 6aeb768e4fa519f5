"""The tests' own tools: a missing component is never silent in CI, and each database is fresh."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from tests.conftest import require

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True)


def answers(url: str) -> bool:
    try:
        connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_what_is_there_is_not_in_the_way(monkeypatch):
    monkeypatch.setenv("RELIVE_CI", "1")
    require(True, "never said")


def test_what_is_missing_skips_with_its_reason(monkeypatch):
    monkeypatch.delenv("RELIVE_CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no such engine"):
        require(False, "no such engine")


def test_what_is_missing_fails_in_ci(monkeypatch):
    monkeypatch.setenv("RELIVE_CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no such engine"):
        require(False, "no such engine")


def test_each_database_is_fresh_and_can_be_dropped_while_in_use(postgres_url):
    first, second = postgres_url(), postgres_url()
    with connect(first) as one, connect(second) as other:
        one.execute("CREATE TABLE facts (id int)")
        tables = other.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert tables == (0,)
        postgres_url.drop(first)
        assert not answers(first)
        assert answers(second)


def test_sqlalchemy_takes_the_url(postgres_url):
    engine = sqlalchemy.create_engine(postgres_url())
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("SHOW timezone")).scalar() == "UTC"
    engine.dispose()


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux stops a server whose parent was killed"
)
def test_the_server_goes_with_a_killed_session(postgres_url):
    script = (
        "import sys, time; from tests.postgres import *\n"
        "with running_server(find_binaries()) as server: print(server(), flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as session:
        assert session.stdout is not None
        url = session.stdout.readline().strip()
        assert answers(url)
        os.kill(session.pid, signal.SIGKILL)
    folder = Path(url.partition("?host=")[2])
    deadline = time.monotonic() + PATIENCE_S
    # The server's last deed.
    while (folder / "data/postmaster.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not answers(url)
    shutil.rmtree(folder)
