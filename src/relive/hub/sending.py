"""Sends webhooks. Whoever makes one names the address, and the hub may reach what they may not.

So the address is looked at when the connection stands, before anything is sent: a name that resolved to a
public address when it was checked may resolve to a private one a moment later.
"""

import ipaddress
import socket
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from relive.errors import WebhookFailed
from relive.ports.sender import Sent

_TIMEOUT = urllib3.Timeout(connect=5.0, read=15.0)
_LONGEST_BODY = 4096
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
        try:
            answer = self._pool.request(
                "POST",
                url,
                body=body,
                headers=dict(headers),
                timeout=_TIMEOUT,
                redirect=False,
                retries=False,
                preload_content=False,
            )
            try:
                text = answer.read(_LONGEST_BODY, decode_content=True).decode(errors="replace")
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise WebhookFailed(url=url, reason=str(error) or type(error).__name__) from error
        return Sent(status=answer.status, body=text, wait_s=_wait_s(answer))

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        pool = urllib3.PoolManager(num_pools=8)
        if not self._anywhere:
            pool.pool_classes_by_scheme = {"http": _PublicPool, "https": _PublicTlsPool}
        return pool


def _wait_s(answer: urllib3.BaseHTTPResponse) -> float | None:
    try:
        return urllib3.Retry().get_retry_after(answer)
    except urllib3.exceptions.InvalidHeader:
        return None


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


def _checked(connected: Any) -> Any:
    address = str(connected.getpeername()[0])
    if not is_public(address):
        connected.close()
        raise OSError(f"{address} is not a public address")
    return connected


class _PublicConnection(HTTPConnection):
    def _new_conn(self) -> Any:
        return _checked(super()._new_conn())


class _PublicTlsConnection(HTTPSConnection):
    def _new_conn(self) -> Any:
        return _checked(super()._new_conn())


class _PublicPool(HTTPConnectionPool):
    ConnectionCls = _PublicConnection


class _PublicTlsPool(HTTPSConnectionPool):
    ConnectionCls = _PublicTlsConnection
