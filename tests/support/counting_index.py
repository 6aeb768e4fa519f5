"""A package index on a port of this machine that counts who asks it, and can be told to have nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


class CountingIndex:
    """Serves the wheels of a folder as the simple API does.

    Attributes:
        asked: Paths that were asked for, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        """Give its address."""
        return f"http://127.0.0.1:{self.port}/simple/"

    def answer(self, path: str) -> bytes | None:
        """Give a page or a wheel; None if there is none."""
        self.asked.append(path)
        parts = [part for part in path.split("/") if part]
        if path.endswith(".whl"):
            return (self.folder / parts[-1]).read_bytes()
        found = sorted(self.folder.glob(f"{parts[-1].replace('-', '_')}-*.whl")) if len(parts) == 2 else []
        links = "".join(f'<a href="/{it.name}">{it.name}</a>' for it in found)
        return f"<html><body>{links}</body></html>".encode() if found else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = index.answer(self.path)
                self.send_response(200 if body else 404)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(body or b"")

            do_HEAD = do_GET  # noqa: N815  # the server looks for this name

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    @contextmanager
    def served(self) -> Iterator["CountingIndex"]:
        """Serve as long as the block lasts."""
        thread = Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
