"""The table of runs: its state in the address, its columns, its order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.errors import InvalidInput, NotFound
from relive.hub.web.views.compare import get_compare
from relive.hub.web.views.runs import PAGE, Asked, get_runs, read_asked, read_filter

_NAME = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@given(
    st.builds(
        Asked,
        q=st.text(st.characters(codec="utf-8", categories=["L", "N"]), max_size=20),
        sort=st.sampled_from(["-created_at", "name", "-metrics.loss"]),
        cols=st.lists(_NAME.map(lambda name: f"metrics.{name}"), max_size=5, unique=True).map(tuple),
        sel=st.lists(_NAME, max_size=5, unique=True).map(tuple),
        page=st.integers(1, 999),
    )
)
def test_the_address_says_the_whole_state(asked):
    assert read_asked({key: str(value) for key, value in asked.query().items()}) == asked


def test_a_state_that_is_the_usual_one_needs_no_address():
    assert Asked().query() == {}
    assert Asked(page=3).query(sort="name", page=1) == {"sort": "name"}


@pytest.mark.parametrize("page", ["0", "-3", "x", "", "9" * 40])
def test_a_page_that_is_none_is_the_first(page):
    assert read_asked({"page": page}).page == 1


def test_the_filter_box_takes_words_and_facts():
    assert read_filter("bert status:failed kind:manual stage:train x:y") == {
        "status": "failed",
        "kind": "manual",
        "text": "bert train x:y",
    }
    assert read_filter("") == {}


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
    assert get_runs(services, "sentiment", Asked(page=2)).first == PAGE + 1
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
    assert "kind:" in page.problem


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
    every = get_compare(services, "sentiment", ids, show_all=True)
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
        get_compare(services, "sentiment", [str(index) for index in range(21)])
