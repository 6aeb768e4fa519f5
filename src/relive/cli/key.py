"""`relive key`: what the hub signs with."""

import click

from relive.cli.output import Group, json_option, out, print_json, print_table
from relive.client.hub import connect


@click.group(cls=Group)
def key() -> None:
    """Signing keys: list, rotate."""


@key.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the public keys that signed statements are verified with.

    \b
    Example:
      relive key list --json
    """
    found = connect().list_keys()
    if as_json:
        print_json(found)
        return
    print_table(
        ("KEY", "ALGORITHM", "SIGNS"),
        ((item["key_id"], item["algorithm"], "now" if item["signs"] else "no more") for item in found),
        empty="No keys.",
    )


@key.command()
@json_option
def rotate(as_json: bool) -> None:
    """Sign with a new key from now on; statements signed by the old ones still verify.

    \b
    Example:
      relive key rotate
    """
    made = connect().rotate_key()
    if as_json:
        print_json(made)
    else:
        out.print(f"The hub signs with {made['key_id']} from now on.")
