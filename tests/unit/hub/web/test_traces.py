"""What the pages of traces show."""

import html
import json
import re
from typing import Any

import pytest

from relive.core.trace import SESSION_KEY, Assessment, AssessmentKind, Span
from relive.hub.web.views.traces import MOST_SPANS, TracePage, get_trace, list_traces, tree_of
from tests.support.bench import Bench
from tests.support.live import served
from tests.support.seed_traces import ANSWERED, tell_traces

NOW = 1_800_000_000.0


def a_span(key: str, parent: str = "", begin: int = 0, end: int | None = 10, **changes: Any) -> Span:
    """Make a span."""
    return Span(
        trace_id="tr-1",
        id=key,
        parent_id=parent,
        name=key,
        started_ns=begin,
        ended_ns=end,
        content="{}",
        **changes,
    )


@pytest.mark.parametrize(
    ("spans", "names", "depths"),
    [
        ([], "", []),
        ([a_span("a"), a_span("b", "a", 2), a_span("c", "a", 1)], "acb", [0, 1, 1]),
        ([a_span("b", "a"), a_span("c", "b"), a_span("a")], "abc", [0, 1, 2]),
        ([a_span("b", "gone"), a_span("a")], "ba", [0, 0]),
        # Two that are each other's parents are shown at the top.
        ([a_span("a", "b"), a_span("b", "a")], "ab", [0, 1]),
        ([a_span("a", "a")], "a", [0]),
    ],
)
def test_spans_are_a_tree_laid_flat(spans: list[Span], names: str, depths: list[int]) -> None:
    lines = tree_of(spans)
    assert "".join(sorted(line.name for line in lines)) == "".join(sorted(names))
    if len({span.started_ns for span in spans}) == len(spans) or len(spans) == 3:
        assert "".join(line.name for line in lines) == names
    assert [line.depth for line in lines] == depths


def test_bars_stand_where_the_span_ran() -> None:
    root, half, open_ = tree_of(
        [a_span("a", end=100), a_span("b", "a", 50, 100), a_span("c", "a", 100, None)]
    )
    assert root.bar == (0, 1000)
    assert half.bar == (500, 500)
    assert (open_.bar[0], open_.took) == (1000, "–")


def test_a_deep_tree_is_not_indented_out_of_sight() -> None:
    chain = [a_span(str(n), str(n - 1) if n else "", n) for n in range(40)]
    assert max(line.depth for line in tree_of(chain)) == 12


@pytest.fixture
def told(bench: Bench) -> Bench:
    """Give a hub with three traces in the project `digits`."""
    project = bench.by_hand()
    run = bench.services.store.get_run(project.run_id)
    tell_traces(bench.services.store, run.experiment_id, now=NOW)
    return bench


def judge(told: Bench, trace_id: str, span_id: str) -> None:
    """Say something of a span."""
    said = Assessment(
        id="a-span", trace_id=trace_id, span_id=span_id, name="ok", kind=AssessmentKind.FEEDBACK, value="1"
    )
    told.services.store.create_assessment(said)


def name_of(told: Bench) -> str:
    """Give the project's name."""
    return told.services.store.list_projects()[0].name


def test_the_list_shows_the_newest_first_and_what_was_said(told: Bench) -> None:
    page = list_traces(told.services, name_of(told))
    assert [line.name for line in page.lines] == ["answer", "tr-2", "tr-3"]
    first = page.lines[0]
    assert (first.spans, first.tokens, first.took) == (3, "138", "420 ms")
    assert set(first.said) == {"correct: true", "answer: seven"}
    assert (page.is_first, page.next, page.problem) == (True, "", "")


def test_pages_lead_to_older_traces(told: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relive.hub.web.views.traces.PAGE", 2)
    first = list_traces(told.services, name_of(told))
    assert [line.name for line in first.lines] == ["answer", "tr-2"]
    second = list_traces(told.services, name_of(told), after=first.next)
    assert ([line.name for line in second.lines], second.is_first, second.next) == (["tr-3"], False, "")
    assert "page token" in list_traces(told.services, name_of(told), after="none").problem


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("status = 'ERROR'", ["tr-2"]),
        ("which DIGIT", ["answer"]),
        ("answer", ["answer"]),
        ("nowhere", []),
        ("feedback.correct = 'true'", ["answer"]),
    ],
)
def test_the_list_is_narrowed_by_a_condition_or_by_words(told: Bench, q: str, names: list[str]) -> None:
    assert [line.name for line in list_traces(told.services, name_of(told), q=q).lines] == names


@pytest.mark.parametrize("q", ["status = ERROR", "name RLIKE '('", "x > 1"])
def test_what_cannot_be_read_is_told(told: Bench, q: str) -> None:
    page = list_traces(told.services, name_of(told), q=q)
    assert page.problem
    assert not page.lines


def test_the_page_shows_spans_judgements_and_sums(told: Bench) -> None:
    page: TracePage = get_trace(told.services, name_of(told), ANSWERED)
    assert [(line.name, line.depth) for line in page.spans] == [
        ("answer", 0),
        ("find documents", 1),
        ("ask model", 1),
    ]
    assert page.spans[1].blocks[0] == ("Error", "too slow")
    assert json.loads(page.spans[0].blocks[0][1])["messages"][0]["role"] == "user"
    assert {(said.name, said.value) for said in page.judgements} == {("correct", "true"), ("answer", "seven")}
    assert (page.tokens, page.cost, page.session, page.n_spans) == ("138", "0.0004", "s-ann", 3)
    assert page.tags == (("channel", "web"),)


def test_very_many_spans_are_shown_page_by_page(told: Bench) -> None:
    spans = [a_span(f"s{n:04}", begin=n) for n in range(MOST_SPANS + 5)]
    moved = [
        Span(**{field: getattr(span, field) for field in Span.__struct_fields__} | {"trace_id": "tr-2"})
        for span in spans
    ]
    told.services.store.record_spans(moved)
    judge(told, "tr-2", f"s{MOST_SPANS:04}")
    page = get_trace(told.services, name_of(told), "tr-2")
    n_spans = told.services.store.count_spans(["tr-2"])["tr-2"]
    assert (len(page.spans), page.n_spans, page.is_first) == (MOST_SPANS, n_spans, True)
    # What was said of a span that is on another page names it too.
    assert {said.span for said in page.judgements} >= {f"s{MOST_SPANS:04}"}
    rest = get_trace(told.services, name_of(told), "tr-2", after=page.next)
    assert (rest.is_first, rest.next, len(rest.spans)) == (False, "", n_spans - MOST_SPANS)
    assert len({line.id for line in (*page.spans, *rest.spans)}) == n_spans
    assert rest.spans[-1].bar[0] > page.spans[0].bar[0]
    with served(told.services) as live:
        text = live.ask("GET", f"/p/{name_of(told)}/traces/tr-2").body.decode()
        assert f"{MOST_SPANS} of {n_spans} spans" in text
        (link,) = re.findall(r'rel="next" href="([^"]+)"', text)
        assert live.ask("GET", html.unescape(link)).status == 200
        assert live.ask("GET", f"/p/{name_of(told)}/traces/tr-2?after=none").status == 400


@pytest.mark.parametrize("session", ["s-ann", "ann's own", 'the "first"'])
def test_a_session_leads_to_its_traces(told: Bench, session: str) -> None:
    told.services.store.set_trace_metadata(ANSWERED, {SESSION_KEY: session})
    with served(told.services) as live:
        text = live.ask("GET", f"/p/{name_of(told)}/traces/{ANSWERED}").body.decode()
        (link,) = re.findall(r'session <a href="([^"]+)"', text)
        found = live.ask("GET", html.unescape(link)).body.decode()
    assert ANSWERED in found
    assert "tr-2" not in found
