"""The small HTTP server keeps connections, bounds bodies, refuses bad HTTP and finishes what is in work."""

import json
import os
import re
import signal
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relive.serving.httpserver import AddressRefused, bind_tcp, bind_unix
from tests.unit.serving.models import Registered, custom
from tests.unit.serving.processes import (
    DEADLINE_S,
    answer_on,
    connect,
    eventually,
    get,
    post,
    read_all,
    running,
    serve_command,
)

LIVE = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"
INFER = "/v2/models/iris/infer"


@pytest.fixture(scope="module")
def server(iris):
    """Serve the iris model on TCP with bodies up to 100 kB (about 3 s to start)."""
    with running(serve_command(iris, "--port", "0", "--max-body-bytes", "100000")) as process:
        yield process.announced()


def example_of(registered: Any) -> Any:
    return json.loads((registered.contract / "signature.json").read_text())["example"]


def test_a_connection_carries_many_requests(server):
    with connect(server) as plain:
        for _ in range(3):
            plain.sendall(LIVE)
            assert answer_on(plain)[0] == 200


def test_requests_sent_at_once_are_answered_in_order(server):
    paths = [b"/v2 HTTP/1.1", b"/absent HTTP/1.1", b"/ping HTTP/1.0"]
    with connect(server) as plain:
        plain.sendall(b"".join(b"GET %s\r\nhost: x\r\n\r\n" % path for path in paths))
        received = read_all(plain)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"404", b"200"]


def test_a_request_may_come_byte_by_byte(server):
    with connect(server) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(len(LIVE)):
            plain.sendall(LIVE[start : start + 1])
        assert answer_on(plain)[0] == 200


@pytest.mark.parametrize(
    "request_line", [b"GET /ping HTTP/1.0\r\n\r\n", LIVE[:-2] + b"connection: close\r\n\r\n"]
)
def test_the_connection_ends_where_the_client_wants_it_to(server, request_line):
    with connect(server) as plain:
        plain.sendall(request_line)
        assert read_all(plain).endswith(b'{"live":true}')


def test_a_client_that_is_done_sending_still_gets_its_answer(server, iris):
    body = json.dumps(example_of(iris)).encode()
    with connect(server) as plain:
        plain.sendall(
            b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (INFER.encode(), len(body)) + body
        )
        plain.shutdown(socket.SHUT_WR)
        assert b"probabilities" in read_all(plain)


def test_chunks_are_put_together(server, iris):
    body = json.dumps(example_of(iris)).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:], b""))
    with connect(server) as plain:
        plain.sendall(
            b"POST %s HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" % INFER.encode() + chunks
        )
        assert answer_on(plain)[0] == 200


def test_a_careful_client_is_told_to_continue(server):
    with connect(server) as plain:
        plain.sendall(
            b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
        )
        assert plain.recv(100).startswith(b"HTTP/1.1 100")
        plain.sendall(b"{}")
        assert answer_on(plain)[0] == 400


def test_a_head_request_gets_no_body(server):
    with connect(server) as plain:
        plain.sendall(b"HEAD /v2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        head, _, body = read_all(plain).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 Method Not Allowed")
    assert body == b""


@pytest.mark.parametrize("announce", [b"content-length: 100001", b"transfer-encoding: chunked"])
def test_a_body_over_the_limit_is_refused_before_it_was_all_sent(server, announce):
    with connect(server) as plain:
        plain.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\n" + announce + b"\r\n\r\n")
        if b"chunked" in announce:
            plain.sendall(b"186a1\r\n" + b"x" * 100_001)
        status, headers, body = answer_on(plain)
        assert (status, headers["connection"]) == (413, "close")
        assert "larger than 100000 bytes" in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nhost: x\r\nbad header: 1\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", 501),
        (b"GET /v2 HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 70_000, 431),
    ],
)
def test_what_is_no_http_is_refused_and_hung_up(server, sent, status):
    with connect(server) as plain:
        plain.sendall(sent)
        received = read_all(plain)
    assert received.startswith(b"HTTP/1.1 %d" % status)
    assert "error" in json.loads(received.partition(b"\r\n\r\n")[2])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.text(alphabet="GET /v2HTTP1.:\r\n\t \0abc", max_size=200).map(str.encode))
def test_no_bytes_bring_the_server_down(server, sent):
    with connect(server) as plain:
        plain.sendall(sent)
        plain.shutdown(socket.SHUT_WR)
        read_all(plain)
    assert get(server, "/v2/health/live").status == 200


def test_a_client_that_goes_away_leaves_the_server_well(server, iris):
    body = json.dumps(example_of(iris)).encode()
    for cut in (10, len(body)):
        with connect(server) as plain:
            plain.sendall(
                b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (INFER.encode(), len(body))
            )
            plain.sendall(body[:cut])
    assert post(server, INFER, example_of(iris)).status == 200


SLOW = """
import pathlib, time
def build(folder):
    gate = pathlib.Path(folder) / "gate"
    def predict(rows):
        time.sleep(0.02)  # slow enough to be worked on in the thread
        if float(rows[0][0]) == 99.0:
            (gate.parent / "started").touch()
            while not gate.exists():
                time.sleep(0.01)
        return rows.sum(axis=1)
    return predict
"""


@pytest.fixture
def slow(tmp_path):
    """A registered model that, for a row beginning with 99, waits until the file `gate` is there."""
    model, code = custom(tmp_path, SLOW)
    learnt = {
        "format": 1,
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 1]}],
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [-1]}],
        "default_outputs": ["predict"],
        "layout": "array",
        "platform": "custom",
        "example": {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 1], "data": [1.0]}]},
    }
    (tmp_path / "contract").mkdir()
    (tmp_path / "contract/signature.json").write_text(json.dumps(learnt))
    return Registered(model, tmp_path / "contract", "own:build", code)


def send_slow(plain: Any) -> Any:
    body = json.dumps({"instances": [[99.0]]}).encode()
    plain.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


def test_a_request_in_work_is_answered_before_the_process_ends(slow, sockets):
    with running(serve_command(slow, "--uds", str(sockets / "m"))) as process:
        address = process.announced()
        with connect(address) as working, connect(address) as idle:
            send_slow(working)
            eventually("the prediction has begun", (slow.model / "started").exists)
            assert get(address, "/v2/health/ready").status == 200
            process.popen.send_signal(signal.SIGTERM)
            assert read_all(idle) == b""
            (slow.model / "gate").touch()
            status, headers, body = answer_on(working)
        assert (status, json.loads(body)) == (200, {"predictions": [99.0]})
        assert headers["connection"] == "close"
        assert process.popen.wait(DEADLINE_S) == 0


def test_a_prediction_that_does_not_end_is_cut_off_after_the_drain(slow, sockets):
    command = serve_command(slow, "--uds", str(sockets / "m"), "--drain-s", "0.2")
    with running(command) as process, connect(process.announced()) as working:
        send_slow(working)
        eventually("the prediction has begun", (slow.model / "started").exists)
        assert process.end() == 0
        assert "1 requests were in work after 0.2 s and are cut off" in process.output


def test_a_unix_socket_is_for_its_owner_alone_and_replaces_a_dead_one(sockets):
    path = str(sockets / "m")
    bind_unix(path).close()
    assert Path(path).exists()
    with bind_unix(path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_socket_that_answers_is_not_taken_over(sockets):
    path = str(sockets / "m")
    with bind_unix(path), pytest.raises(AddressRefused, match="in use"):
        bind_unix(path)


def test_another_file_at_the_path_is_left_alone(sockets):
    (sockets / "m").write_text("precious")
    with pytest.raises(AddressRefused):
        bind_unix(str(sockets / "m"))
    assert (sockets / "m").read_text() == "precious"


def test_a_path_too_long_for_a_socket_is_refused(tmp_path):
    with pytest.raises(AddressRefused, match="more than 107 bytes; use a shorter folder"):
        bind_unix(str(tmp_path / ("m" * 108)))


def test_a_taken_port_is_refused():
    with (
        bind_tcp("127.0.0.1", 0) as taken,
        pytest.raises(AddressRefused, match=r"Cannot listen on 127\.0\.0\.1"),
    ):
        bind_tcp("127.0.0.1", taken.getsockname()[1])
