"""Webhooks.

Source: MLflow's REST API, version 2.0, webhooks.
"""

import msgspec

from relive.wire.mlflow.common import Int32, Request


class WebhookEvent(msgspec.Struct, frozen=True):
    """What a webhook is told of, such as REGISTERED_MODEL and CREATED."""

    entity: str = ""
    action: str = ""


class CreateWebhook(Request, frozen=True):
    """POST webhooks."""

    name: str
    url: str
    events: tuple[WebhookEvent, ...]
    description: str = ""
    secret: str = ""
    status: str = ""


class WebhookId(Request, frozen=True):
    """GET and DELETE webhooks/ID."""

    webhook_id: str


class ListWebhooks(Request, frozen=True):
    """GET webhooks."""

    max_results: Int32 = 100
    page_token: str = ""


class UpdateWebhook(Request, frozen=True):
    """PATCH webhooks/ID; what is not named stays."""

    webhook_id: str
    name: str = ""
    description: str | None = None
    url: str = ""
    events: tuple[WebhookEvent, ...] = ()
    secret: str | None = None
    status: str = ""


class TestWebhook(Request, frozen=True):
    """POST webhooks/ID/test; without an event the first that the webhook wants."""

    webhook_id: str
    event: WebhookEvent | None = None
