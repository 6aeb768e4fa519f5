"""What relive and a code host tell one another."""

from enum import StrEnum

import msgspec


class StatusState(StrEnum):
    """How a commit status stands, in GitHub's words, which other forges' adapters translate."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class CommitStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One line under a commit.

    Attributes:
        context: Names the line: "relive/digits" for the pipeline, "relive/digits/gate: accuracy ≥ 0.9".
        description: At most 140 characters.
        url: Where the reader finds more.
    """

    context: str
    state: StatusState
    description: str
    url: str


class PushEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A branch or tag of a forge repository moved; `after` is empty if it was deleted."""

    repository: str
    ref: str
    after: str
    actor: str


class ForgeLink(msgspec.Struct, frozen=True, kw_only=True):
    """How a project follows a forge repository; kept encrypted.

    Attributes:
        kind: Name of the adapter: "github".
        url: Address to fetch from.
        repository: OWNER/REPO, as webhooks name it; compared without regard to case.
        token: For fetching and for statuses; empty for a public repository that gets none.
        webhook_secret: Empty if no webhook is expected: then the hub polls.
        api_url: Address of the forge's API.
    """

    kind: str
    url: str
    repository: str
    token: str = ""
    webhook_secret: str = ""
    api_url: str = ""
