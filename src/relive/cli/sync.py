"""`relive sync`: send what is still spooled on this machine."""

import click

from relive.cli.output import json_option, out, plural, print_json
from relive.client.hub import connect
from relive.client.shipping import ship
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
    sent = [ship(hub, spool) for spool in waiting]
    if as_json:
        print_json({"spools": len(waiting), "sent": sent})
    else:
        had = f"{plural(len(waiting), 'run')} had something to send."
        out.print(had if waiting else "Nothing is waiting.")
