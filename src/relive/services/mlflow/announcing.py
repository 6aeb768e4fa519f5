"""Telling webhooks what happened: a delivery and its job are written with the fact itself."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from relive.core.job import Job, JobKind, JobState
from relive.core.webhook import Webhook, WebhookDelivery
from relive.services.context import Services
from relive.services.ids import new_id

# With the pauses between them three minutes: as long as a receiver is away while it starts again.
TRIES = 9
_MOST_WEBHOOKS = 1000


def announce(services: Services, event: str, payload: dict[str, Any]) -> None:
    """Queue a delivery for every active webhook that wants this event.

    Args:
        event: "ENTITY.ACTION" of `core.webhook.ACTIONS`.
        payload: What the message holds beside the event and the time.
    """
    for webhook in services.store.list_webhooks(limit=_MOST_WEBHOOKS):
        if webhook.status == "ACTIVE" and event in webhook.events:
            _queue(services, webhook, event, body_of(services, event, payload))


def body_of(services: Services, event: str, payload: dict[str, Any]) -> str:
    """Write a message as MLflow does."""
    entity, _, action = event.partition(".")
    at = datetime.fromtimestamp(services.store.now(), UTC).isoformat()
    message = {"entity": entity, "action": action, "timestamp": at, "data": payload}
    return msgspec.json.encode(message).decode()


def _queue(services: Services, webhook: Webhook, event: str, body: str) -> None:
    store = services.store
    delivery = WebhookDelivery(id=new_id(), webhook_id=webhook.id, event=event, body=body)
    store.create_delivery(delivery)
    store.put(
        Job(
            id=new_id(),
            kind=JobKind.WEBHOOK,
            state=JobState.QUEUED,
            pool="hub",
            subject=f"delivery:{delivery.id}",
            payload={"delivery": delivery.id},
            max_attempts=TRIES,
            created_at=store.now(),
        )
    )
    services.wake()
