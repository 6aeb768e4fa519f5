"""Registered models, and the endpoints that serve them."""

from typing import Any

from litestar import Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from relive.core.access import Scope
from relive.core.model import Alias, ModelVersion
from relive.errors import NotFound
from relive.formats import cyclonedx
from relive.hub.http import OPEN, HubRequest, allowed, caller_of, project_of, reader_of, services_of
from relive.hub.web import badge
from relive.hub.web.marks import NO_VERSION, Mark
from relive.hub.web.views.verdicts import mark_of
from relive.services import catalog, endpoints, registry
from relive.services.context import Services
from relive.services.materials import bill_of_materials
from relive.wire.hub import DeployVersion, EndpointDetail, ModelDetail, MoveAlias

_ENVELOPE = "application/vnd.dsse.envelope.v1+json"
_BOM = cyclonedx.MEDIA_TYPE


def _readable(request: HubRequest, model: str) -> None:
    caller_of(request)
    reader_of(request, services_of(request).store.get_model(model).project_id)


@get("/models", sync_to_thread=True)
def list_models(request: HubRequest, project: FromQuery[str] = "") -> list[ModelDetail]:
    """List registered models."""
    project_of(request, project)
    return catalog.list_models(services_of(request), project=project)


@get("/models/{name:str}", sync_to_thread=True)
def get_model(request: HubRequest, name: FromPath[str]) -> ModelDetail:
    """Give a model with its versions and aliases."""
    _readable(request, name)
    return catalog.get_model(services_of(request), name)


@get("/models/{name:str}/badge.svg", sync_to_thread=True, media_type="image/svg+xml", opt=OPEN)
def get_badge(
    request: HubRequest, name: FromPath[str], ref: FromQuery[str] = "champion", key: FromQuery[str] = ""
) -> Response[str]:
    """Draw the last verdict on a version, for a README: with a login, or with the key of its address."""
    services = services_of(request)
    if key:
        badge.require_key(services, name, key)
    else:
        _readable(request, name)
    # Whoever keeps pictures for a README's readers should ask again soon: a verdict can turn.
    headers = {"cache-control": "max-age=300", "x-content-type-options": "nosniff"}
    return Response(badge.draw(_verdict_on(services, name, ref)), media_type="image/svg+xml", headers=headers)


def _verdict_on(services: Services, name: str, ref: str) -> Mark:
    try:
        version = services.store.get_version(name, ref)
    except NotFound:
        return NO_VERSION
    return mark_of(services.store.list_verdicts(version.run_id))


@get("/models/{name:str}/versions/{ref:str}", sync_to_thread=True)
def get_version(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> ModelVersion:
    """Give a version by number or alias."""
    _readable(request, name)
    return services_of(request).store.get_version(name, ref)


@get("/models/{name:str}/versions/{ref:str}/provenance", sync_to_thread=True, media_type=_ENVELOPE)
def get_provenance(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> Response[Any]:
    """Give a version's signed statement, byte for byte."""
    _readable(request, name)
    services = services_of(request)
    envelope = registry.read_provenance(services, services.store.get_version(name, ref))
    return Response(envelope, media_type=_ENVELOPE)


@get("/models/{name:str}/versions/{ref:str}/sbom", sync_to_thread=True, media_type=_BOM)
def get_sbom(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> Response[Any]:
    """Give what a version is made of: a CycloneDX 1.6 bill of materials with a model card."""
    _readable(request, name)
    services = services_of(request)
    return Response(bill_of_materials(services, services.store.get_version(name, ref)), media_type=_BOM)


@post("/models/{name:str}/versions/{ref:str}/verify", status_code=HTTP_200_OK, sync_to_thread=True)
def verify_version(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> dict[str, Any]:
    """Check a version's signature and every byte it speaks of."""
    _readable(request, name)
    services = services_of(request)
    return registry.verify_version(services, services.store.get_version(name, ref))


@post("/models/{name:str}/aliases", status_code=HTTP_200_OK, sync_to_thread=True)
def move_alias(request: HubRequest, name: FromPath[str], data: JSONBody[MoveAlias]) -> Alias:
    """Point an alias at a version."""
    caller = allowed(request, Scope.MEMBER, "move an alias")
    return registry.move_alias(services_of(request), name, data.alias, data.version, by=caller.name)


@get("/endpoints", sync_to_thread=True)
def list_endpoints(request: HubRequest, project: FromQuery[str] = "") -> list[EndpointDetail]:
    """List endpoints."""
    project_of(request, project)
    return catalog.list_endpoints(services_of(request), project=project)


@get("/endpoints/{name:str}", sync_to_thread=True)
def get_endpoint(request: HubRequest, name: FromPath[str]) -> EndpointDetail:
    """Give an endpoint with its revisions."""
    caller_of(request)
    detail = catalog.get_endpoint(services_of(request), name)
    reader_of(request, detail.endpoint.project_id)
    return detail


@post("/endpoints/{name:str}/deploy", status_code=HTTP_202_ACCEPTED, sync_to_thread=True)
def deploy(request: HubRequest, name: FromPath[str], data: JSONBody[DeployVersion]) -> EndpointDetail:
    """Serve a version; the traffic moves when it has passed its contract test.

    One that an MLflow client registered is described first, from its input example.
    """
    caller = allowed(request, Scope.MEMBER, "deploy")
    services = services_of(request)
    version = services.store.get_version(data.model, data.ref)
    endpoints.deploy_version(services, name, version, by=caller.name)
    return catalog.get_endpoint(services, name)


@post("/endpoints/{name:str}/rollback", status_code=HTTP_200_OK, sync_to_thread=True)
def roll_back(request: HubRequest, name: FromPath[str]) -> EndpointDetail:
    """Give the traffic back to the revision before."""
    caller = allowed(request, Scope.MEMBER, "roll back")
    services = services_of(request)
    endpoints.roll_back(services, name, by=caller.name)
    services.wake()
    return catalog.get_endpoint(services, name)


@post("/endpoints/{name:str}/cancel", status_code=HTTP_200_OK, sync_to_thread=True)
def cancel_deployment(request: HubRequest, name: FromPath[str]) -> EndpointDetail:
    """Stop what is on its way to an endpoint; the traffic stays where it is."""
    caller = allowed(request, Scope.MEMBER, "cancel a deployment")
    services = services_of(request)
    endpoints.cancel_deployment(services, name, by=caller.name)
    services.wake()
    return catalog.get_endpoint(services, name)


@delete("/endpoints/{name:str}", sync_to_thread=True)
def delete_endpoint(request: HubRequest, name: FromPath[str]) -> None:
    """Stop an endpoint and forget it."""
    caller = allowed(request, Scope.MEMBER, "delete an endpoint")
    services = services_of(request)
    endpoints.delete_endpoint(services, name, by=caller.name)
    services.wake()


ROUTES = [
    list_models,
    get_model,
    get_badge,
    get_version,
    get_provenance,
    get_sbom,
    verify_version,
    move_alias,
    list_endpoints,
    get_endpoint,
    deploy,
    roll_back,
    cancel_deployment,
    delete_endpoint,
]
