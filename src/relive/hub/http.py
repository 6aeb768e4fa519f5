"""What every route shares: reading messages, giving the caller, finding the services."""

from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.params import FromQuery

from relive.core.access import Caller, Scope
from relive.errors import InvalidInput, NotLoggedIn, Superseded
from relive.services.accounts import require, require_reader
from relive.services.context import Services

MSGPACK = "application/x-msgpack"

LONGEST_PAGE = 1000

T = TypeVar("T")
HubRequest = Request[Any, Any, State]


class Page(msgspec.Struct, frozen=True):
    """Which part of a list is asked for."""

    limit: int
    offset: int


def read_page(limit: FromQuery[int] = 50, offset: FromQuery[int] = 0) -> Page:
    """Give the page that a request asks for, within bounds."""
    return Page(limit=max(0, min(limit, LONGEST_PAGE)), offset=max(0, offset))


def caller_of(request: HubRequest) -> Caller:
    """Give who makes this request.

    Raises:
        NotLoggedIn: Nobody we know.
        Superseded: A runner whose claim is over.
    """
    caller = known_caller(request)
    if caller.is_over:
        raise Superseded(subject=caller.name, reason="its lease had gone to another, or it was over")
    return caller


def known_caller(request: HubRequest) -> Caller:
    """Give who makes this request, also a runner whose claim is over: only its job's calls tell it so.

    Raises:
        NotLoggedIn: Nobody we know.
    """
    caller: Caller | None = request.scope["state"].get("caller")
    if caller is None:
        raise NotLoggedIn(action="do this", who="an unknown caller", needs="a token, or a browser session")
    return caller


def allowed(request: HubRequest, scope: Scope, action: str) -> Caller:
    """Give the caller if its token allows the action.

    Raises:
        NotLoggedIn: Nobody we know.
        AccessDenied: The token allows less.
    """
    caller = caller_of(request)
    require(caller, scope, action)
    return caller


def reader_of(request: HubRequest, project_id: str = "") -> Caller:
    """Give the caller if it may read what is this project's; raises as `accounts.require_reader`."""
    caller = caller_of(request)
    require_reader(caller, project_id)
    return caller


def project_of(request: HubRequest, name: str) -> str:
    """Give the id of the project that a list is narrowed to, empty for all, if the caller may read there."""
    caller_of(request)
    project_id = services_of(request).store.get_project(name).id if name else ""
    reader_of(request, project_id)
    return project_id


def services_of(request: HubRequest) -> Services:
    """Give the services of this hub."""
    found: Services = request.app.state["services"]
    return found


async def read_message(request: HubRequest, kind: type[T]) -> T:
    """Read the body as a message, in MessagePack or JSON by its content type.

    Raises:
        InvalidInput: It is not such a message; names the place in it.
    """
    body = await request.body()
    packed = request.headers.get("content-type", "").startswith(MSGPACK)
    try:
        return msgspec.msgpack.decode(body, type=kind) if packed else msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(field="message", value=body[:60], wanted=f"{kind_name(kind)} ({error})") from error


def kind_name(kind: Any) -> str:
    """Give the name of a message type, or of the members of a union."""
    return getattr(kind, "__name__", None) or str(kind).replace("relive.wire.jobs.", "")
