"""Secrets do not show in a log, also where one is cut in two by the pieces in which output arrives."""

from collections.abc import Iterable
from typing import Final

MASK: Final = b"***"
# A shorter value is no secret, and masking every "1" would make the log unreadable.
_SHORTEST: Final = 4


class Mask:
    """Replaces secrets in a stream of bytes.

    Args:
        secrets: Their values; those shorter than four bytes are not masked.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        values = {secret.encode() for secret in secrets}
        # The longest first, so that a secret that holds another is masked as a whole.
        self._secrets = sorted((it for it in values if len(it) >= _SHORTEST), key=len, reverse=True)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next piece, and give what can be shown; what may be a secret's beginning is held back."""
        if not self._secrets:
            return data
        data = self._held + data
        for secret in self._secrets:
            data = data.replace(secret, MASK)
        held = self._beginning_at_end(data)
        self._held = data[len(data) - held :]
        return data[: len(data) - held]

    def flush(self) -> bytes:
        """Give what was held back: nothing follows it."""
        held, self._held = self._held, b""
        return held

    def _beginning_at_end(self, data: bytes) -> int:
        """Give how many of the last bytes may begin a secret."""
        longest = 0
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, len(data)), longest, -1):
                if data.endswith(secret[:length]):
                    longest = length
                    break
        return longest
