"""Sums over the tree of a trace, and the filter of traces."""

import pytest

from relive.core.search import And, Comparison, Field, Not, Or, Order, Side
from relive.core.trace import (
    NAME_TAG,
    RUN_KEY,
    Assessment,
    AssessmentKind,
    Span,
    Usage,
    amount_of,
    as_tree,
    text_of,
    total,
)
from relive.core.trace_filter import parse_trace_filter, parse_trace_orders
from relive.errors import InvalidFilter


@pytest.mark.parametrize(
    ("spans", "sums"),
    [
        ([], {}),
        ([Usage("a", "", {"n": 1})], {"n": 1}),
        ([Usage("a", "", {}), Usage("b", "a", {"n": 1}), Usage("c", "a", {"n": 2})], {"n": 3}),
        ([Usage("a", "", {"n": 5}), Usage("b", "a", {"n": 1})], {"n": 5}),
        ([Usage("b", "a", {"n": 1}), Usage("a", "", {"n": 5})], {"n": 5}),
        ([Usage("a", "gone", {"n": 1}), Usage("b", "gone", {"n": 2})], {"n": 3}),
        ([Usage("a", "", {"n": 1}), Usage("b", "a", {}), Usage("c", "b", {"n": 9})], {"n": 1}),
        ([Usage("a", "", {}), Usage("b", "a", {}), Usage("c", "b", {"n": 9, "m": 0.5})], {"n": 9, "m": 0.5}),
        # Two that are each other's parents hang on no root.
        ([Usage("a", "b", {"n": 1}), Usage("b", "a", {"n": 2})], {}),
    ],
)
def test_what_a_span_says_covers_all_below_it(spans: list[Usage], sums: dict[str, float]) -> None:
    assert total(spans) == sums


@pytest.mark.parametrize(
    ("text", "field", "comparator", "value"),
    [
        ("status = 'OK'", Field(Side.ATTRIBUTE, "status"), "=", "OK"),
        ("trace.status IN ('OK', 'ERROR')", Field(Side.ATTRIBUTE, "status"), "IN", ("OK", "ERROR")),
        ("name = 'a'", Field(Side.TAG, NAME_TAG), "=", "a"),
        ("attributes.name RLIKE 'a+'", Field(Side.TAG, NAME_TAG), "RLIKE", "a+"),
        ("run_id = 'r'", Field(Side.ATTRIBUTE, "run_id"), "=", "r"),
        ("run_id != 'r'", Field(Side.METADATA, RUN_KEY), "!=", "r"),
        ("timestamp > 5", Field(Side.ATTRIBUTE, "timestamp_ms"), ">", 5),
        ("`execution_time` <= 1.5", Field(Side.ATTRIBUTE, "execution_time_ms"), "<=", 1.5),
        ("trace.text LIKE '%a%'", Field(Side.SPAN, "content"), "LIKE", "%a%"),
        ("span.attributes.`a b` = 'x'", Field(Side.SPAN, "attributes.a b"), "=", "x"),
        ("request_metadata.a.b IS NOT NULL", Field(Side.METADATA, "a.b"), "IS NOT NULL", None),
        ("feedback.ok >= 0.5", Field(Side.FEEDBACK, "ok"), ">=", 0.5),
        ("expectation.`x y` ilike 'a'", Field(Side.EXPECTATION, "x y"), "ILIKE", "a"),
        ("issue.id = 'i'", Field(Side.ISSUE, "id"), "=", "i"),
        ("prompt = 'greet/1'", Field(Side.ATTRIBUTE, "prompt"), "=", "greet/1"),
    ],
)
def test_a_comparison_says_where_its_field_is(
    text: str, field: Field, comparator: str, value: str | float | None
) -> None:
    assert parse_trace_filter(text) == Comparison(field, comparator, value)


def test_conditions_are_joined_as_everywhere() -> None:
    one, two = (Comparison(Field(Side.TAG, key), "=", "x") for key in "ab")
    assert parse_trace_filter("tag.a = 'x' AND tag.b = 'x'") == And((one, two))
    assert parse_trace_filter("tag.a = 'x' OR NOT (tag.b = 'x')") == Or((one, Not(two)))
    assert parse_trace_filter("  ") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("span.attributes.x > 'a'", "span.attributes.x comparator '>' not one of"),
        ("span.colour = 'red'", "Invalid span attribute 'colour'"),
        ("span.content = 'x'", "span.content comparator '=' not one of"),
        ("issue.title = 'x'", "Invalid issue attribute 'title'. Supported attributes: id"),
        ("feedback.ok IN ('a')", "assessment.ok comparator 'IN' not one of"),
        ("feedback.ok = 5", "Expected a quoted string value for feedback"),
        ("feedback.ok < 'a'", "Expected a numeric value for feedback when using comparator '<'"),
        ("prompt = 'greet'", 'Expected format: prompt = "name/version"'),
        ("prompt LIKE 'greet/1'", "Invalid comparator 'LIKE' for prompts filter"),
        ("status = 5", "attributes support comparison with numeric values"),
        ("status = OK", "not quoted"),
        ("status IN 'OK'", "Invalid clause"),
        ("colour = 'red'", "Invalid attribute key 'colour' specified"),
        ("thing.a = 'red'", "Invalid entity type 'thing'"),
        ("'a' = 'b'", "Expected 'Identifier' found ''a''"),
        ("status", "Invalid clause"),
    ],
)
def test_what_cannot_be_read_is_refused_in_mlflow_s_words(text: str, said: str) -> None:
    with pytest.raises(InvalidFilter) as refused:
        parse_trace_filter(text)
    assert said in str(refused.value)


def test_orders_name_what_traces_have() -> None:
    assert parse_trace_orders(["name DESC", "run_id", "metadata.a", "timestamp"]) == (
        Order(Field(Side.TAG, NAME_TAG), ascending=False),
        Order(Field(Side.METADATA, RUN_KEY)),
        Order(Field(Side.METADATA, "a")),
        Order(Field(Side.ATTRIBUTE, "timestamp_ms")),
    )
    for text in ("prompt", "text", "span.name", "metadata.mlflow.trace.tokenUsage"):
        with pytest.raises(InvalidFilter):
            parse_trace_orders([text])


def step(name: str, parent: str = "", at: int = 0) -> Span:
    """Make a span of a trace."""
    return Span(trace_id="tr-1", id=name, parent_id=parent, started_ns=at, content="{}")


@pytest.mark.parametrize(
    ("spans", "laid"),
    [
        ([], []),
        # As they began, each before what lies in it.
        (
            [
                step("late", at=9),
                step("b", "root", 3),
                step("root", at=1),
                step("a", "root", 2),
                step("in b", "b", 4),
            ],
            [("root", 0), ("a", 1), ("b", 1), ("in b", 2), ("late", 0)],
        ),
        # What came without its parent is at the top.
        ([step("child", "not here", 1), step("below", "child", 2)], [("child", 0), ("below", 1)]),
        # Each once, also where they name one another, or themselves.
        ([step("a", "b", 1), step("b", "a", 2)], [("a", 0), ("b", 1)]),
        ([step("own", "own", 1), step("root", at=2)], [("root", 0), ("own", 0)]),
    ],
)
def test_spans_are_laid_out_as_a_tree(spans: list[Span], laid: list[tuple[str, int]]) -> None:
    assert [(span.id, depth) for span, depth in as_tree(spans)] == laid


def test_a_deep_tree_is_laid_out_without_end_of_the_stack() -> None:
    spans = [step(str(n), str(n - 1) if n else "", n) for n in range(5000)]
    assert [depth for _, depth in as_tree(spans)] == list(range(5000))


@pytest.mark.parametrize(
    ("kind", "value", "error", "text"),
    [
        (AssessmentKind.FEEDBACK, '"yes"', {}, "yes"),
        (AssessmentKind.FEEDBACK, "true", {}, "true"),
        (AssessmentKind.EXPECTATION, '{"a": "ü"}', {}, '{"a": "ü"}'),
        (AssessmentKind.ISSUE, '{"issue_name": "slow"}', {}, "slow"),
        (AssessmentKind.FEEDBACK, "null", {"error_code": "TIMEOUT", "error_message": "too slow"}, "too slow"),
        (AssessmentKind.FEEDBACK, "null", {"error_code": "TIMEOUT"}, "TIMEOUT"),
    ],
)
def test_what_was_said_is_written_for_people(
    kind: AssessmentKind, value: str, error: dict[str, str], text: str
) -> None:
    said = Assessment(id="a", trace_id="tr-1", name="n", kind=kind, value=value, error=error)
    assert text_of(said) == text


@pytest.mark.parametrize(
    ("said", "amount"),
    [("", None), ("{", None), ("[1]", None), ('{"n": "2"}', None), ('{"n": 2}', 2), ('{"n": 0.5}', 0.5)],
)
def test_a_number_is_read_where_one_is_said(said: str, amount: float | None) -> None:
    assert amount_of(said, "n") == amount
