"""What every store promises of reviews: questions, queues of traces, and issues."""

from typing import Any

import pytest

from relive.core.review import (
    Issue,
    IssueSeverity,
    IssueStatus,
    LabelKind,
    LabelSchema,
    QueueKind,
    ReviewQueue,
    ReviewStatus,
)
from relive.core.run import RunStatus
from relive.core.search_grammars import ISSUES
from relive.core.search_parser import parse_filter
from relive.core.trace import AssessmentKind
from relive.errors import Conflict, InvalidInput, NotFound
from relive.ports.review import Within
from relive.ports.stores import Store
from relive.testing.stores_evaluation import an_experiment
from relive.testing.stores_samples import START, ManualClock, a_project, a_run, new_id
from relive.testing.stores_traces import a_trace, judged

EVERYWHERE = Within()


def a_schema(store: Store, name: str, experiment: str = "tries", **changes: Any) -> LabelSchema:
    """Keep a question of an experiment of the project `demo`."""
    attributes: dict[str, Any] = {"id": f"ls-{new_id()}", "kind": LabelKind.FEEDBACK, "input": {"text": {}}}
    attributes["experiment_id"] = an_experiment(store, experiment)
    return store.create_label_schema(LabelSchema(name=name, **(attributes | changes)))


def a_queue(
    store: Store, name: str, experiment: str = "tries", *, users: tuple[str, ...] = (), **changes: Any
) -> ReviewQueue:
    """Keep a queue of an experiment of the project `demo`."""
    attributes: dict[str, Any] = {"id": f"rq-{new_id()}", "kind": QueueKind.CUSTOM}
    attributes |= {"experiment_id": an_experiment(store, experiment), "folded_name": name.lower()}
    return store.create_review_queue(ReviewQueue(name=name, **(attributes | changes)), users=users)


def an_issue(store: Store, name: str, experiment: str = "tries", **changes: Any) -> Issue:
    """Keep an issue of an experiment of the project `demo`."""
    attributes: dict[str, Any] = {"id": f"iss-{new_id()}", "description": "it is wrong"}
    attributes["experiment_id"] = an_experiment(store, experiment)
    return store.create_issue(Issue(name=name, **(attributes | changes)))


class LabelSchemaContract:
    """Promises of `LabelSchemaStore`."""

    def test_a_question_comes_back_as_it_was(self, store: Store) -> None:
        asked: dict[str, Any] = {"numeric": {"min_value": 1.5, "max_value": "Infinity"}}
        made = a_schema(
            store, "good?", input=asked, kind=LabelKind.EXPECTATION, instruction="", is_default=True
        )
        assert (made.created_at, made.updated_at, made.input, made.instruction) == (START, START, asked, "")
        assert store.get_label_schema(made.id) == made
        assert store.find_label_schema(made.experiment_id, "good?") == made
        assert store.find_label_schema(made.experiment_id, "Good?") is None
        assert a_schema(store, "bad?").instruction is None
        with pytest.raises(NotFound, match="ls-none"):
            store.get_label_schema("ls-none")

    def test_no_two_questions_of_an_experiment_have_one_name(self, store: Store) -> None:
        first, second = a_schema(store, "good?"), a_schema(store, "fast?")
        a_schema(store, "good?", "other")
        with pytest.raises(Conflict):
            a_schema(store, "good?")
        with pytest.raises(Conflict):
            store.set_label_schema(second.id, name="good?")
        with pytest.raises(Conflict):
            a_schema(store, "new?", experiment_id="none")
        assert store.get_label_schema(second.id) == second
        assert store.find_label_schemas([second.id, "none", first.id]) == sorted(
            [first, second], key=lambda it: it.id
        )

    def test_a_question_changes_where_it_may(self, store: Store) -> None:
        made = a_schema(store, "good?")
        changed = store.set_label_schema(
            made.id, name="better?", instruction="look", enable_comment=True, updated_at=START + 1
        )
        assert store.get_label_schema(made.id) == changed
        assert (changed.name, changed.instruction, changed.enable_comment) == ("better?", "look", True)
        for fixed in ({"kind": LabelKind.EXPECTATION}, {"is_default": True}, {"experiment_id": "x"}):
            with pytest.raises(InvalidInput):
                store.set_label_schema(made.id, **fixed)
        with pytest.raises(NotFound):
            store.set_label_schema("none", name="x")

    def test_questions_are_listed_in_pages(self, store: Store, clock: ManualClock) -> None:
        made = []
        for name in ("one", "two", "three"):
            made.append(a_schema(store, name))
            clock.advance(1)
        other = a_schema(store, "four", "other")
        its = Within(experiment_id=made[0].experiment_id)
        assert store.list_label_schemas(its) == made[::-1]
        assert store.list_label_schemas(its, offset=1, limit=1) == [made[1]]
        assert store.list_label_schemas(Within(project_id=a_project(store).id), limit=1) == [other]
        assert store.list_label_schemas(Within(project_id="none")) == []

    def test_a_deleted_question_stays_in_its_queues(self, store: Store) -> None:
        made = a_schema(store, "good?")
        queue = a_queue(store, "Q", schema_ids=(made.id,))
        assert store.delete_label_schema(made.id)
        assert not store.delete_label_schema(made.id)
        assert store.get_review_queue(queue.id).schema_ids == (made.id,)


class ReviewContract:
    """Promises of `ReviewStore`."""

    def test_a_queue_comes_back_as_it_was(self, store: Store) -> None:
        made = a_queue(store, "My Queue", users=("bob", "ann", "bob"), schema_ids=("ls-1",), owner="Kris")
        assert (made.created_at, made.updated_at, made.owner) == (START, START, "Kris")
        assert store.get_review_queue(made.id) == made
        assert store.find_review_queue(made.experiment_id, "my queue") == made
        assert store.find_review_queue(made.experiment_id, "My Queue") is None
        lone = a_queue(store, "lone")
        assert store.list_review_users([made.id, lone.id, "none"]) == {made.id: ["ann", "bob"]}
        with pytest.raises(NotFound, match="rq-none"):
            store.get_review_queue("rq-none")

    def test_no_two_queues_of_an_experiment_have_one_name(self, store: Store) -> None:
        first, second = a_queue(store, "Mine"), a_queue(store, "yours", users=("ann",))
        a_queue(store, "mine", "other")
        with pytest.raises(Conflict):
            a_queue(store, "MINE", users=("ann",))
        with pytest.raises(Conflict):
            store.set_review_queue(second.id, name="mIne", folded_name="mine")
        with pytest.raises(Conflict):
            a_queue(store, "new", experiment_id="none")
        assert store.list_review_queues(Within(experiment_id=first.experiment_id), user="ann") == [second]

    def test_a_queue_changes_where_it_may(self, store: Store) -> None:
        made = a_queue(store, "Mine", users=("ann", "bob"))
        changed = store.set_review_queue(made.id, name="Ours", folded_name="ours", schema_ids=("ls-1",))
        assert store.get_review_queue(made.id) == changed
        assert (changed.name, changed.schema_ids) == ("Ours", ("ls-1",))
        store.set_review_users(made.id, ["eve"])
        assert store.list_review_users([made.id]) == {made.id: ["eve"]}
        store.set_review_users(made.id, [])
        assert store.list_review_users([made.id]) == {}
        with pytest.raises(InvalidInput, match="kind"):
            store.set_review_queue(made.id, kind=QueueKind.USER)
        with pytest.raises(NotFound):
            store.set_review_queue("none", owner="x")
        with pytest.raises(Conflict):
            store.set_review_users("none", ["eve"])

    def test_queues_are_found_by_their_users_and_traces(self, store: Store, clock: ManualClock) -> None:
        a_trace(store, "tr-1")
        one = a_queue(store, "one", users=("ann",))
        clock.advance(1)
        two = a_queue(store, "two", users=("ann", "bob"))
        three = a_queue(store, "three", "other", users=("bob",))
        store.add_review_items(two.id, ["tr-1"])
        its = Within(experiment_id=one.experiment_id)
        assert store.list_review_queues(its) == [two, one]
        assert store.list_review_queues(its, offset=1, limit=1) == [one]
        assert store.list_review_queues(its, user="bob") == [two]
        assert store.list_review_queues(its, user="eve") == []
        assert store.list_review_queues(its, user="ann", trace_id="tr-1") == [two]
        everyones = store.list_review_queues(Within(project_id=a_project(store).id), user="bob")
        assert {queue.id for queue in everyones} == {two.id, three.id}

    def test_traces_are_put_in_a_queue_once(self, store: Store, clock: ManualClock) -> None:
        for n in range(4):
            a_trace(store, f"tr-{n}")
        queue, other = a_queue(store, "one"), a_queue(store, "two")
        store.add_review_items(queue.id, ["tr-2", "tr-1", "tr-2"])
        store.add_review_items(other.id, ["tr-1"])
        done: dict[str, Any] = {"status": ReviewStatus.COMPLETE, "completed_by": "ann", "completed_at": START}
        item = store.set_review_item(queue.id, "tr-1", **done)
        clock.advance(1)
        store.add_review_items(queue.id, ["tr-1", "tr-0"])
        store.add_review_items(queue.id, [])
        listed = store.list_review_items(queue.id)
        assert [it.trace_id for it in listed] == ["tr-0", "tr-1", "tr-2"]
        assert (listed[0].created_at, listed[0].status) == (START + 1, ReviewStatus.PENDING)
        assert listed[1] == item
        assert (item.completed_by, item.completed_at, item.created_at) == ("ann", START, START)
        assert store.find_review_items(queue.id, ["tr-1", "tr-3"]) == {"tr-1": item}
        assert store.count_review_items([queue.id, other.id, "none"]) == {
            queue.id: {ReviewStatus.PENDING: 2, ReviewStatus.COMPLETE: 1},
            other.id: {ReviewStatus.PENDING: 1},
        }

    def test_the_traces_of_a_queue_are_listed_by_status_in_pages(self, store: Store) -> None:
        queue, ids = a_queue(store, "one"), [a_trace(store, f"tr-{n}").id for n in range(3)]
        store.add_review_items(queue.id, ids)
        store.set_review_item(queue.id, "tr-1", status=ReviewStatus.DECLINED, completed_by="ann")
        pending = store.list_review_items(queue.id, status=ReviewStatus.PENDING)
        assert [item.trace_id for item in pending] == ["tr-0", "tr-2"]
        assert [item.trace_id for item in store.list_review_items(queue.id, offset=1, limit=1)] == ["tr-1"]
        assert store.list_review_items(queue.id, status=ReviewStatus.COMPLETE) == []
        with pytest.raises(NotFound, match="tr-9"):
            store.set_review_item(queue.id, "tr-9", status=ReviewStatus.COMPLETE)

    def test_nothing_is_put_where_something_is_not_there(self, store: Store) -> None:
        queue = a_queue(store, "one")
        a_trace(store, "tr-1")
        with pytest.raises(Conflict):
            store.add_review_items(queue.id, ["tr-1", "none"])
        with pytest.raises(Conflict):
            store.add_review_items("none", ["tr-1"])
        assert store.list_review_items(queue.id) == []

    def test_items_go_by_themselves_with_their_trace_and_with_their_queue(self, store: Store) -> None:
        for n in range(3):
            a_trace(store, f"tr-{n}")
        queue, other = a_queue(store, "one", users=("ann",)), a_queue(store, "two")
        store.add_review_items(queue.id, ["tr-0", "tr-1", "tr-2"])
        store.add_review_items(other.id, ["tr-0", "tr-1"])
        assert store.delete_review_items(queue.id, ["tr-2", "none"]) == 1
        store.delete_traces(["tr-1"])
        assert [item.trace_id for item in store.list_review_items(queue.id)] == ["tr-0"]
        assert store.delete_review_queue(queue.id)
        assert not store.delete_review_queue(queue.id)
        assert store.list_review_items(queue.id) == []
        assert store.list_review_users([queue.id]) == {}
        assert [item.trace_id for item in store.list_review_items(other.id)] == ["tr-0"]


class IssueContract:
    """Promises of `IssueStore`."""

    def test_an_issue_comes_back_as_it_was(self, store: Store) -> None:
        run = a_run(store)
        made = an_issue(
            store,
            "slow",
            severity=IssueSeverity.HIGH,
            root_causes=("a", ""),
            categories=("x",),
            source_run_id=run.id,
            author="ann",
        )
        assert (made.created_at, made.updated_at, made.status) == (START, START, IssueStatus.PENDING)
        assert (made.root_causes, made.source_run_id, made.severity) == (("a", ""), run.id, "high")
        assert store.get_issue(made.id) == made
        plain = an_issue(store, "odd")
        assert (plain.severity, plain.source_run_id, plain.categories) == (None, "", ())
        with pytest.raises(NotFound, match="iss-none"):
            store.get_issue("iss-none")
        with pytest.raises(Conflict):
            an_issue(store, "of no run", source_run_id="none")
        with pytest.raises(Conflict):
            an_issue(store, "of nothing", experiment_id="none")

    def test_an_issue_changes_where_it_may(self, store: Store) -> None:
        made = an_issue(store, "slow")
        changed = store.set_issue(made.id, status=IssueStatus.RESOLVED, name="was slow", updated_at=START + 1)
        assert store.get_issue(made.id) == changed
        assert (changed.status, changed.name, changed.updated_at) == ("resolved", "was slow", START + 1)
        with pytest.raises(InvalidInput, match="created_by"):
            store.set_issue(made.id, created_by="eve")
        with pytest.raises(NotFound):
            store.set_issue("none", name="x")

    def test_the_worst_come_first_then_what_most_traces_show(self, store: Store, clock: ManualClock) -> None:
        severities = [None, "low", "high", "not_an_issue", "medium", "high"]
        names = [f"{severity} {n}" for n, severity in enumerate(severities)]
        for name, severity in zip(names, severities, strict=True):
            an_issue(store, name, id=name, severity=severity and IssueSeverity(severity))
            clock.advance(1)
        for trace in ("tr-1", "tr-2"):
            a_trace(store, trace)
            judged(store, trace, "high 2", "{}", kind=AssessmentKind.ISSUE)
        judged(store, "tr-1", "high 2", "{}", id="again", kind=AssessmentKind.ISSUE)
        judged(store, "tr-1", "high 5", "1")
        judged(store, "tr-1", "x" * 5000, "{}", id="long", kind=AssessmentKind.ISSUE)
        plain = store.search_issues(EVERYWHERE)
        order = ["high 5", "high 2", "medium 4", "low 1", "not_an_issue 3", "None 0"]
        assert [(it.issue.name, it.traces) for it in plain] == [(name, None) for name in order]
        counted = store.search_issues(EVERYWHERE, count=True)
        assert [(it.issue.name, it.traces) for it in counted[:3]] == [
            ("high 2", 2),
            ("high 5", 0),
            ("medium 4", 0),
        ]
        assert store.search_issues(EVERYWHERE, offset=2, limit=2) == plain[2:4]

    def test_issues_are_found_by_experiment_and_filter(self, store: Store) -> None:
        run, other = a_run(store), a_run(store)
        of_run = an_issue(store, "of a run", source_run_id=run.id, status=IssueStatus.RESOLVED)
        of_other = an_issue(store, "of another", source_run_id=other.id)
        lone = an_issue(store, "of none", "other")

        def found(text: str, **within: str) -> set[str]:
            listed = store.search_issues(Within(**within), parse_filter(text, ISSUES))
            return {it.issue.id for it in listed}

        assert found("", experiment_id=lone.experiment_id) == {lone.id}
        assert found("", project_id=a_project(store).id) == {of_run.id, of_other.id, lone.id}
        assert found("", project_id="none") == set()
        assert found("status = 'pending'") == {of_other.id, lone.id}
        assert found("status != 'pending'") == {of_run.id}
        assert found("status = 'no such word'") == set()
        assert found(f"source_run_id = '{run.id}' AND status = resolved") == {of_run.id}
        # What no run found is neither of a run nor not of it; NOT turns any condition round.
        assert found(f"source_run_id != '{run.id}'") == {of_other.id}
        assert found(f"NOT source_run_id = '{run.id}'") == {of_other.id, lone.id}

    def test_a_purged_run_is_no_longer_named(self, store: Store, clock: ManualClock) -> None:
        run = a_run(store, status=RunStatus.FINISHED)
        made = an_issue(store, "slow", source_run_id=run.id)
        store.set_run(run.id, deleted_at=START)
        clock.advance(1)
        assert store.purge_run(run.id)
        assert store.get_issue(made.id).source_run_id == ""

    def test_a_purged_experiment_takes_its_reviews_along(self, store: Store, clock: ManualClock) -> None:
        schema, issue = a_schema(store, "good?", "gone"), an_issue(store, "slow", "gone")
        queue = a_queue(store, "Q", "gone", users=("ann",), schema_ids=(schema.id,))
        a_trace(store, "tr-1", experiment_id=queue.experiment_id)
        store.add_review_items(queue.id, ["tr-1"])
        kept = a_queue(store, "Q")
        store.delete_experiment(queue.experiment_id)
        clock.advance(1)
        assert store.purge_experiment(queue.experiment_id)
        for get, key in (
            (store.get_label_schema, schema.id),
            (store.get_review_queue, queue.id),
            (store.get_issue, issue.id),
        ):
            with pytest.raises(NotFound):
                get(key)
        assert store.list_review_items(queue.id) == []
        assert store.list_review_queues(EVERYWHERE) == [kept]
