"""`relive token`: what lets a person or a program in."""

import time

import click

from relive.cli.output import Group, ago, escape, json_option, out, print_json, print_table
from relive.client.hub import connect
from relive.wire.hub import CreateToken

_DAY_S = 86400.0
_MOST_DAYS = 36500


@click.group(cls=Group)
def token() -> None:
    """Tokens: list, create, revoke."""


@token.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List tokens; their text is known to nobody but their holder.

    \b
    Example:
      relive token list
    """
    found = connect().list_tokens()
    if as_json:
        print_json(found)
        return
    now = time.time()
    print_table(
        ("TOKEN", "SCOPE", "HOLDER", "LABEL", "LAST USED", "EXPIRES"),
        (
            (
                item.id,
                item.scope.value,
                item.subject.removeprefix("user:"),
                item.label,
                ago(item.last_used_at, now) or "never",
                f"in {(item.expires_at - now) / _DAY_S:.0f} d" if item.expires_at else "never",
            )
            for item in found
        ),
        empty="No tokens.",
    )


@token.command()
@click.argument("label")
@click.option("--scope", type=click.Choice(["member", "admin"]), default="member", show_default=True)
@click.option("--user", default="", help="Holder; default: you. Only an admin makes one for another.")
@click.option("--days", type=float, help="Days until it expires; default: never.")
@json_option
def create(label: str, scope: str, user: str, days: float | None, as_json: bool) -> None:
    """Make a token and print it; it is shown only this once.

    \b
    Example:
      relive token create ci --days 90
    """
    if days is not None and not 0 < days <= _MOST_DAYS:
        raise click.BadParameter(f"{days} is not in 0 to {_MOST_DAYS}.", param_hint="--days")
    life_s = None if days is None else days * _DAY_S
    text = connect().create_token(CreateToken(label=label, scope=scope, user=user, life_s=life_s))
    if as_json:
        print_json({"token": text})
    else:
        click.echo(text)


@token.command()
@click.argument("token_id")
@json_option
def revoke(token_id: str, as_json: bool) -> None:
    """End a token at once.

    \b
    Example:
      relive token revoke 3f9a2c1b7d5e4f60
    """
    connect().revoke_token(token_id)
    if as_json:
        print_json({"revoked": token_id})
    else:
        out.print(f"Token {escape(token_id)} is revoked.")
