"""Databases of released schemas, kept as SQL: how they are written, and how they come to life again.

To add those of the newest schema: `python -m tests.migrations.stored`.
"""

import re
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from relive.stores.sql.schema import HEAD
from relive.testing.stores_samples import ManualClock
from tests.contract.databases import opened
from tests.migrations.content import START, fill, read_back
from tests.postgres import find_binaries, running_server

ASSETS = Path(__file__).parent / "assets"


def released() -> list[str]:
    """Give the schemas of which databases are kept, oldest first."""
    return sorted(path.stem for path in ASSETS.glob("*.json"))


def held_by(revision: str, backend: str) -> dict[str, Any]:
    """Give what a kept database held when it was written."""
    held: dict[str, Any] = msgspec.json.decode((ASSETS / f"{revision}.json").read_bytes())[backend]
    return held


def restore(revision: str, backend: str, url: str) -> None:
    """Make the kept database of a schema in an empty one."""
    script = (ASSETS / f"{revision}.{backend}.sql").read_text(encoding="utf-8")
    if backend == "sqlite":
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.executescript(script)
        connection.close()
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        server.execute(script.encode())


def write_assets() -> None:
    """Keep a database of the newest schema, of each kind, and what each holds."""
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("PostgreSQL is not installed (Debian, Ubuntu: apt install postgresql)")
    with tempfile.TemporaryDirectory() as folder, running_server(binaries) as server:
        path = Path(folder) / "relive.db"
        held = {
            "sqlite": _keep("sqlite", f"sqlite:///{path}", lambda _url: _dump_sqlite(path)),
            "postgresql": _keep("postgresql", server(), lambda url: _dump_postgres(url, binaries)),
        }
    (ASSETS / f"{HEAD}.json").write_bytes(msgspec.json.format(msgspec.json.encode(held)) + b"\n")


def _keep(backend: str, url: str, dump: Callable[[str], str]) -> dict[str, Any]:
    clock = ManualClock(START)
    with opened(url, clock) as store:
        fill(store)
    (ASSETS / f"{HEAD}.{backend}.sql").write_text(dump(url), encoding="utf-8")
    with opened(url, clock) as store:
        return read_back(store)


def _dump_sqlite(path: Path) -> str:
    connection = sqlite3.connect(path)
    script = "\n".join(connection.iterdump())
    connection.close()
    # SQLite writes an infinity in a way that it does not read.
    return re.sub(r"(?<=[,(])(-?)Inf(?=[,)])", r"\g<1>9e999", script) + "\n"


def _dump_postgres(url: str, binaries: Path) -> str:
    options = ("--inserts", "--no-owner", "--no-privileges", "--no-comments")
    command = [str(binaries / "pg_dump"), *options, url.replace("+psycopg", "")]
    script = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # What only psql understands, and the session's settings, which are the business of whoever restores it.
    foreign = ("\\", "--", "SET ", "SELECT pg_catalog.set_config")
    return "\n".join(line for line in script.splitlines() if line and not line.startswith(foreign)) + "\n"


if __name__ == "__main__":
    write_assets()
