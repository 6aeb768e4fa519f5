"""`relive open`: a browser session, without typing a token."""

import webbrowser

import click

from relive.cli.output import json_option, out, print_json
from relive.client.hub import connect


@click.command("open")
@click.option("--print", "print_only", is_flag=True, help="Only print the address.")
@json_option
def open_command(print_only: bool, as_json: bool) -> None:
    """Open the hub's pages in a browser, logged in by a link that works once, for five minutes.

    \b
    Examples:
      relive open
      relive open --print
    """
    url = connect().create_login_link()
    if as_json:
        print_json({"url": url})
    elif print_only or not webbrowser.open(url):
        click.echo(url)
    else:
        out.print("Opened the hub in the browser.")
