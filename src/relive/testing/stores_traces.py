"""What every store promises of traces."""

from typing import Any

import pytest

from relive.core.run import RunStatus
from relive.core.search import Order
from relive.core.trace import (
    NAME_TAG,
    RUN_KEY,
    SESSION_KEY,
    Assessment,
    AssessmentKind,
    Span,
    Trace,
    TraceState,
)
from relive.core.trace_filter import parse_trace_filter, parse_trace_orders
from relive.core.trace_samples import Samples, SampleView
from relive.errors import InvalidInput, NotFound
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_project, a_run


def a_trace(store: Store, trace_id: str = "tr-1", **changes: Any) -> Trace:
    """Keep a trace in the project `demo`; tags and metadata are written beside it."""
    experiment = changes.pop("experiment_id", "") or store.ensure_experiment(a_project(store).id, "tries").id
    tags, metadata = changes.pop("tags", {}), changes.pop("metadata", {})
    attributes: dict[str, Any] = {"started_ms": 1000, "state": TraceState.OK}
    made = store.create_trace(Trace(id=trace_id, experiment_id=experiment, **(attributes | changes)))
    assert made is not None
    store.set_trace_tags(made.id, tags)
    store.set_trace_metadata(made.id, metadata)
    return made


def a_span(trace_id: str, span_id: str, **changes: Any) -> Span:
    """Make a span."""
    attributes: dict[str, Any] = {"started_ns": 5, "content": "{}"}
    return Span(trace_id=trace_id, id=span_id, **(attributes | changes))


def judged(store: Store, trace_id: str, name: str, value: str, **changes: Any) -> Assessment:
    """Say something of a trace."""
    attributes: dict[str, Any] = {"id": f"a-{trace_id}-{name}", "kind": AssessmentKind.FEEDBACK}
    made = Assessment(trace_id=trace_id, name=name, value=value, **(attributes | changes))
    return store.create_assessment(made)


def found(store: Store, text: str, orders: tuple[Order, ...] = ()) -> list[str]:
    """Search all traces of the project `demo`."""
    experiments = [experiment.id for experiment in store.list_experiments()]
    condition = parse_trace_filter(text)
    page = store.search_traces(experiments, condition, orders=orders)
    assert page.next == ""
    assert store.count_traces(experiments, condition) == len(page.traces)
    return [trace.id for trace in page.traces]


def paged(store: Store, orders: tuple[Order, ...], *, limit: int) -> list[list[str]]:
    """Walk all traces of the project `demo`, page by page."""
    experiments, after = [experiment.id for experiment in store.list_experiments()], ""
    pages: list[list[str]] = []
    while not pages or after:
        page = store.search_traces(experiments, orders=orders, limit=limit, after=after)
        pages.append([trace.id for trace in page.traces])
        after = page.next
    return pages


class TraceContract:
    """Promises of `TraceStore`."""

    def test_a_trace_comes_back_as_it_was(self, store: Store) -> None:
        made = a_trace(store, duration_ms=7, request_preview="what?", tags={"a": "b"}, metadata={"c": "d"})
        assert store.find_trace("tr-1") == made
        assert store.create_trace(made) is None
        assert store.list_trace_tags(["tr-1"]) == {"tr-1": {"a": "b"}}
        assert store.list_trace_metadata(["tr-1"]) == {"tr-1": {"c": "d"}}
        assert store.find_trace("tr-none") is None
        two = a_trace(store, "tr-2")
        assert store.list_traces(["tr-2", "none", "tr-1", "tr-2"]) == [two, made]

    def test_a_trace_changes_where_it_may(self, store: Store) -> None:
        a_trace(store)
        changed = store.set_trace("tr-1", state=TraceState.ERROR, duration_ms=3, response_preview="so")
        assert (changed.state, changed.duration_ms, changed.response_preview) == (TraceState.ERROR, 3, "so")
        assert store.find_trace("tr-1") == changed
        with pytest.raises(InvalidInput, match="created_by"):
            store.set_trace("tr-1", created_by="bob")
        with pytest.raises(NotFound):
            store.set_trace("tr-none", duration_ms=3)

    def test_tags_and_metadata_are_set_again_and_taken_away(self, store: Store) -> None:
        a_trace(store, tags={"a": "b"})
        store.set_trace_tags("tr-1", {"a": "c", "d": "e"})
        assert store.delete_trace_tag("tr-1", "d") is True
        assert store.delete_trace_tag("tr-1", "d") is False
        assert store.list_trace_tags(["tr-1"]) == {"tr-1": {"a": "c"}}

    def test_a_trace_is_deleted_with_all_that_is_its(self, store: Store) -> None:
        run = a_run(store, project_id=a_project(store).id)
        a_trace(store, tags={"a": "b"}, metadata={"c": "d"})
        store.set_trace_numbers("tr-1", {"total_tokens": 3})
        store.record_spans([a_span("tr-1", "s1")])
        judged(store, "tr-1", "ok", "true")
        store.link_traces(run.id, ["tr-1", "tr-none"])
        store.link_prompts("tr-1", ["greet/1"])
        assert store.delete_traces(["tr-1", "tr-1", "tr-none"]) == 1
        for left in (store.list_trace_tags, store.list_trace_metadata, store.list_spans):
            assert left(["tr-1"]) == {}
        assert store.list_assessments(["tr-1"]) == {}
        a_trace(store)
        assert found(store, f"run_id = '{run.id}'") == found(store, "prompt = 'greet/1'") == []

    def test_the_oldest_are_listed_up_to_a_time(self, store: Store) -> None:
        for trace_id, started in (("tr-1", 30), ("tr-2", 10), ("tr-3", 20)):
            a_trace(store, trace_id, started_ms=started)
        experiment = store.list_experiments()[0].id
        old = store.list_old_traces(experiment, up_to_ms=20, limit=None)
        assert [trace.id for trace in old] == ["tr-2", "tr-3"]
        assert [it.id for it in store.list_old_traces(experiment, up_to_ms=99, limit=1)] == ["tr-2"]

    def test_the_makers_of_the_oldest_are_named(self, store: Store) -> None:
        for trace_id, started, maker in (("tr-1", 30, "ann"), ("tr-2", 10, "bob"), ("tr-3", 20, "bob")):
            a_trace(store, trace_id, started_ms=started, created_by=maker)
        experiment = store.list_experiments()[0].id
        assert store.list_trace_makers(experiment, up_to_ms=30, limit=None) == {"ann", "bob"}
        assert store.list_trace_makers(experiment, up_to_ms=29, limit=None) == {"bob"}
        assert store.list_trace_makers(experiment, up_to_ms=30, limit=2) == {"bob"}
        assert store.list_trace_makers(experiment, up_to_ms=9, limit=None) == set()

    def test_traces_go_with_a_purged_experiment_and_stay_after_their_run(self, store: Store) -> None:
        run = a_run(store, project_id=a_project(store).id, status=RunStatus.FINISHED)
        a_trace(store, experiment_id=run.experiment_id)
        store.link_traces(run.id, ["tr-1"])
        store.set_run(run.id, deleted_at=START)
        assert store.purge_run(run.id) is True
        assert found(store, "") == ["tr-1"]
        store.delete_experiment(run.experiment_id)
        assert store.purge_experiment(run.experiment_id) is True
        assert store.find_trace("tr-1") is None


class TraceSearchContract:
    """Promises of `TraceStore.search_traces`."""

    @pytest.fixture
    def filled(self, store: Store) -> Store:
        """Give a store with three traces: fast and good, slow and bad, and one that goes on."""
        run = a_run(store, project_id=a_project(store).id, id="f" * 32)
        good = {"duration_ms": 5, "client_request_id": "c1"}
        a_trace(store, "tr-1", started_ms=10, tags={NAME_TAG: "chat", "team": "Red"}, **good)
        bad: dict[str, Any] = {"duration_ms": 500, "state": TraceState.ERROR}
        a_trace(store, "tr-2", started_ms=20, tags={NAME_TAG: "search"}, metadata={SESSION_KEY: "s"}, **bad)
        open_: dict[str, Any] = {
            "state": TraceState.IN_PROGRESS,
            "metadata": {SESSION_KEY: "s", RUN_KEY: "r"},
        }
        a_trace(store, "tr-3", started_ms=30, **open_)
        content = '{"name": "ask", "attributes": {"model": "\\"gpt-4\\"", "n": "5"}}'
        asked = {"name": "ask", "type": "LLM", "status": "OK", "content": content}
        store.record_spans([a_span("tr-1", "s1", **asked), a_span("tr-1", "s2", name="root", type="CHAIN")])
        store.record_spans([a_span("tr-2", "s1", name="ask", type="TOOL", status="ERROR")])
        judged(store, "tr-1", "ok", "true")
        judged(store, "tr-1", "score", "0.5", number=0.5, is_numeric=True)
        judged(store, "tr-2", "ok", '"no"', metadata={SESSION_KEY: "s"})
        judged(store, "tr-2", "old", "1", is_valid=False)
        judged(store, "tr-1", "answer", '"Paris"', kind=AssessmentKind.EXPECTATION)
        judged(store, "tr-2", "iss-1", "{}", kind=AssessmentKind.ISSUE)
        store.link_traces(run.id, ["tr-1"])
        store.link_prompts("tr-2", ["greet/2"])
        return store

    @pytest.mark.parametrize(
        ("text", "numbers"),
        [
            ("", "321"),
            ("status = 'OK'", "1"),
            ("trace.status IN ('OK', 'ERROR')", "21"),
            ("timestamp_ms > 10 AND execution_time < 1000", "2"),
            ("NOT execution_time > 100", "31"),
            ("end_time_ms >= 520", "2"),
            ("name = 'chat'", "1"),
            ("name RLIKE '^(chat|sea)'", "21"),
            ("name IS NULL", "3"),
            ("tag.team ILIKE 'r%'", "1"),
            ("tag.team LIKE 'r%'", ""),
            ("tags.team IS NULL OR name = 'chat'", "321"),
            (f"metadata.{SESSION_KEY} = 's'", "32"),
            ("client_request_id != 'x'", "1"),
            ("request_id IN ('tr-1', 'tr-3')", "31"),
            (f"run_id = '{'f' * 32}'", "1"),
            ("run_id = 'r'", "3"),
            ("prompt = 'greet/2'", "2"),
            ("span.name = 'ask'", "21"),
            ("span.name = 'ask' AND span.type = 'CHAIN'", ""),
            ("span.type IN ('CHAIN', 'TOOL')", "21"),
            ("span.status = 'ERROR' OR span.type = 'LLM'", "21"),
            ("span.attributes.model = 'gpt-4'", "1"),
            ("span.attributes.model != 'gpt-4'", ""),
            ("span.attributes.n = '5'", "1"),
            ("span.attributes.model LIKE '%gpt%'", "1"),
            ("span.attributes.model RLIKE '^gpt-[0-9]$'", "1"),
            ("trace.text LIKE '%gpt%'", "1"),
            ("feedback.ok = 'true'", "1"),
            ("feedback.ok = 'no'", "32"),  # said of the session that both are in
            ("feedback.ok IS NULL", ""),
            ("feedback.score >= 0.5", "1"),
            ("feedback.old IS NOT NULL", ""),
            ("expectation.answer LIKE '%Par%'", "1"),
            ("issue.id = 'iss-1'", "2"),
        ],
    )
    def test_a_filter_finds_what_fits(self, filled: Store, text: str, numbers: str) -> None:
        assert found(filled, text) == [f"tr-{number}" for number in numbers]

    @pytest.mark.parametrize(
        ("order", "numbers"),
        [
            ("timestamp", "123"),
            ("execution_time DESC", "213"),
            ("name DESC", "213"),
            (f"metadata.{SESSION_KEY}", "321"),
            ("status", "231"),
        ],
    )
    def test_an_order_puts_what_lacks_it_last(self, filled: Store, order: str, numbers: str) -> None:
        orders = parse_trace_orders([order])
        assert found(filled, "", orders) == [f"tr-{number}" for number in numbers]

    @pytest.mark.parametrize(
        ("asked", "values"),
        [
            (Samples(view=SampleView.TRACES, metric="trace_count", dimensions=("trace_status",)), [1, 1, 1]),
            (Samples(view=SampleView.TRACES, metric="trace_count", dimensions=("trace_name",)), [1, 1]),
            (Samples(view=SampleView.TRACES, metric="session_count"), ["s", "s"]),
            (Samples(view=SampleView.TRACES, metric="latency"), [5, 500]),
            (Samples(view=SampleView.TRACES, metric="latency", since_ms=20, until_ms=30), [500]),
            (Samples(view=SampleView.TRACES, metric="total_tokens"), [12.0]),
            (Samples(view=SampleView.SPANS, metric="span_count", own={"name": "ask"}), [1, 1]),
            (Samples(view=SampleView.SPANS, metric="latency", dimensions=("span_name",)), [3]),
            (Samples(view=SampleView.SPANS, metric="total_cost"), [0.25]),
            (Samples(view=SampleView.SPANS, metric="total_cost", dimensions=("span_model_name",)), []),
            (Samples(view=SampleView.ASSESSMENTS, metric="assessment_value"), [0.5]),
            (Samples(view=SampleView.ASSESSMENTS, metric="assessment_count", own={"type": "issue"}), [1]),
        ],
    )
    def test_numbers_are_given_to_be_summed_up(
        self, filled: Store, asked: Samples, values: list[float | str]
    ) -> None:
        filled.set_trace_numbers("tr-1", {"total_tokens": 12})
        late = {"started_ns": 10_000_000, "ended_ns": 13_900_000, "cost": {"total_cost": 0.25}}
        filled.record_spans([a_span("tr-3", "s1", name="late", **late)])
        experiments = [experiment.id for experiment in filled.list_experiments()]
        samples = list(filled.list_samples(experiments, asked))
        assert sorted((sample.value for sample in samples), key=str) == values
        assert all(len(sample.dimensions) == len(asked.dimensions) for sample in samples)

    @pytest.mark.parametrize(
        "asked",
        [
            [],
            ["timestamp"],
            ["experiment_id DESC"],
            ["request_id DESC"],
            ["status", "execution_time DESC"],
            ["execution_time"],
            ["end_time DESC"],
            ["name"],
            ["name DESC", "timestamp"],
            ["tag.none"],
            [f"metadata.{SESSION_KEY} DESC"],
            ["run_id"],
        ],
    )
    def test_pages_follow_one_another_in_every_order(self, filled: Store, asked: list[str]) -> None:
        other = filled.ensure_experiment(a_project(filled).id, "other").id
        for number, started in enumerate((10, 20, 20, 40), 4):
            a_trace(filled, f"tr-{number}", experiment_id=other, started_ms=started)
        orders = parse_trace_orders(asked)
        whole = found(filled, "", orders)
        assert len(whole) == 7
        for limit in (1, 2, 3, 7):
            pages = paged(filled, orders, limit=limit)
            assert [trace_id for page in pages for trace_id in page] == whole
            assert {len(page) for page in pages[:-1]} <= {limit}

    def test_what_comes_and_goes_between_two_pages_moves_no_other(self, filled: Store) -> None:
        experiments = [experiment.id for experiment in filled.list_experiments()]
        first = filled.search_traces(experiments, limit=2)
        assert [trace.id for trace in first.traces] == ["tr-3", "tr-2"]
        a_trace(filled, "tr-new", started_ms=99)
        filled.delete_traces(["tr-2"])
        rest = filled.search_traces(experiments, limit=2, after=first.next)
        assert [trace.id for trace in rest.traces] == ["tr-1"]
        for after, orders in (("none", ()), (first.next, parse_trace_orders(["status"]))):
            with pytest.raises(InvalidInput, match="page token"):
                filled.search_traces(experiments, orders=orders, after=after)

    def test_experiments_stand_in_the_order_they_were_made(self, store: Store, clock: ManualClock) -> None:
        project = a_project(store).id
        for number, name in enumerate(("z", "a", "m")):
            clock.advance(1)
            made = store.ensure_experiment(project, name).id
            a_trace(store, f"tr-{number}", experiment_id=made)
        assert found(store, "", parse_trace_orders(["experiment_id"])) == ["tr-0", "tr-1", "tr-2"]
        assert found(store, "", parse_trace_orders(["experiment_id DESC"])) == ["tr-2", "tr-1", "tr-0"]

    @pytest.mark.parametrize(
        ("text", "numbers"),
        [
            ("status = 'none'", ""),
            ("status != 'none'", "321"),
            ("status NOT IN ('OK', 'none')", "32"),
            ("client_request_id != ''", "1"),
            ("client_request_id RLIKE ''", "1"),
        ],
    )
    def test_what_is_compared_with_a_word_that_is_none_of_its(
        self, filled: Store, text: str, numbers: str
    ) -> None:
        assert found(filled, text) == [f"tr-{number}" for number in numbers]

    def test_other_experiments_are_not_searched(self, filled: Store) -> None:
        other = filled.ensure_experiment(a_project(filled).id, "other")
        assert filled.search_traces([other.id]).traces == ()
        assert filled.count_traces([other.id]) == 0
