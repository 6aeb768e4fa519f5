"""Queues of traces that people look at, as MLflow's clients use them.

Source: mlflow.store.tracking.sqlalchemy_store, mlflow.server.handlers.
"""

from typing import Any, Final

from relive.core.access import Caller, Scope
from relive.core.review import QueueKind, ReviewQueue
from relive.errors import Conflict, NotFound
from relive.ports.review import Within
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.mlflow.experiments import tell
from relive.services.mlflow.faults import MlflowFault, invalid, missing, taken
from relive.services.mlflow.labels import active_experiment
from relive.services.mlflow.pages import a_page, check_limit, reply
from relive.services.mlflow.review_rules import (
    custom_name,
    kind_of,
    owner_name,
    schema_ids_of,
    user_name,
    user_names,
    users_of_user_queue,
)
from relive.services.mlflow.rights import maker_name, require_maker
from relive.services.mlflow.values import milliseconds
from relive.wire.mlflow import review as wire

_FIXED: Final = "A user queue's name, assigned user, schemas, and owner are fixed and cannot be updated."
_LOCKED: Final = (
    "A review queue's questions are locked once items are assigned to it. Remove the items before changing "
    "its questions."
)


def create_queue(services: Services, message: wire.CreateReviewQueue, caller: Caller) -> dict[str, Any]:
    """Make a queue without items.

    Raises:
        MlflowFault: It is none, its name is taken, or a question or the experiment is not there.
        AccessDenied: A command names an experiment of another project.
    """
    kind = kind_of(message.queue_type)
    schema_ids = schema_ids_of(message.schema_ids)
    if kind is QueueKind.USER:
        name = user_name(message.name, "name")
        users = users_of_user_queue(name, message.users, schema_ids)
    else:
        users, name = user_names(message.users), custom_name(message.name)
    experiment = active_experiment(services, message.experiment_id, caller)
    queue = ReviewQueue(
        id=f"rq-{new_id()}",
        experiment_id=experiment.id,
        name=name,
        folded_name=name.lower(),
        kind=kind,
        schema_ids=_known(services, experiment.id, schema_ids),
        # Whoever logged in; others have no name that others know them by.
        owner=caller.name if caller.scope in (Scope.ADMIN, Scope.MEMBER) else "",
        created_by=maker_name(caller),
    )
    return _json(services, _create(services, queue, users))


def ensure_user_queue(services: Services, message: wire.EnsureUserQueue, caller: Caller) -> dict[str, Any]:
    """Give a user's own queue, new or not.

    Raises:
        MlflowFault: The name is none, or that of another kind of queue, or there is no such experiment.
        AccessDenied: A command names an experiment of another project.
    """
    name = user_name(message.user, "name")
    experiment = active_experiment(services, message.experiment_id, caller)
    store = services.store
    found = store.find_review_queue(experiment.id, name)
    if found is None:
        queue = ReviewQueue(
            id=f"rq-{new_id()}",
            experiment_id=experiment.id,
            name=name,
            folded_name=name,
            kind=QueueKind.USER,
            owner=name,
            created_by=maker_name(caller),
        )
        try:
            found = store.create_review_queue(queue, users=(name,))
        except Conflict:
            found = store.find_review_queue(experiment.id, name)  # another made it in between
    if found is None or found.kind is not QueueKind.USER:
        raise taken(
            f"A non-user queue named '{name}' already exists; cannot get-or-create a user queue with that "
            "name."
        )
    return _json(services, found)


def get_queue(services: Services, queue_id: str, caller: Caller) -> dict[str, Any]:
    """Give a queue.

    Raises:
        MlflowFault: There is none.
        AccessDenied: A command asks for one of another project.
    """
    return _json(services, found_queue(services, queue_id, caller))


def get_queue_by_name(services: Services, message: wire.NamedInExperiment, caller: Caller) -> dict[str, Any]:
    """Give the queue of this name, however it is written; raises as `get_queue`."""
    experiment = active_experiment(services, message.experiment_id, caller)
    found = services.store.find_review_queue(experiment.id, message.name.lower())
    if found is None:
        where = f"for experiment '{message.experiment_id}'"
        raise missing(f"Review queue with name '{message.name}' not found {where}.")
    return _json(services, found)


def list_queues(services: Services, message: wire.ListReviewQueues, caller: Caller) -> dict[str, Any]:
    """Give a page of an experiment's queues, the newest first: those of a user, those that hold an item.

    Raises:
        MlflowFault: A page that cannot be given, or there is no such experiment, or it is deleted.
    """
    check_limit(message.max_results)
    experiment = active_experiment(services, message.experiment_id, caller)
    user = None if message.user is None else message.user.strip().lower()
    if user == "" or message.item_id == "":
        return reply("review_queues", [], "")  # nobody's, and of nothing
    page, token = a_page(
        message.max_results,
        message.page_token,
        lambda offset, limit: services.store.list_review_queues(
            Within(experiment_id=experiment.id),
            user=user or "",
            trace_id=message.item_id or "",
            offset=offset,
            limit=limit,
        ),
    )
    users = services.store.list_review_users([queue.id for queue in page])
    return reply("review_queues", [_written(queue, users.get(queue.id, [])) for queue in page], token)


def update_queue(services: Services, message: wire.UpdateReviewQueue, caller: Caller) -> dict[str, Any]:
    """Change what is named of a queue made for a purpose; what it asks stays while it holds items.

    Raises:
        MlflowFault: There is none, it is a user's own, or it would be none or another's namesake.
        AccessDenied: It is another's.
    """
    queue = found_queue(services, message.queue_id, caller)
    if queue.kind is QueueKind.USER:
        raise invalid(_FIXED)
    require_maker(caller, queue.created_by, "change a review queue")
    changes = _changes(message)
    store = services.store
    if not changes and not message.update_users and not message.update_schema_ids:
        return _json(services, queue)
    try:
        with store.transaction():
            if message.update_users:
                store.set_review_users(queue.id, user_names(message.users))
            if message.update_schema_ids:
                changes["schema_ids"] = _open_questions(services, queue, message)
            changed = store.set_review_queue(queue.id, **changes, updated_at=store.now())
    except Conflict:
        raise _taken(changes.get("name", queue.name)) from None
    return _json(services, changed)


def delete_queue(services: Services, queue_id: str, caller: Caller) -> None:
    """Delete a queue; what was said of its items stays. One that is not there is no error.

    Raises:
        AccessDenied: It is another's.
    """
    queue = _find(services, queue_id, caller)
    if queue is None:
        return
    require_maker(caller, queue.created_by, "delete a review queue")
    store = services.store
    with store.transaction():
        store.delete_review_queue(queue.id)
        experiment = store.get_experiment(queue.experiment_id)
        tell(services, "review_queue.deleted", experiment, caller, review_queue=queue.name)


def found_queue(services: Services, queue_id: str, caller: Caller) -> ReviewQueue:
    """Give a queue.

    Raises:
        MlflowFault: There is none.
        AccessDenied: A command asks for one of another project.
    """
    queue = _find(services, queue_id, caller)
    if queue is None:
        raise missing(f"Review queue with id '{queue_id}' not found.")
    return queue


def _find(services: Services, queue_id: str, caller: Caller) -> ReviewQueue | None:
    try:
        queue = services.store.get_review_queue(queue_id)
    except NotFound:
        return None
    require_reader(caller, services.store.get_experiment(queue.experiment_id).project_id)
    return queue


def _create(services: Services, queue: ReviewQueue, users: tuple[str, ...]) -> ReviewQueue:
    try:
        return services.store.create_review_queue(queue, users=users)
    except Conflict:
        raise _taken(queue.name) from None


def _changes(message: wire.UpdateReviewQueue) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if message.new_owner is not None:
        changes["owner"] = owner_name(message.new_owner)
    if message.name is not None:
        name = custom_name(message.name)
        changes |= {"name": name, "folded_name": name.lower()}
    return changes


def _open_questions(
    services: Services, queue: ReviewQueue, message: wire.UpdateReviewQueue
) -> tuple[str, ...]:
    """Give the new questions of a queue that holds nothing; in a group, so that nothing comes meanwhile."""
    if services.store.count_review_items([queue.id]):
        raise invalid(_LOCKED)
    return _known(services, queue.experiment_id, schema_ids_of(message.schema_ids))


def _known(services: Services, experiment_id: str, schema_ids: tuple[str, ...]) -> tuple[str, ...]:
    """Give questions' ids in their order; all must be of this experiment."""
    found = services.store.find_label_schemas(schema_ids)
    known = {schema.id for schema in found if schema.experiment_id == experiment_id}
    if unknown := [id_ for id_ in schema_ids if id_ not in known]:
        raise invalid(f"Label schema id(s) {unknown} not found for experiment '{experiment_id}'.")
    return tuple(sorted(schema_ids))


def _taken(name: str) -> MlflowFault:
    return taken(f"Review queue with name '{name}' already exists (names are case-insensitive).")


def _json(services: Services, queue: ReviewQueue) -> dict[str, Any]:
    return _written(queue, services.store.list_review_users([queue.id]).get(queue.id, []))


def _written(queue: ReviewQueue, users: list[str]) -> dict[str, Any]:
    optional = {"created_by": queue.owner, "users": users, "schema_ids": list(queue.schema_ids)}
    return {
        "queue_id": queue.id,
        "experiment_id": queue.experiment_id,
        "name": queue.name,
        "queue_type": queue.kind.name,
        "creation_time_ms": milliseconds(queue.created_at),
        "last_update_time_ms": milliseconds(queue.updated_at),
    } | {field: value for field, value in optional.items() if value}
