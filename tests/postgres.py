"""A PostgreSQL server of the tests' own: thrown away with everything in it when the session ends.

Debian's binaries refuse to run as root, so a test run by root starts them as another user. The server listens
on a Unix socket in a folder that only this user and root can enter: no port to find, nobody else can connect.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

Process: TypeAlias = "subprocess.Popen[bytes]"

# initdb takes about one second on a quiet machine and was seen to take ten on a loaded one.
START_LIMIT_S = 120.0
STOP_LIMIT_S = 60.0
SUPERUSER = "relive"
# Durability is the one thing that tests of a server that is thrown away need not pay for.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "timezone": "UTC",
}


def find_binaries() -> Path | None:
    """Give the folder with `initdb` and `postgres`, or None if PostgreSQL is not installed.

    Debian keeps it off PATH, one folder a version; the newest is taken.
    """
    on_path = shutil.which("initdb")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda it: float(it.parts[-3]))
    found = [Path(on_path)] if on_path else versions[-1:]
    return found[0].resolve().parent if found else None


class PostgresServer:
    """A running server. Calling it makes a fresh, empty database and gives its URL.

    Databases go with the server; `drop` is for suites that make hundreds (one takes about 8 MB).
    """

    def __init__(self, folder: Path, start: Callable[[], Process]) -> None:
        self._folder = folder
        self._start = start
        self._process = start()
        self._numbers = count(1)

    def __call__(self) -> str:
        """Create an empty database and give its `postgresql+psycopg://` URL."""
        name = f"relive_{next(self._numbers)}"
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return f"postgresql+psycopg://{SUPERUSER}@/{name}?host={self._folder}"

    def drop(self, url: str) -> None:
        """Delete a database that this server made, whoever is still connected."""
        name = url.partition("@/")[2].partition("?")[0]
        self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self) -> None:
        """End the server as a crash would; no checkpoint, and no waiting for open connections."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(STOP_LIMIT_S)

    def start_again(self) -> None:
        """Start a stopped server; its databases are as they were."""
        self._process = self._start()

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(
            host=str(self._folder), user=SUPERUSER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)


@contextmanager
def running_server(binaries: Path) -> Iterator[PostgresServer]:
    """Run a server in a folder of its own, and delete both at the end.

    The folder is outside pytest's: a socket's path may have 107 bytes, and the server's user cannot enter
    pytest's folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="relive-pg-"))
    try:
        identity = _other_user(folder)
        log = folder / "log"
        with log.open("wb") as output:

            def start(command: list[str]) -> Process:
                return subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, **identity)

            _initialise(binaries, start, log)
            command = _die_with_us([str(binaries / "postgres"), "-D", "data", *_options(folder)])
            server = PostgresServer(folder, lambda: _wait_until_ready(start(command), folder, log))
            try:
                yield server
            finally:
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _other_user(folder: Path) -> dict[str, Any]:
    """Give what makes a child run as a user that PostgreSQL accepts, and let that user have the folder."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _initialise(binaries: Path, start: Callable[[list[str]], Process], log: Path) -> None:
    command = [str(binaries / "initdb"), "-D", "data", "-U", SUPERUSER, "--auth=trust", "--no-sync"]
    initdb = start([*command, "--encoding=UTF8", "--locale=C.UTF-8"])
    if initdb.wait(START_LIMIT_S) != 0:
        raise RuntimeError(f"initdb failed:\n{log.read_text()}")


def _options(folder: Path) -> list[str]:
    settings = {**SETTINGS, "unix_socket_directories": str(folder)}
    return [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]


def _die_with_us(command: list[str]) -> list[str]:
    """Let Linux stop the server when this process is killed and cannot do it itself."""
    return ["setpriv", "--pdeathsig", "QUIT", *command] if shutil.which("setpriv") else command


def _wait_until_ready(server: Process, folder: Path, log: Path) -> Process:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            psycopg.connect(host=str(folder), user=SUPERUSER, dbname="postgres").close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return server
