"""Webhooks: whom to tell of what, and what became of each telling."""

from typing import Final

import msgspec

ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    "registered_model": ("created",),
    "model_version": ("created",),
    "model_version_tag": ("deleted", "set"),
    "model_version_alias": ("created", "deleted"),
    "prompt": ("created",),
    "prompt_version": ("created",),
    "prompt_tag": ("deleted", "set"),
    "prompt_version_tag": ("deleted", "set"),
    "prompt_alias": ("created", "deleted"),
    "budget_policy": ("exceeded",),
}
"""What may happen to what; an event is "ENTITY.ACTION"."""


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription.

    Attributes:
        events: "ENTITY.ACTION" each, of `ACTIONS`.
        status: "ACTIVE" or "DISABLED".
        secret: Sealed with the hub's key; empty without one.
    """

    id: str
    name: str
    url: str
    events: tuple[str, ...]
    description: str = ""
    status: str = "ACTIVE"
    secret: str = ""
    created_by: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message for one webhook.

    Attributes:
        body: What is sent, to the byte: it is signed.
        attempts: How often it was sent.
        status: HTTP status of the last answer; None if none came.
        error: Why the last attempt failed; empty if it did not.
        is_done: It will not be sent again.
    """

    id: str
    webhook_id: str
    event: str
    body: str
    attempts: int = 0
    status: int | None = None
    error: str = ""
    is_done: bool = False
    created_at: float = 0.0
    done_at: float | None = None
