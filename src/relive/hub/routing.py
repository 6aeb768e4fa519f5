"""The router's process and the table it reads.

The table is derived from the database and written whole, so losing it loses nothing. The router is started
with the first endpoint, outlives the hub, and is found again by (pid, start time), or by its socket.
"""

import http.client
import logging
import os
import re
import socket
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec

from relive.core.endpoint import Endpoint, Revision, Route, RoutingTable, Target, decode_table, encode_table
from relive.errors import InvalidInput
from relive.services.context import Services
from relive.services.endpoints import note_routed

_log = logging.getLogger(__name__)

# struct ucred (unix(7)): pid, uid, gid.
_UCRED = struct.Struct("3i")
_VERSION = re.compile(rb"^relive_routing_table_version (\S+)$", re.MULTILINE)
_ANSWER_S = 2.0


class _Mark(msgspec.Struct, frozen=True):
    """Which process the router is."""

    pid: int
    start_ticks: int


class RouterKeeper:
    """Keeps the table true and the router alive."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "router.sock"
        self._folder = folder
        self._table = folder / "routes.json"
        self._mark = folder / "router.pid"
        self._written: dict[str, Route] | None = None
        self._version = 0
        self._is_used = False
        self._child: subprocess.Popen[bytes] | None = None

    def keep(self, services: Services) -> bool:
        """Write the table if the traffic changed, and start the router if it is needed and not there.

        Returns:
            Whether the router uses the newest table, or none is needed.
        """
        endpoints = services.store.list_endpoints()
        if not endpoints:
            if self._mark.exists():
                self.stop()
            return True
        self._folder.mkdir(parents=True, exist_ok=True)
        revisions = {
            endpoint.live: services.store.get_revision(endpoint.live)
            for endpoint in endpoints
            if endpoint.live
        }
        routes = routes_of(endpoints, revisions)
        if routes != self._written:
            self._version = max(self._version, self._version_on_disk()) + 1
            _write(self._table, encode_table(RoutingTable(version=self._version, endpoints=routes)))
            self._written, self._is_used = routes, False
        if self._child is not None and self._child.poll() is not None:
            _log.warning("the router ended with %s, starting it again", self._child.returncode)
            self._child = None
        if not self._is_alive() and not self._find():
            self._start()
        if not self._is_used and _version_in_use(self.socket) == self._version:
            note_routed(services, (it for it in revisions.values() if it.address))
            self._is_used = True
        return self._is_used

    def stop(self) -> None:
        """End the router."""
        mark = self._read_mark()
        if mark is not None and _start_ticks(mark.pid) == mark.start_ticks:
            os.kill(mark.pid, 15)
        if self._child is not None:
            self._child.wait(timeout=10)
            self._child = None
        self._mark.unlink(missing_ok=True)

    def _is_alive(self) -> bool:
        mark = self._read_mark()
        return mark is not None and _start_ticks(mark.pid) == mark.start_ticks

    def _find(self) -> bool:
        """Find a router that was started by a hub which was killed before it could write down which it is."""
        pid = _listening_pid(self.socket)
        return pid is not None and self._write_mark(pid)

    def _write_mark(self, pid: int) -> bool:
        ticks = _start_ticks(pid)
        if ticks is not None:
            _write(self._mark, msgspec.json.encode(_Mark(pid=pid, start_ticks=ticks)))
        return ticks is not None

    def _start(self) -> None:
        table, socket = str(self._table), str(self.socket)
        command = [sys.executable, "-m", "relive.serving.router", "--table", table, "--uds", socket]
        with open(self._folder / "router.log", "ab") as log:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                close_fds=True,
            )
        self._write_mark(self._child.pid)

    def _version_on_disk(self) -> int:
        try:
            return decode_table(self._table.read_bytes()).version
        except (FileNotFoundError, InvalidInput):
            return 0

    def _read_mark(self) -> _Mark | None:
        try:
            return msgspec.json.decode(self._mark.read_bytes(), type=_Mark)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None


def routes_of(endpoints: list[Endpoint], revisions: dict[str, Revision]) -> dict[str, Route]:
    """Give each endpoint's route.

    A live revision whose process is being restarted keeps its old address: nobody listens there, so its
    requests get 503 and Retry-After, and not "no such endpoint".
    """
    routes: dict[str, Route] = {}
    for endpoint in endpoints:
        revision = revisions.get(endpoint.live)
        if revision is not None and revision.address:
            target = Target(
                revision=revision.number,
                model=str(revision.facts.get("model", endpoint.model)),
                version=str(revision.facts.get("version", "")),
                address=revision.address,
            )
            routes[endpoint.name] = Route(stable=target)
    return routes


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("router", timeout=_ANSWER_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _version_in_use(path: Path) -> int | None:
    """Ask the router which table it uses; None if it does not answer."""
    with closing(_Connection(path)) as connection:
        try:
            connection.request("GET", "/metrics")
            found = _VERSION.search(connection.getresponse().read())
        except (OSError, http.client.HTTPException):
            return None
    return int(float(found[1])) if found else None


def _listening_pid(path: Path) -> int | None:
    """Give the process that listens at a unix socket; None if nobody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return None
        peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(peer)[0])


def _start_ticks(pid: int) -> int | None:
    """Give when a process started, in clock ticks since boot; None if it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
