"""What code hosts call; see `services.forging`."""

import asyncio

from litestar import post
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_202_ACCEPTED, HTTP_204_NO_CONTENT

from relive.core.access import Scope
from relive.hub.http import HubRequest, allowed, services_of
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


ROUTES = [follow]
