"""What code hosts call, see `services.forging`; and whom the hub itself tells of its registry."""

import asyncio

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_202_ACCEPTED, HTTP_204_NO_CONTENT

from relive.core.access import Scope
from relive.core.webhook import Webhook, WebhookDelivery
from relive.hub.http import HubRequest, Page, allowed, services_of
from relive.services.forging import Forging
from relive.wire.hub import Follow, WebhookTaken

_KIND = "github"


def forging_of(request: HubRequest) -> Forging:
    """Give the use cases around forges."""
    found: Forging = request.app.state["forging"]
    return found


@post("/webhooks/{kind:str}", status_code=HTTP_202_ACCEPTED)
async def receive(request: HubRequest, kind: FromPath[str]) -> WebhookTaken:
    """Take a webhook; its signature is its login. It is queued and answered at once."""
    body = await request.body()
    headers = {name.lower(): value for name, value in request.headers.items()}
    taken = await asyncio.to_thread(forging_of(request).receive, kind, headers, body)
    return WebhookTaken(result=taken)


@post("/projects/{name:str}/follow", status_code=HTTP_204_NO_CONTENT)
async def follow(request: HubRequest, name: FromPath[str], data: JSONBody[Follow]) -> None:
    """Let a project follow a repository of a code host."""
    caller = allowed(request, Scope.ADMIN, "let a project follow a repository")
    forging = forging_of(request)
    link = forging.link(
        _KIND, data.url, token=data.token, webhook_secret=data.webhook_secret, api_url=data.api_url
    )
    project = await asyncio.to_thread(services_of(request).store.get_project, name)
    await asyncio.to_thread(forging.follow, project, link, by=caller.name)


@get("/webhooks", sync_to_thread=True)
def list_webhooks(request: HubRequest, page: NamedDependency[Page]) -> list[Webhook]:
    """List webhooks of the registry, newest first; their secrets stay sealed."""
    allowed(request, Scope.MEMBER, "list webhooks")
    found = services_of(request).store.list_webhooks(limit=page.limit, offset=page.offset)
    return [msgspec.structs.replace(webhook, secret="") for webhook in found]


@get("/webhooks/deliveries", sync_to_thread=True)
def list_deliveries(
    request: HubRequest,
    page: NamedDependency[Page],
    webhook: FromQuery[str] = "",
    failed: FromQuery[bool] = False,
) -> list[WebhookDelivery]:
    """List what webhooks were told, newest first; `failed` what did not arrive, or not yet."""
    allowed(request, Scope.MEMBER, "list deliveries")
    return services_of(request).store.list_deliveries(
        webhook_id=webhook or None, failed=True if failed else None, limit=page.limit
    )


ROUTES = [follow, list_webhooks, list_deliveries]
