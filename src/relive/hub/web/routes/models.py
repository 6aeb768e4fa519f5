"""Models and endpoints."""

import asyncio

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from relive.errors import InvalidInput
from relive.formats.cyclonedx import MEDIA_TYPE
from relive.hub.http import HubRequest, services_of
from relive.hub.web.render import go_to, page, unchanged
from relive.hub.web.routes.asking import form_of, member, query_of, reader
from relive.hub.web.views import endpoints as endpoint_views
from relive.hub.web.views import models as model_views
from relive.services import endpoints, registry
from relive.services.materials import bill_of_materials


@get("/models", include_in_schema=False, sync_to_thread=True)
def show_models(request: HubRequest) -> Response[bytes]:
    """All models."""
    reader(request)
    return page(request, "models.html", model_views.list_models(services_of(request)))


@get("/m/{name:str}", include_in_schema=False, sync_to_thread=True)
def show_model(request: HubRequest, name: FromPath[str]) -> Response[bytes]:
    """A model and its versions."""
    reader(request)
    return page(request, "model.html", model_views.get_model(services_of(request), name))


@get("/m/{name:str}/v/{ref:str}", include_in_schema=False, sync_to_thread=True)
def show_version(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> Response[bytes]:
    """May this version ship?"""
    reader(request)
    verify = query_of(request).get("verify") == "1"
    return page(
        request, "version.html", model_views.get_version(services_of(request), name, ref, verify=verify)
    )


@get("/m/{name:str}/v/{ref:str}/provenance", include_in_schema=False, sync_to_thread=True)
def send_provenance(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> Response[bytes]:
    """The signed statement, byte for byte."""
    reader(request)
    services = services_of(request)
    version = services.store.get_version(name, ref)
    headers = {
        "content-disposition": f'attachment; filename="{version.model}-v{version.version}.dsse.json"',
        "x-content-type-options": "nosniff",
    }
    kind = "application/vnd.dsse.envelope.v1+json"
    return Response(services.blobs.read(version.provenance), media_type=kind, headers=headers)


@get("/m/{name:str}/v/{ref:str}/sbom", include_in_schema=False, sync_to_thread=True)
def send_sbom(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> Response[bytes]:
    """The bill of materials, CycloneDX."""
    reader(request)
    services = services_of(request)
    version = services.store.get_version(name, ref)
    headers = {
        "content-disposition": f'attachment; filename="{version.model}-v{version.version}.cdx.json"',
        "x-content-type-options": "nosniff",
    }
    return Response(bill_of_materials(services, version), media_type=MEDIA_TYPE, headers=headers)


@post("/m/{name:str}/aliases", include_in_schema=False, status_code=303)
async def move_alias(request: HubRequest, name: FromPath[str]) -> Redirect:
    """Point an alias at a version."""
    caller = member(request, "move an alias")
    form = await form_of(request)
    alias, version = form.get("alias", "").strip(), form.get("version", "")
    if not alias or not version.isdigit():
        raise InvalidInput(
            field="alias", value=f"{alias} → {version}", wanted="a name, and the number of a version"
        )
    await asyncio.to_thread(
        registry.move_alias, services_of(request), name, alias, int(version), by=caller.name
    )
    return go_to(request, f"/m/{name}/v/{version}")


@get("/endpoints", include_in_schema=False, sync_to_thread=True)
def show_endpoints(request: HubRequest) -> Response[bytes]:
    """All endpoints."""
    reader(request)
    return page(request, "endpoints.html", endpoint_views.list_endpoints(services_of(request)))


@get("/e/{name:str}", include_in_schema=False, sync_to_thread=True)
def show_endpoint(request: HubRequest, name: FromPath[str]) -> Response[bytes]:
    """Is it up, what does it serve, how to go back?"""
    reader(request)
    view = endpoint_views.get_endpoint(services_of(request), name)
    return unchanged(request, view.seen) or page(request, "endpoint.html", view)


@post("/e/{name:str}/rollback", include_in_schema=False, status_code=303)
async def roll_back(request: HubRequest, name: FromPath[str]) -> Redirect:
    """Give the traffic back to the revision before."""
    caller = member(request, "roll back")
    await asyncio.to_thread(endpoints.roll_back, services_of(request), name, by=caller.name)
    services_of(request).wake()
    return go_to(request, f"/e/{name}")


@post("/e/{name:str}/deploy", include_in_schema=False, status_code=303)
async def deploy(request: HubRequest, name: FromPath[str]) -> Redirect:
    """Serve another version; the traffic moves when it has passed its contract test."""
    caller = member(request, "deploy")
    form = await form_of(request)
    await asyncio.to_thread(_deploy, request, name, form.get("version", ""), caller.name)
    return go_to(request, f"/e/{name}")


@post("/m/{name:str}/v/{ref:str}/deploy", include_in_schema=False, status_code=303)
async def deploy_version(request: HubRequest, name: FromPath[str], ref: FromPath[str]) -> Redirect:
    """Serve this version behind an endpoint, made if there is none of the name."""
    caller = member(request, "deploy")
    endpoint = (await form_of(request)).get("endpoint", "").strip()
    services = services_of(request)
    version = await asyncio.to_thread(services.store.get_version, name, ref)
    await asyncio.to_thread(endpoints.deploy_version, services, endpoint, version, by=caller.name)
    return go_to(request, f"/e/{endpoint}")


@post("/e/{name:str}/cancel", include_in_schema=False, status_code=303)
async def cancel_deployment(request: HubRequest, name: FromPath[str]) -> Redirect:
    """Stop what is on its way; the traffic stays where it is."""
    caller = member(request, "cancel a deployment")
    await asyncio.to_thread(endpoints.cancel_deployment, services_of(request), name, by=caller.name)
    services_of(request).wake()
    return go_to(request, f"/e/{name}")


def _deploy(request: HubRequest, name: str, ref: str, by: str) -> None:
    services = services_of(request)
    model = services.store.get_endpoint(name).model
    endpoints.deploy_version(services, name, services.store.get_version(model, ref), by=by)


ROUTES = [
    show_models,
    show_model,
    show_version,
    send_provenance,
    send_sbom,
    move_alias,
    show_endpoints,
    show_endpoint,
    roll_back,
    deploy,
    deploy_version,
    cancel_deployment,
]
