"""Filters and orders: what MLflow accepts means the same, ours is more, and rubbish is cleanly refused."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relive.core import search_grammars as grammars
from relive.core.search import (
    And,
    Comparison,
    Condition,
    Field,
    Not,
    Or,
    Order,
    Side,
    conjuncts,
    filter_text,
    order_text,
)
from relive.core.search_parser import MOST_COMPARISONS, MOST_LISTED, parse_filter, parse_order, parse_orders
from relive.errors import InvalidFilter, InvalidInput

RUNS = grammars.RUNS


def one(text: str, grammar: grammars.Grammar = RUNS) -> tuple[str, str, str, Any]:
    """Read a filter of one comparison."""
    read = parse_filter(text, grammar)
    assert isinstance(read, Comparison)
    return read.field.side.value, read.field.key, read.comparator, read.value


def refused(text: str, grammar: grammars.Grammar = RUNS) -> InvalidFilter:
    """Give the error that a filter is refused with."""
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(text, grammar)
    return caught.value


# The left sides are MLflow's own test cases, or were tried against its server.
@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("metric.acc >= 0.94", ("metric", "acc", ">=", 0.94)),
        ("metrics.acc>=100", ("metric", "acc", ">=", 100.0)),
        ("params.m!='tf'", ("parameter", "m", "!=", "tf")),
        ('params."m"!="tf"', ("parameter", "m", "!=", "tf")),
        ('metric."legit name" >= 0.243', ("metric", "legit name", ">=", 0.243)),
        ('metrics."X//Y#$$@&Z" = 3', ("metric", "X//Y#$$@&Z", "=", 3.0)),
        ("`metric`.a >= 0.1", ("metric", "a", ">=", 0.1)),
        ("metrics.`spacey name` > 5", ("metric", "spacey name", ">", 5.0)),
        ('metrics."accuracy.2.0" > 5', ("metric", "accuracy.2.0", ">", 5.0)),
        ("metrics.a.b.c > -.5", ("metric", "a.b.c", ">", -0.5)),
        ("metrics.a > 1.5e-3", ("metric", "a", ">", 0.0015)),
        ("metrics.a > 5.", ("metric", "a", ">", 5.0)),
        ("metrics.1st > 1", ("metric", "1st", ">", 1.0)),
        ("metrics.a > 1e400", ("metric", "a", ">", float("inf"))),
        ("metrics.system/cpu-0 > 1", ("metric", "system/cpu-0", ">", 1.0)),
        ('params.m = "L\'Hosp"', ("parameter", "m", "=", "L'Hosp")),
        ("params.x = 'it''s'", ("parameter", "x", "=", "it''s")),
        (r"params.x = 'it\'s'", ("parameter", "x", "=", r"it\'s")),
        ("params.x iLike '%A_'", ("parameter", "x", "ILIKE", "%A_")),
        ("params.é = 'ü'", ("parameter", "é", "=", "ü")),
        ("tags.mlflow.parentRunId = 'abc'", ("tag", "mlflow.parentRunId", "=", "abc")),
        ("tag.`c d` like '%z'", ("tag", "c d", "LIKE", "%z")),
        ("tags.version IS NULL", ("tag", "version", "IS NULL", None)),
        ("param.lr is  not\tnull", ("parameter", "lr", "IS NOT NULL", None)),
        ("run.status = 'RUNNING'", ("attribute", "status", "=", "RUNNING")),
        ("Created > 5", ("attribute", "start_time", ">", 5)),
        ("attr.end_time <= 5.5", ("attribute", "end_time", "<=", 5.5)),
        ("\"Run Name\" = 'x'", ("attribute", "run_name", "=", "x")),
        ("attributes.`run name` = 'x'", ("attribute", "run_name", "=", "x")),
        ("run_id in ('a', \"b\")", ("attribute", "run_id", "IN", ("a", "b"))),
        ("run_id NOT IN ('a',)", ("attribute", "run_id", "NOT IN", ("a",))),
        ("run_id IN ('a' 'b')", ("attribute", "run_id", "IN", ("ab",))),
        ("dataset.context = 'train'", ("dataset", "context", "=", "train")),
        ("datasets.name in ('a', 'b')", ("dataset", "name", "IN", ("a", "b"))),
    ],
)
def test_a_comparison_of_runs(text, read):
    assert one(text) == read


@pytest.mark.parametrize(
    ("grammar", "text", "read"),
    [
        (grammars.EXPERIMENTS, "name like 'x%'", ("attribute", "name", "LIKE", "x%")),
        (grammars.EXPERIMENTS, "attribute.creation_time > 5", ("attribute", "creation_time", ">", 5)),
        (grammars.EXPERIMENTS, "experiment_id IN ('1')", ("attribute", "experiment_id", "IN", ("1",))),
        (grammars.EXPERIMENTS, "tag.a IS NULL", ("tag", "a", "IS NULL", None)),
        (grammars.REGISTERED_MODELS, "name IN ('a','b')", ("attribute", "name", "IN", ("a", "b"))),
        (grammars.REGISTERED_MODELS, "tags.`a b` != 'b'", ("tag", "a b", "!=", "b")),
        (grammars.MODEL_VERSIONS, "version_number > 5", ("attribute", "version_number", ">", 5)),
        (grammars.MODEL_VERSIONS, "version_number = '5'", ("attribute", "version_number", "=", 5)),
        (grammars.MODEL_VERSIONS, "source_path ILIKE 'a'", ("attribute", "source_path", "ILIKE", "a")),
        (grammars.LOGGED_MODELS, "params.lr = 0.01", ("parameter", "lr", "=", "0.01")),
        (grammars.LOGGED_MODELS, "name = abc", ("attribute", "name", "=", "abc")),
        (grammars.LOGGED_MODELS, "creation_time > 5", ("attribute", "creation_timestamp", ">", 5)),
        (grammars.LOGGED_MODELS, "metrics.a >= 1", ("metric", "a", ">=", 1.0)),
        (grammars.OWN_RUNS, "status = 'finished'", ("attribute", "state", "=", "finished")),
        (grammars.OWN_RUNS, "kind in ('stage')", ("attribute", "kind", "IN", ("stage",))),
        (grammars.OWN_RUNS, "created_at >= '2026-11-23'", ("attribute", "created_at", ">=", 1795392000.0)),
        (grammars.OWN_RUNS, "ended_at < 5", ("attribute", "ended_at", "<", 5)),
    ],
)
def test_a_comparison_of_other_things(grammar, text, read):
    assert one(text, grammar) == read


A, B, C = (Comparison(Field(Side.METRIC, key), ">", 1.0) for key in "abc")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", None),
        ("AND and", None),
        ("metrics.a > 1 metrics.b > 1", And((A, B))),
        ("and metrics.a > 1 AND and metrics.b > 1 AND", And((A, B))),
        ("metrics.a > 1 or metrics.b > 1 and metrics.c > 1", Or((A, And((B, C))))),
        ("(metrics.a > 1 OR metrics.b > 1) AND metrics.c > 1", And((Or((A, B)), C))),
        ("not metrics.a > 1 AND metrics.b > 1", And((Not(A), B))),
        ("NOT (metrics.a > 1 OR NOT NOT metrics.b > 1)", Not(Or((A, Not(Not(B)))))),
    ],
)
def test_conditions_are_joined(text, read):
    assert parse_filter(text, RUNS) == read


@pytest.mark.parametrize(
    ("text", "sentence", "at"),
    [
        ("m.acc >= 0.94", "Invalid entity type 'm'. Valid values are ['metric',", 0),
        ("metrics.a > 1 AND acc >= 0.94", "Invalid attribute key 'acc' specified. Valid keys are '{'Cre", 18),
        ("`metrics.a` > 1", "Invalid entity type '`metrics'", 0),
        ("dataset.status = 'true'", "Invalid dataset key 'status' specified", 0),
        ("metric.acc >= 0.94; metrics.rmse < 1", "Search filter contained multiple expression", 18),
        ("metrics.a > 1;", "Invalid clause(s) in filter string: ';'", 13),
        ("metrics.A > 0.1 NAND params.B = 'LR'", "Invalid clause(s) in filter string: 'NAND'", 16),
        ("`metrics.A > 0.1", "Invalid clause(s) in filter string", 0),
        ("evilhax = true", "Invalid clause(s) in filter string: 'true'", 10),
        ("attribute.status = true", "Invalid clause(s) in filter string: 'true'", 19),
        ("attribute.status IS 'RUNNING'", "Invalid clause(s) in filter string", 0),
        ("params.acc = LR'", "Invalid clause(s) in filter string: '''", 15),
        ("tags.acc = = 'LR'", "Invalid clause(s) in filter string: '='", 11),
        ("metric.acc !=", "Invalid clause(s) in filter string: 'the end'", 13),
        ("foo is null", "Invalid attribute key 'foo'", 0),
        ("1==2", "Invalid comparison clause. Expected 'Identifier' found '1'", 0),
        ("metrics.acc IS NULL", "IS NULL / IS NOT NULL is only supported for tags and params, not", 12),
        ("metric.model = '5'", "Expected numeric value type for metric. Found '5'", 15),
        ("params.acc = 5", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 5", 13),
        ("params.acc = LR", "Parameter value is either not quoted or unidentified quote", 13),
        ("params.acc = `LR`", "Parameter value is either not quoted or unidentified quote", 13),
        ("attribute.status = 1", "Expected a quoted string value for attributes. Got value 1", 19),
        ("start_time > '5'", "Expected numeric value type for numeric attribute: start_time. Found '5'", 13),
        ("params.abc >= 'x'", "Invalid comparator '>=' not one of", 11),
        ("metrics.abc ~ 1.0", "Invalid comparator '~' not one of", 12),
        ("start_time LIKE 5", "Invalid comparator 'LIKE' not one of", 11),
        ("status IN ('a')", "Only ['run_id'] attributes support comparison with a list", 10),
        ("params.x in ('a')", "Expected a quoted string value for parameter", 12),
        ("run_id IN ()", "While parsing a list in the query, expected a non-empty list of string", 10),
        ("run_id IN (1)", "While parsing a list in the query, expected string value, punctuation, or", 10),
        ("run_id IN (a)", "While parsing a list in the query", 10),
        ("run_id IN 'a'", "Invalid clause(s) in filter string", 7),
        ("   ", "Invalid filter '   '. Could not be parsed.", 3),
        ("(metrics.a > 1", "Invalid clause(s) in filter string: '('", 0),
        ("metrics.a > 1)", "Invalid clause(s) in filter string: ')'", 13),
        ("metrics.a > 1 OR", "Invalid clause(s) in filter string: 'the end'", 16),
        ("NOT", "Invalid clause(s) in filter string: 'the end'", 3),
        ("params.{a} = 'x'", "Invalid clause(s) in filter string", 6),
    ],
)
def test_what_is_refused_in_which_words_and_where(text, sentence, at):
    error = refused(text)
    assert sentence in error.sentence
    assert error.at == at
    assert error.sentence.endswith(f"(at character {at + 1} of the filter)")


@pytest.mark.parametrize(
    ("grammar", "text", "sentence"),
    [
        (grammars.EXPERIMENTS, "params.x = 'a'", "Valid entity types are ('attribute', 'tag', 'tags')"),
        (grammars.EXPERIMENTS, "name IS NULL", "is only supported for tags, not for attribute 'name'"),
        (grammars.EXPERIMENTS, "creation_time = 5.5", "Invalid value for numeric attribute 'creation_time'"),
        (grammars.EXPERIMENTS, "name IN ('a')", "Only ['experiment_id'] attributes support"),
        (grammars.REGISTERED_MODELS, "name > 'x'", "Invalid comparator for attribute: >"),
        (grammars.REGISTERED_MODELS, "name = 5", "or a list of quoted string values for attributes. Got"),
        (grammars.MODEL_VERSIONS, "name = 5", "'version_number'}' attributes support comparison with num"),
        (grammars.MODEL_VERSIONS, "source_path IN ('a')", "Only ['name', 'run_id'] attributes support"),
        (grammars.MODEL_VERSIONS, "version_number = 'x'", "Expected numeric value type for numeric"),
        (grammars.LOGGED_MODELS, "attribute.name = 'x'", "Invalid entity type: 'attribute'. Expected one of"),
        (grammars.LOGGED_MODELS, "name > 'x'", "Invalid comparison operator for attributes.name: '>'."),
        (grammars.OWN_RUNS, "created_at > 'soon'", "Expected a date such as '2026-11-23'"),
    ],
)
def test_other_things_have_their_own_words(grammar, text, sentence):
    assert sentence in refused(text, grammar).sentence


def test_an_error_shows_the_place():
    assert str(refused("metrics.a > 1 AND acc = 1")).splitlines()[1:] == [
        "  metrics.a > 1 AND acc = 1",
        "                    ^",
    ]
    assert len(str(refused("x" * 1000 + " = 1")).splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "(" * 40 + "metrics.a > 1" + ")" * 40,
        "NOT " * 10_000 + "metrics.a > 1",
        "metrics.a > 1 " * (MOST_COMPARISONS + 1),
        f"run_id IN ({', '.join(['1'] * MOST_LISTED)}, 'a')",
        f"run_id IN ({', '.join(['0'.join(repr('a'))] * (MOST_LISTED + 1))})",
        "start_time > " + "9" * 10_000 + "x",
    ],
)
def test_what_is_too_much_is_refused(text):
    assert refused(text).sentence


def test_a_long_number_is_only_large():
    assert one("start_time > " + "9" * 10_000)[3] == float("inf")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("metrics.a", Order(Field(Side.METRIC, "a"))),
        ("metrics.`a b` DESC", Order(Field(Side.METRIC, "a b"), ascending=False)),
        ('params."a b"  asc', Order(Field(Side.PARAM, "a b"))),
        ("Created desc", Order(Field(Side.ATTRIBUTE, "start_time"), ascending=False)),
        ("attribute.end_time", Order(Field(Side.ATTRIBUTE, "end_time"))),
    ],
)
def test_an_order(text, read):
    assert parse_order(text, RUNS) == read


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Invalid order_by clause ''. Could not be parsed."),
        ("metrics.a desc asc", "Invalid order_by clause 'metrics.a desc asc'. Could not be parsed."),
        ("metrics.a, params.b", "Could not be parsed"),
        ("1", "Could not be parsed"),
        ("{found}", "Invalid order_by clause '{found}'. Could not be parsed."),
        ("metrics.a foo", "Invalid ordering key in order_by clause 'metrics.a foo'."),
        ("foo", "Invalid attribute key 'foo' specified. Valid keys are '{'Created', 'artifact_uri'"),
        ("`run name`", "Invalid attribute key 'run name'"),
        ("m.a", "Invalid entity type 'm'"),
        ("dataset.name", "Invalid identifier type 'dataset'"),
    ],
)
def test_an_order_that_is_refused(text, sentence):
    with pytest.raises(InvalidFilter) as caught:
        parse_order(text, RUNS)
    assert sentence in caught.value.sentence


def test_a_field_is_sorted_by_once():
    with pytest.raises(InvalidFilter, match="`order_by` contains duplicate fields"):
        parse_orders(["start_time", "Created DESC"], RUNS)
    with pytest.raises(InvalidFilter, match="Invalid order by key 'foo' specified"):
        parse_orders(["name", "foo"], grammars.REGISTERED_MODELS)


# --- properties ------------------------------------------------------------------------------------------

_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="`'\"\\")
_TEXTS = st.text(_CHARACTERS, max_size=8)
_KEYS = st.text(_CHARACTERS, min_size=1, max_size=8)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def _compared(side: Side, comparators: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(Comparison, st.builds(Field, st.just(side), _KEYS), st.sampled_from(comparators), values)


_COMPARISONS = st.one_of(
    _compared(Side.METRIC, ["<", ">=", "!="], _NUMBERS),
    _compared(Side.PARAM, ["=", "LIKE"], _TEXTS),
    _compared(Side.TAG, ["IS NULL", "IS NOT NULL"], st.none()),
    st.builds(
        Comparison,
        st.just(Field(Side.ATTRIBUTE, "run_id")),
        st.sampled_from(["IN", "NOT IN"]),
        # A list is read as Python reads it, so any text can stand in it.
        st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=1).map(tuple),
    ),
)
_CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    _COMPARISONS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


@given(_CONDITIONS)
@example(Comparison(Field(Side.ATTRIBUTE, "run_id"), "IN", ("\\", ")", "it's\\")))
def test_what_is_written_is_read_as_the_same(condition):
    assert parse_filter(filter_text(condition), RUNS) == condition


@given(_KEYS, st.booleans())
def test_an_order_that_is_written_is_read_as_the_same(key, ascending):
    order = Order(Field(Side.METRIC, key), ascending)
    assert parse_order(order_text(order), RUNS) == order


_WORDS = ["metrics.a", "params.`b c`", "status", "AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "{found}"]
_SIGNS = ["(", ")", ",", "'x'", '"y"', "1", "=", ">", "'", '"', "`", ";", ".", "\\", "-", "é", "\0", "\n"]
_PIECES = st.sampled_from([*_WORDS, *_SIGNS, "9" * 5000])
_RUBBISH = st.one_of(st.text(max_size=40), st.lists(_PIECES, max_size=12).map(" ".join))
_GRAMMARS = st.sampled_from([RUNS, grammars.OWN_RUNS, grammars.EXPERIMENTS, grammars.LOGGED_MODELS])


@given(_RUBBISH, _GRAMMARS, st.sampled_from([parse_filter, parse_order]))
def test_rubbish_is_read_or_cleanly_refused(text, grammar, parse):
    refusals = []
    try:
        parse(text, grammar)
    except InvalidFilter as error:
        refusals.append(error)
    assert all(0 <= error.at <= len(text) and error.sentence for error in refusals)


def test_what_the_language_cannot_say_is_not_written():
    with pytest.raises(InvalidInput):
        filter_text(Comparison(Field(Side.PARAM, "a"), "=", "'\""))


def test_conjuncts_are_what_must_all_hold():
    assert conjuncts(None) == ()
    assert conjuncts(A) == (A,)
    assert conjuncts(And((A, B))) == (A, B)
