"""What people judge traces by and how far they are: questions, queues of traces, and problems found."""

from enum import StrEnum
from typing import Any

import msgspec


class LabelKind(StrEnum):
    """What an answer to a question is: a judgement, or what should have come out."""

    FEEDBACK = "feedback"
    EXPECTATION = "expectation"


class LabelSchema(msgspec.Struct, frozen=True, kw_only=True):
    """A question that reviewers are asked of a trace.

    Attributes:
        id: "ls-" and 32 hex digits.
        name: The question itself; no two of an experiment have the same.
        input: How it is answered: one of pass_fail, categorical, numeric and text, and what belongs to it.
        instruction: Further words for the reviewer; None if there are none.
        is_default: The question that each experiment has, which nobody changes.
        created_by: Who may change it: whom the hub knows.
    """

    id: str
    experiment_id: str
    name: str
    kind: LabelKind
    input: dict[str, dict[str, Any]]
    instruction: str | None = None
    enable_comment: bool = False
    is_default: bool = False
    created_by: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0


class QueueKind(StrEnum):
    """Whose a queue is: one reviewer's own, who is asked every question; or made for a purpose."""

    USER = "user"
    CUSTOM = "custom"


class ReviewQueue(msgspec.Struct, frozen=True, kw_only=True):
    """Traces that people shall look at, and what they are asked of them.

    Attributes:
        id: "rq-" and 32 hex digits.
        folded_name: The name in small letters: no two queues of an experiment have the same.
        schema_ids: The questions, sorted; of a user's own queue none, for it asks them all.
        owner: Whose it is, as clients read it; may be empty.
        created_by: Who may change it: whom the hub knows.
    """

    id: str
    experiment_id: str
    name: str
    folded_name: str
    kind: QueueKind
    schema_ids: tuple[str, ...] = ()
    owner: str = ""
    created_by: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0


class ReviewStatus(StrEnum):
    """Whether a trace was looked at, or will not be."""

    PENDING = "pending"
    COMPLETE = "complete"
    DECLINED = "declined"


class ReviewItem(msgspec.Struct, frozen=True, kw_only=True):
    """A trace in a queue.

    Attributes:
        completed_by: Who looked, or declined to; empty while it is pending.
        completed_at: When; None while it is pending.
    """

    queue_id: str
    trace_id: str
    status: ReviewStatus = ReviewStatus.PENDING
    completed_by: str = ""
    completed_at: float | None = None
    created_at: float = 0.0
    updated_at: float = 0.0


class IssueStatus(StrEnum):
    """What became of a problem."""

    PENDING = "pending"
    REJECTED = "rejected"
    RESOLVED = "resolved"


class IssueSeverity(StrEnum):
    """How bad a problem is, the least first."""

    NOT_AN_ISSUE = "not_an_issue"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """A problem that traces show. Those that do have an assessment of the kind "issue" with its id as name.

    Attributes:
        id: "iss-" and 32 hex digits.
        severity: None if nobody said.
        source_run_id: The run that found it; empty for none.
        author: Who found it, as the client says; may be empty.
        created_by: Who may change it: whom the hub knows.
    """

    id: str
    experiment_id: str
    name: str
    description: str
    status: IssueStatus = IssueStatus.PENDING
    severity: IssueSeverity | None = None
    root_causes: tuple[str, ...] = ()
    source_run_id: str = ""
    categories: tuple[str, ...] = ()
    author: str = ""
    created_by: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0
