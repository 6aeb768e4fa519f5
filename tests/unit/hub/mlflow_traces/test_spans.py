"""Spans that arrive by OTLP."""

import gzip
import json
import zlib
from typing import Any

import pytest
from google.protobuf.json_format import MessageToJson

from relive.core.access import Scope
from relive.formats import otlp
from tests.unit.hub.mlflow_registry.conftest import Registry
from tests.unit.hub.mlflow_traces.otlp import PROTOBUF, SECOND, a_span, request_of, send, sent, trace_id

INPUTS, OUTPUTS, USAGE = "mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.chat.tokenUsage"


def info(registry: Registry, number: int) -> dict[str, Any]:
    """Give what is known of a trace."""
    found: dict[str, Any] = registry.get(f"traces/{trace_id(number)}")["trace"]["trace_info"]
    return found


def test_a_trace_begins_with_its_spans(registry: Registry) -> None:
    root = a_span(1, attributes={INPUTS: "what?", OUTPUTS: "that", "mlflow.spanType": "CHAIN", "n": 5})
    sent(registry, root, a_span(1, 2, 1, end_time_unix_nano=4 * SECOND), resource={"service.name": "bot"})
    found = info(registry, 1)
    assert (found["state"], found["request_time"], found["execution_duration"]) == (
        "OK",
        "1970-01-01T00:00:01Z",
        "3s",
    )
    assert (found["request_preview"], found["response_preview"]) == ('"what?"', '"that"')
    assert found["tags"]["service.name"] == "bot"
    assert found["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    spans = registry.get("traces/get", trace_id=trace_id(1))["trace"]["spans"]
    assert [span["name"] for span in spans] == ["step 1", "step 2"]
    assert {"key": "n", "value": {"int_value": 5}} in spans[0]["attributes"]
    assert spans[1]["parent_span_id"] == spans[0]["span_id"]


def test_spans_come_in_any_order_and_in_pieces(registry: Registry) -> None:
    kid = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    sent(registry, a_span(2, 2, 1, attributes={USAGE: kid}))
    assert info(registry, 2)["state"] == "IN_PROGRESS"
    sent(registry, a_span(2, 3, 1, attributes={USAGE: kid}))
    assert json.loads(info(registry, 2)["trace_metadata"]["mlflow.trace.tokenUsage"])["total_tokens"] == 6
    # What the root says covers all below it.
    sent(registry, a_span(2, 1, status=2, attributes={USAGE: {"total_tokens": 10}}))
    found = info(registry, 2)
    assert found["state"] == "ERROR"
    assert json.loads(found["trace_metadata"]["mlflow.trace.tokenUsage"]) == {"total_tokens": 10}


@pytest.mark.parametrize(
    ("number", "attributes", "span_type"),
    [
        (
            17,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.input.messages": '[{"role": "user"}]',
                "gen_ai.output.messages": '["Hi"]',
                "gen_ai.request.model": "gpt",
                "gen_ai.provider.name": "openai",
                "gen_ai.usage.input_tokens": 3,
                "gen_ai.usage.output_tokens": 4,
            },
            "CHAT_MODEL",
        ),
        (
            18,
            {
                "openinference.span.kind": "LLM",
                "input.value": '[{"role": "user"}]',
                "output.value": '["Hi"]',
                "llm.model_name": "gpt",
                "llm.provider": "openai",
                "llm.token_count.prompt": 3,
                "llm.token_count.completion": 4,
                "llm.token_count.total": 7,
            },
            "LLM",
        ),
        (
            19,
            {
                "traceloop.span.kind": "workflow",
                "traceloop.entity.input": '[{"role": "user"}]',
                "traceloop.entity.output": '["Hi"]',
                "gen_ai.request.model": "gpt",
                "gen_ai.system": "openai",
                "gen_ai.usage.prompt_tokens": "3",
                "gen_ai.usage.completion_tokens": "4",
            },
            "WORKFLOW",
        ),
    ],
)
def test_other_instrumentations_are_understood(
    registry: Registry, number: int, attributes: dict[str, Any], span_type: str
) -> None:
    sent(registry, a_span(number, attributes=attributes))
    span = registry.bench.services.store.list_spans([trace_id(number)])[trace_id(number)][0]
    assert (span.type, span.model, span.provider) == (span_type, "gpt", "openai")
    assert span.usage == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    found = info(registry, number)
    assert (found["request_preview"], found["response_preview"]) == ('[{"role": "user"}]', '["Hi"]')


def test_what_mlflow_s_clients_wrote_stays(registry: Registry) -> None:
    both = {
        INPUTS: "mine",
        "input.value": "theirs",
        "mlflow.spanType": "TOOL",
        "traceloop.span.kind": "agent",
    }
    sent(registry, a_span(20, attributes=both))
    span = registry.bench.services.store.list_spans([trace_id(20)])[trace_id(20)][0]
    assert span.type == "TOOL"
    assert json.loads(span.content)["attributes"][INPUTS] == '"mine"'


def test_a_span_that_comes_again_takes_its_own_place(registry: Registry) -> None:
    for _ in range(2):
        sent(registry, a_span(3))
    assert len(registry.get("traces/get", trace_id=trace_id(3))["trace"]["spans"]) == 1


def test_what_the_client_said_at_the_end_stands(registry: Registry) -> None:
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    said = {"trace_id": trace_id(4), "trace_location": place, "request_time": "1970-01-01T00:00:07Z"}
    registry.post("traces", trace={"trace_info": said | {"execution_duration": "0.5s", "state": "OK"}})
    sent(registry, a_span(4, status=2))
    found = info(registry, 4)
    assert (found["request_time"], found["execution_duration"], found["state"]) == (
        "1970-01-01T00:00:07Z",
        "0.500s",
        "OK",
    )


def test_json_says_the_same_with_ids_in_hex(registry: Registry) -> None:
    asked = json.loads(MessageToJson(request_of(a_span(5, attributes={"a": "ü"}))))
    span = asked["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span |= {"traceId": f"{5:032x}", "spanId": f"{1:016x}"}
    answer = send(registry, json.dumps(asked).encode(), kind="application/json; charset=utf-8")
    assert answer.status == 200, answer.body
    assert registry.get("traces/get", trace_id=trace_id(5))["trace"]["spans"][0]["name"] == "step 1"


@pytest.mark.parametrize(
    ("number", "pack", "encoding"),
    [
        (6, gzip.compress, "gzip"),
        (7, zlib.compress, "deflate"),
        (8, lambda data: zlib.compress(data, wbits=-15), "deflate"),
    ],
)
def test_packed_bodies_are_read(registry: Registry, number: int, pack: Any, encoding: str) -> None:
    body = pack(request_of(a_span(number)).SerializeToString())
    assert send(registry, body, content_encoding=encoding).status == 200
    assert info(registry, number)["state"] == "OK"


BOMB = gzip.compress(b"\0" * ((64 << 20) + 1))


@pytest.mark.parametrize(
    ("body", "options", "said"),
    [
        (b"", {}, "no spans found"),
        (b"\xff\xff", {}, "Invalid OpenTelemetry format"),
        (b"{}", {"kind": "application/json"}, "no spans found"),
        (b"[1]", {"kind": "application/json"}, "Invalid OpenTelemetry format"),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}',
            {"kind": "application/json"},
            "hex",
        ),
        (b"x", {"kind": "text/plain"}, "Invalid Content-Type"),
        (b"x", {"content_encoding": "br"}, "Unsupported Content-Encoding"),
        (b"x", {"content_encoding": "gzip"}, "Failed to decompress"),
        (BOMB, {"content_encoding": "gzip"}, "once it is unpacked"),
        (request_of(a_span(9, end_time_unix_nano=2**63)).SerializeToString(), {}, "nanoseconds"),
        (request_of(a_span(9, name="a\0b")).SerializeToString(), {}, "NUL"),
    ],
)
def test_a_bad_body_is_refused_and_nothing_kept(
    registry: Registry, body: bytes, options: dict[str, str], said: str
) -> None:
    answer = send(registry, body, **options)
    assert answer.status == 400, answer.body
    assert said in answer.json["message"]
    assert registry.refused("GET", f"traces/{trace_id(9)}")[0] == 404


def test_a_span_without_an_id_is_not_to_be_processed(registry: Registry) -> None:
    bad: list[dict[str, Any]] = [{"trace_id": b""}, {"span_id": b""}, {"span_id": b"x" * 9}]
    for ids in bad:
        answer = send(registry, request_of(a_span(9, **ids)).SerializeToString())
        assert (answer.status, answer.json["error_code"]) == (422, "UNPROCESSABLE_ENTITY")
        assert "ids of 16 and of 8 bytes" in answer.json["message"]
    assert registry.refused("GET", f"traces/{trace_id(9)}")[0] == 404


def test_a_small_message_cannot_fill_the_hub_with_spans(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "MOST_SPANS", 2)
    sent(registry, a_span(301, 1), a_span(301, 2))
    answer = send(registry, request_of(*(a_span(302, span) for span in (1, 2, 3))).SerializeToString())
    assert (answer.status, "at most 2 in one request" in answer.json["message"]) == (400, True)
    assert registry.refused("GET", f"traces/{trace_id(302)}")[0] == 404


def test_the_experiment_must_be_named_and_be_there(registry: Registry) -> None:
    body = request_of(a_span(10)).SerializeToString()
    assert send(registry, body, "").status == 422
    assert send(registry, body, "none").status == 404
    gone = registry.post("experiments/create", name="gone")["experiment_id"]
    registry.post("experiments/delete", experiment_id=gone)
    assert send(registry, body, gone).status == 400
    assert registry.refused("GET", f"traces/{trace_id(10)}")[0] == 404


def test_a_run_is_linked_if_it_is_there(registry: Registry) -> None:
    run_id = registry.run()["run_id"]
    sent(registry, a_span(11), x_mlflow_run_id=run_id)
    sent(registry, a_span(12), x_mlflow_run_id="f" * 32)
    place = [{"mlflow_experiment": {"experiment_id": "0"}}]
    found = registry.post("traces/search", locations=place, filter=f"run_id = '{run_id}'")["traces"]
    assert [trace["trace_id"] for trace in found] == [trace_id(11)]


def test_a_command_links_no_run_of_another_project_and_then_keeps_nothing(registry: Registry) -> None:
    command = registry.bench.by_hand(project="digits").token
    mine, other = (registry.bench.by_hand(project=name).run_id for name in ("digits", "elsewhere"))
    body = request_of(a_span(16)).SerializeToString()
    assert send(registry, body, token=command, x_mlflow_run_id=other).status == 403
    assert registry.refused("GET", f"traces/{trace_id(16)}")[0] == 404
    assert send(registry, body, token=command, x_mlflow_run_id=mine).status == 200


def test_another_s_trace_takes_no_span_of_whoever_has_no_login(registry: Registry) -> None:
    sent(registry, a_span(13))
    local = registry.live.token(Scope.LOCAL, "local")
    mine, others = a_span(14), a_span(13, 2, 1)
    body = request_of(mine, others).SerializeToString()
    assert send(registry, body, token=local).status == 403
    assert registry.refused("GET", f"traces/{trace_id(14)}")[0] == 404
    assert send(registry, request_of(mine).SerializeToString(), token=local).status == 200
    assert send(registry, body, token="").status == 401


def test_the_spans_are_downloaded_as_a_file(registry: Registry) -> None:
    sent(registry, a_span(15, attributes={"text": 'say "ü"'}))
    asked = f"mlflow/get-trace-artifact?request_id={trace_id(15)}"
    answer = registry.ask("GET", f"/ajax-api/2.0/{asked}")
    assert registry.ask("GET", f"/ajax-api/3.0/{asked}").body == answer.body
    assert answer.headers["content-disposition"] == 'attachment; filename="traces.json"'
    span = json.loads(answer.body)["spans"][0]
    assert json.loads(span["attributes"]["text"]) == 'say "ü"'
    assert span["parent_span_id"] is None
    bare = registry.refused("GET", "/ajax-api/2.0/mlflow/get-trace-artifact")
    assert bare == (400, "BAD_REQUEST", 'Request must include the "request_id" query parameter.')


def test_the_answer_is_what_exporters_read(registry: Registry) -> None:
    answer = send(registry, request_of(a_span(16)).SerializeToString())
    assert (answer.body, answer.headers["content-type"]) == (b"", PROTOBUF)
