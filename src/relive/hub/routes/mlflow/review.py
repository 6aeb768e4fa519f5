"""Reviews of traces: questions, queues of traces, and the problems they show."""

from typing import Any

from relive.core.access import Caller
from relive.hub.routes.mlflow.table import Table
from relive.services.context import Services
from relive.services.mlflow import issues, labels, review_items, reviews
from relive.wire.mlflow import review as wire

Reply = dict[str, Any]


def _create_schema(services: Services, caller: Caller, message: wire.CreateLabelSchema) -> Reply:
    """Make a question that reviewers are asked of an experiment's traces."""
    return {"label_schema": labels.create_schema(services, message, caller)}


def _get_schema(services: Services, caller: Caller, message: wire.LabelSchemaId) -> Reply:
    """Give a question."""
    return {"label_schema": labels.get_schema(services, message.schema_id, caller)}


def _schema_by_name(services: Services, caller: Caller, message: wire.NamedInExperiment) -> Reply:
    """Give the question of an experiment with this name."""
    return {"label_schema": labels.get_schema_by_name(services, message, caller)}


def _list_schemas(services: Services, caller: Caller, message: wire.ListLabelSchemas) -> Reply:
    """Give a page of an experiment's questions; each experiment has a default one."""
    return labels.list_schemas(services, message, caller)


def _update_schema(services: Services, caller: Caller, message: wire.UpdateLabelSchema) -> Reply:
    """Change a question; how it is answered stays."""
    return {"label_schema": labels.update_schema(services, message, caller)}


def _delete_schema(services: Services, caller: Caller, message: wire.LabelSchemaId) -> Reply:
    """Delete a question; what was answered stays."""
    labels.delete_schema(services, message.schema_id, caller)
    return {}


def _create_queue(services: Services, caller: Caller, message: wire.CreateReviewQueue) -> Reply:
    """Make a queue of traces to look at."""
    return {"review_queue": reviews.create_queue(services, message, caller)}


def _ensure_queue(services: Services, caller: Caller, message: wire.EnsureUserQueue) -> Reply:
    """Give a user's own queue, new or not."""
    return {"review_queue": reviews.ensure_user_queue(services, message, caller)}


def _get_queue(services: Services, caller: Caller, message: wire.ReviewQueueId) -> Reply:
    """Give a queue without its items."""
    return {"review_queue": reviews.get_queue(services, message.queue_id, caller)}


def _queue_by_name(services: Services, caller: Caller, message: wire.NamedInExperiment) -> Reply:
    """Give the queue of an experiment with this name, however it is written."""
    return {"review_queue": reviews.get_queue_by_name(services, message, caller)}


def _list_queues(services: Services, caller: Caller, message: wire.ListReviewQueues) -> Reply:
    """Give a page of an experiment's queues: those of a user, those that hold an item."""
    return reviews.list_queues(services, message, caller)


def _update_queue(services: Services, caller: Caller, message: wire.UpdateReviewQueue) -> Reply:
    """Change a queue's name, owner, users or questions."""
    return {"review_queue": reviews.update_queue(services, message, caller)}


def _delete_queue(services: Services, caller: Caller, message: wire.ReviewQueueId) -> Reply:
    """Delete a queue; what was said of its traces stays."""
    reviews.delete_queue(services, message.queue_id, caller)
    return {}


def _add_items(services: Services, caller: Caller, message: wire.AddReviewItems) -> Reply:
    """Put traces in a queue; those that are in it stay as they are."""
    return review_items.add_items(services, message, caller)


def _remove_items(services: Services, caller: Caller, message: wire.RemoveReviewItems) -> Reply:
    """Take traces out of a queue."""
    review_items.remove_items(services, message, caller)
    return {}


def _list_items(services: Services, caller: Caller, message: wire.ListReviewItems) -> Reply:
    """Give a page of the traces in a queue."""
    return review_items.list_items(services, message, caller)


def _set_status(services: Services, caller: Caller, message: wire.SetReviewStatus) -> Reply:
    """Say that a trace in a queue was looked at, will not be, or shall be again."""
    return review_items.set_status(services, message, caller)


def _create_issue(services: Services, caller: Caller, message: wire.CreateIssue) -> Reply:
    """Note a problem that traces show."""
    return {"issue": issues.create_issue(services, message, caller)}


def _get_issue(services: Services, caller: Caller, message: wire.IssueId) -> Reply:
    """Give an issue."""
    return {"issue": issues.get_issue(services, message.issue_id, caller)}


def _update_issue(services: Services, caller: Caller, message: wire.UpdateIssue) -> Reply:
    """Change an issue's name, description, status or severity."""
    return {"issue": issues.update_issue(services, message, caller)}


def _search_issues(services: Services, caller: Caller, message: wire.SearchIssues) -> Reply:
    """Give a page of issues that fit a filter, the worst first."""
    return issues.search_issues(services, message, caller)


TABLE: Table = {
    ("POST", "label-schemas/create"): (wire.CreateLabelSchema, _create_schema),
    ("GET", "label-schemas/get"): (wire.LabelSchemaId, _get_schema),
    ("GET", "label-schemas/get-by-name"): (wire.NamedInExperiment, _schema_by_name),
    ("GET", "label-schemas/list"): (wire.ListLabelSchemas, _list_schemas),
    ("PATCH", "label-schemas/update"): (wire.UpdateLabelSchema, _update_schema),
    ("DELETE", "label-schemas/delete"): (wire.LabelSchemaId, _delete_schema),
    ("POST", "review-queues/create"): (wire.CreateReviewQueue, _create_queue),
    ("POST", "review-queues/get-or-create-user"): (wire.EnsureUserQueue, _ensure_queue),
    ("GET", "review-queues/get"): (wire.ReviewQueueId, _get_queue),
    ("GET", "review-queues/get-by-name"): (wire.NamedInExperiment, _queue_by_name),
    ("GET", "review-queues/list"): (wire.ListReviewQueues, _list_queues),
    ("POST", "review-queues/update"): (wire.UpdateReviewQueue, _update_queue),
    ("POST", "review-queues/delete"): (wire.ReviewQueueId, _delete_queue),
    ("POST", "review-queues/items/add"): (wire.AddReviewItems, _add_items),
    ("POST", "review-queues/items/remove"): (wire.RemoveReviewItems, _remove_items),
    ("GET", "review-queues/items/list"): (wire.ListReviewItems, _list_items),
    ("POST", "review-queues/items/set-status"): (wire.SetReviewStatus, _set_status),
    ("POST", "issues"): (wire.CreateIssue, _create_issue),
    ("GET", "issues/{issue_id}"): (wire.IssueId, _get_issue),
    ("PATCH", "issues/{issue_id}"): (wire.UpdateIssue, _update_issue),
    ("POST", "issues/search"): (wire.SearchIssues, _search_issues),
}
