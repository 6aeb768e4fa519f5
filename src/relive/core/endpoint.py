"""Endpoints: a served address, and the revisions behind it."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

from relive.errors import InvalidInput


class RevisionState(StrEnum):
    """Where a revision stands; only a READY one ever gets traffic."""

    PENDING = "pending"
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_wanted(self) -> bool:
        """Tell whether it should have a process."""
        return self not in (RevisionState.STOPPED, RevisionState.FAILED)


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable deployment of a model version.

    Attributes:
        number: Counts from 1 within the endpoint.
        job_id: The serve job that keeps its process.
        address: Where the process listens ("unix:/path" or "tcp:host:port"), empty until ready.
        stage_id: The deploy stage that asked for it, unique; empty if a person did.
        error: Why it failed, a sentence.
    """

    id: str
    endpoint_id: str
    number: int
    version_id: str
    state: RevisionState
    job_id: str = ""
    address: str = ""
    stage_id: str = ""
    restarts: int = 0
    error: str = ""
    facts: dict[str, Any] = {}
    created_at: float = 0.0
    ready_at: float | None = None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A served address.

    Attributes:
        live: Id of the revision that gets the traffic, empty if none yet.
        previous: Id of the revision that had the traffic before it, kept running: for instant rollback, or,
            if it is the newer one, for going forward again after one.
    """

    id: str
    project_id: str
    name: str
    model: str
    live: str = ""
    previous: str = ""
    created_at: float = 0.0


def roles(endpoint: Endpoint, revisions: Iterable[Revision]) -> dict[str, str]:
    """Say by id what a revision is there for: "live", "kept for rollback", or "rolled back from".

    The one before is kept for rollback; what is newer than the live one lost the traffic to a rollback.
    """
    by_id = {revision.id: revision for revision in revisions}
    live, previous = by_id.get(endpoint.live), by_id.get(endpoint.previous)
    found = {live.id: "live"} if live else {}
    if live and previous:
        is_newer = previous.number > live.number
        found[previous.id] = "rolled back from" if is_newer else "kept for rollback"
    return found


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a process listens: a unix socket's path, or a TCP host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"tcp:{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read an address as a revision has it: "unix:/path" or "tcp:host:port".

    Raises:
        InvalidInput: It is neither.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest.startswith("/"):
        return Address(path=rest)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isdecimal() and 0 < int(port) < 65536:
        return Address(host=host.strip("[]"), port=int(port))
    raise InvalidInput(field="address", value=text, wanted="unix:/path or tcp:host:port")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One process that serves a revision.

    Attributes:
        revision: Number of the revision, told to clients.
        model: Name under which the process serves its model; the router puts it in the endpoint's place.
        version: The model's version.
        address: "unix:/path" or "tcp:host:port".
    """

    revision: int
    model: str
    version: str
    address: str


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where an endpoint's requests go."""

    stable: Target


class RoutingTable(msgspec.Struct, frozen=True, kw_only=True):
    """All that the router knows.

    Attributes:
        version: Grows with every change; a router never goes back to a lower one.
        endpoints: Name of the endpoint to its route.
    """

    version: int
    endpoints: dict[str, Route]


def encode_table(table: RoutingTable) -> bytes:
    """Write a routing table as the file that the router reads; put it in place by a rename."""
    return msgspec.json.encode(table)


def decode_table(data: bytes) -> RoutingTable:
    """Read a routing table; keys of newer versions are passed over.

    Raises:
        InvalidInput: It is no table; names the place.
    """
    try:
        table = msgspec.json.decode(data, type=RoutingTable)
    except msgspec.DecodeError as error:
        raise InvalidInput(field="routing table", value=data[:80], wanted=str(error)) from error
    for route in table.endpoints.values():
        parse_address(route.stable.address)
    return table
