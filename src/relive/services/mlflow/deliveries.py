"""Delivering webhooks: signed as MLflow signs, tried again while it may help, and written down.

Source: mlflow.webhooks.delivery.
"""

import base64
import hashlib
import hmac
from typing import Final

from relive.core.job import Job
from relive.core.webhook import Webhook, WebhookDelivery
from relive.errors import NotFound, WebhookFailed
from relive.ports.sender import Sent
from relive.services.context import Services

# Whoever answers so may answer otherwise later; other refusals will stay.
_PASSING: Final = (408, 425, 429, 500, 502, 503, 504)


def deliver(services: Services, job: Job) -> None:
    """Send the message of a job, and write down what became of it.

    Raises:
        WebhookFailed: It did not arrive, and another attempt may help.
    """
    try:
        delivery = services.store.get_delivery(str(job.payload["delivery"]))
        webhook = services.store.get_webhook(delivery.webhook_id)
    except NotFound:
        return  # the webhook was deleted meanwhile
    if delivery.is_done:
        return
    if webhook.status != "ACTIVE":
        _note(services, delivery, error="the webhook was disabled meanwhile", is_done=True)
        return
    is_last = job.attempt >= job.max_attempts
    try:
        sent = send(services, webhook, delivery.id, delivery.body)
    except WebhookFailed as error:
        _note(services, delivery, error=error.reason, is_done=is_last)
        raise
    refusal = "" if sent.status < 300 else f"it answered {sent.status}: {sent.body[:200]}"
    is_passing = sent.status in _PASSING
    _note(services, delivery, error=refusal, status=sent.status, is_done=is_last or not is_passing)
    if is_passing:
        raise WebhookFailed(url=webhook.url, reason=refusal, wait_s=sent.wait_s)


def send(services: Services, webhook: Webhook, delivery_id: str, body: str) -> Sent:
    """Sign a message and send it.

    Raises:
        WebhookFailed: Nothing was answered in time, or the address is not one to connect to.
        SecretUnreadable: The hub's key is another than the one that sealed the secret.
    """
    at = str(int(services.store.now()))
    headers = {
        "content-type": "application/json",
        "X-MLflow-Delivery-Id": delivery_id,
        "X-MLflow-Timestamp": at,
    }
    if webhook.secret:
        secret = services.vault.open(webhook.secret)
        headers["X-MLflow-Signature"] = signature(secret, delivery_id, at, body)
    return services.sender.send(webhook.url, body.encode(), headers)


def signature(secret: bytes, delivery_id: str, at: str, body: str) -> str:
    """Give the signature that a receiver checks: HMAC-SHA256 over the id, the time and the body."""
    signed = hmac.digest(secret, f"{delivery_id}.{at}.{body}".encode(), hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def _note(
    services: Services, delivery: WebhookDelivery, *, error: str, is_done: bool, status: int | None = None
) -> None:
    now = services.store.now()
    services.store.set_delivery(
        delivery.id,
        attempts=delivery.attempts + 1,
        status=status,
        error=error,
        is_done=is_done,
        done_at=now if is_done else None,
    )
