"""Every route of the two protocols, called as an ASGI server calls it."""

import asyncio
import gzip
import json
import threading
import time
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.serving.app import App, Served
from relive.serving.flavors import Loaded
from relive.serving.signature import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(TensorSpec("x", "FP64", (-1, 2)),),
    outputs=(TensorSpec("predict", "FP64", (-1,)), TensorSpec("probabilities", "FP64", (-1, 2))),
    default_outputs=("predict",),
    layout="array",
    platform="custom",
    example={},
)


def application(function: Any = lambda rows: rows.sum(axis=1), **more: Any) -> Any:
    model = Loaded("custom", "here", function, lambda rows: np.full((len(rows), 2), 0.5))
    return App(Served(model, SIGNATURE, "sum", "3"), **more)


async def ask(app: Any, method: Any, path: Any, body: Any = b"", headers: Any = (), pieces: Any = 1) -> Any:
    """Send one request and give status, headers and body."""
    size = -(-len(body) // pieces) or 1
    chunks = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    sent = []

    async def receive() -> Any:
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message: Any) -> Any:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers)}
    await app(scope, receive, send)
    start, content = sent
    found = dict(start["headers"])
    assert int(found[b"content-length"]) == len(content["body"])
    return start["status"], found, content["body"]


def call(
    method: Any, path: Any, content: Any = None, *, app: Any = None, headers: Any = (), pieces: Any = 1
) -> Any:
    body = b"" if content is None else content if isinstance(content, bytes) else json.dumps(content).encode()
    return asyncio.run(ask(app or application(), method, path, body, headers, pieces))


def answer(*given: Any, **more: Any) -> Any:
    status, headers, body = call(*given, **more)
    assert headers[b"content-type"] == b"application/json"
    return status, json.loads(body)


def x(rows: Any) -> Any:
    return {"inputs": [{"name": "x", "datatype": "FP64", "shape": [len(rows), 2], "data": rows}]}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/v2", {"name": "relive", "version": "1", "extensions": ["binary_tensor_data", "model_repository"]}),
        (
            "/v2/",
            {"name": "relive", "version": "1", "extensions": ["binary_tensor_data", "model_repository"]},
        ),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/sum/ready", {"name": "sum", "ready": True}),
        ("/v2/models/sum/versions/3/ready", {"name": "sum", "ready": True}),
        ("/ping", {"live": True}),
        ("/health", {"live": True}),
    ],
)
def test_what_can_be_asked(path, content):
    assert answer("GET", path) == (200, content)


@pytest.mark.parametrize("path", ["/v2/models/sum", "/v2/models/sum/versions/3"])
def test_metadata_list_every_input_and_output(path):
    assert answer("GET", path) == (
        200,
        {
            "name": "sum",
            "versions": ["3"],
            "platform": "custom",
            "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}],
            "outputs": [
                {"name": "predict", "datatype": "FP64", "shape": [-1]},
                {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]},
            ],
        },
    )


def test_the_version_is_plain_text():
    status, headers, body = call("GET", "/version")
    assert (status, headers[b"content-type"], body) == (200, b"text/plain", b"relive 1")


@pytest.mark.parametrize("content", [None, {}, {"ready": True}])
def test_the_repository_index_lists_the_model(content):
    index = [{"name": "sum", "version": "3", "state": "READY", "reason": ""}]
    assert answer("POST", "/v2/repository/index", content) == (200, index)


def test_a_draining_process_is_alive_and_not_ready():
    app = application(ready=False)
    assert answer("GET", "/v2/health/live", app=app) == (200, {"live": True})
    assert answer("GET", "/v2/health/ready", app=app) == (503, {"ready": False})
    assert answer("GET", "/v2/models/sum/ready", app=app) == (503, {"name": "sum", "ready": False})
    assert answer("POST", "/v2/repository/index", {"ready": True}, app=app) == (200, [])
    assert answer("POST", "/v2/repository/index", app=app)[1][0]["state"] == "UNAVAILABLE"


@pytest.mark.parametrize("path", ["/v2/models/sum/infer", "/v2/models/sum/versions/3/infer"])
@pytest.mark.parametrize("pieces", [1, 7])
def test_an_inference_answers_with_the_default_outputs(path, pieces):
    status, content = answer("POST", path, x([[1, 2], [3, 4]]), pieces=pieces)
    assert status == 200
    assert content == {
        "model_name": "sum",
        "model_version": "3",
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [2], "data": [3.0, 7.0]}],
    }


def test_probabilities_come_when_asked_for_in_the_order_asked():
    asked = {**x([[1, 2]]), "outputs": [{"name": "probabilities"}, {"name": "predict"}]}
    _, content = answer("POST", "/v2/models/sum/infer", asked)
    assert [output["name"] for output in content["outputs"]] == ["probabilities", "predict"]


def test_a_binary_answer_says_so_in_its_headers():
    asked = {**x([[1, 2]]), "parameters": {"binary_data_output": True}}
    status, headers, body = call("POST", "/v2/models/sum/infer", asked)
    length = int(headers[b"inference-header-content-length"])
    assert (status, headers[b"content-type"]) == (200, b"application/octet-stream")
    assert body[length:] == np.array([3.0]).tobytes()


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/", 404, "no path '/'"),
        ("GET", "/v2/models", 404, "no path"),
        ("GET", "/v2/models/other", 404, "no model 'other' here, only 'sum'"),
        ("POST", "/v2/models/other/infer", 404, "no model 'other'"),
        ("GET", "/v2/models/sum/versions/4", 404, "served here in version '3' only"),
        ("GET", "/v2/models/sum/versions", 404, "served here in version '3' only"),
        ("GET", "/v2/models/sum/config", 404, "no path"),
        ("GET", "/v2/models/sum/stats", 404, "no path"),
        ("POST", "/v2/repository/models/sum/load", 404, "no path"),
        ("GET", "/v2/models/sum/infer", 405, "takes POST, not GET"),
        ("POST", "/v2", 405, "takes GET, not POST"),
        ("DELETE", "/v2/models/sum", 405, "takes GET, not DELETE"),
        ("POST", "/v2/models/sum/infer", 400, "not valid JSON"),
        ("POST", "/invocations", 400, "not valid JSON"),
        ("GET", "/" + "a" * 5000, 404, "no path"),
    ],
)
def test_errors_have_the_protocols_form(method, path, status, said):
    found, content = answer(method, path)
    assert found == status
    assert list(content) == ["error"]
    assert said in content["error"]
    assert len(content["error"]) < 400


def test_scoring_answers_with_predictions():
    assert answer("POST", "/invocations", {"instances": [[1, 2], [3, 4]]}) == (
        200,
        {"predictions": [3.0, 7.0]},
    )


def test_a_failing_model_gives_an_id_and_no_reason(caplog):
    def fail(rows: Any) -> Any:
        raise ValueError("secret of the model")

    status, content = answer("POST", "/v2/models/sum/infer", x([[1, 2]]), app=application(fail))
    assert status == 500
    assert "secret" not in content["error"]
    request_id = content["error"].rpartition(" ")[2]
    assert f"request {request_id} failed" in caplog.text
    assert "secret of the model" in caplog.text


@pytest.mark.parametrize(
    ("given_id", "used"), [(b"abc-1", True), (b"a b", False), (b"x" * 129, False), (b"", False)]
)
def test_a_failure_is_told_under_the_callers_id_if_it_is_one(given_id, used):
    status, content = answer(
        "POST",
        "/v2/models/sum/infer",
        x([[1, 2]]),
        app=application(lambda rows: None),
        headers=[(b"x-request-id", given_id)],
    )
    assert status == 500
    assert content["error"].endswith(f"under id {given_id.decode()}") is used


def test_a_body_over_the_limit_is_refused():
    app = application(max_body_bytes=100)
    status, content = answer("POST", "/v2/models/sum/infer", b"x" * 101, app=app, pieces=5)
    assert (status, content) == (
        413,
        {"error": "the request body is larger than 100 bytes; send fewer rows at once"},
    )


@pytest.mark.parametrize(
    ("name", "pack"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"identity", bytes)]
)
def test_compressed_bodies_are_read(name, pack):
    body = pack(json.dumps(x([[1, 2]])).encode())
    status, _ = answer("POST", "/v2/models/sum/infer", body, headers=[(b"content-encoding", name)])
    assert status == 200


@pytest.mark.parametrize(
    ("name", "body", "status", "said"),
    [
        (b"br", b"", 415, "Content-Encoding is 'br', expected gzip, deflate or none"),
        (b"gzip", b"nonsense", 400, "not valid gzip"),
        (b"gzip", gzip.compress(b"x" * 90, mtime=0)[:-9], 400, "ends too early"),
        (b"gzip", gzip.compress(b"x" * 10_000_000, mtime=0), 413, "larger than 20000 bytes"),
    ],
)
def test_compressed_bodies_are_bounded_and_checked(name, body, status, said):
    app = application(max_body_bytes=20_000)
    found, content = answer(
        "POST", "/v2/models/sum/infer", body, app=app, headers=[(b"content-encoding", name)]
    )
    assert found == status
    assert said in content["error"]


def test_long_predictions_leave_the_loop_free_and_never_overlap():
    inside = threading.Semaphore(1)
    proceed = threading.Event()

    def slow(rows: Any) -> Any:
        assert inside.acquire(blocking=False), "two predictions at once"
        assert proceed.wait(60)
        inside.release()
        return rows.sum(axis=1)

    async def scenario() -> Any:
        app = application(slow, typical_s=1.0)
        body = json.dumps(x([[1, 2]])).encode()
        working = [asyncio.create_task(ask(app, "POST", "/v2/models/sum/infer", body)) for _ in range(3)]
        await asyncio.sleep(0)
        assert (await ask(app, "GET", "/v2/health/live"))[0] == 200
        assert not any(task.done() for task in working)
        proceed.set()
        return [(await task)[0] for task in working]

    assert asyncio.run(scenario()) == [200, 200, 200]


def test_work_moves_to_the_thread_as_it_gets_slow_and_back():
    threads = []
    pause = [0.05]

    def predict(rows: Any) -> Any:
        threads.append(threading.current_thread().name)
        time.sleep(pause[0])
        return rows.sum(axis=1)

    async def scenario() -> Any:
        app = application(predict)
        body = json.dumps(x([[1, 2]])).encode()
        for _ in range(3):
            await ask(app, "POST", "/v2/models/sum/infer", body)
        pause[0] = 0
        while app.typical_s > 0.001:
            await ask(app, "POST", "/v2/models/sum/infer", body)
        await ask(app, "POST", "/v2/models/sum/infer", body)

    asyncio.run(scenario())
    assert threads[0] == "MainThread"
    assert threads[-1] == "MainThread"
    assert any(name.startswith("predict") for name in threads)


def test_the_lifespan_is_answered():
    sent = []
    told = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        return told.pop(0)

    async def send(message: Any) -> Any:
        sent.append(message["type"])

    asyncio.run(application()({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@given(
    st.sampled_from(["GET", "POST", "PUT"]),
    st.lists(
        st.sampled_from(["v2", "models", "sum", "versions", "3", "infer", "ready", "", "invocations", "é"])
    ),
    st.binary(max_size=40) | st.just(json.dumps(x([[1, 2]])).encode()),
    st.lists(
        st.tuples(
            st.sampled_from([b"content-encoding", b"inference-header-content-length", b"x-request-id"]),
            st.binary(max_size=8),
        )
    ),
)
def test_no_request_crashes_the_application(method, parts, body, headers):
    status, _, content = call(method, "/" + "/".join(parts), body, headers=headers)
    assert status in (200, 400, 404, 405, 415)
    if status != 200:
        assert list(json.loads(content)) == ["error"]
    with suppress(ValueError):
        json.loads(content)
