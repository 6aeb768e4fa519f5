"""`relive login`: another machine's hub."""

import click

from relive.cli.output import json_option, out, print_json
from relive.client.credentials import store_token
from relive.client.hub import connect


@click.command()
@click.argument("url")
@click.option("--token", prompt=True, hide_input=True, help="A token of that hub; asked for if not given.")
@json_option
def login(url: str, token: str, as_json: bool) -> None:
    """Keep a token for a hub and speak with it from now on.

    \b
    Example:
      relive login https://relive.example.org
    """
    info = connect(url, token).get_info()
    store_token(url, token, make_current=True)
    if as_json:
        print_json(info)
    else:
        out.print(f"Logged in to {url} (relive {info.version}, {info.database}).")
