"""A server that answers as a test says, where a Ray dashboard is expected: for what no real one would say."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

VERSION = {"version": "4", "ray_version": "2.60.0"}


@dataclass
class Answers:
    """What is answered, and what was asked.

    Attributes:
        by_path: Status and body for "METHOD /path"; all else is answered with 404.
        asked: Method, path, headers and body of each request, in order.
        breaks: So many requests are not answered: the connection is closed instead.
        silent: Whether requests are read and never answered.
    """

    url: str = ""
    by_path: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    breaks: int = 0
    silent: bool = False
    closing: threading.Event = field(default_factory=threading.Event)

    def says(self, what: str, body: Any, status: int = 200) -> None:
        """Answer something from now on."""
        self.by_path[what] = (status, body)

    def paths(self) -> list[str]:
        """Give what was asked for."""
        return [path for path, _, _ in self.asked]


@contextmanager
def answering(host: str = "127.0.0.1") -> Iterator[Answers]:
    """Run a server that claims to be Ray of the right version, until the test says something else."""
    answers = Answers()
    answers.says("GET /api/version", VERSION)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            what = f"{self.command} {self.path}"
            answers.asked.append((what, dict(self.headers), body))
            if answers.silent:
                answers.closing.wait(60)
            if answers.silent or answers.breaks:
                answers.breaks -= 1
                self.close_connection = True
                return
            status, said = answers.by_path.get(what, (404, b"not here"))
            data = said if isinstance(said, bytes) else msgspec.json.encode(said)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815  # named by http.server

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer((host, 0), Handler)
    answers.url = f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        answers.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
