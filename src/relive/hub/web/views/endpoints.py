"""Endpoints: is it up, what does it serve, and how to go back."""

import hashlib
import json
import shlex
from typing import Any

import msgspec

from relive.core.endpoint import Endpoint, Revision, RevisionState, roles
from relive.core.model import ModelVersion, TensorSpec
from relive.errors import ReliveError
from relive.hub.web.marks import REVISIONS, Mark
from relive.hub.web.views.events import EventLine, event_line
from relive.hub.web.views.graphs import Graph, draw_lineage
from relive.services import catalog, lineage
from relive.services.context import Services
from relive.services.describing import DOING
from relive.services.inputs import load_manifest
from relive.wire.hub import EndpointDetail

_SIGNATURE_FILE = "signature.json"
_LARGEST_EXAMPLE = 1 << 20
_EXAMPLE_ROWS = 2
_LONGEST_COMMAND = 4000
_KEPT = "kept for rollback"
_DOWN = Mark("○", "no traffic yet", "quiet")


class _Recorded(msgspec.Struct, frozen=True):
    """The part of a recorded signature that is asked for: an inference request."""

    example: dict[str, Any] = {}


class RevisionLine(msgspec.Struct, frozen=True, kw_only=True):
    """A revision in one row.

    Attributes:
        role: As `core.endpoint.roles` says it, empty for none.
        doing: What it does before it is ready.
    """

    number: int
    mark: Mark
    role: str
    version: str
    version_url: str
    restarts: int
    error: str
    doing: str
    at: float
    ready_at: float | None


class EndpointRow(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint in one row."""

    name: str
    url: str
    project: str
    mark: Mark
    version: str
    version_url: str
    previous: str
    revisions: int
    at: float


class EndpointPage(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint.

    Attributes:
        path: Where requests go, from the hub's root.
        command: The same for a shell.
        example: A request that works, as JSON; empty if the version has no example.
        rollback_to: What the rollback button goes back to, empty if it cannot.
        forward: Command that goes forward again after a rollback, empty if there was none.
        others: Versions that could be deployed.
        champion: Version that the alias of this name names, 0 for none: no deployment by hand moves it.
    """

    name: str
    project: str
    model: str
    mark: Mark
    version: str
    version_url: str
    revision: int
    since: float
    path: str
    command: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    example: str
    rollback_to: str
    forward: str
    others: tuple[tuple[str, str], ...]
    champion: int
    revisions: tuple[RevisionLine, ...]
    graph: Graph
    events: tuple[EventLine, ...]
    is_moving: bool
    seen: str


def list_endpoints(services: Services) -> tuple[EndpointRow, ...]:
    """Give every endpoint as a row."""
    rows = []
    for detail in catalog.list_endpoints(services):
        by_id = {revision.id: revision for revision in detail.revisions}
        live, previous = by_id.get(detail.endpoint.live), _kept(detail, _KEPT)
        rows.append(
            EndpointRow(
                name=detail.endpoint.name,
                url=f"/e/{detail.endpoint.name}",
                project=detail.project,
                mark=REVISIONS[live.state] if live else _DOWN,
                version=_served(live) if live else "",
                version_url=_version_url(live) if live else "",
                previous=_served(previous) if previous else "",
                revisions=len(detail.revisions),
                at=(live.ready_at or live.created_at) if live else detail.endpoint.created_at,
            )
        )
    return tuple(rows)


def get_endpoint(services: Services, name: str) -> EndpointPage:
    """Give an endpoint's page.

    Raises:
        NotFound: There is no such endpoint.
    """
    detail = catalog.get_endpoint(services, name)
    endpoint, store = detail.endpoint, services.store
    by_id = {revision.id: revision for revision in detail.revisions}
    live, previous, left = by_id.get(endpoint.live), _kept(detail, _KEPT), _kept(detail, "rolled back from")
    version = store.get_version_by_id(live.version_id) if live else None
    events = store.list_events(subject=f"endpoint:{endpoint.id}", newest_first=True, limit=20)
    example = example_of(services, version) if version else ""
    path = f"/v2/models/{endpoint.name}/infer"
    moving = any(
        revision.state in (RevisionState.PENDING, RevisionState.STARTING) for revision in detail.revisions
    )
    return EndpointPage(
        name=endpoint.name,
        project=detail.project,
        model=endpoint.model,
        mark=REVISIONS[live.state] if live else _DOWN,
        version=_served(live) if live else "",
        version_url=_version_url(live) if live else "",
        revision=live.number if live else 0,
        since=(live.ready_at or live.created_at) if live else 0.0,
        path=path,
        command=_curl(services.place.public_url + path, example),
        inputs=version.signature.inputs if version and version.signature else (),
        outputs=version.signature.outputs if version and version.signature else (),
        example=example,
        rollback_to=_served(previous) if previous and previous.state is RevisionState.READY else "",
        forward=f"relive deploy {endpoint.model}@{left.facts.get('version')} {name}" if left else "",
        others=_deployable(services, endpoint, live),
        champion=_champion(services, endpoint.model),
        revisions=tuple(_line(it, roles(endpoint, detail.revisions)) for it in detail.revisions),
        graph=draw_lineage(
            lineage.of_endpoint(services, name), f"endpoint:{endpoint.id}", f"What endpoint {name} is made of"
        ),
        events=tuple(event_line(event) for event in events),
        is_moving=moving,
        seen=_seen(detail),
    )


def example_of(services: Services, version: ModelVersion) -> str:
    """Give a request that the version's signature asks for, with recorded rows where they are readable."""
    if version.signature is None:
        return ""
    recorded = _recorded_request(services, version) if version.contract else None
    request = recorded or {"inputs": [_zeros(spec) for spec in version.signature.inputs]}
    return json.dumps(request, indent=None, separators=(", ", ": "))


def _curl(url: str, example: str) -> str:
    """Give a command that sends the example; a long one from a file, where it would fill the screen."""
    data = shlex.quote(example) if example and len(example) <= _LONGEST_COMMAND else "@request.json"
    return f'curl {url} \\\n  -H "Authorization: Bearer $RELIVE_TOKEN" \\\n  -d {data}'


def _recorded_request(services: Services, version: ModelVersion) -> dict[str, Any] | None:
    """Give the first rows of the request that was recorded at registration, if it is there and no giant."""
    try:
        entry = load_manifest(services, version.contract).find(_SIGNATURE_FILE)
        if entry is None or entry.size_bytes > _LARGEST_EXAMPLE:
            return None
        found = msgspec.json.decode(services.blobs.read(entry.digest), type=_Recorded)
    except (ReliveError, msgspec.MsgspecError):
        return None  # the page still works: it asks with zeros
    inputs = found.example.get("inputs", [])
    return {"inputs": [_first_rows(item) for item in inputs]} if inputs else None


def _first_rows(item: dict[str, Any]) -> dict[str, Any]:
    shape, data = list(item.get("shape", [])), list(item.get("data", []))
    if not shape or not data:
        return item
    rows = min(shape[0], _EXAMPLE_ROWS)
    kept = data[: rows * (len(data) // shape[0])] if shape[0] else data
    return item | {"shape": [rows, *shape[1:]], "data": kept}


def _zeros(spec: TensorSpec) -> dict[str, Any]:
    shape = [1 if size < 0 else size for size in spec.shape]
    values = 1
    for size in shape:
        values *= size
    zero: Any = "" if spec.datatype == "BYTES" else False if spec.datatype == "BOOL" else 0
    return {"name": spec.name, "shape": shape, "datatype": spec.datatype, "data": [zero] * min(values, 4096)}


def _deployable(services: Services, endpoint: Endpoint, live: Revision | None) -> tuple[tuple[str, str], ...]:
    served = live.version_id if live else ""
    versions = sorted(services.store.list_versions(endpoint.model), key=lambda version: -version.version)
    return tuple(
        (str(it.version), f"v{it.version}, {it.status}" + ("" if it.contract else ", described first"))
        for it in versions
        # Whether a client's can be described is told where it is asked for: reading each would take long.
        if (it.contract or (it.source and it.manifest)) and it.id != served
    )


def _champion(services: Services, model: str) -> int:
    alias = services.store.find_alias(model, "champion")
    return alias.version if alias else 0


def _seen(detail: EndpointDetail) -> str:
    """Name what the page shows of the revisions, so that a browser asks for it again only if it changed."""
    shown = [(it.number, it.state, it.restarts, it.facts.get(DOING)) for it in detail.revisions]
    return hashlib.blake2s(repr((shown, detail.endpoint.live)).encode(), digest_size=8).hexdigest()


def _kept(detail: EndpointDetail, role: str) -> Revision | None:
    found = roles(detail.endpoint, detail.revisions)
    return next((it for it in detail.revisions if found.get(it.id) == role), None)


def _line(revision: Revision, role: dict[str, str]) -> RevisionLine:
    return RevisionLine(
        number=revision.number,
        mark=REVISIONS[revision.state],
        role=role.get(revision.id, ""),
        version=_served(revision),
        version_url=_version_url(revision),
        restarts=revision.restarts,
        error=revision.error,
        doing=str(revision.facts.get(DOING, "")) if revision.state.is_wanted else "",
        at=revision.created_at,
        ready_at=revision.ready_at,
    )


def _served(revision: Revision) -> str:
    return f"{revision.facts.get('model', 'model')} v{revision.facts.get('version', '?')}"


def _version_url(revision: Revision) -> str:
    return f"/m/{revision.facts.get('model', '')}/v/{revision.facts.get('version', '')}"
