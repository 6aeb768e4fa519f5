"""The pages of queues, questions and issues."""

from typing import Any

import pytest

from relive.core.review import Issue, LabelKind, LabelSchema, QueueKind, ReviewQueue
from relive.core.trace import Trace
from relive.errors import NotFound
from relive.hub.web.views import reviews as views
from relive.services.context import Services
from tests.support.bench import Bench
from tests.support.seed_reviews import OWN, SLOW, TEAM
from tests.support.seed_traces import ANSWERED
from tests.support.site import Site


def test_a_project_lists_what_there_is_to_look_at(services: Services) -> None:
    page = views.list_reviews(services, "digits")
    own, team = page.queues
    assert (own.name, own.is_own, own.questions, own.users) == ("eve", True, -1, ("eve",))
    assert (team.name, team.is_own, team.questions, team.users) == (
        "Answers of the week",
        False,
        2,
        ("ben", "eve"),
    )
    assert [(mark.word, n) for mark, n in team.counts] == [("pending", 1), ("complete", 1), ("declined", 0)]
    assert (team.experiment, team.owner) == ("assistant", "ada")
    assert [(it.name, it.answer) for it in page.questions] == [
        ("What should it have said?", "text of at most 200 characters"),
        ("How sure are you?", "a number from 0.0 to 1.0"),
        ("Which digits could it be?", "some of 1, 7"),
        ("Is it right?", "right or wrong, with a comment"),
    ]
    worst, other = page.issues
    assert (worst.severity, worst.mark.word, worst.traces) == ("high", "pending", 1)
    assert worst.query == f"issue.id = '{SLOW}'"
    assert (other.severity, other.mark.word, other.traces, other.author) == ("", "resolved", 0, "ada")
    assert {pager.next for pager in (page.queues_pager, page.issues_pager, page.questions_pager)} == {0}
    empty = views.list_reviews(services, "ideas")
    assert (empty.queues, empty.issues, empty.questions) == ((), (), ())


def test_a_queue_shows_its_traces_and_its_questions(services: Services) -> None:
    page = views.get_queue(services, "digits", TEAM)
    assert [(it.trace_id, it.mark.word, it.completed_by) for it in page.items] == [
        (ANSWERED, "complete", "ben"),
        ("tr-2", "pending", ""),
    ]
    assert "Which digit is this?" in page.items[0].request
    assert [it.name for it in page.questions] == ["Is it right?", "What should it have said?"]
    pending = views.get_queue(services, "digits", TEAM, status="pending")
    assert [it.trace_id for it in pending.items] == ["tr-2"]
    assert views.get_queue(services, "digits", TEAM, status="nothing").status == ""
    own = views.get_queue(services, "digits", OWN)
    assert (own.items, len(own.questions)) == ((), 4)
    with pytest.raises(NotFound):
        views.get_queue(services, "ideas", TEAM)


def test_long_lists_come_in_pages(bench: Bench) -> None:
    store = bench.services.store
    experiment = store.ensure_experiment(bench.project.id, "tries").id
    its: dict[str, Any] = {"experiment_id": experiment}
    for n in range(52):
        name = f"n{n:02}"
        asked = LabelSchema(id=f"ls-{n}", name=name, kind=LabelKind.FEEDBACK, input={"text": {}}, **its)
        store.create_label_schema(asked)
        queue = ReviewQueue(id=f"rq-{n}", name=name, folded_name=name, kind=QueueKind.CUSTOM, **its)
        store.create_review_queue(queue, users=[])
        store.create_issue(Issue(id=f"iss-{n}", name=name, description="<b>", **its))
    first = views.list_reviews(bench.services, bench.project.name)
    assert [len(part) for part in (first.queues, first.issues, first.questions)] == [50, 50, 50]
    assert first.queues_pager.next == first.issues_pager.next == first.questions_pager.next == 50
    rest = views.list_reviews(bench.services, bench.project.name, queues=50, issues=51, questions=52)
    assert [len(part) for part in (rest.queues, rest.issues, rest.questions)] == [2, 1, 0]
    for n in range(101):
        store.create_trace(Trace(id=f"tr-{n:03}", experiment_id=experiment, started_ms=1))
    store.add_review_items("rq-0", [f"tr-{n:03}" for n in range(101)])
    page = views.get_queue(bench.services, bench.project.name, "rq-0")
    assert (len(page.items), page.pager.next) == (100, 100)
    last = views.get_queue(bench.services, bench.project.name, "rq-0", after=100)
    assert ([it.trace_id for it in last.items], last.pager.next, last.pager.before) == (["tr-100"], 0, 100)


def test_what_is_put_aside_is_no_mistake(bench: Bench) -> None:
    store = bench.services.store
    experiment = store.ensure_experiment(bench.project.id, "tries").id
    its: dict[str, Any] = {"experiment_id": experiment}
    queue = ReviewQueue(id="rq-1", name="q", folded_name="q", kind=QueueKind.USER, **its)
    store.create_review_queue(queue, users=[])
    asked = LabelSchema(
        id="ls-1",
        name="free",
        kind=LabelKind.FEEDBACK,
        input={"categorical": {"options": ["a", "b"], "multi_select": False}},
        **its,
    )
    store.create_label_schema(asked)
    store.delete_experiment(experiment)
    page = views.list_reviews(bench.services, bench.project.name)
    assert (page.queues[0].experiment, page.questions[0].answer) == ("", "one of a, b")
    assert views.get_queue(bench.services, bench.project.name, "rq-1").line.experiment == ""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/p/digits/reviews", 200),
        ("/p/digits/reviews?queues=50&issues=1&questions=2", 200),
        ("/p/digits/reviews?issues=x", 400),
        (f"/p/digits/reviews/{TEAM}", 200),
        (f"/p/digits/reviews/{TEAM}?status=complete&after=1", 200),
        (f"/p/digits/reviews/{TEAM}?after=-1", 400),
        ("/p/digits/reviews/none", 404),
        ("/p/ideas/reviews", 200),
        ("/p/none/reviews", 404),
    ],
)
def test_each_page_answers(site: Site, path: str, status: int) -> None:
    assert site.get(path).status == status


def test_the_pages_lead_to_one_another(site: Site) -> None:
    listed = site.get("/p/digits/reviews").data.decode()
    assert f'href="/p/digits/reviews/{TEAM}"' in listed
    assert "issue.id" in listed
    shown = site.get(f"/p/digits/reviews/{TEAM}").data.decode()
    assert f'href="/p/digits/traces/{ANSWERED}"' in shown
    assert "settled while it holds traces" in shown
