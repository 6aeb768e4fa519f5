"""Queues, questions and issues, as reviewers leave them."""

from typing import Any

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
from relive.core.trace import Assessment, AssessmentKind
from relive.ports.stores import Store
from tests.support.seed_traces import ANSWERED

TEAM, OWN = "rq-" + "1" * 32, "rq-" + "2" * 32
SLOW = "iss-" + "1" * 32
_ASKED: tuple[tuple[str, dict[str, dict[str, Any]], str | None], ...] = (
    (
        "Is it right?",
        {"pass_fail": {"positive_label": "right", "negative_label": "wrong"}},
        "Look at the bar.",
    ),
    ("Which digits could it be?", {"categorical": {"options": ["1", "7"], "multi_select": True}}, None),
    ("How sure are you?", {"numeric": {"min_value": 0.0, "max_value": 1.0}}, None),
    ("What should it have said?", {"text": {"max_length": 200}}, ""),
)


def tell_reviews(store: Store, experiment_id: str, *, now: float) -> None:
    """Keep two queues, four questions and two issues; the traces are those of `tell_traces`."""
    for n, (name, answer, instruction) in enumerate(_ASKED):
        kind = LabelKind.EXPECTATION if "text" in answer else LabelKind.FEEDBACK
        asked = LabelSchema(
            id=f"ls-{n}",
            experiment_id=experiment_id,
            name=name,
            kind=kind,
            input=answer,
            instruction=instruction,
            enable_comment=not n,
            created_by="ada",
            created_at=now - 900 + n,
        )
        store.create_label_schema(asked)
    its: dict[str, Any] = {"experiment_id": experiment_id, "created_by": "ada"}
    team = ReviewQueue(
        id=TEAM,
        name="Answers of the week",
        folded_name="answers of the week",
        kind=QueueKind.CUSTOM,
        schema_ids=("ls-0", "ls-3"),
        owner="ada",
        created_at=now - 600,
        **its,
    )
    store.create_review_queue(team, users=["ben", "eve"])
    own = ReviewQueue(id=OWN, name="eve", folded_name="eve", kind=QueueKind.USER, created_at=now - 60, **its)
    store.create_review_queue(own, users=["eve"])
    store.add_review_items(TEAM, [ANSWERED, "tr-2"])
    done: dict[str, Any] = {"status": ReviewStatus.COMPLETE, "completed_by": "ben", "completed_at": now - 30}
    store.set_review_item(TEAM, ANSWERED, **done)
    _tell_issues(store, its, now)


def _tell_issues(store: Store, its: dict[str, Any], now: float) -> None:
    slow = Issue(
        id=SLOW,
        name="Sevens are taken for ones",
        description="Where the bar is short, the answer is a one.",
        severity=IssueSeverity.HIGH,
        root_causes=("few sevens with a short bar among the examples",),
        categories=("accuracy",),
        author="ben",
        created_at=now - 500,
        **its,
    )
    store.create_issue(slow)
    seen = Assessment(
        id="a-issue",
        trace_id=ANSWERED,
        name=SLOW,
        kind=AssessmentKind.ISSUE,
        value='{"issue_name": "sevens"}',
    )
    store.create_assessment(seen)
    solved = Issue(
        id="iss-2", name="Slow at night", description="It waits.", status=IssueStatus.RESOLVED, **its
    )
    store.create_issue(solved)
