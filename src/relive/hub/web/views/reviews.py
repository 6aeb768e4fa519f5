"""Reviews of a project's traces: queues, the questions that are asked, issues; and what one queue holds."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from relive.core.project import Experiment, Project
from relive.core.review import (
    IssueSeverity,
    LabelSchema,
    QueueKind,
    ReviewItem,
    ReviewQueue,
    ReviewStatus,
)
from relive.errors import NotFound
from relive.hub.web.marks import ISSUES, REVIEWS, Mark
from relive.hub.web.words import clip
from relive.ports.review import FoundIssue, Within
from relive.services.context import Services

_PAGE: Final = 50
_ITEMS: Final = 100
_LONGEST: Final = 300
_SEVERITIES: Final = {
    IssueSeverity.HIGH: "bad",
    IssueSeverity.MEDIUM: "warn",
    IssueSeverity.LOW: "quiet",
    IssueSeverity.NOT_AN_ISSUE: "quiet",
}

T = TypeVar("T")


class Pager(msgspec.Struct, frozen=True, kw_only=True):
    """Where a table stands in its list: how many rows lie before, and where the next begin (0 at the end)."""

    before: int
    next: int


class QueueLine(msgspec.Struct, frozen=True, kw_only=True):
    """A queue in one row; `questions` is how many it asks, -1 for all of its experiment."""

    id: str
    name: str
    experiment: str
    is_own: bool
    users: tuple[str, ...]
    counts: tuple[tuple[Mark, int], ...]
    questions: int
    owner: str
    at: float


class QuestionLine(msgspec.Struct, frozen=True, kw_only=True):
    """A question in one row; `answer` says how it is answered."""

    name: str
    kind: str
    answer: str
    instruction: str
    experiment: str
    at: float


class IssueLine(msgspec.Struct, frozen=True, kw_only=True):
    """An issue in one row; `query` finds the traces that show it."""

    name: str
    description: str
    causes: tuple[str, ...]
    categories: tuple[str, ...]
    severity: str
    tone: str
    mark: Mark
    traces: int
    query: str
    run_id: str
    experiment: str
    author: str
    at: float


class ReviewsPage(msgspec.Struct, frozen=True, kw_only=True):
    """What people shall look at in a project, what they are asked, and what was found."""

    project: str
    address: str
    queues: tuple[QueueLine, ...]
    queues_pager: Pager
    issues: tuple[IssueLine, ...]
    issues_pager: Pager
    questions: tuple[QuestionLine, ...]
    questions_pager: Pager


class ItemLine(msgspec.Struct, frozen=True, kw_only=True):
    """A trace in a queue in one row."""

    trace_id: str
    mark: Mark
    request: str
    completed_by: str
    completed_at: float
    at: float


class QueuePage(msgspec.Struct, frozen=True, kw_only=True):
    """A queue and some of its traces; `status` narrows them, empty for all."""

    project: str
    line: QueueLine
    status: str
    items: tuple[ItemLine, ...]
    pager: Pager
    questions: tuple[QuestionLine, ...]


def list_reviews(
    services: Services, name: str, *, queues: int = 0, issues: int = 0, questions: int = 0
) -> ReviewsPage:
    """Give a page of each of a project's lists.

    Args:
        queues: How many newer queues lie before the page; so the others.

    Raises:
        NotFound: There is no such project.
    """
    store = services.store
    project = store.get_project(name)
    within, names = Within(project_id=project.id), _experiments(services, project)
    some, queues_pager = _page(
        queues, _PAGE, lambda offset, limit: store.list_review_queues(within, offset=offset, limit=limit)
    )
    found, issues_pager = _page(
        issues,
        _PAGE,
        lambda offset, limit: store.search_issues(within, count=True, offset=offset, limit=limit),
    )
    asked, questions_pager = _page(
        questions, _PAGE, lambda offset, limit: store.list_label_schemas(within, offset=offset, limit=limit)
    )
    return ReviewsPage(
        project=project.name,
        address=services.place.public_url,
        queues=_queues(services, some, names),
        queues_pager=queues_pager,
        issues=tuple(_issue(it, names) for it in found),
        issues_pager=issues_pager,
        questions=tuple(_question(it, names) for it in asked),
        questions_pager=questions_pager,
    )


def get_queue(services: Services, name: str, queue_id: str, *, status: str = "", after: int = 0) -> QueuePage:
    """Give a queue with a page of its traces.

    Raises:
        NotFound: There is no such project, or it has no such queue.
    """
    store = services.store
    project, queue = store.get_project(name), store.get_review_queue(queue_id)
    if store.get_experiment(queue.experiment_id).project_id != project.id:
        raise NotFound(kind="review queue", name=queue_id)
    asked = ReviewStatus(status) if status in set(ReviewStatus) else None
    items, pager = _page(
        after,
        _ITEMS,
        lambda offset, limit: store.list_review_items(queue.id, status=asked, offset=offset, limit=limit),
    )
    names = _experiments(services, project)
    return QueuePage(
        project=project.name,
        line=_queues(services, [queue], names)[0],
        status=asked or "",
        items=_items(services, items),
        pager=pager,
        questions=tuple(_question(it, names) for it in _asked(services, queue)),
    )


def _page(offset: int, limit: int, listed: Callable[[int, int], Sequence[T]]) -> tuple[Sequence[T], Pager]:
    found = listed(offset, limit + 1)
    return found[:limit], Pager(before=offset, next=offset + limit if len(found) > limit else 0)


def _experiments(services: Services, project: Project) -> dict[str, Experiment]:
    return {it.id: it for it in services.store.list_experiments(project.id)}


def _named(names: dict[str, Experiment], experiment_id: str) -> str:
    """Give an experiment's name; empty if it is put aside."""
    found = names.get(experiment_id)
    return found.name if found is not None else ""


def _queues(
    services: Services, queues: Sequence[ReviewQueue], names: dict[str, Experiment]
) -> tuple[QueueLine, ...]:
    ids = [queue.id for queue in queues]
    users, counts = services.store.list_review_users(ids), services.store.count_review_items(ids)
    return tuple(
        QueueLine(
            id=queue.id,
            name=clip(queue.name, _LONGEST),
            experiment=_named(names, queue.experiment_id),
            is_own=queue.kind is QueueKind.USER,
            users=tuple(users.get(queue.id, ())),
            counts=tuple((REVIEWS[word], counts.get(queue.id, {}).get(word, 0)) for word in ReviewStatus),
            questions=-1 if queue.kind is QueueKind.USER else len(queue.schema_ids),
            owner=queue.owner,
            at=queue.created_at,
        )
        for queue in queues
    )


def _asked(services: Services, queue: ReviewQueue) -> list[LabelSchema]:
    if queue.kind is QueueKind.USER:
        return services.store.list_label_schemas(Within(experiment_id=queue.experiment_id))
    return services.store.find_label_schemas(queue.schema_ids)


def _question(schema: LabelSchema, names: dict[str, Experiment]) -> QuestionLine:
    return QuestionLine(
        name=clip(schema.name, _LONGEST),
        kind=schema.kind.value,
        answer=_answer(schema) + (", with a comment" if schema.enable_comment else ""),
        instruction=clip(schema.instruction or "", _LONGEST),
        experiment=_named(names, schema.experiment_id),
        at=schema.updated_at,
    )


def _answer(schema: LabelSchema) -> str:
    """Say how a question is answered."""
    ((kind, part),) = schema.input.items()
    if kind == "pass_fail":
        return f"{part['positive_label']} or {part['negative_label']}"
    if kind == "categorical":
        return f"{'some' if part['multi_select'] else 'one'} of {', '.join(part['options'])}"
    if kind == "numeric":
        bounds = [
            (word, part[key]) for word, key in (("from", "min_value"), ("to", "max_value")) if key in part
        ]
        return " ".join(["a number", *(f"{word} {bound}" for word, bound in bounds)])
    most = part.get("max_length")
    return f"text of at most {most} characters" if most else "text"


def _issue(found: FoundIssue, names: dict[str, Experiment]) -> IssueLine:
    issue = found.issue
    return IssueLine(
        name=clip(issue.name, _LONGEST),
        description=clip(issue.description, _LONGEST),
        causes=tuple(clip(cause, _LONGEST) for cause in issue.root_causes),
        categories=issue.categories,
        severity=issue.severity.value.replace("_", " ") if issue.severity else "",
        tone=_SEVERITIES[issue.severity] if issue.severity else "quiet",
        mark=ISSUES[issue.status],
        traces=found.traces or 0,
        query=f"issue.id = '{issue.id}'",
        run_id=issue.source_run_id,
        experiment=_named(names, issue.experiment_id),
        author=issue.author or issue.created_by,
        at=issue.created_at,
    )


def _items(services: Services, items: Sequence[ReviewItem]) -> tuple[ItemLine, ...]:
    traces = {it.id: it for it in services.store.list_traces([item.trace_id for item in items])}
    return tuple(
        ItemLine(
            trace_id=item.trace_id,
            mark=REVIEWS[item.status],
            request=clip(traces[item.trace_id].request_preview, 120) if item.trace_id in traces else "",
            completed_by=item.completed_by,
            completed_at=item.completed_at or 0.0,
            at=item.created_at,
        )
        for item in items
    )
