"""Webhooks of the registry."""

from typing import Any

from relive.core.access import Caller
from relive.hub.routes.mlflow.table import Table
from relive.services.context import Services
from relive.services.mlflow import webhooks
from relive.wire.mlflow import webhooks as wire

Reply = dict[str, Any]


def _create(services: Services, caller: Caller, message: wire.CreateWebhook) -> Reply:
    """Make a webhook; its secret is sealed and never given back."""
    return {"webhook": webhooks.create_webhook(services, message, caller)}


def _list(services: Services, caller: Caller, message: wire.ListWebhooks) -> Reply:
    """List webhooks, newest first."""
    return webhooks.list_webhooks(services, message, caller)


def _get(services: Services, caller: Caller, message: wire.WebhookId) -> Reply:
    """Give a webhook."""
    return {"webhook": webhooks.get_webhook(services, message.webhook_id, caller)}


def _update(services: Services, caller: Caller, message: wire.UpdateWebhook) -> Reply:
    """Change what is named of a webhook."""
    return {"webhook": webhooks.update_webhook(services, message, caller)}


def _delete(services: Services, caller: Caller, message: wire.WebhookId) -> Reply:
    """Delete a webhook and the record of its deliveries."""
    webhooks.delete_webhook(services, message.webhook_id, caller)
    return {}


def _test(services: Services, caller: Caller, message: wire.TestWebhook) -> Reply:
    """Send an example at once, and say what was answered."""
    return {"result": webhooks.test_webhook(services, message, caller)}


TABLE: Table = {
    ("POST", "webhooks"): (wire.CreateWebhook, _create),
    ("GET", "webhooks"): (wire.ListWebhooks, _list),
    ("GET", "webhooks/{webhook_id}"): (wire.WebhookId, _get),
    ("PATCH", "webhooks/{webhook_id}"): (wire.UpdateWebhook, _update),
    ("DELETE", "webhooks/{webhook_id}"): (wire.WebhookId, _delete),
    ("POST", "webhooks/{webhook_id}/test"): (wire.TestWebhook, _test),
}
