"""One HTTP request to a model's process, blocking; for its supervisor, which asks seldom."""

import http.client
import socket

import msgspec

from relive.core.endpoint import Address


class Answer(msgspec.Struct, frozen=True):
    """Status and body of a response."""

    status: int
    body: bytes


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(address: Address, method: str, path: str, *, body: bytes | None = None, timeout_s: float) -> Answer:
    """Send one request on a connection of its own.

    Raises:
        OSError: Nobody listens, or no answer came in time.
        http.client.HTTPException: What came was no HTTP.
    """
    connection = (
        _UnixConnection(address.path, timeout_s)
        if address.path
        else http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
    )
    try:
        headers = {"content-type": "application/json"} if body is not None else {}
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()
