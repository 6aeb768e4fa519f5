"""`relive endpoint` and `relive deploy`: what is served."""

import time

import click

from relive.cli.model import split_version
from relive.cli.output import ago, escape, json_option, out, print_json, print_table
from relive.client.hub import HubClient, connect
from relive.core.endpoint import Revision, RevisionState
from relive.errors import Conflict
from relive.wire.hub import EndpointDetail

_POLL_S = 0.3


@click.group()
def endpoint() -> None:
    """Served addresses: list, show, roll back, delete."""


@endpoint.command("list")
@click.option("--project", default="", help="Only this project's.")
@json_option
def list_(project: str, as_json: bool) -> None:
    """List endpoints.

    \b
    Example:
      relive endpoint list
    """
    found = connect().list_endpoints(project=project)
    if as_json:
        print_json(found)
        return
    print_table(
        ("ENDPOINT", "SERVES", "STATE", "ADDRESS"),
        ((item.endpoint.name, *_live(item), item.infer_url) for item in found),
        empty="No endpoints yet: a `deploy` stage or `relive deploy` makes them.",
    )


@endpoint.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show an endpoint with its revisions, newest first.

    \b
    Example:
      relive endpoint show digits
    """
    detail = connect().get_endpoint(name)
    if as_json:
        print_json(detail)
        return
    _print(detail)


@endpoint.command()
@click.argument("name")
@json_option
def rollback(name: str, as_json: bool) -> None:
    """Give the traffic back to the revision before, which is still running.

    The alias that named the rolled-back version follows, so that the next gate compares with what is served.

    \b
    Example:
      relive endpoint rollback digits
    """
    detail = connect().roll_back(name)
    if as_json:
        print_json(detail)
    else:
        serves, state = _live(detail)
        out.print(escape(f"{name} serves {serves} again ({state})."))


@endpoint.command()
@click.argument("name")
@click.confirmation_option(prompt="Stop every revision of this endpoint and forget it?")
@json_option
def delete(name: str, as_json: bool) -> None:
    """Stop an endpoint and forget it.

    \b
    Example:
      relive endpoint delete digits --yes
    """
    connect().delete_endpoint(name)
    if as_json:
        print_json({"deleted": name})
    else:
        out.print(f"Endpoint {escape(name)} is gone.")


@click.command()
@click.argument("version")
@click.argument("name", metavar="ENDPOINT")
@click.option("--wait/--no-wait", default=True, help="Wait until it has the traffic.")
@json_option
def deploy(version: str, name: str, wait: bool, as_json: bool) -> None:
    """Serve a model version; the traffic moves when it has passed its contract test.

    \b
    Example:
      relive deploy digits@3 digits
    """
    hub = connect()
    detail = hub.deploy_version(name, *split_version(version))
    newest = detail.revisions[0]
    if wait:
        detail = _wait(hub, name, newest)
    if as_json:
        print_json(detail)
    else:
        _print(detail)


def _wait(hub: HubClient, name: str, revision: Revision) -> EndpointDetail:
    while True:
        detail = hub.get_endpoint(name)
        now = next(item for item in detail.revisions if item.id == revision.id)
        if now.state in (RevisionState.FAILED, RevisionState.STOPPED):
            raise Conflict(
                subject=f"revision {now.number} of {name}", reason=f"it is {now.state.value}: {now.error}"
            )
        if detail.endpoint.live == revision.id:
            return detail
        time.sleep(_POLL_S)


def _live(detail: EndpointDetail) -> tuple[str, str]:
    for revision in detail.revisions:
        if revision.id == detail.endpoint.live:
            return f"{revision.facts.get('model')} v{revision.facts.get('version')}", revision.state.value
    return "nothing yet", ""


def _print(detail: EndpointDetail) -> None:
    now = time.time()
    roles = {detail.endpoint.live: "live", detail.endpoint.previous: "kept for rollback"}
    print_table(
        ("REVISION", "SERVES", "STATE", "TRAFFIC", "RESTARTS", "CREATED", "ERROR"),
        (
            (
                item.number,
                f"{item.facts.get('model')} v{item.facts.get('version')}",
                item.state.value,
                roles.get(item.id, ""),
                item.restarts,
                ago(item.created_at, now),
                item.error,
            )
            for item in detail.revisions
        ),
        empty="No revisions yet.",
    )
    out.print(f"POST {detail.infer_url}")
