"""How what clients say of traces is read and written."""

import json
import math
from typing import Any

import pytest

from relive.core.trace import COST_KEY, COST_PARTS, USAGE_KEY, USAGE_PARTS, Span
from relive.services.mlflow.assessment_values import number_of
from relive.services.mlflow.conventions import INPUTS, OUTPUTS, TYPE, USAGE, translated
from relive.services.mlflow.faults import MlflowFault
from relive.services.mlflow.previews import preview
from relive.services.mlflow.trace_json import span_json
from relive.services.mlflow.trace_numbers import amounts, expected_spans, numbers_of, tidy_metadata
from relive.services.mlflow.trace_search import npmi
from relive.services.mlflow.trace_times import duration, duration_ms, milliseconds_of, stamp


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1795428000250, "2026-11-23T10:00:00.250Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (-62135596800000, "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_written_and_read(ms: int, text: str) -> None:
    assert stamp(ms) == text
    assert milliseconds_of(text, "t") == ms


@pytest.mark.parametrize("text", ["2026-11-23T11:30:00.2505+01:30", "2026-11-23t10:00:00.250999999z"])
def test_other_ways_to_write_a_time_are_read(text: str) -> None:
    assert milliseconds_of(text, "t") == 1795428000250


@pytest.mark.parametrize("text", ["now", "2026-11-23", "2026-02-30T00:00:00Z", "2026-11-23T10:00:00", "1.5"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(MlflowFault, match="request_time"):
        milliseconds_of(text, "request_time")


def test_a_time_beyond_all_years_is_refused() -> None:
    with pytest.raises(MlflowFault):
        stamp(10**18)


@pytest.mark.parametrize(("ms", "text"), [(0, "0s"), (1500, "1.500s"), (7, "0.007s"), (-1500, "-1.500s")])
def test_a_duration_is_written_and_read(ms: int, text: str) -> None:
    assert duration(ms) == text
    assert duration_ms(text, "d") == ms


@pytest.mark.parametrize("text", ["5", "1.5", "s", "1e3s", "9999999999999s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(MlflowFault, match="execution_duration"):
        duration_ms(text, "execution_duration")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('{"total_tokens": 7, "input_tokens": "3", "other": 1}', {"input_tokens": 3, "total_tokens": 7}),
        ({"total_tokens": 7.0, "input_tokens": 1.5}, {"total_tokens": 7}),
        ({"total_tokens": True, "input_tokens": None, "output_tokens": "x"}, {}),
        ({"total_tokens": 1e300, "input_tokens": math.inf}, {}),
        ("not json", {}),
        ("[1]", {}),
        (None, {}),
    ],
)
def test_tokens_are_whole_numbers(said: Any, found: dict[str, int]) -> None:
    assert amounts(said, USAGE_PARTS) == found


def test_money_is_any_number_that_is_one() -> None:
    said = {"input_cost": "0.5", "output_cost": math.nan, "total_cost": 10**400}
    assert amounts(said, COST_PARTS) == {"input_cost": 0.5}


def test_metadata_is_written_one_way() -> None:
    given = {USAGE_KEY: '{"total_tokens":7}', COST_KEY: "none", "a": "b"}
    assert tidy_metadata(given) == {"a": "b", USAGE_KEY: '{"total_tokens": 7}'}
    assert numbers_of(given) == {"total_tokens": 7}


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ('{"num_spans": 3}', 3),
        ("{}", 0),
        ("x", 0),
        ("[]", 0),
        ('{"num_spans": -1}', 0),
        ('{"num_spans": "9"}', 0),
    ],
)
def test_the_number_of_spans_is_what_the_client_counted(said: str, count: int) -> None:
    assert expected_spans({"mlflow.trace.sizeStats": said}) == count


@pytest.mark.parametrize(
    ("value", "role", "shown"),
    [
        ("plain", "user", "plain"),
        ({"a": 1}, "user", '{"a": 1}'),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "user", "b"),
        ({"messages": [{"role": "system", "content": "be kind"}]}, "user", "be kind"),
        ({"choices": [{"message": {"role": "assistant", "content": "yes"}}]}, "assistant", "yes"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}, "user", "hi"),
        ({"output": [{"role": "assistant", "content": ["x"]}]}, "assistant", "x"),
        ({"request": {"messages": [{"role": "user", "content": "inner"}]}}, "user", "inner"),
        (
            {"messages": [{"role": "user", "content": None}]},
            "user",
            '{"messages": [{"role": "user", "content": null}]}',
        ),
        ({"messages": "none"}, "user", '{"messages": "none"}'),
    ],
)
def test_a_preview_is_what_was_said_last(value: Any, role: str, shown: str) -> None:
    assert preview(value if isinstance(value, str) else json.dumps(value), role) == shown


def test_a_long_preview_is_cut() -> None:
    assert preview("x" * 1001, "user") == "x" * 997 + "..."


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (True, (1.0, False)),
        (5, (5.0, True)),
        (0.5, (0.5, True)),
        ("Yes", (1.0, False)),
        ("no", (0.0, False)),
        ("5", (None, False)),
        (math.nan, (None, False)),
        (10**400, (None, False)),
        (None, (None, False)),
        ([1], (None, False)),
    ],
)
def test_a_judgement_is_averaged_if_it_can_be(value: Any, number: tuple[float | None, bool]) -> None:
    assert number_of(value) == number


def test_values_are_written_as_otlp_has_them() -> None:
    attributes = {
        "n": 1,
        "big": 2**63,
        "f": 1.0,
        "nan": math.nan,
        "inf": -math.inf,
        "b": True,
        "t": "ü",
        "none": None,
        "l": [1, None],
        "empty": [],
        "d": {"a": {}},
    }
    content = {
        "trace_id": "AAAAAAAAAAAAAAAAAAAAAQ==",
        "span_id": "AAAAAAAAAAE=",
        "parent_span_id": None,
        "events": [],
        "links": [{"trace_id": f"tr-{1:032x}", "span_id": f"{2:016x}", "attributes": {"k": "v"}}],
        "status": {"code": "STATUS_CODE_UNSET", "message": ""},
        "attributes": {key: json.dumps(value) for key, value in attributes.items()},
    }
    span = Span(trace_id="tr-1", id="1", name="s", started_ns=1, content=json.dumps(content))
    written = span_json(span)
    assert {pair["key"]: pair.get("value") for pair in written["attributes"]} == {
        "n": {"int_value": 1},
        "big": {"string_value": str(2**63)},
        "f": {"double_value": 1.0},
        "nan": {"double_value": "NaN"},
        "inf": {"double_value": "-Infinity"},
        "b": {"bool_value": True},
        "t": {"string_value": "ü"},
        "none": None,
        "l": {"array_value": {"values": [{"int_value": 1}, {}]}},
        "empty": {"array_value": {}},
        "d": {"kvlist_value": {"values": [{"key": "a", "value": {"kvlist_value": {}}}]}},
    }
    assert written["links"] == [
        {
            "trace_id": "AAAAAAAAAAAAAAAAAAAAAQ==",
            "span_id": "AAAAAAAAAAI=",
            "attributes": [{"key": "k", "value": {"string_value": "v"}}],
        }
    ]
    assert written["status"] == {}
    assert {"parent_span_id", "end_time_unix_nano", "events"}.isdisjoint(written)


@pytest.mark.parametrize(
    ("attributes", "key", "value"),
    [
        ({"input.value": '{"a": 1}'}, INPUTS, {"a": 1}),
        ({"output.value": "text"}, OUTPUTS, "text"),
        ({INPUTS: "mine", "input.value": "theirs"}, INPUTS, "mine"),
        ({"gen_ai.usage.input_tokens": 1}, USAGE, {"input_tokens": 1}),
        ({"gen_ai.usage.prompt_tokens": "1", "llm.usage.total_tokens": True}, USAGE, {"input_tokens": 1}),
        ({"openinference.span.kind": "RERANKER"}, TYPE, "RERANKER"),
        ({"langfuse.observation.type": "generation", TYPE: "UNKNOWN"}, TYPE, "LLM"),
        ({"traceloop.span.kind": "agent", TYPE: "TOOL"}, TYPE, "TOOL"),
        ({"traceloop.span.kind": "odd"}, TYPE, None),
        ({"gen_ai.input.messages": ""}, INPUTS, None),
    ],
)
def test_other_words_are_translated(attributes: dict[str, Any], key: str, value: Any) -> None:
    assert translated(attributes).get(key) == value


@pytest.mark.parametrize(
    ("counts", "value"),
    [
        ((2, 2, 2, 4), 1.0),
        ((0, 2, 2, 4), -1.0),
        ((1, 2, 2, 4), 0.0),
        ((4, 4, 4, 4), 1.0),
        ((0, 0, 2, 4), math.nan),
        ((0, 0, 0, 0), math.nan),
        ((3, 2, 2, 4), math.nan),
    ],
)
def test_how_two_sets_go_together(counts: tuple[int, int, int, int], value: float) -> None:
    assert npmi(*counts) == pytest.approx(value, nan_ok=True)
    smoothed = npmi(*counts, extra=0.5)
    assert math.isnan(smoothed) if math.isnan(value) else -1 < smoothed < 1
