"""The traces in a queue, and how far people are with each, as MLflow's clients use them.

Source: mlflow.store.tracking.sqlalchemy_store, mlflow.server.handlers.
"""

from collections.abc import Sequence
from typing import Any

from relive.core.access import Caller, Scope
from relive.core.review import ReviewItem, ReviewQueue, ReviewStatus
from relive.services.context import Services
from relive.services.mlflow.faults import missing
from relive.services.mlflow.pages import a_page, check_limit, reply
from relive.services.mlflow.review_rules import check_item_type, completed_by_of, item_ids_of, status_of
from relive.services.mlflow.reviews import found_queue
from relive.services.mlflow.rights import maker_name, require_maker
from relive.services.mlflow.values import milliseconds
from relive.wire.mlflow import review as wire

_UNSPECIFIED = ("", "0", 0, "REVIEW_STATUS_UNSPECIFIED")


def add_items(services: Services, message: wire.AddReviewItems, caller: Caller) -> dict[str, Any]:
    """Put traces in a queue, all or none; those that are in it stay as they are.

    Raises:
        MlflowFault: There is no such queue, or one of them is no trace of its experiment.
        AccessDenied: The queue is another's.
    """
    ids = item_ids_of(message.item_ids)
    check_item_type(message.item_type)
    queue = _writable(services, message.queue_id, caller)
    store = services.store
    with store.transaction():  # what a queue asks is settled while nothing comes: see `reviews.update_queue`
        known = {trace.id for trace in store.list_traces(ids) if trace.experiment_id == queue.experiment_id}
        if unknown := [id_ for id_ in ids if id_ not in known]:
            raise missing(
                f"Cannot attach trace(s) {unknown} to review queue '{queue.id}': "
                f"they do not exist in experiment '{queue.experiment_id}'."
            )
        store.add_review_items(queue.id, ids)
        found = store.find_review_items(queue.id, ids)
    return {"items": [_json(found[id_]) for id_ in ids]}


def remove_items(services: Services, message: wire.RemoveReviewItems, caller: Caller) -> None:
    """Take traces out of a queue; those that are not in it are passed over.

    Raises:
        MlflowFault: There is no such queue, or nothing is named.
        AccessDenied: The queue is another's.
    """
    ids = item_ids_of(message.item_ids)
    queue = _writable(services, message.queue_id, caller)
    services.store.delete_review_items(queue.id, ids)


def list_items(services: Services, message: wire.ListReviewItems, caller: Caller) -> dict[str, Any]:
    """Give a page of the traces in a queue, the last put first.

    Raises:
        MlflowFault: A page that cannot be given, or there is no such queue.
        AccessDenied: A command asks for those of another project.
    """
    check_limit(message.max_results)
    status = None if message.status in _UNSPECIFIED else status_of(message.status)
    queue = found_queue(services, message.queue_id, caller)
    page, token = a_page(
        message.max_results,
        message.page_token,
        lambda offset, limit: services.store.list_review_items(
            queue.id, status=status, offset=offset, limit=limit
        ),
    )
    return reply("items", _jsons(page), token)


def set_status(services: Services, message: wire.SetReviewStatus, caller: Caller) -> dict[str, Any]:
    """Say how far someone is with a trace; to say it again changes nothing, whoever says it.

    Raises:
        MlflowFault: There is no such queue, or the trace is not in it, or nobody is named.
        AccessDenied: The queue is another's.
    """
    status, trace_id = status_of(message.status), message.item_id.strip()
    completed_by = completed_by_of(_who(message, status, caller), status)
    queue = _writable(services, message.queue_id, caller)
    store = services.store
    with store.transaction():
        item = store.find_review_items(queue.id, [trace_id]).get(trace_id)
        if item is None:
            raise missing(f"Item '{trace_id}' is not attached to review queue '{message.queue_id}'.")
        if item.status is not status:
            now = store.now()
            item = store.set_review_item(
                queue.id,
                trace_id,
                status=status,
                completed_by=completed_by,
                completed_at=None if status is ReviewStatus.PENDING else now,
                updated_at=now,
            )
    return {"item": _json(item)}


def _who(message: wire.SetReviewStatus, status: ReviewStatus, caller: Caller) -> str | None:
    """Say who looked: who logged in, or the run. Only whoever has no login may say a name."""
    if caller.scope in (Scope.ADMIN, Scope.MEMBER, Scope.COMMAND):
        return None if status is ReviewStatus.PENDING else maker_name(caller)
    return message.completed_by


def _writable(services: Services, queue_id: str, caller: Caller) -> ReviewQueue:
    queue = found_queue(services, queue_id, caller)
    require_maker(caller, queue.created_by, "change a review queue")
    return queue


def _jsons(items: Sequence[ReviewItem]) -> list[dict[str, Any]]:
    return [_json(item) for item in items]


def _json(item: ReviewItem) -> dict[str, Any]:
    written: dict[str, Any] = {
        "queue_id": item.queue_id,
        "item_type": "TRACE",
        "item_id": item.trace_id,
        "status": item.status.name,
        "creation_time_ms": milliseconds(item.created_at),
        "last_update_time_ms": milliseconds(item.updated_at),
    }
    if item.completed_at is None:
        return written
    done = {"completed_by": item.completed_by, "completed_time_ms": milliseconds(item.completed_at)}
    return written | done
