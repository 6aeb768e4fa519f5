"""`relive sync`: send what is still spooled on this machine."""

from pathlib import Path

import click

from relive.cli.output import json_option, out, plural, print_json
from relive.client.hub import HubClient, connect
from relive.client.shipping import Shipment, ship
from relive.client.spool import pending


@click.command()
@json_option
def sync(as_json: bool) -> None:
    """Send what scripts logged while the hub was away.

    \b
    Example:
      relive sync
    """
    hub = connect()
    waiting = pending()
    sent = [_send(hub, spool) for spool in waiting]
    if as_json:
        print_json({"spools": len(waiting), "sent": sent})
    else:
        had = f"{plural(len(waiting), 'run')} had something to send."
        out.print(had if waiting else "Nothing is waiting.")


def _send(hub: HubClient, spool: Path) -> Shipment:
    """Send a run; of one whose process lives and does not reach the hub, say that it goes on."""
    shipment = ship(hub, spool)
    if shipment.run_id and not shipment.finished:
        hub.run(shipment.run_id).heartbeat()
    return shipment
