"""Facts that happened; the hub keeps them in order."""

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One fact.

    Attributes:
        kind: Dotted: "push", "pipeline.started", "stage.finished", "gate.failed", "model.registered",
            "alias.moved", "endpoint.deployed", "endpoint.rolled_back", "replay.judged", …
        actor: Who did it: a user's name, "hub", or "run:ID".
        subject: What it is about, "kind:id".
        facts: Whatever the kind needs; JSON.
        at: Seconds since the epoch, UTC.
    """

    kind: str
    actor: str
    subject: str
    project: str = ""
    facts: dict[str, Any] = {}
    at: float = 0.0
    id: int = 0
