"""The router forwards faithfully, says plainly what is down, and follows its table."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from relive.core.endpoint import Address, Route, RoutingTable, Target, encode_table
from relive.serving.forward import BUFFERED_BYTES
from tests.unit.serving.processes import (
    DEADLINE_S,
    answer_on,
    connect,
    eventually,
    get,
    post,
    read_all,
    router_command,
    running,
)
from tests.unit.serving.upstreams import OK, Behaviour, Upstream, always, upstream


@dataclass
class Routed:
    """A router in front of stand-ins."""

    address: Address
    table: Path
    folder: Path
    stack: ExitStack
    version: int = 0

    def serve(self, name: str, behave: Behaviour, *, revision: int = 1, read_body: bool = True) -> Upstream:
        """Put a stand-in behind an endpoint and wait until the router knows."""
        path = self.folder / f"{name}{revision}"
        seen = self.stack.enter_context(upstream(path, behave, read_body=read_body))
        self.route(**{name: (revision, seen.address)})
        return seen

    def route(self, **endpoints: tuple[int, str]) -> None:
        """Write a table with these endpoints, and wait until it is in use."""
        self.version += 1
        targets = {
            name: Route(stable=Target(revision=revision, model="inner", version="7", address=address))
            for name, (revision, address) in endpoints.items()
        }
        partial = self.table.with_suffix(".partial")
        partial.write_bytes(encode_table(RoutingTable(version=self.version, endpoints=targets)))
        partial.replace(self.table)
        wanted = f"relive_routing_table_version {float(self.version)}"
        eventually("the table is in use", lambda: wanted in get(self.address, "/metrics").body.decode())

    def send(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes on a connection of their own and read one answer."""
        with connect(self.address) as plain:
            plain.sendall(request)
            return answer_on(plain)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Address, Path]]:
    """One router for all tests of this module (about 1 s to start)."""
    table = tmp_path_factory.mktemp("router") / "table.json"
    with running(router_command(table, "--answer-timeout-s", "2")) as started:
        yield started.announced(), table


VERSION = [0]


@pytest.fixture
def router(process: tuple[Address, Path], sockets: Path) -> Iterator[Routed]:
    with ExitStack() as stack:
        routed = Routed(*process, sockets, stack, VERSION[0])
        yield routed
        routed.route()
        VERSION[0] = routed.version


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: x", *headers, "", ""]).encode()


def test_a_request_reaches_the_model_under_its_own_name(router):
    seen = router.serve("digits", always(OK), revision=3)
    body = b'{"inputs": []}'
    status, headers, answer = router.send(
        head(
            "POST",
            "/v2/models/digits/versions/7/infer?a=b%20c",
            f"content-length: {len(body)}",
            "x-more: yes",
        )
        + body
    )
    assert (status, answer) == (200, b"{}")
    assert headers["x-relive-revision"] == "3"
    assert headers["content-type"] == "application/json"
    assert seen.requests[0].line == "POST /v2/models/inner/versions/7/infer?a=b%20c HTTP/1.1"
    assert seen.requests[0].body == body
    assert seen.requests[0].headers["x-more"] == "yes"


@pytest.mark.parametrize(
    ("asked", "forwarded"),
    [
        ("/v2/models/digits", "/v2/models/inner"),
        ("/v2/models/digits/ready", "/v2/models/inner/ready"),
        ("/endpoints/digits/invocations", "/invocations"),
        ("/v2/models/digits/a%2Fb%20%C3%A9", "/v2/models/inner/a/b%20%C3%A9"),
    ],
)
def test_paths_are_mapped_to_the_process(router, asked, forwarded):
    seen = router.serve("digits", always(OK))
    assert router.send(head("GET", asked))[0] == 200
    assert seen.requests[0].line == f"GET {forwarded} HTTP/1.1"


def test_binary_bodies_and_headers_pass_both_ways(router):
    answer = b"HTTP/1.1 200 OK\r\ninference-header-content-length: 2\r\ncontent-length: 6\r\n\r\n{}\0\xff\r\n"
    seen = router.serve("digits", always(answer))
    body = b"{}" + bytes(range(256))
    status, headers, received = router.send(
        head(
            "POST",
            "/v2/models/digits/infer",
            "inference-header-content-length: 2",
            f"content-length: {len(body)}",
        )
        + body
    )
    assert (status, received) == (200, b"{}\0\xff\r\n")
    assert headers["inference-header-content-length"] == "2"
    assert seen.requests[0].headers["inference-header-content-length"] == "2"
    assert seen.requests[0].body == body


def test_what_a_model_has_no_business_to_know_is_left_out(router):
    seen = router.serve("digits", always(OK))
    router.send(
        head(
            "GET",
            "/v2/models/digits",
            "authorization: Bearer secret",
            "cookie: session=secret",
            "connection: x-hop, close",
            "x-hop: secret",
        )
    )
    assert "secret" not in str(seen.requests[0].headers)
    assert seen.requests[0].headers["host"] == "relive"


def test_a_models_cookies_do_not_reach_the_client(router):
    router.serve("digits", always(OK.replace(b"content-type", b"set-cookie: a=b\r\ncontent-type")))
    assert "set-cookie" not in router.send(head("GET", "/v2/models/digits"))[1]


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-123", True), ("a b", False), ("x" * 129, False), ("é", False)]
)
def test_every_answer_carries_a_request_id(router, given, kept):
    seen = router.serve("digits", always(OK))
    request = head("GET", "/v2/models/digits", f"x-request-id: {given}")
    _, headers, _ = router.send(request)
    assert (headers["x-request-id"] == given) is kept
    assert seen.requests[0].headers["x-request-id"] == headers["x-request-id"]
    assert kept or re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])


def test_statuses_of_the_model_pass_unchanged(router):
    answer = b'HTTP/1.1 400 Bad Request\r\ncontent-length: 13\r\n\r\n{"error":"x"}'
    router.serve("digits", always(answer))
    assert router.send(head("GET", "/v2/models/digits"))[::2] == (400, b'{"error":"x"}')


def test_chunked_answers_pass(router):
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    router.serve("digits", always(answer))
    assert router.send(head("GET", "/v2/models/digits"))[2] == b"abcde"


def test_connections_to_the_model_are_kept(router):
    seen = router.serve("digits", always(OK))
    for _ in range(10):
        assert get(router.address, "/v2/models/digits").status == 200
    assert (len(seen.requests), seen.connections) == (10, 1)


@pytest.mark.parametrize(
    "answer", [OK.replace(b"content-type", b"connection: close\r\ncontent-type"), OK.replace(b"1.1", b"1.0")]
)
def test_a_connection_that_the_model_wants_closed_is_not_kept(router, answer):
    seen = router.serve("digits", always(answer, keep=False))
    for _ in range(3):
        assert get(router.address, "/v2/models/digits").status == 200
    assert seen.connections == 3


def test_a_kept_connection_that_was_closed_is_replaced_unnoticed(router):
    seen = router.serve("digits", always(OK))
    assert post(router.address, "/v2/models/digits/infer", {"n": 1}).status == 200
    seen.hang_up()
    assert post(router.address, "/v2/models/digits/infer", {"n": 2}).status == 200
    assert [json.loads(request.body)["n"] for request in seen.requests] == [1, 2]


def test_a_request_caught_by_a_closing_connection_is_sent_again(router):
    answered = []

    def close_on_second(received: Any, plain: socket.socket) -> bool:
        answered.append(received)
        if len(answered) == 2:
            return False
        plain.sendall(OK)
        return True

    seen = router.serve("digits", close_on_second)
    for n in (1, 2):
        assert post(router.address, "/v2/models/digits/infer", {"n": n}).status == 200
    assert [json.loads(request.body)["n"] for request in seen.requests] == [1, 2, 2]


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_stream_through(router, chunked):
    seen = router.serve("digits", always(OK))
    body = bytes(range(256)) * (BUFFERED_BYTES // 64)
    with connect(router.address) as plain:
        if chunked:
            plain.sendall(head("POST", "/v2/models/digits/infer", "transfer-encoding: chunked"))
            for start in range(0, len(body), 100_000):
                piece = body[start : start + 100_000]
                plain.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            plain.sendall(b"0\r\n\r\n")
        else:
            plain.sendall(head("POST", "/v2/models/digits/infer", f"content-length: {len(body)}") + body)
        assert answer_on(plain)[0] == 200
    assert seen.requests[0].body == body
    assert ("content-length" in seen.requests[0].headers) is not chunked


def test_a_large_answer_streams_back(router):
    body = bytes(range(256)) * 8192
    router.serve("digits", always(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body))
    assert router.send(head("GET", "/v2/models/digits"))[2] == body


def test_an_early_refusal_of_a_large_body_reaches_the_client(router):
    refusal = b'HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 13\r\n\r\n{"error":"x"}'
    router.serve("digits", always(refusal, keep=False), read_body=False)
    with connect(router.address) as plain:
        plain.sendall(head("POST", "/v2/models/digits/infer", f"content-length: {64 << 20}"))
        plain.sendall(b"x" * (BUFFERED_BYTES * 2))
        status, headers, body = answer_on(plain)
    assert (status, body) == (413, b'{"error":"x"}')
    assert headers["x-relive-revision"] == "1"


def test_an_endpoint_that_is_down_is_503_with_a_time_to_come_back(router):
    router.route(digits=(4, f"unix:{router.folder}/absent"))
    status, headers, body = router.send(head("GET", "/v2/models/digits/ready"))
    assert (status, headers["retry-after"], headers["x-relive-revision"]) == (503, "1", "4")
    assert json.loads(body) == {"error": "endpoint 'digits' is not up at the moment; try again"}


def test_a_closed_port_is_503_as_well(router):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    router.route(digits=(4, f"tcp:127.0.0.1:{port}"))
    assert router.send(head("GET", "/v2/models/digits"))[0] == 503


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\ncontent-le", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000],
)
def test_a_model_that_dies_before_its_answer_is_503(router, answer):
    router.serve("digits", always(answer, keep=False))
    status, headers, body = router.send(head("GET", "/v2/models/digits"))
    assert (status, headers["retry-after"]) == (503, "1")
    assert "went down while it worked on this request" in json.loads(body)["error"]


def test_a_model_that_dies_within_its_answer_cuts_the_clients_connection(router):
    router.serve("digits", always(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345", keep=False))
    with connect(router.address) as plain:
        plain.sendall(head("GET", "/v2/models/digits"))
        received = read_all(plain)
    assert received.endswith(b"12345")
    assert 'code="cut"' in get(router.address, "/metrics").body.decode()


def test_a_model_that_says_nothing_is_504(router):
    waiting = threading.Event()
    router.serve("digits", lambda _, __: not waiting.wait(DEADLINE_S))
    status, _, body = router.send(head("GET", "/v2/models/digits"))
    waiting.set()
    assert status == 504
    assert "did not answer within 2 s" in json.loads(body)["error"]


def test_an_unknown_endpoint_is_404_with_the_known_ones(router):
    address = f"unix:{router.folder}/m"
    router.route(beta=(1, address), alpha=(1, address))
    status, headers, body = router.send(head("GET", "/v2/models/gamma"))
    assert status == 404
    assert json.loads(body) == {"error": "there is no endpoint 'gamma'; there are: alpha, beta"}
    assert "x-relive-revision" not in headers


def test_a_long_list_of_endpoints_is_cut(router):
    router.route(**{f"e{i:02}": (1, "unix:/m") for i in range(25)})
    assert json.loads(router.send(head("GET", "/v2/models/x"))[2])["error"].endswith("e19 and 5 more")


def test_without_endpoints_it_says_so(router):
    router.route()
    assert (
        "there is none yet" in json.loads(router.send(head("POST", "/endpoints/x/invocations"))[2])["error"]
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2", 200),
        ("GET", "/v2/health/live", 200),
        ("GET", "/v2/health/ready", 200),
        ("GET", "/", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/endpoints/x", 404),
        ("DELETE", "/v2/models/x", 405),
        ("OPTIONS", "/v2", 405),
    ],
)
def test_what_the_router_answers_itself(router, method, path, status):
    found, headers, body = router.send(head(method, path))
    assert found == status
    assert headers["content-type"] == "application/json"
    assert ("error" in json.loads(body)) is (status >= 400)


def test_the_index_says_which_endpoints_are_up(router):
    seen = router.serve("up", always(OK))
    router.route(up=(1, seen.address), down=(2, f"unix:{router.folder}/absent"))
    answer = post(router.address, "/v2/repository/index", b"")
    assert json.loads(answer.body) == [
        {"name": "up", "version": "7", "state": "READY", "reason": ""},
        {"name": "down", "version": "7", "state": "UNAVAILABLE", "reason": ""},
    ]


def test_a_request_in_work_finishes_where_it_was_when_the_table_changes(router):
    proceed = threading.Event()

    def slow(_: Any, plain: socket.socket) -> bool:
        assert proceed.wait(DEADLINE_S)
        plain.sendall(OK)
        return True

    old = router.serve("digits", slow, revision=1)
    with connect(router.address) as working:
        working.sendall(head("GET", "/v2/models/digits"))
        eventually("the old one works", lambda: old.requests)
        new = router.serve("digits", always(OK), revision=2)
        assert router.send(head("GET", "/v2/models/digits"))[1]["x-relive-revision"] == "2"
        proceed.set()
        assert answer_on(working)[1]["x-relive-revision"] == "1"
    assert (len(old.requests), len(new.requests)) == (1, 1)


def test_requests_are_counted_by_revision_and_code(router):
    router.serve("counted", always(OK), revision=12)
    for _ in range(3):
        get(router.address, "/v2/models/counted")
    metrics = get(router.address, "/metrics").body.decode()
    assert 'relive_endpoint_requests_total{code="200",endpoint="counted",revision="12"} 3.0' in metrics
    assert 'relive_endpoint_request_seconds_count{endpoint="counted",revision="12"} 3.0' in metrics


def test_unknown_names_make_no_series(router):
    router.send(head("GET", "/v2/models/made-up-by-a-client"))
    assert "made-up-by-a-client" not in get(router.address, "/metrics").body.decode()


def test_it_listens_on_a_unix_socket_and_is_not_ready_without_a_table(tmp_path, sockets):
    command = [*router_command(tmp_path / "table.json")[:-2], "--uds", str(sockets / "r")]
    with running(command) as started:
        address = started.announced()
        assert address == Address(path=str(sockets / "r"))
        assert get(address, "/v2/health/live").status == 200
        assert get(address, "/v2/health/ready").status == 503
        (tmp_path / "table.json").write_bytes(encode_table(RoutingTable(version=1, endpoints={})))
        eventually("the table is known", lambda: get(address, "/v2/health/ready").status == 200)
        assert started.end() == 0


def test_a_stop_waits_for_requests_in_work(tmp_path, sockets):
    proceed = threading.Event()

    def slow(_: Any, plain: socket.socket) -> bool:
        assert proceed.wait(DEADLINE_S)
        plain.sendall(OK)
        return True

    with upstream(sockets / "m", slow) as seen, running(router_command(tmp_path / "table.json")) as started:
        routed = Routed(started.announced(), tmp_path / "table.json", sockets, ExitStack())
        routed.route(digits=(1, seen.address))
        with connect(routed.address) as working:
            working.sendall(head("GET", "/v2/models/digits"))
            eventually("it works", lambda: seen.requests)
            started.popen.terminate()
            eventually("it is told to stop", lambda: "Shutting down" in started.output)
            proceed.set()
            assert answer_on(working)[0] == 200
        assert started.popen.wait(DEADLINE_S) == 0


def test_a_taken_port_is_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = router_command(tmp_path / "table.json")
        command[-1] = str(taken.getsockname()[1])
        with running(command) as started:
            assert started.popen.wait(DEADLINE_S) == 1
            eventually("it says why", lambda: "Cannot listen on 127.0.0.1" in started.output)
