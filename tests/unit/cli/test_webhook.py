"""`relive webhook`: what a person sees of webhooks and their deliveries."""

from typing import Any

import pytest

from relive.core.webhook import Webhook, WebhookDelivery
from tests.support.bench import Bench
from tests.unit.cli.conftest import Shell


@pytest.fixture
def told(bench: Bench) -> Bench:
    """A webhook with a delivery in each state."""
    store = bench.services.store
    for name, url in (("ci", "https://ci.example/x"), ("chat", "https://chat.example")):
        events = ("registered_model.created", "prompt.created")
        store.create_webhook(Webhook(id=f"{name}-0123456789", name=name, url=url, events=events, secret="s"))
    states: list[dict[str, Any]] = [
        {},
        {"is_done": True, "status": 200},
        {"error": "it answered 503"},
        {"error": "gone", "is_done": True},
    ]
    for number, state in enumerate(states):
        delivery: dict[str, Any] = {"webhook_id": "ci-0123456789", "event": "prompt.created", "body": "{}"}
        store.create_delivery(WebhookDelivery(id=f"{number}" * 8, attempts=number, **delivery, **state))
    return bench


def test_webhooks_are_listed_without_their_secrets(relive: Shell, told: Bench) -> None:
    said = relive("webhook", "list")
    assert said.lines[0].split() == ["WEBHOOK", "ID", "STATUS", "URL", "EVENTS", "MADE"]
    assert "https://ci.example/x" in said.out
    assert "registered_model.created, prompt.created" in said.out
    assert [item["secret"] for item in relive("webhook", "list", "--json").json] == ["", ""]


def test_nothing_to_list_says_so(relive: Shell) -> None:
    assert relive("webhook", "list").out == "No webhooks: MLflow's clients make them.\n"
    assert relive("webhook", "deliveries").out == "No deliveries.\n"
    assert relive("webhook", "deliveries", "--failed").out == "Everything arrived.\n"


def test_deliveries_say_how_they_stand(relive: Shell, told: Bench) -> None:
    lines = {line.split()[0]: line for line in relive("webhook", "deliveries").lines[1:]}
    assert "waits" in lines["00000000"]
    assert "arrived" in lines["11111111"]
    assert "tries again" in lines["22222222"]
    assert "it answered 503" in lines["22222222"]
    assert "failed" in lines["33333333"]
    failed = relive("webhook", "deliveries", "--failed", "--json").json
    assert {item["id"][0] for item in failed} == {"2", "3"}
    assert len(relive("webhook", "deliveries", "--limit", "1", "--json").json) == 1


def test_deliveries_of_one_webhook_by_its_name_or_id(relive: Shell, told: Bench) -> None:
    assert len(relive("webhook", "deliveries", "--webhook", "ci", "--json").json) == 4
    assert relive("webhook", "deliveries", "--webhook", "chat-01", "--json").json == []
    assert "There is no webhook 'none'" in relive("webhook", "deliveries", "--webhook", "none", code=1).err
