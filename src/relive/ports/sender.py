"""What services ask of whoever sends webhooks."""

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered; of a long body the beginning.

    Attributes:
        wait_s: After how many seconds to ask again, if the answer said so.
    """

    status: int
    body: str
    wait_s: float | None = None


class Sender(Protocol):
    """Posts messages to addresses that people gave; may be used from any thread.

    It connects to public addresses only, unless this hub was told that others are fine.
    """

    @property
    def schemes(self) -> tuple[str, ...]:
        """Give the schemes that addresses may have."""
        ...

    def refusal(self, host: str) -> str:
        """Say why nothing is sent to a host, as its name resolves now; empty if it may be."""
        ...

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Sent:
        """Post a message, and follow no redirect.

        Raises:
            WebhookFailed: Nothing was answered in time, or the address is not one to connect to.
        """
        ...
