"""`relive git-credential`: what git asks for the hub's token; see gitcredentials(7)."""

import sys

import click

from relive.client.credentials import find_token


@click.command("git-credential", hidden=True)
@click.argument("action", type=click.Choice(["get", "store", "erase"]))
def git_credential(action: str) -> None:
    """Answer git's question for a token from this machine's token file; keeps and erases nothing."""
    if action != "get":
        return
    asked = dict(line.rstrip("\n").split("=", 1) for line in sys.stdin if "=" in line)
    token = find_token(f"{asked.get('protocol', '')}://{asked.get('host', '')}")
    if token:
        click.echo(f"username=relive\npassword={token}")
