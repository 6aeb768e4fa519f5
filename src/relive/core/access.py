"""Who may do what: users, tokens and their scopes."""

from enum import StrEnum
from typing import Final

import msgspec

TICKET_PREFIX: Final = "rlt"
"""What the text of a ticket begins with, which is exchanged for a token once."""


class Scope(StrEnum):
    """What a token may do.

    ADMIN everything; MEMBER records, pushes, deploys; LOCAL what needs no login on loopback (record and
    read, infer); RUNNER one job's spec, status and records; COMMAND one run's own records and reading its
    project.
    """

    ADMIN = "admin"
    MEMBER = "member"
    LOCAL = "local"
    RUNNER = "runner"
    COMMAND = "command"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person or service."""

    id: str
    name: str
    role: Scope = Scope.MEMBER
    created_at: float = 0.0


LAST_USE_S = 60.0
"""How exactly a token's last use is known: a write for each request would be the most frequent of all."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret; only the secret's SHA-256 is kept.

    Attributes:
        subject: "user:NAME", "job:ID", or "login:NAME" for a link that gives a browser a session, once.
        fence: For a job's token the claim it belongs to; it dies with that claim.
        run_id: For COMMAND the run it may write.
        expires_at: Seconds since the epoch; None never.
    """

    id: str
    scope: Scope
    subject: str
    label: str = ""
    project_id: str = ""
    run_id: str = ""
    fence: int = 0
    expires_at: float | None = None
    last_used_at: float | None = None
    created_at: float = 0.0


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes this request, after authentication.

    Attributes:
        is_over: The claim of its job is over: it may only hear so.
    """

    name: str
    scope: Scope
    token_id: str = ""
    job_id: str = ""
    fence: int = 0
    run_id: str = ""
    project_id: str = ""
    is_over: bool = False

    @property
    def is_admin(self) -> bool:
        """Tell whether this caller may do everything."""
        return self.scope is Scope.ADMIN
