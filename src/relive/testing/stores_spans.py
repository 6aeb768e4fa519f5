"""What every store promises of spans, of assessments, and of what traces are linked with."""

import pytest

from relive.core.trace import AssessmentKind, Span, Usage
from relive.errors import Conflict, InvalidInput
from relive.ports.stores import Store
from relive.ports.traces import SpanPage
from relive.testing.stores_samples import a_project, a_run
from relive.testing.stores_traces import a_span, a_trace, judged


class SpanContract:
    """Promises of `SpanStore` and `AssessmentStore`."""

    def test_spans_come_back_roots_first(self, store: Store) -> None:
        a_trace(store)
        kid = a_span("tr-1", "s1", parent_id="s2", started_ns=1, usage={"total_tokens": 3}, ended_ns=9)
        root = a_span("tr-1", "s2", started_ns=2, cost={"total_cost": 0.5}, model="m", content='{"a": "ü"}')
        store.record_spans([kid, root])
        assert store.list_spans(["tr-1", "none"]) == {"tr-1": [root, kid]}
        assert store.page_spans("tr-1").spans == (root, kid)
        assert store.page_spans("none") == SpanPage(())
        assert store.name_spans("tr-1", ["s1", "s1", "none"]) == {"s1": kid.name}
        assert (store.span_times("tr-1"), store.span_times("none")) == ((1, 9), (0, 0))
        assert store.count_spans(["tr-1", "none"]) == {"tr-1": 2}
        told = {usage.span_id: usage for usage in store.list_usages("tr-1", cost=False)}
        assert told["s1"] == Usage("s1", "s2", {"total_tokens": 3})
        assert [usage.amounts for usage in store.list_usages("tr-1", cost=True)].count(
            {"total_cost": 0.5}
        ) == 1

    def test_spans_are_given_page_by_page(self, store: Store) -> None:
        a_trace(store)
        store.record_spans(
            [a_span("tr-1", f"s{n}", started_ns=n // 2, parent_id="s0" if n else "") for n in range(9)]
        )
        whole = store.list_spans(["tr-1"])["tr-1"]
        for limit in (1, 2, 8, 9):
            found: list[Span] = []
            after = ""
            while not found or after:
                page = store.page_spans("tr-1", limit=limit, after=after)
                found, after = found + list(page.spans), page.next
            assert found == whole
        with pytest.raises(InvalidInput, match="page token"):
            store.page_spans("tr-1", after="none")

    def test_a_span_that_comes_again_takes_its_own_place(self, store: Store) -> None:
        a_trace(store)
        store.record_spans([a_span("tr-1", "s1", name="first")])
        later = a_span("tr-1", "s1", name="later", ended_ns=9)
        store.record_spans([later])
        assert store.list_spans(["tr-1"]) == {"tr-1": [later]}

    def test_a_span_needs_its_trace(self, store: Store) -> None:
        with pytest.raises(Conflict):
            store.record_spans([a_span("tr-none", "s1")])

    def test_an_assessment_comes_back_changes_and_goes(self, store: Store) -> None:
        a_trace(store)
        made = judged(
            store, "tr-1", "ok", "true", error={"error_code": "E"}, metadata={"a": "b"}, created_ms=5
        )
        later = judged(store, "tr-1", "why", '"x"', created_ms=4)
        assert store.find_assessment("tr-1", made.id) == made
        assert store.find_assessment("tr-2", made.id) is None
        assert store.list_assessments(["tr-1"]) == {"tr-1": [later, made]}
        changed = store.set_assessment(made.id, value="false", is_valid=False)
        assert (changed.value, changed.is_valid) == ("false", False)
        with pytest.raises(Conflict):
            judged(store, "tr-1", "ok", "true")
        with pytest.raises(InvalidInput, match="kind"):
            store.set_assessment(made.id, kind=AssessmentKind.ISSUE)
        assert store.delete_assessment("tr-2", made.id) is False
        assert store.delete_assessment("tr-1", made.id) is True
        assert store.find_assessment("tr-1", made.id) is None

    def test_links_are_named(self, store: Store) -> None:
        project = a_project(store).id
        runs = sorted(a_run(store, project_id=project).id for _ in range(2))
        for trace_id in ("tr-1", "tr-2"):
            a_trace(store, trace_id)
        for run_id in runs:
            store.link_traces(run_id, ["tr-1"])
        store.link_prompts("tr-2", ["b/1", "a/2"])
        assert store.list_trace_runs(["tr-1", "tr-2", "none"]) == {"tr-1": runs}
        assert store.list_trace_prompts(["tr-1", "tr-2"]) == {"tr-2": ["a/2", "b/1"]}
