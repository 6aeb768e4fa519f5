"""`relive webhook`: whom the hub tells of its registry, and whether it arrived."""

import time

import click

from relive.cli.output import Group, ago, json_option, print_json, print_table
from relive.client.hub import connect
from relive.core.ids import short_id
from relive.core.webhook import Webhook
from relive.errors import NotFound


@click.group(cls=Group)
def webhook() -> None:
    """Webhooks of the registry: list them, and what became of each message.

    They are made by MLflow's clients (`MlflowClient().create_webhook`). Messages are signed as MLflow signs,
    and tried again for some minutes while their address does not answer.
    """


@webhook.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List webhooks, newest first.

    \b
    Example:
      relive webhook list
    """
    found = connect().list_webhooks()
    if as_json:
        print_json(found)
        return
    now = time.time()
    print_table(
        ("WEBHOOK", "ID", "STATUS", "URL", "EVENTS", "MADE"),
        (
            (
                item.name,
                short_id(item.id),
                item.status.lower(),
                item.url,
                ", ".join(item.events),
                ago(item.created_at, now),
            )
            for item in found
        ),
        empty="No webhooks: MLflow's clients make them.",
    )


@webhook.command()
@click.option("--webhook", "named", default="", help="Only of this webhook: its name, or how its id begins.")
@click.option("--failed", is_flag=True, help="Only what did not arrive, or not yet.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@json_option
def deliveries(named: str, failed: bool, limit: int, as_json: bool) -> None:
    """List what webhooks were told, newest first.

    \b
    Example:
      relive webhook deliveries --failed
    """
    hub = connect()
    known = hub.list_webhooks(limit=1000)
    found = hub.list_deliveries(webhook=_id_of(known, named), failed=failed, limit=limit)
    if as_json:
        print_json(found)
        return
    names = {item.id: item.name for item in known}
    now = time.time()
    print_table(
        ("DELIVERY", "WEBHOOK", "EVENT", "STATE", "TRIES", "AT", "ERROR"),
        (
            (
                short_id(item.id),
                names.get(item.webhook_id, short_id(item.webhook_id)),
                item.event,
                state_of(item.error, is_done=item.is_done),
                item.attempts,
                ago(item.created_at, now),
                item.error,
            )
            for item in found
        ),
        empty="No deliveries." if not failed else "Everything arrived.",
    )


def _id_of(known: list[Webhook], named: str) -> str:
    if not named:
        return ""
    for item in known:
        if item.name == named or item.id.startswith(named):
            return item.id
    raise NotFound(kind="webhook", name=named, hint="relive webhook list")


def state_of(error: str, *, is_done: bool) -> str:
    """Say in a word how a delivery stands."""
    if is_done:
        return "failed" if error else "arrived"
    return "tries again" if error else "waits"
