"""Webhooks, as MLflow's clients use them; how they are delivered is in `deliveries`.

Source: mlflow.store.model_registry.sqlalchemy_store, mlflow.utils.validation, mlflow.webhooks.types.
"""

import re
import uuid
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from relive.core.access import Caller, Scope
from relive.core.webhook import ACTIONS, Webhook
from relive.errors import AccessDenied, NotFound, WebhookFailed
from relive.services.context import Services
from relive.services.mlflow.announcing import body_of
from relive.services.mlflow.deliveries import send
from relive.services.mlflow.faults import invalid, missing
from relive.services.mlflow.paging import page_offset, page_token
from relive.services.mlflow.rights import maker_name, require_maker
from relive.services.mlflow.values import milliseconds
from relive.wire.mlflow import webhooks as wire

_STATUSES: Final = ("ACTIVE", "DISABLED")
_MOST: Final = 1000
_NAME: Final = re.compile(r"(?=.{1,63}$)[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
_TAG: Final = {"key": "example_key", "value": "example_value"}
_ALIAS: Final = {"alias": "example_alias", "version": "1"}


def create_webhook(services: Services, message: wire.CreateWebhook, caller: Caller) -> dict[str, Any]:
    """Make a webhook; its secret is sealed.

    Raises:
        MlflowFault: The name, the address or an event is none.
        AccessDenied: A command asks.
    """
    _check_person(caller)
    _check_name(message.name)
    _check_url(services, message.url)
    made = services.store.create_webhook(
        Webhook(
            id=str(uuid.uuid4()),
            name=message.name,
            url=message.url,
            events=_events(message.events),
            description=message.description,
            status=_status(message.status or "ACTIVE"),
            secret=services.vault.seal(message.secret.encode()) if message.secret else "",
            created_by=maker_name(caller),
            created_at=services.store.now(),
        )
    )
    return _webhook_json(made)


def get_webhook(services: Services, webhook_id: str, caller: Caller) -> dict[str, Any]:
    """Give a webhook, without its secret."""
    return _webhook_json(_found(services, webhook_id, caller))


def list_webhooks(services: Services, message: wire.ListWebhooks, caller: Caller) -> dict[str, Any]:
    """List webhooks, newest first.

    Raises:
        MlflowFault: A page that cannot be given.
    """
    _check_person(caller)
    limit = message.max_results or 100
    if not 1 <= limit <= _MOST:
        raise invalid(f"max_results must be between 1 and {_MOST}.")
    offset = page_offset(message.page_token)
    found = services.store.list_webhooks(limit=limit + 1, offset=offset)
    reply: dict[str, Any] = {}
    if page := found[:limit]:
        reply["webhooks"] = [_webhook_json(webhook) for webhook in page]
    if len(found) > limit:
        reply["next_page_token"] = page_token(offset + limit)
    return reply


def update_webhook(services: Services, message: wire.UpdateWebhook, caller: Caller) -> dict[str, Any]:
    """Change what is named of a webhook.

    Raises:
        MlflowFault: There is none, or the name, the address or an event is none.
    """
    webhook = _found(services, message.webhook_id, caller)
    require_maker(caller, webhook.created_by, "change a webhook")
    changes: dict[str, Any] = {"updated_at": services.store.now()}
    if message.name:
        _check_name(message.name)
        changes["name"] = message.name
    if message.url:
        _check_url(services, message.url)
        changes["url"] = message.url
    if message.events:
        changes["events"] = _events(message.events)
    if message.description is not None:
        changes["description"] = message.description
    if message.secret is not None:
        changes["secret"] = services.vault.seal(message.secret.encode()) if message.secret else ""
    if message.status:
        changes["status"] = _status(message.status)
    return _webhook_json(services.store.set_webhook(webhook.id, **changes))


def delete_webhook(services: Services, webhook_id: str, caller: Caller) -> None:
    """Delete a webhook and the record of its deliveries."""
    webhook = _found(services, webhook_id, caller)
    require_maker(caller, webhook.created_by, "delete a webhook")
    services.store.delete_webhook(webhook.id)


def test_webhook(services: Services, message: wire.TestWebhook, caller: Caller) -> dict[str, Any]:
    """Send an example at once, and say what was answered."""
    webhook = _found(services, message.webhook_id, caller)
    require_maker(caller, webhook.created_by, "test a webhook")
    event = _events([message.event])[0] if message.event else webhook.events[0]
    try:
        sent = send(services, webhook, str(uuid.uuid4()), body_of(services, event, example_of(event)))
    except WebhookFailed as error:
        return {"success": False, "error_message": f"Failed to test webhook: {error.reason}"}
    return {"success": sent.status < 400, "response_status": sent.status, "response_body": sent.body}


def example_of(event: str) -> dict[str, Any]:
    """Give what a message about such an event holds, as MLflow's examples do."""
    entity, _, action = event.partition(".")
    of_prompt = entity.startswith("prompt")
    example: dict[str, Any] = {"name": "example_prompt" if of_prompt else "example_model"}
    what = entity.removeprefix("prompt").removeprefix("model_version").strip("_")
    if entity in ("prompt_version", "prompt_version_tag", "model_version", "model_version_tag"):
        example["version"] = "1"
    if what in ("tag", "version_tag"):
        return example | (_TAG if action == "set" else {"key": _TAG["key"]})
    if what == "alias":
        return example | (_ALIAS if action == "created" else {"alias": _ALIAS["alias"]})
    if entity == "model_version":
        example |= {"source": "models:/123", "run_id": "abcd1234abcd5678"}
    if entity == "prompt_version":
        example["template"] = "Hello {{name}}!"
    words = entity.replace("_", " ")
    return example | {"tags": {_TAG["key"]: _TAG["value"]}, "description": f"An example {words}"}


def _found(services: Services, webhook_id: str, caller: Caller) -> Webhook:
    _check_person(caller)
    try:
        return services.store.get_webhook(webhook_id)
    except NotFound:
        raise missing(f"Webhook with ID {webhook_id} not found.") from None


def _check_person(caller: Caller) -> None:
    """A webhook hears of every project, so it is nothing for a command."""
    if caller.scope is Scope.COMMAND:
        raise AccessDenied(action="use webhooks", who=caller.name, needs="a user's token, not a run's")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise invalid(
            f"Webhook name {name!r} is invalid. It must start and end with a letter or digit, be less than "
            "63 characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens "
            "(-)."
        )


def _check_url(services: Services, url: str) -> None:
    if not url.strip():
        raise invalid(f"Webhook URL cannot be empty or just whitespace: {url!r}")
    try:
        parsed = urlsplit(url)
        host = parsed.hostname
    except ValueError as error:
        raise invalid(f"Invalid webhook URL {url!r}: {error!r}") from None
    schemes = services.sender.schemes
    if parsed.scheme not in schemes:
        raise invalid(
            f"Invalid webhook URL scheme: {parsed.scheme!r}. Allowed schemes are: {', '.join(schemes)}."
        )
    if not host:
        raise invalid(f"Webhook URL must include a hostname: {url!r}")
    if refusal := services.sender.refusal(host):
        raise invalid(refusal)


def _events(events: Sequence[wire.WebhookEvent]) -> tuple[str, ...]:
    if not events:
        raise invalid("Webhook events must be a non-empty list of WebhookEvent objects: [].")
    found: dict[str, None] = {}
    for event in events:
        entity, action = event.entity.lower(), event.action.lower()
        if entity not in ACTIONS:
            raise invalid(f"Invalid entity '{event.entity}'. Valid entities are: {sorted(ACTIONS)}")
        if action not in ACTIONS[entity]:
            valid = sorted(ACTIONS[entity])
            raise invalid(f"Invalid action '{action}' for entity '{entity}'. Valid actions are: {valid}")
        found[f"{entity}.{action}"] = None
    return tuple(found)


def _status(word: str) -> str:
    if word not in _STATUSES:
        raise invalid(f"Invalid webhook status: {word!r}. Valid statuses are: {', '.join(_STATUSES)}.")
    return word


def _webhook_json(webhook: Webhook) -> dict[str, Any]:
    events = [event.upper().split(".") for event in webhook.events]
    description = {"description": webhook.description} if webhook.description else {}
    return description | {
        "webhook_id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "events": [{"entity": entity, "action": action} for entity, action in events],
        "status": webhook.status,
        "creation_timestamp": milliseconds(webhook.created_at),
        "last_updated_timestamp": milliseconds(webhook.updated_at),
    }
