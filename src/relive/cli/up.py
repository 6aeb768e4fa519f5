"""`relive up`: the hub of this machine."""

import gc
import logging
import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relive import settings
from relive.cli.output import err
from relive.client.credentials import (
    HubAddress,
    announce_hub,
    find_token,
    local_hub,
    store_token,
    withdraw_hub,
)

if TYPE_CHECKING:
    from relive.hub.config import HubConfig

_NEEDS_TLS = "Off loopback the hub needs --tls-cert and --tls-key, or --behind-proxy with --public-url."
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=7878, show_default=True, help="Port to listen on."
)
@click.option(
    "--data", "data_dir", type=click.Path(path_type=Path), help="Data folder (default: RELIVE_HOME/hub)."
)
@click.option("--db", default="", help="Database URL, postgresql://…; default: SQLite in the data folder.")
@click.option(
    "--store", default="", help="Blob store URL, s3://bucket/prefix; default: a folder in the data folder."
)
@click.option(
    "--auth",
    type=click.Choice(["local", "token"]),
    default="local",
    show_default=True,
    help="local: recording with MLflow's clients and inference need no token from this machine.",
)
@click.option("--public-url", default="", help="Address that others reach the hub at, behind a proxy.")
@click.option("--behind-proxy", is_flag=True, help="Trust the X-Forwarded headers of the proxy in front.")
@click.option("--tls-cert", default="", help="Certificate file; needed off loopback without --behind-proxy.")
@click.option("--tls-key", default="", help="Key file of the certificate.")
@click.option("--keep/--no-keep", default=None, help="At the end let jobs and endpoints go on, unasked.")
@click.option(
    "--slots", type=click.IntRange(1), default=os.cpu_count() or 1, help="Jobs placed here at once."
)
def up(
    host: str,
    port: int,
    data_dir: Path | None,
    db: str,
    store: str,
    auth: str,
    public_url: str,
    behind_proxy: bool,
    tls_cert: str,
    tls_key: str,
    keep: bool | None,
    slots: int,
) -> None:
    """Start the hub: web pages, API, git remote and scheduler in one process.

    Without options everything lies in one folder and only this machine reaches it. The first start makes
    an admin token and keeps it for this machine's commands.

    \b
    Examples:
      relive up
      relive up --db postgresql://relive@db/relive --store s3://models/relive
      relive up --host 0.0.0.0 --tls-cert hub.pem --tls-key hub.key
    """
    _set_up_process(host, is_guarded=bool(tls_cert) or behind_proxy)
    from relive.hub.app import HubConfig, run_hub  # late: the whole hub, which no other command needs

    config = HubConfig(
        data_dir=(data_dir or Path(settings.home()) / "hub").expanduser().absolute(),
        host=host,
        port=port,
        db=db or settings.get("RELIVE_DB"),
        store=store or settings.get("RELIVE_STORE"),
        auth=auth,
        public_url=public_url,
        behind_proxy=behind_proxy,
        tls_cert=tls_cert,
        tls_key=tls_key,
        slots=slots,
        poll_s=float(settings.get_int("RELIVE_POLL_S")),
    )
    with ExitStack() as at_end:
        run_hub(
            config,
            known_token=find_token(config.local_url),
            on_token=partial(_keep, config, at_end),
            on_ready=partial(_announce, config),
            ends_jobs=partial(_ends_jobs, keep),
        )
    err.print("The hub has stopped.")


def _set_up_process(host: str, *, is_guarded: bool) -> None:
    if host not in _LOOPBACK and not is_guarded:
        raise click.UsageError(_NEEDS_TLS)
    # What a start imports and makes stays: to look for garbage in it takes an eighth of a start.
    gc.disable()
    level = settings.get("RELIVE_LOG_LEVEL").upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def _ends_jobs(keep: bool | None, running: int) -> bool:
    """Ask the person at the terminal; without one, jobs and endpoints go on."""
    if keep is not None or not sys.stdin.isatty():
        return keep is False
    what = "1 job or endpoint runs" if running == 1 else f"{running} jobs and endpoints run"
    try:
        return click.confirm(f"\n{what}. End them as well?", default=False)
    except click.Abort:
        return False


def _keep(config: "HubConfig", at_end: ExitStack, token: str) -> None:
    """Let this machine's commands find the hub: whoever waits for its first answer goes on at once."""
    # Remotes and links name the hub by its public address: on this machine, too, they must find the token.
    for address in {config.local_url, config.url}:
        store_token(address, token)
    own = HubAddress(address=config.local_url, pid=os.getpid(), blobs=config.blob_folder)
    announce_hub(own)
    at_end.callback(withdraw_hub, own)


def _announce(config: "HubConfig") -> None:
    gc.freeze()
    gc.enable()
    # By click: Rich would have to be imported before the first request is answered.
    click.echo(f"relive is up at {click.style(config.url, bold=True)}   (log in: relive open)")
    spoken_with = local_hub()
    if spoken_with and spoken_with.address != config.local_url:
        click.echo(f"Another hub runs here: commands speak with {spoken_with.address}, with this one if")
        click.echo(f"  export RELIVE_HUB={config.url}")
    click.echo("Ctrl-C stops the hub; jobs and endpoints that run go on and are taken up again.")
