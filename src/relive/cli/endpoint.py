"""`relive endpoint` and `relive deploy`: what is served."""

import json
import math
import shlex
import time
from typing import Any

import click

from relive.cli.model import split_version
from relive.cli.output import Group, ago, err, escape, json_option, out, print_json, print_table
from relive.client.hub import HubClient, connect
from relive.core.endpoint import Revision, RevisionState, roles
from relive.core.model import ModelVersion, TensorSpec
from relive.errors import Conflict, HubRefused, ReliveError
from relive.wire.hub import EndpointDetail

_POLL_S = 0.3
_ROUTED_S = 10.0
_UNKNOWN = 404  # what the router says of an endpoint of which it has not heard
# Of an image's values: enough to see what is meant.
_MOST_SHOWN = 64
_CHAMPION = "champion"
_DOING = "doing"


@click.group(cls=Group)
def endpoint() -> None:
    """Served addresses: list, show, roll back, cancel, delete."""


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
    """Show an endpoint with its revisions, newest first, and a request of the form that its model takes.

    \b
    Example:
      relive endpoint show digits
    """
    hub = connect()
    detail = hub.get_endpoint(name)
    if as_json:
        print_json(detail)
        return
    _print(detail)
    live = next((it for it in detail.revisions if it.id == detail.endpoint.live), None)
    if live is None:
        return
    version = hub.get_version(detail.endpoint.model, str(live.facts.get("version")))
    if version.signature is not None:
        body = shlex.quote(json.dumps({"inputs": [_zeros(it) for it in version.signature.inputs]}))
        out.print(escape(f'curl {detail.infer_url} -H "Authorization: Bearer $RELIVE_TOKEN" -d {body}'))


@endpoint.command()
@click.argument("name")
@json_option
def rollback(name: str, as_json: bool) -> None:
    """Give the traffic back to the revision before, which is still running.

    The alias that named the rolled-back version follows, so that the next gate compares with what is served.
    What was rolled back from keeps running: to go forward again, deploy it.

    \b
    Example:
      relive endpoint rollback digits
    """
    hub = connect()
    detail = hub.roll_back(name)
    by_id = {revision.id: revision for revision in detail.revisions}
    live, left = by_id[detail.endpoint.live], by_id[detail.endpoint.previous]
    await_traffic(hub, name, live.number)
    if as_json:
        print_json(detail)
        return
    out.print(
        escape(
            f"{name}: {_serves(left)} → {_serves(live)} "
            f"(revision {left.number} → {live.number}, {live.state.value})"
        )
    )
    forward = [f"relive deploy {_ref(left)} {name}"]
    for alias in hub.get_model(detail.endpoint.model).aliases:
        if (alias.version, alias.previous) == (live.facts.get("version"), left.facts.get("version")):
            out.print(escape(f"{alias.model}@{alias.alias}: v{alias.previous} → v{alias.version}"))
            forward.append(f"relive model alias {_ref(left)} {alias.alias}")
    out.print(escape(f"forward again: {' && '.join(forward)}"))


def await_traffic(hub: HubClient, name: str, revision: int) -> None:
    """Wait until the router has heard of it, so that the next request is answered by this revision."""
    deadline = time.monotonic() + _ROUTED_S
    while time.monotonic() < deadline:
        try:
            with hub.transport.open("GET", f"/v2/models/{name}") as reply:
                if reply.headers.get("x-relive-revision") == str(revision):
                    return
        except HubRefused as error:
            if error.status != _UNKNOWN:
                return  # its process is being started again: then no request is answered by another
        except ReliveError:
            return
        time.sleep(0.02)


@endpoint.command()
@click.argument("name")
@json_option
def cancel(name: str, as_json: bool) -> None:
    """Stop a deployment that is on its way; the traffic stays where it is.

    \b
    Example:
      relive endpoint cancel digits
    """
    detail = connect().cancel_deployment(name)
    if as_json:
        print_json(detail)
    else:
        _print(detail)


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

    One that an MLflow client registered is described first: its environment is made from its requirements,
    and its input example becomes the contract test.

    What is live already stays as it is. No alias moves: it says so where `champion` names another version.

    \b
    Example:
      relive deploy digits@3 digits
    """
    hub = connect()
    found = hub.get_version(*split_version(version))
    before = next((it for it in hub.list_endpoints() if it.endpoint.name == name), None)
    detail = hub.deploy_version(name, found.model, str(found.version))
    mine = [revision for revision in detail.revisions if revision.version_id == found.id]
    asked = next((it for it in mine if it.id == detail.endpoint.live and it.state.is_wanted), mine[0])
    if wait:
        detail = _wait(hub, name, asked, quiet=as_json)
        await_traffic(hub, name, asked.number)
    if as_json:
        print_json(detail)
        return
    if before is not None and before.endpoint.live == asked.id:
        out.print(escape(f"{_serves(asked)} is live already: revision {asked.number}."))
    _print(detail)
    _tell_of_champion(hub, found)


def _tell_of_champion(hub: HubClient, version: ModelVersion) -> None:
    for alias in hub.get_model(version.model).aliases:
        if alias.alias == _CHAMPION and alias.version != version.version:
            ref = f"{version.model}@{version.version}"
            err.print(
                escape(
                    f"{_CHAMPION} stays v{alias.version}, which the next gates compare with; "
                    f"to move it: relive model alias {ref} {_CHAMPION}"
                )
            )


def _wait(hub: HubClient, name: str, revision: Revision, *, quiet: bool) -> EndpointDetail:
    told = ""
    try:
        while True:
            detail = hub.get_endpoint(name)
            now = next(item for item in detail.revisions if item.id == revision.id)
            if now.state in (RevisionState.FAILED, RevisionState.STOPPED):
                raise Conflict(
                    subject=f"revision {now.number} of {name}", reason=f"it is {now.state.value}: {now.error}"
                )
            if detail.endpoint.live == revision.id:
                return detail
            doing = _doing(now)
            if doing and doing != told and not quiet:
                err.print(escape(f"revision {now.number}: {doing}"))
            told = doing
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        err.print(
            escape(f"It goes on: relive endpoint show {name}. To stop it: relive endpoint cancel {name}")
        )
        raise


def _doing(revision: Revision) -> str:
    return str(revision.facts.get(_DOING, "")) if revision.state.is_wanted else ""


def _live(detail: EndpointDetail) -> tuple[str, str]:
    for revision in detail.revisions:
        if revision.id == detail.endpoint.live:
            return _serves(revision), revision.state.value
    return "nothing yet", ""


def _serves(revision: Revision) -> str:
    return f"{revision.facts.get('model')} v{revision.facts.get('version')}"


def _ref(revision: Revision) -> str:
    return f"{revision.facts.get('model')}@{revision.facts.get('version')}"


def _zeros(spec: TensorSpec) -> dict[str, Any]:
    shape = [max(1, size) for size in spec.shape]
    zero: Any = {"BYTES": "", "BOOL": False}.get(spec.datatype, 0)
    data = [zero] * min(math.prod(shape), _MOST_SHOWN)
    return {"name": spec.name, "datatype": spec.datatype, "shape": shape, "data": data}


def _print(detail: EndpointDetail) -> None:
    now = time.time()
    role = roles(detail.endpoint, detail.revisions)
    print_table(
        ("REVISION", "SERVES", "STATE", "TRAFFIC", "RESTARTS", "CREATED", "NOTE"),
        (
            (
                item.number,
                _serves(item),
                item.state.value,
                role.get(item.id, ""),
                item.restarts,
                ago(item.created_at, now),
                item.error or _doing(item),
            )
            for item in detail.revisions
        ),
        empty="No revisions yet.",
    )
    out.print(f"POST {detail.infer_url}")
