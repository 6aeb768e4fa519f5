"""Posts webhooks over connections that stand only to public addresses.

A module of its own, imported with the first message: no start of a hub needs urllib3.
"""

from collections.abc import Mapping
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from relive.errors import WebhookFailed
from relive.hub.sending import is_public
from relive.ports.sender import Sent

_TIMEOUT = urllib3.Timeout(connect=5.0, read=15.0)
_LONGEST_BODY = 4096


class Poster:
    """Keeps connections and posts over them.

    Args:
        anywhere: Also to private addresses.
    """

    def __init__(self, *, anywhere: bool) -> None:
        self._pool = urllib3.PoolManager(num_pools=8)
        if not anywhere:
            self._pool.pool_classes_by_scheme = {"http": _PublicPool, "https": _PublicTlsPool}

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Sent:
        """Post a message.

        Raises:
            WebhookFailed: There is no answer, or the address is not public.
        """
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


def _wait_s(answer: urllib3.BaseHTTPResponse) -> float | None:
    try:
        return urllib3.Retry().get_retry_after(answer)
    except urllib3.exceptions.InvalidHeader:
        return None


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
