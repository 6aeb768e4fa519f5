"""What services ask of a code host, and of whoever keeps secrets."""

from collections.abc import Mapping
from typing import Protocol

from relive.core.forge import CommitStatus, ForgeLink, PushEvent


class Forge(Protocol):
    """Speaks with one kind of code host; may be used from any thread."""

    def link(self, url: str, *, token: str, webhook_secret: str, api_url: str = "") -> ForgeLink:
        """Make a link of a repository's address.

        Raises:
            InvalidInput: It is no address of such a repository.
        """
        ...

    def repository_of(self, body: bytes) -> str:
        """Give the repository that a webhook claims to speak of; nothing else of it is to be trusted yet.

        Raises:
            InvalidInput: The body names none.
        """
        ...

    def verify(self, link: ForgeLink, headers: Mapping[str, str], body: bytes) -> None:
        """Check a webhook's signature over its raw bytes.

        Raises:
            AccessDenied: It is missing or wrong.
        """
        ...

    def read_push(self, headers: Mapping[str, str], body: bytes) -> PushEvent | None:
        """Read what moved; None if the webhook is about something else.

        Raises:
            InvalidInput: It lacks what every push has.
        """
        ...

    def delivery_id(self, headers: Mapping[str, str]) -> str:
        """Give what names this delivery, the same when it is sent again.

        Raises:
            InvalidInput: The header is missing.
        """
        ...

    def fetch_variables(self, link: ForgeLink) -> dict[str, str]:
        """Give git's environment for fetching; the token stands in no address and no argument."""
        ...

    def set_status(self, link: ForgeLink, commit: str, status: CommitStatus) -> None:
        """Write a status under a commit.

        Raises:
            ForgeRefused: The forge said no.
            ForgeUnreachable: It does not answer.
        """
        ...


class Vault(Protocol):
    """Encrypts what must not lie readable in the database."""

    def seal(self, plain: bytes) -> str:
        """Give the encrypted text."""
        ...

    def open(self, sealed: str) -> bytes:
        """Give back what was sealed.

        Raises:
            SecretUnreadable: The key is another.
        """
        ...
