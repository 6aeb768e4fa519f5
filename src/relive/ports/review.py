"""What services ask of the store about reviews of traces; its promises are those of `ports.stores`."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from relive.core.review import Issue, LabelSchema, ReviewItem, ReviewQueue, ReviewStatus
from relive.core.search import Condition


class Within(msgspec.Struct, frozen=True, kw_only=True):
    """Of which experiment, or of all of which project; both empty for all there is."""

    experiment_id: str = ""
    project_id: str = ""


class FoundIssue(msgspec.Struct, frozen=True):
    """An issue, and how many traces show it; None if that was not asked."""

    issue: Issue
    traces: int | None = None


class LabelSchemaStore(Protocol):
    """Questions for reviewers."""

    def create_label_schema(self, schema: LabelSchema) -> LabelSchema:
        """Keep a new question, or raise `Conflict` if its experiment has one of this name, or is none."""
        ...

    def get_label_schema(self, schema_id: str) -> LabelSchema: ...
    def find_label_schema(self, experiment_id: str, name: str) -> LabelSchema | None: ...
    def find_label_schemas(self, schema_ids: Sequence[str]) -> list[LabelSchema]:
        """Give many at once, by their ids; those that are not there are left out."""
        ...

    def list_label_schemas(self, within: Within, *, offset: int = 0, limit: int = 100) -> list[LabelSchema]:
        """List questions, the newest first."""
        ...

    def set_label_schema(self, schema_id: str, **changes: Any) -> LabelSchema:
        """Change `name` (raises `Conflict` if it is taken), `instruction`, `input`, `enable_comment`, …."""
        ...

    def delete_label_schema(self, schema_id: str) -> bool:
        """Delete a question; queues that ask it keep its id. Tell whether it was there."""
        ...


class ReviewStore(Protocol):
    """Queues of traces, and who shall look at them. An item goes with its queue, and with its trace."""

    def create_review_queue(self, queue: ReviewQueue, *, users: Sequence[str]) -> ReviewQueue:
        """Keep a new queue, or raise `Conflict` if its experiment has one of this name, or is none."""
        ...

    def get_review_queue(self, queue_id: str) -> ReviewQueue: ...
    def find_review_queue(self, experiment_id: str, folded_name: str) -> ReviewQueue | None: ...
    def list_review_queues(
        self, within: Within, *, user: str = "", trace_id: str = "", offset: int = 0, limit: int = 100
    ) -> list[ReviewQueue]:
        """List queues, the newest first: those that one user shall look at, those that hold a trace."""
        ...

    def set_review_queue(self, queue_id: str, **changes: Any) -> ReviewQueue:
        """Change `name` and `folded_name` (`Conflict` if taken), `schema_ids`, `owner`, `updated_at`."""
        ...

    def set_review_users(self, queue_id: str, users: Sequence[str]) -> None:
        """Say who shall look at a queue, in place of who did."""
        ...

    def list_review_users(self, queue_ids: Sequence[str]) -> dict[str, list[str]]:
        """Give who shall look at each queue, by their names; where nobody shall is left out."""
        ...

    def delete_review_queue(self, queue_id: str) -> bool:
        """Delete a queue with its items; tell whether it was there."""
        ...

    def add_review_items(self, queue_id: str, trace_ids: Sequence[str]) -> None:
        """Put traces in a queue; those that are in it already stay as they are.

        Raises:
            Conflict: There is no such queue, or no such trace; none is put.
        """
        ...

    def find_review_items(self, queue_id: str, trace_ids: Sequence[str]) -> dict[str, ReviewItem]:
        """Give those of these traces that are in a queue, by the trace's id."""
        ...

    def list_review_items(
        self, queue_id: str, *, status: ReviewStatus | None = None, offset: int = 0, limit: int = 100
    ) -> list[ReviewItem]:
        """List the traces in a queue, the last put first, those that were put at once by their ids."""
        ...

    def count_review_items(self, queue_ids: Sequence[str]) -> dict[str, dict[ReviewStatus, int]]:
        """Count the traces in queues by how far they are; what is not there is left out."""
        ...

    def set_review_item(self, queue_id: str, trace_id: str, **changes: Any) -> ReviewItem:
        """Change `status`, `completed_by`, `completed_at` or `updated_at`."""
        ...

    def delete_review_items(self, queue_id: str, trace_ids: Sequence[str]) -> int:
        """Take traces out of a queue; gives how many were in it."""
        ...


class IssueStore(Protocol):
    """Problems that traces show. The run that found one may be purged: then none is named."""

    def create_issue(self, issue: Issue) -> Issue:
        """Keep a new issue, or raise `Conflict` if there is no such experiment or no such run."""
        ...

    def get_issue(self, issue_id: str) -> Issue: ...
    def set_issue(self, issue_id: str, **changes: Any) -> Issue:
        """Change anything but `id`, `experiment_id`, `created_by` and `created_at`."""
        ...

    def search_issues(
        self,
        within: Within,
        condition: Condition | None = None,
        *,
        count: bool = False,
        offset: int = 0,
        limit: int = 100,
    ) -> list[FoundIssue]:
        """Give the issues that fit, the worst first, then those that most traces show if these are counted.

        The condition is of the grammar `core.search_grammars.ISSUES`.
        """
        ...
