"""A deployment is done once the router sends requests to it, not when the database says so."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from relive.cli.endpoint import await_traffic
from relive.client.hub import HubClient
from relive.client.transport import Transport

UNKNOWN = (404, "")
DOWN = (503, "")
OLD, NEW = (200, "1"), (200, "2")


@contextmanager
def answering(*answers: tuple[int, str]) -> Iterator[tuple[HubClient, list[str]]]:
    """Give a hub whose router answers so, the last answer for ever; and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, revision = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            body = json.dumps({} if status == 200 else {"error": "as the router says it"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if revision:
                self.send_header("x-relive-revision", revision)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    transport = Transport(f"http://127.0.0.1:{server.server_port}", "token", retry_for_s=0)
    try:
        yield HubClient(transport), asked
    finally:
        transport.close()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("before", [UNKNOWN, OLD], ids=["the first deployment", "one after another"])
def test_it_waits_until_the_router_sends_requests_to_the_revision(before):
    with answering(before, before, NEW) as (hub, asked):
        await_traffic(hub, "digits", 2)
        assert asked == ["/v2/models/digits"] * 3


def test_a_process_that_is_being_started_again_is_not_waited_for():
    with answering(DOWN, NEW) as (hub, asked):
        await_traffic(hub, "digits", 2)
        assert len(asked) == 1


def test_the_wait_is_bounded(monkeypatch):
    monkeypatch.setattr("relive.cli.endpoint._ROUTED_S", 0.2)
    with answering(UNKNOWN) as (hub, asked):
        began = time.monotonic()
        await_traffic(hub, "digits", 2)
        assert time.monotonic() - began >= 0.2
        assert len(asked) > 1
