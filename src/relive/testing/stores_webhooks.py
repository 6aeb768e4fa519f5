"""What every store promises of webhooks and their deliveries."""

from typing import Any

import pytest

from relive.core.webhook import Webhook, WebhookDelivery
from relive.errors import Conflict, InvalidInput, NotFound
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, new_id


def a_webhook(store: Store, **changes: Any) -> Webhook:
    """Create a webhook with these attributes."""
    attributes: dict[str, Any] = {"id": new_id(), "name": "ci", "url": "https://x.example/h"}
    return store.create_webhook(
        Webhook(**({**attributes, "events": ("registered_model.created",)} | changes))
    )


def a_delivery(store: Store, webhook: Webhook, **changes: Any) -> WebhookDelivery:
    """Create a delivery of a webhook with these attributes."""
    attributes: dict[str, Any] = {"id": new_id(), "webhook_id": webhook.id, "event": "x.y", "body": "{}"}
    return store.create_delivery(WebhookDelivery(**(attributes | changes)))


class WebhookContract:
    """Promises of `WebhookStore`."""

    def test_a_webhook_comes_back_as_it_was(self, store: Store, clock: ManualClock) -> None:
        first = a_webhook(store, secret="sealed", events=("prompt.created", "prompt_tag.set"))
        clock.advance(1)
        second = a_webhook(store)
        assert (first.created_at, first.updated_at) == (START, START)
        assert store.get_webhook(first.id) == first
        assert store.list_webhooks() == [second, first]
        assert store.list_webhooks(limit=1, offset=1) == [first]
        with pytest.raises(NotFound, match="none"):
            store.get_webhook("none")

    def test_a_webhook_changes_where_it_may(self, store: Store) -> None:
        made = a_webhook(store)
        changed = store.set_webhook(made.id, status="DISABLED", url="https://y.example")
        assert store.get_webhook(made.id) == changed
        assert (changed.status, changed.url, changed.name) == ("DISABLED", "https://y.example", "ci")
        with pytest.raises(InvalidInput, match="created_by"):
            store.set_webhook(made.id, created_by="eve")
        with pytest.raises(NotFound):
            store.set_webhook("none", status="DISABLED")

    def test_deliveries_are_listed_newest_first_and_end(self, store: Store, clock: ManualClock) -> None:
        one, two = a_webhook(store), a_webhook(store)
        first = a_delivery(store, one)
        clock.advance(1)
        second, third = a_delivery(store, one), a_delivery(store, two)
        failed = store.set_delivery(second.id, attempts=2, status=500, error="it answered 500")
        assert store.get_delivery(second.id) == failed
        assert store.list_deliveries(webhook_id=one.id) == [failed, first]
        assert store.list_deliveries(failed=True) == [failed]
        assert set(store.list_deliveries(failed=False)) == {first, third}
        assert len(store.list_deliveries(limit=1)) == 1
        done = store.set_delivery(first.id, is_done=True, done_at=START + 1, status=200)
        assert store.get_delivery(first.id) == done
        with pytest.raises(InvalidInput, match="body"):
            store.set_delivery(first.id, body="other")

    def test_old_deliveries_go(self, store: Store, clock: ManualClock) -> None:
        webhook = a_webhook(store)
        a_delivery(store, webhook)
        clock.advance(10)
        kept = a_delivery(store, webhook)
        assert store.delete_deliveries(before=START + 10) == 1
        assert store.list_deliveries() == [kept]

    def test_deliveries_go_with_their_webhook(self, store: Store) -> None:
        webhook, other = a_webhook(store), a_webhook(store)
        delivery, kept = a_delivery(store, webhook), a_delivery(store, other)
        store.delete_webhook(webhook.id)
        assert store.list_webhooks() == [other]
        assert store.list_deliveries() == [kept]
        for call in (store.get_webhook, store.delete_webhook):
            with pytest.raises(NotFound):
                call(webhook.id)
        with pytest.raises(NotFound):
            store.get_delivery(delivery.id)
        with pytest.raises(Conflict):
            a_delivery(store, webhook)
