"""Webhooks and their deliveries."""

from typing import Any, Final

from sqlalchemy import delete

from relive.core.webhook import Webhook, WebhookDelivery
from relive.errors import NotFound
from relive.stores.sql.part import StorePart
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.tracking import webhook_deliveries as deliveries
from relive.stores.sql.tables.tracking import webhooks

_WEBHOOKS: Final = Kept(Webhook, webhooks, "webhook", fixed=("id", "created_at", "created_by"))
_DELIVERIES: Final = Kept(
    WebhookDelivery, deliveries, "delivery", fixed=("id", "webhook_id", "event", "body", "created_at")
)


class SqlWebhooks(StorePart):
    """See `ports.webhooks.WebhookStore`."""

    def create_webhook(self, webhook: Webhook) -> Webhook:
        at = webhook.created_at or self._db.moment()
        with self._db.write() as connection:
            return _WEBHOOKS.insert(connection, webhook, created_at=at, updated_at=webhook.updated_at or at)

    def get_webhook(self, webhook_id: str) -> Webhook:
        with self._db.read() as connection:
            return _WEBHOOKS.get(connection, webhook_id)

    def list_webhooks(self, *, limit: int = 100, offset: int = 0) -> list[Webhook]:
        query = _WEBHOOKS.select().order_by(webhooks.c.created_at.desc(), webhooks.c.id.desc())
        with self._db.read() as connection:
            return _WEBHOOKS.all(connection, query.limit(limit).offset(offset))

    def set_webhook(self, webhook_id: str, **changes: Any) -> Webhook:
        with self._db.write() as connection:
            changed = _WEBHOOKS.change(connection, webhook_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def delete_webhook(self, webhook_id: str) -> None:
        with self._db.write() as connection:
            if connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id)).rowcount == 0:
                raise NotFound(kind="webhook", name=webhook_id)

    def create_delivery(self, delivery: WebhookDelivery) -> WebhookDelivery:
        at = delivery.created_at or self._db.moment()
        with self._db.write() as connection:
            return _DELIVERIES.insert(connection, delivery, created_at=at)

    def get_delivery(self, delivery_id: str) -> WebhookDelivery:
        with self._db.read() as connection:
            return _DELIVERIES.get(connection, delivery_id)

    def set_delivery(self, delivery_id: str, **changes: Any) -> WebhookDelivery:
        with self._db.write() as connection:
            changed = _DELIVERIES.change(connection, delivery_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def list_deliveries(
        self, *, webhook_id: str | None = None, failed: bool | None = None, limit: int = 100
    ) -> list[WebhookDelivery]:
        query = _DELIVERIES.select().order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc())
        if webhook_id is not None:
            query = query.where(deliveries.c.webhook_id == webhook_id)
        if failed is not None:
            query = query.where(deliveries.c.error != "" if failed else deliveries.c.error == "")
        with self._db.read() as connection:
            return _DELIVERIES.all(connection, query.limit(limit))

    def delete_deliveries(self, *, before: float) -> int:
        with self._db.write() as connection:
            return connection.execute(delete(deliveries).where(deliveries.c.created_at < before)).rowcount
