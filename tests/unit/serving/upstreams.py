"""Stand-ins for models' processes that do what a test says, well or badly."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@dataclass
class Received:
    """One request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes


# Answers a request on the connection; False hangs up after it.
Behaviour = Callable[[Received, socket.socket], bool]


@dataclass
class Upstream:
    """What a stand-in has seen."""

    address: str
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    open_sockets: list[socket.socket] = field(default_factory=list)

    def hang_up(self) -> None:
        """Close every connection, as a process that ends."""
        for plain in self.open_sockets:
            with plain:
                plain.shutdown(socket.SHUT_RDWR)
        self.open_sockets.clear()


def always(answer: bytes, *, keep: bool = True) -> Behaviour:
    """Give the same bytes to every request."""

    def behave(_: Received, plain: socket.socket) -> bool:
        plain.sendall(answer)
        return keep

    return behave


@contextmanager
def upstream(path: Path, behave: Behaviour, *, read_body: bool = True) -> Iterator[Upstream]:
    """Listen on a unix socket and answer as told."""
    seen = Upstream(f"unix:{path}")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            plain = cast(socket.socket, self.request)
            seen.connections += 1
            seen.open_sockets.append(plain)
            with plain.makefile("rb") as reader:
                try:
                    while (received := _read(reader, read_body=read_body)) is not None:
                        seen.requests.append(received)
                        if not behave(received, plain):
                            return
                except OSError:
                    return  # the test or the router hung up

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()


def _read(reader: IO[bytes], *, read_body: bool) -> Received | None:
    line = reader.readline().decode().strip()
    if not line:
        return None
    headers: dict[str, str] = {}
    while header := reader.readline().decode().strip():
        name, _, value = header.partition(": ")
        headers[name] = value
    body = b""
    if read_body and "content-length" in headers:
        body = reader.read(int(headers["content-length"]))
    elif read_body and "transfer-encoding" in headers:
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
    return Received(line, headers, body)
