"""Sends webhooks. Whoever makes one names the address, and the hub may reach what they may not.

So the address is looked at when the connection stands, before anything is sent: a name that resolved to a
public address when it was checked may resolve to a private one a moment later.
"""

import ipaddress
import socket
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from relive.ports.sender import Sent

if TYPE_CHECKING:
    from relive.hub.posting import Poster

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class HttpSender:
    """Posts by HTTP.

    Args:
        anywhere: Also to private addresses, and without TLS.
    """

    def __init__(self, *, anywhere: bool = False) -> None:
        self._anywhere = anywhere

    @property
    def schemes(self) -> tuple[str, ...]:
        """Give the schemes that addresses may have."""
        return ("http", "https") if self._anywhere else ("https",)

    def refusal(self, host: str) -> str:
        """Say why nothing is sent to a host; in MLflow's words."""
        if self._anywhere:
            return ""
        try:
            found = socket.getaddrinfo(host, None)
        except (OSError, UnicodeError) as error:
            return f"Cannot resolve Webhook URL hostname {host!r}: {error}"
        for *_, address in found:
            if not is_public(str(address[0])):
                return (
                    "Webhook URL must not resolve to a non-public IP address. "
                    f"{host!r} resolves to {address[0]}."
                )
        return ""

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Sent:
        """Post a message."""
        return self._poster.post(url, body, headers)

    @cached_property
    def _poster(self) -> "Poster":
        from relive.hub.posting import Poster

        return Poster(anywhere=self._anywhere)


def is_public(address: str) -> bool:
    """Tell whether an address is one of the public network, also where IPv6 carries an IPv4 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global
    return found.is_global
