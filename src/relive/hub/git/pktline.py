"""Adds words for the pusher to what git answers.

Source: gitprotocol-common(5), gitprotocol-pack(5). A packet is four hexadecimal digits of its length, then
its content; with `side-band-64k` the content's first byte is 1 for the report, 2 for what the client prints.
"""

from collections.abc import Callable, Iterator
from typing import Final

_LENGTH: Final = 4
_PRINTED: Final = b"\x02"


def printed(text: str) -> bytes:
    """Make the packet that lets a git client print these lines, each after the word `remote:`."""
    content = _PRINTED + text.encode() + b"\n"
    return f"{len(content) + _LENGTH:04x}".encode() + content


class Explainer:
    """Passes git's packets on, and adds an explanation after the first one that needs it.

    Args:
        explain: Given what git prints, gives what to add, or None.
    """

    def __init__(self, explain: Callable[[str], str | None]) -> None:
        self._explain: Callable[[str], str | None] | None = explain
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Give what can be passed on of these bytes and those that were held back: whole packets."""
        if self._explain is None:
            return data
        self._rest += data
        return b"".join(self._packets())

    def end(self) -> bytes:
        """Give what was held back."""
        rest, self._rest = self._rest, b""
        return rest

    def _packets(self) -> Iterator[bytes]:
        while self._explain is not None and len(self._rest) >= _LENGTH:
            digits = self._rest[:_LENGTH]
            try:
                length = max(int(digits, 16), _LENGTH)  # 0000 is a packet without content
            except ValueError:
                self._explain = None  # no packets: the client did not ask for them
                break
            if len(self._rest) < length:
                return
            packet, self._rest = self._rest[:length], self._rest[length:]
            yield packet
            if packet[_LENGTH:].startswith(_PRINTED):
                yield self._explained(packet[_LENGTH + 1 :].decode(errors="replace"))
        if self._explain is None:
            yield self.end()

    def _explained(self, text: str) -> bytes:
        assert self._explain is not None
        words = self._explain(text)
        if words is None:
            return b""
        self._explain = None
        return printed(words)
