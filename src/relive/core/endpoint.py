"""Endpoints: a served address, and the revisions behind it."""

from enum import StrEnum
from typing import Any

import msgspec


class RevisionState(StrEnum):
    """Where a revision stands; only a READY one ever gets traffic."""

    PENDING = "pending"
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"
    FAILED = "failed"


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
        previous: Id of the revision before it, kept running for instant rollback.
    """

    id: str
    project_id: str
    name: str
    model: str
    live: str = ""
    previous: str = ""
    created_at: float = 0.0
