"""Reviews of traces: questions, queues of traces, and the problems they show.

Source: MLflow's REST API, version 3.0, label-schemas, review-queues and issues.
"""

import msgspec

from relive.wire.mlflow.common import Int32, Int64, Request


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a message; one in camelCase is read the slow way too."""


class PassFailInput(_Part, frozen=True):
    """An answer that is one of two."""

    positive_label: str = ""
    negative_label: str = ""


class CategoricalInput(_Part, frozen=True):
    """An answer that is one of these, or some of these."""

    options: tuple[str, ...] = ()
    multi_select: bool = False


class NumericInput(_Part, frozen=True):
    """An answer that is a number."""

    min_value: float | None = None
    max_value: float | None = None


class TextInput(_Part, frozen=True):
    """An answer that is text."""

    max_length: Int64 | None = None


class LabelInput(_Part, frozen=True):
    """How a question is answered: one of these."""

    pass_fail: PassFailInput | None = None
    categorical: CategoricalInput | None = None
    numeric: NumericInput | None = None
    text: TextInput | None = None


class CreateLabelSchema(Request, frozen=True):
    """POST label-schemas/create; a type is named, or numbered."""

    experiment_id: str
    name: str
    type: str | int = ""
    input: LabelInput | None = None
    instruction: str | None = None
    enable_comment: bool = False


class LabelSchemaId(Request, frozen=True):
    """GET label-schemas/get and DELETE label-schemas/delete."""

    schema_id: str


class NamedInExperiment(Request, frozen=True):
    """GET label-schemas/get-by-name and review-queues/get-by-name."""

    experiment_id: str
    name: str


class ListLabelSchemas(Request, frozen=True):
    """GET label-schemas/list."""

    experiment_id: str
    max_results: Int32 = 100
    page_token: str = ""


class UpdateLabelSchema(Request, frozen=True):
    """PATCH label-schemas/update; what is not named stays."""

    schema_id: str
    name: str | None = None
    instruction: str | None = None
    enable_comment: bool | None = None
    input: LabelInput | None = None


class CreateReviewQueue(Request, frozen=True):
    """POST review-queues/create; whose it is, is not for clients to say."""

    experiment_id: str
    name: str
    queue_type: str | int = ""
    users: tuple[str, ...] = ()
    schema_ids: tuple[str, ...] = ()
    created_by: str = ""


class EnsureUserQueue(Request, frozen=True):
    """POST review-queues/get-or-create-user."""

    experiment_id: str
    user: str
    created_by: str = ""


class ReviewQueueId(Request, frozen=True):
    """GET review-queues/get and POST review-queues/delete."""

    queue_id: str


class ListReviewQueues(Request, frozen=True):
    """GET review-queues/list; queues of a user, queues with an item."""

    experiment_id: str
    user: str | None = None
    max_results: Int32 = 1000
    page_token: str = ""
    item_id: str | None = None


class UpdateReviewQueue(Request, frozen=True):
    """POST review-queues/update; users and schemas change only where that is said."""

    queue_id: str
    update_users: bool = False
    users: tuple[str, ...] = ()
    update_schema_ids: bool = False
    schema_ids: tuple[str, ...] = ()
    name: str | None = None
    new_owner: str | None = None


class AddReviewItems(Request, frozen=True):
    """POST review-queues/items/add; traces are the only type of item."""

    queue_id: str
    item_type: str | int = ""
    item_ids: tuple[str, ...] = ()


class RemoveReviewItems(Request, frozen=True):
    """POST review-queues/items/remove."""

    queue_id: str
    item_ids: tuple[str, ...] = ()


class ListReviewItems(Request, frozen=True):
    """GET review-queues/items/list."""

    queue_id: str
    status: str | int = ""
    max_results: Int32 = 1000
    page_token: str = ""


class SetReviewStatus(Request, frozen=True):
    """POST review-queues/items/set-status."""

    queue_id: str
    item_id: str
    status: str | int = ""
    completed_by: str | None = None


class CreateIssue(Request, frozen=True):
    """POST issues."""

    name: str
    description: str
    experiment_id: str
    status: str | None = None
    severity: str | None = None
    root_causes: tuple[str, ...] = ()
    source_run_id: str = ""
    created_by: str = ""
    categories: tuple[str, ...] = ()


class IssueId(Request, frozen=True):
    """GET issues/ID."""

    issue_id: str


class UpdateIssue(Request, frozen=True):
    """PATCH issues/ID; what is not named, or is empty, stays."""

    issue_id: str
    name: str = ""
    description: str = ""
    status: str | None = None
    severity: str | None = None


class SearchIssues(Request, frozen=True):
    """POST issues/search."""

    experiment_id: str = ""
    filter_string: str = ""
    max_results: Int32 = 100
    page_token: str = ""
    include_trace_count: bool = False
