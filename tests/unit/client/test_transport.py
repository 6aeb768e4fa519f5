"""The transport: what it repeats and what not, what errors become, and that the token stays secret."""

import io
import logging
import math
import socket
import threading
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive import __version__
from relive.client.transport import MSGPACK, Transport, path_of
from relive.core.run import Metric
from relive.errors import HubRefused, HubUnreachable, StoreFull, Superseded
from relive.wire.jobs import Heartbeat, HeartbeatReply, Records
from tests.support.fake_hub import FakeHub, running_hub, stage_work


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as running:
        yield running


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def beat(transport: Transport, job: str, fence: int = 1) -> HeartbeatReply:
    path = path_of("jobs", job, "heartbeat")
    return transport.post(path, Heartbeat(fence=fence), HeartbeatReply, repeatable=True, encoding=MSGPACK)


def job_of(hub: FakeHub) -> str:
    return hub.add_job(stage_work(hub, {"a": "b"}, "true"))


def test_a_message_goes_there_and_its_answer_comes_back(hub):
    assert beat(Transport(hub.url), job_of(hub)) == HeartbeatReply(cancel=False, lease_s=30.0)


def test_metrics_that_are_no_numbers_arrive_as_they_are(hub):
    job = job_of(hub)
    metrics = (Metric("a", math.inf), Metric("b", -math.inf), Metric("c", math.nan))
    records = Records(fence=1, batch="x", metrics=metrics)
    Transport(hub.url).post(path_of("jobs", job, "records"), records, type(None), encoding=MSGPACK)
    values = [metric.value for metric in hub.jobs[job].metrics]
    assert values[:2] == [math.inf, -math.inf]
    assert math.isnan(values[2])


def test_a_hub_that_is_not_there_is_unreachable_with_its_reason():
    transport = Transport(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(HubUnreachable) as caught:
        beat(transport, "0" * 32)
    assert caught.value.reason == "connection refused"
    assert "relive up" in str(caught.value)


def test_a_name_that_no_one_has_is_unreachable_too():
    with pytest.raises(HubUnreachable):
        beat(Transport("http://hub.invalid"), "0" * 32)


def test_the_hubs_own_error_is_told_with_its_facts(hub):
    with pytest.raises(HubRefused) as caught:
        beat(Transport(hub.url), "f" * 32)
    assert (caught.value.status, caught.value.error_code) == (404, "not_found")
    assert caught.value.details["name"] == "f" * 32
    assert "There is no job" in str(caught.value)


def test_an_old_fence_is_superseded(hub):
    job = job_of(hub)
    hub.jobs[job].fence = 2
    with pytest.raises(Superseded) as caught:
        beat(Transport(hub.url), job, fence=1)
    assert caught.value.reason == "another claim took over"


def test_a_full_hub_is_a_full_store(hub):
    hub.full = True
    data = b"12345"
    digest = "blake3:" + "0" * 64
    with pytest.raises(StoreFull) as caught:
        Transport(hub.url).put_stream(path_of("blobs", digest), lambda: io.BytesIO(data), len(data))
    assert (caught.value.needed_bytes, caught.value.free_bytes) == (5, 0)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_status_that_says_later_is_tried_again_whatever_the_call(hub, status):
    job = job_of(hub)
    hub.failures = [status, status]
    path = path_of("jobs", job, "heartbeat")
    transport = Transport(hub.url, retry_for_s=60)
    reply = transport.post(path, Heartbeat(fence=1), HeartbeatReply, encoding=MSGPACK)
    assert reply.lease_s == 30.0
    assert len(hub.requests) == 3


def test_without_patience_nothing_is_repeated(hub):
    hub.failures = [503]
    with pytest.raises(HubRefused) as caught:
        beat(Transport(hub.url), job_of(hub))
    assert caught.value.status == 503
    assert "try later" in str(caught.value)
    assert len(hub.requests) == 1


def test_a_refusal_is_not_repeated_however_patient(hub):
    with pytest.raises(HubRefused):
        beat(Transport(hub.url, retry_for_s=60), "f" * 32)
    assert len(hub.requests) == 1


def test_a_hub_that_comes_back_is_found_again(hub):
    job = job_of(hub)
    hub.go_away()
    answered = threading.Event()

    def ask():
        beat(Transport(hub.url, retry_for_s=60), job)
        answered.set()

    thread = threading.Thread(target=ask)
    thread.start()
    assert not answered.wait(0.3)
    hub.come_back()
    thread.join(60)
    assert answered.is_set()


class _Deaf(threading.Thread):
    """A server that reads a request, and hangs up without an answer."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.heard = 0
        self.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                if connection.recv(65536):
                    self.heard += 1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"


@pytest.fixture
def deaf():
    server = _Deaf()
    yield server
    server.listening.close()


def test_what_may_have_been_done_is_not_done_twice(deaf):
    with pytest.raises(HubUnreachable):
        Transport(deaf.url, retry_for_s=5).post("/api/v1/runs", {}, dict)
    assert deaf.heard == 1


def test_what_may_be_repeated_is_repeated_until_patience_ends(deaf):
    with pytest.raises(HubUnreachable):
        Transport(deaf.url, retry_for_s=1.0).get("/api/v1/runs", dict)
    assert deaf.heard > 1


def test_a_pause_can_end_a_call(hub):
    hub.go_away()

    def pause(seconds):
        raise Superseded(subject="the job", reason="gone")

    with pytest.raises(Superseded):
        Transport(hub.url).with_retries(3600, pause=pause).get("/x", dict)


def test_an_answer_of_another_shape_is_refused_with_what_is_wrong(hub):
    job = job_of(hub)
    with pytest.raises(HubRefused) as caught:
        Transport(hub.url).post(
            path_of("jobs", job, "heartbeat"), Heartbeat(fence=1), list[int], encoding=MSGPACK
        )
    assert caught.value.error_code == "unexpected_answer"


def test_an_error_that_is_no_problem_document_is_shown(hub):
    hub.failures = [500]
    with pytest.raises(HubRefused) as caught:
        beat(Transport(hub.url), job_of(hub))
    assert "status 500" in str(caught.value)


def test_connections_are_used_again_after_an_error(hub):
    transport = Transport(hub.url)
    job = job_of(hub)
    for _ in range(5):
        with pytest.raises(HubRefused):
            beat(transport, "f" * 32)
        beat(transport, job)
    pool = transport._connections().connection_from_url(hub.url)
    assert pool.num_connections == 1


def test_the_token_is_sent_and_shown_nowhere(hub, caplog):
    hub.tokens = {"very-secret"}
    caplog.set_level(logging.DEBUG)
    transport = Transport(hub.url, "very-secret")
    beat(transport, job_of(hub))
    with pytest.raises(HubRefused) as refused:
        beat(Transport(hub.url, "wrong-secret"), job_of(hub))
    hub.go_away()
    with pytest.raises(HubUnreachable) as away:
        beat(transport, "0" * 32)
    for text in (caplog.text, str(refused.value), str(away.value), repr(transport), str(away.value.facts())):
        assert "secret" not in text


def test_a_redirect_is_not_followed_with_the_token(hub):
    hub.failures = [302]
    with pytest.raises(HubRefused) as caught:
        beat(Transport(hub.url, "very-secret"), job_of(hub))
    assert caught.value.status == 302


def test_the_version_is_told(hub, monkeypatch):
    seen = []
    monkeypatch.setattr(hub, "note", lambda handler: seen.append(handler.headers["User-Agent"]))
    beat(Transport(hub.url), job_of(hub))
    assert seen == [f"relive/{__version__}"]


def test_loopback_is_reached_past_a_proxy_and_others_through_it(hub, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert beat(Transport(hub.url), job_of(hub)).lease_s == 30.0
    with pytest.raises(HubUnreachable) as caught:
        beat(Transport("http://hub.example"), "0" * 32)
    assert caught.value.reason == "connection refused"  # the proxy's, not the name's


@pytest.mark.parametrize("excluded", ["hub.invalid", ".invalid", "*", "a.b, invalid"])
def test_no_proxy_is_heeded(monkeypatch, excluded):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", excluded)
    with pytest.raises(HubUnreachable) as caught:
        beat(Transport("http://hub.invalid"), "0" * 32)
    assert caught.value.reason != "connection refused"


def test_a_download_that_breaks_off_is_noticed():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer_in_part():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100)

        threading.Thread(target=answer_in_part, daemon=True).start()
        pieces = Transport(f"http://127.0.0.1:{listening.getsockname()[1]}").stream("/x")
        with pytest.raises(HubUnreachable):
            b"".join(pieces)


@given(st.text(min_size=1, max_size=30) | st.sampled_from([".", "..", "a/../b"]))
def test_no_part_of_a_path_can_become_another_path(part):
    path = path_of("runs", part)
    escaped = path.removeprefix("/api/v1/runs/")
    assert not set(escaped) & set("/?#")
    assert set(escaped) != {"."}
    assert unquote(escaped) == part
