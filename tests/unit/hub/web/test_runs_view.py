"""The table of runs: its state in the address, its columns, its order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.search import Field, Order, Side, filter_text
from relive.errors import InvalidInput, NotFound
from relive.hub.web.views.asked import PAGE, Asked, field_id, read_asked, read_field, read_filter, read_search
from relive.hub.web.views.compare import Look, get_compare
from relive.hub.web.views.runs import count_found, get_runs

_NAME = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@given(
    st.builds(
        Asked,
        q=st.text(st.characters(codec="utf-8", categories=["L", "N"]), max_size=20),
        sort=st.sampled_from(["-created_at", "name", "-metrics.loss"]),
        cols=st.lists(_NAME.map(lambda name: f"metrics.{name}"), max_size=5, unique=True).map(tuple),
        sel=st.lists(_NAME, max_size=5, unique=True).map(tuple),
        after=_NAME,
        n=st.integers(0, 999),
    )
)
def test_the_address_says_the_whole_state(asked):
    assert read_asked({key: str(value) for key, value in asked.query().items()}) == asked


def test_a_state_that_is_the_usual_one_needs_no_address():
    assert Asked().query() == {}
    assert Asked(after="x", n=50, sel=("a",)).fresh(sort="name") == {"sort": "name", "sel": "a"}


@pytest.mark.parametrize("n", ["-3", "x", "", "9" * 40, "²"])
def test_a_place_that_is_none_is_the_first(n):
    assert read_asked({"n": n}).n == 0


@given(st.sampled_from([Side.METRIC, Side.PARAM, Side.TAG]), st.text(min_size=1, max_size=20))
def test_any_key_can_be_a_column(side, key):
    name = field_id(Field(side, key))
    assert "," not in name
    assert read_field(name) == Field(side, key)


def test_the_filter_box_takes_words_and_facts():
    text, found = read_filter("bert status:failed kind:manual stage:train x:y")
    assert text == "bert train x:y"
    assert found is not None
    assert filter_text(found) == "(attributes.state = 'failed') AND (attributes.kind = 'manual')"
    assert read_filter("") == ("", None)


@pytest.mark.parametrize(
    "text",
    [
        "metrics.a > 1",
        "params.lr='x'",
        "tags.a LIKE 'x%'",
        "NOT params.a IS NULL",
        "name = 'x' OR state IN ('a')",
    ],
)
def test_the_filter_box_takes_conditions(text):
    words, found = read_filter(text)
    assert words == ""
    assert found is not None


@pytest.mark.parametrize("text", ["this is bert", "not in use", "like before", "a (copy)", "metrics"])
def test_what_is_no_condition_is_words(text):
    assert read_filter(text) == (text, None)


def test_a_group_that_was_opened_narrows_beside_the_filter():
    asked = Asked(q="metrics.a > 1", of="params.opt = 'sgd'", sort="-params.lr")
    search = read_search(asked, "p")
    assert search.condition is not None
    assert filter_text(search.condition) == "(metrics.a > 1.0) AND (params.opt = 'sgd')"
    assert search.orders == (Order(Field(Side.PARAM, "lr"), ascending=False),)


def test_a_status_that_is_none_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput) as caught:
        read_filter("status:done")
    assert "finished" in caught.value.wanted


def test_columns_are_those_that_tell_most(services):
    page = get_runs(services, "sentiment", Asked())
    assert [c.name for c in page.columns] == [
        "train/loss",
        "val/accuracy",
        "val/loss",
        "batch_size",
        "dropout",
        "lr",
        "optimizer",
    ]
    # A param that is the same everywhere is not shown, but can be chosen.
    assert "epochs" not in [c.name for c in page.columns]
    assert "params.epochs" in [c.id for c in page.choices if not c.shown]


def test_the_true_total_is_told(services):
    assert get_runs(services, "sentiment", Asked()).total == 64
    first = get_runs(services, "sentiment", Asked())
    second = get_runs(services, "sentiment", Asked(after=first.next, n=PAGE))
    assert (second.first, len(second.rows), second.next) == (PAGE + 1, 14, "")
    ids = {row.line.id for page in (first, second) for row in page.rows}
    assert len(ids) == 64
    assert get_runs(services, "sentiment", Asked(q="kind:manual")).total is None
    assert count_found(services, "sentiment", Asked(q="kind:manual")) == "64 runs"
    assert get_runs(services, "sentiment", Asked(q="status:failed")).total == 4
    assert get_runs(services, "sentiment", Asked(q="status:failed bert")).total == 4


def test_runs_are_ordered_by_a_metric_and_those_without_come_last(services):
    page = get_runs(services, "digits", Asked(sort="-metrics.accuracy", cols=("metrics.accuracy",)))
    texts = [row.cells[0].text for row in page.rows]
    assert texts[:4] == ["0.9917", "0.9889", "0.9361", "0.8917"]
    assert set(texts[4:]) == {"–"}
    assert page.columns[0].sorted == "descending"
    assert page.columns[0].sort == "metrics.accuracy"


def test_an_order_that_is_none_is_the_usual_one(services):
    usual = [row.line.id for row in get_runs(services, "digits", Asked()).rows]
    assert [row.line.id for row in get_runs(services, "digits", Asked(sort="-nonsense")).rows] == usual


def test_a_broken_filter_shows_why_and_no_rows(services):
    page = get_runs(services, "digits", Asked(q="kind:none"))
    assert page.rows == ()
    assert page.problem is not None
    assert "kind:" in page.problem.sentence


def test_a_condition_that_cannot_be_read_is_marked_where(services):
    problem = get_runs(services, "digits", Asked(q="metrics.a > 1 AND params.b = x")).problem
    assert problem is not None
    assert (problem.before, problem.wrong, problem.after) == ("metrics.a > 1 AND params.b = ", "x", "")
    assert "character 30" in problem.sentence


def test_a_page_of_another_order_is_the_first_of_this_one(services):
    after = get_runs(services, "sentiment", Asked()).next
    usual = get_runs(services, "sentiment", Asked(sort="name"))
    other = get_runs(services, "sentiment", Asked(sort="name", after=after, n=50))
    assert [row.line.id for row in other.rows] == [row.line.id for row in usual.rows]


def test_runs_are_grouped_and_each_group_leads_to_its_runs(services):
    page = get_runs(services, "sentiment", Asked(group="params.optimizer", by="metrics.val/accuracy"))
    assert page.rows == ()
    assert page.groups is not None
    lines = {line.value: line for line in page.groups.lines}
    assert set(lines) == {"adamw", "lion", "sgd"}
    assert sum(line.runs for line in lines.values()) == 64
    query = lines["sgd"].query
    assert query is not None
    asked = read_asked({key: str(value) for key, value in query.items()})
    shown = get_runs(services, "sentiment", asked)
    assert shown.total == lines["sgd"].runs == len(shown.rows)
    by_metric = get_runs(services, "sentiment", Asked(group="metrics.val/loss")).groups
    assert by_metric is not None
    assert by_metric.problem


def test_a_column_is_found_by_its_name(services):
    page = get_runs(services, "sentiment", Asked(find="opti"))
    assert [it.id for it in page.choices if not it.shown] == []
    page = get_runs(services, "sentiment", Asked(find="epo"))
    assert [it.id for it in page.choices if not it.shown] == ["params.epochs"]


def test_verdicts_stand_in_their_column(services):
    marks = {row.line.name: row.line.verdict.glyph for row in get_runs(services, "digits", Asked()).rows}
    assert (marks["train #4"], marks["notebook: try dropout"], marks["train #6"]) == ("≡", "≠", "·")


def test_an_unknown_project_is_said(services):
    with pytest.raises(NotFound):
        get_runs(services, "nowhere", Asked())


def test_a_comparison_shows_only_what_differs(services):
    store = services.store
    runs = store.list_runs(project_id=store.get_project("sentiment").id, limit=3)
    ids = [run.id for run in runs]
    page = get_compare(services, "sentiment", ids)
    by_name = {section.name: section for section in page.sections}
    assert [fact.name for fact in by_name["Metrics"].facts] == ["train/loss", "val/accuracy", "val/loss"]
    assert "epochs" not in [fact.name for fact in by_name["Params"].facts]
    assert by_name["Params"].same >= 1
    every = get_compare(services, "sentiment", ids, Look(show_all=True))
    assert "epochs" in [fact.name for section in every.sections for fact in section.facts]


def test_inputs_are_compared_by_their_digests(services, site):
    ids = [site.run(name, "digits") for name in ("train #4", "train #6")]
    page = get_compare(services, "digits", ids)
    inputs = next(section for section in page.sections if section.name == "Inputs")
    assert [fact.name for fact in inputs.facts] == ["code: commit"]
    assert inputs.same > 20


def test_one_run_is_no_comparison_and_too_many_are_refused(services):
    assert get_compare(services, "sentiment", []).recent
    with pytest.raises(InvalidInput):
        get_compare(services, "sentiment", [str(index) for index in range(51)])
