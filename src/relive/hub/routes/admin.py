"""Projects, pools, tokens, keys, events, and the hub itself."""

from itertools import chain
from typing import Any

import msgspec
from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from relive.core.access import Scope, Token
from relive.core.event import Event
from relive.core.job import Pool
from relive.errors import InvalidInput, NotFound
from relive.formats.pipeline_file import json_schema
from relive.hub import pools
from relive.hub.build import retention
from relive.hub.config import HubConfig
from relive.hub.http import OPEN, HubRequest, Page, allowed, caller_of, project_of, reader_of, services_of
from relive.services import accounts, catalog, collecting, projects, replays
from relive.wire.housekeeping import Collect
from relive.wire.hub import (
    CreatedToken,
    CreatePool,
    CreateProject,
    CreateToken,
    HubInfo,
    LoginLink,
    ProjectDetail,
)
from relive.wire.runs import ReplaySchedule

_LINES = "application/x-ndjson"
_JSON_SCHEMA = "application/schema+json"


@get("/info", sync_to_thread=False)
def get_info(request: HubRequest) -> HubInfo:
    """Tell what this hub is."""
    caller_of(request)
    config: HubConfig = request.app.state["config"]
    place = services_of(request).place
    return HubInfo(
        version=place.version,
        url=place.public_url,
        database="postgresql" if config.database_url.startswith("postgres") else "sqlite",
        store=config.store_url.partition("://")[0] if "://" in config.store_url else "file",
        auth=config.auth,
    )


@get("/projects", sync_to_thread=True)
def list_projects(request: HubRequest) -> list[ProjectDetail]:
    """List projects."""
    reader_of(request)
    services = services_of(request)
    return [catalog.project_detail(services, project) for project in services.store.list_projects()]


@post("/projects", status_code=HTTP_200_OK, sync_to_thread=True)
def create_project(request: HubRequest, data: JSONBody[CreateProject]) -> ProjectDetail:
    """Create a project with its repository, or give the one of that name."""
    caller = allowed(request, Scope.MEMBER, "create a project")
    services = services_of(request)
    project = projects.ensure(services, data.name, default_branch=data.default_branch, by=caller.name)
    return catalog.project_detail(services, project, with_roots=True)


@get("/projects/{name:str}", sync_to_thread=True)
def get_project(request: HubRequest, name: FromPath[str]) -> ProjectDetail:
    """Give a project."""
    project_of(request, name)
    services = services_of(request)
    return catalog.project_detail(services, services.store.get_project(name))


@delete("/projects/{name:str}", sync_to_thread=True)
def delete_project(request: HubRequest, name: FromPath[str]) -> None:
    """Delete a project in which nothing is."""
    caller = allowed(request, Scope.MEMBER, "delete a project")
    projects.delete(services_of(request), name, by=caller.name)


@get("/projects/{name:str}/replays", sync_to_thread=True)
def get_replay_schedule(request: HubRequest, name: FromPath[str]) -> ReplaySchedule:
    """Give how often a project's champions are made again."""
    project_of(request, name)
    services = services_of(request)
    return replays.get_schedule(services, services.store.get_project(name))


@post("/projects/{name:str}/replays", status_code=HTTP_200_OK, sync_to_thread=True)
def set_replay_schedule(
    request: HubRequest, name: FromPath[str], data: JSONBody[ReplaySchedule]
) -> ReplaySchedule:
    """Set how often a project's champions are made again; 0 for never."""
    caller = allowed(request, Scope.MEMBER, "schedule replays")
    services = services_of(request)
    return replays.set_schedule(services, services.store.get_project(name), data, by=caller.name)


@get("/pools", sync_to_thread=True)
def list_pools(request: HubRequest) -> list[Pool]:
    """List pools."""
    reader_of(request)
    return services_of(request).store.list_pools()


@post("/pools", status_code=HTTP_201_CREATED, sync_to_thread=True)
def create_pool(request: HubRequest, data: JSONBody[CreatePool]) -> Pool:
    """Add compute under a name."""
    allowed(request, Scope.ADMIN, "add a pool")
    pool = Pool(name=data.name, executor=data.executor, config=data.config, slots=data.slots)
    return pools.add_pool(services_of(request), pool)


@delete("/pools/{name:str}", sync_to_thread=True)
def delete_pool(request: HubRequest, name: FromPath[str]) -> None:
    """Take away a pool that no job uses."""
    allowed(request, Scope.ADMIN, "delete a pool")
    pools.remove_pool(services_of(request), name)


@get("/events", sync_to_thread=True)
def list_events(
    request: HubRequest,
    page: NamedDependency[Page],
    after: FromQuery[int] = 0,
    project: FromQuery[str] = "",
    kind: FromQuery[str] = "",
    newest_first: FromQuery[bool] = False,
) -> list[Event]:
    """List what happened."""
    reader_of(request)
    return services_of(request).store.list_events(
        after=after,
        project=project or None,
        kind=kind or None,
        newest_first=newest_first,
        limit=page.limit,
    )


@get("/keys", sync_to_thread=True, opt=OPEN)
def list_keys(request: HubRequest) -> list[dict[str, Any]]:
    """List the public keys that statements are verified with; open to everyone."""
    return services_of(request).signer.public_keys()


@post("/keys/rotate", status_code=HTTP_201_CREATED, sync_to_thread=True)
def rotate_key(request: HubRequest) -> dict[str, Any]:
    """Sign with a new key from now on; the old ones still verify."""
    caller = allowed(request, Scope.ADMIN, "rotate the signing key")
    services = services_of(request)
    key = services.signer.rotate()
    services.record(Event(kind="key.rotated", actor=caller.name, subject=f"key:{key['key_id']}"))
    return key


@get("/tokens", sync_to_thread=True)
def list_tokens(request: HubRequest) -> list[Token]:
    """List the caller's tokens, or everybody's for an admin."""
    caller = allowed(request, Scope.MEMBER, "list tokens")
    found = services_of(request).store.list_tokens(None if caller.is_admin else f"user:{caller.name}")
    return [token for token in found if token.subject.startswith("user:") and not token.run_id]


@post("/tokens", status_code=HTTP_201_CREATED, sync_to_thread=True)
def create_token(request: HubRequest, data: JSONBody[CreateToken]) -> CreatedToken:
    """Make a token for a user; only an admin makes one for another user."""
    caller = allowed(request, Scope.ADMIN if data.user else Scope.MEMBER, "create a token")
    scope = Scope(data.scope) if data.scope in ("admin", "member") else None
    if scope is None:
        raise InvalidInput(field="scope", value=data.scope, wanted="admin or member")
    accounts.require(caller, scope, f"create a token of scope {scope.value}")
    services = services_of(request)
    user = accounts.ensure_user(services, data.user or caller.name, scope)
    user = msgspec.structs.replace(user, role=scope)
    return CreatedToken(
        token=accounts.create_user_token(services, user, label=data.label, life_s=data.life_s)
    )


@delete("/tokens/{token_id:str}", sync_to_thread=True)
def revoke_token(request: HubRequest, token_id: FromPath[str]) -> None:
    """End a token."""
    caller = allowed(request, Scope.MEMBER, "revoke a token")
    store = services_of(request).store
    found = store.find_token(token_id)
    if found is None or (not caller.is_admin and found[0].subject != f"user:{caller.name}"):
        raise NotFound(kind="token", name=token_id, hint="relive token list")
    store.revoke_token(token_id)


@post("/login-link", status_code=HTTP_201_CREATED, sync_to_thread=True)
def create_login_link(request: HubRequest) -> LoginLink:
    """Make a one-time address that gives a browser a session."""
    services = services_of(request)
    token = accounts.create_login_link_token(services, caller_of(request))
    return LoginLink(url=f"{services.place.public_url}/login?link={token}")


@post("/gc", status_code=HTTP_200_OK, sync_to_thread=True, media_type=_LINES)
def collect_garbage(request: HubRequest, data: JSONBody[Collect]) -> Stream:
    """Delete what nothing refers to any more: lines of JSON, progress first and the report at the end."""
    caller = allowed(request, Scope.ADMIN, "delete what nothing refers to")
    services = services_of(request)
    before = retention().deleted_before(services.store.now())
    lines = collecting.collect(services, deleted_before=before, dry_run=data.dry_run, by=caller.name)
    first = next(lines)  # what is refused has its status
    encoded = (msgspec.json.encode(line) + b"\n" for line in chain([first], lines))
    return Stream(encoded, media_type=_LINES)


@get("/relive.schema.json", sync_to_thread=False, opt=OPEN, media_type=_JSON_SCHEMA)
def get_schema(request: HubRequest) -> Response[Any]:
    """Give the JSON Schema of relive.yaml, for editors."""
    return Response(msgspec.json.encode(json_schema()), media_type=_JSON_SCHEMA)


ROUTES = [
    get_info,
    list_projects,
    create_project,
    get_project,
    delete_project,
    get_replay_schedule,
    set_replay_schedule,
    list_pools,
    create_pool,
    delete_pool,
    list_events,
    list_keys,
    rotate_key,
    list_tokens,
    create_token,
    revoke_token,
    create_login_link,
    collect_garbage,
    get_schema,
]
