"""What every route shares: reading messages, giving the caller, finding the services."""

from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.params import FromQuery

from relive.core.access import Caller, Scope
from relive.errors import InvalidInput, NotLoggedIn, Superseded
from relive.services.accounts import require, require_reader
from relive.services.context import Services

MSGPACK = "application/x-msgpack"

LONGEST_PAGE = 1000

# What a decoder raises for bytes that are no message: also one nested deeper than Python's stack.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

# Option of the API's routes that need no login.
OPEN = {"open": True}

T = TypeVar("T")


class HubRequest(Request[Any, Any, State]):
    """A request whose messages may be JSON or MessagePack, by their content type."""

    async def json(self) -> Any:
        """Read the body as values.

        Raises:
            InvalidInput: It is neither; names the place in it.
        """
        body = await self.body()
        decode = msgspec.msgpack.decode if _is_packed(self) else msgspec.json.decode
        try:
            return decode(body)
        except _UNREADABLE as error:
            raise InvalidInput(field="message", value=_shown(body), wanted=f"values ({error})") from error


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
        raise _unknown()
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


def only_known(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let nobody unknown as far as having a message read, but where a route is open.

    Raises:
        NotLoggedIn: Nobody we know.
    """
    if not handler.opt.get("open") and connection.scope["state"].get("caller") is None:
        raise _unknown()


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
    packed = _is_packed(request)
    try:
        return msgspec.msgpack.decode(body, type=kind) if packed else msgspec.json.decode(body, type=kind)
    except _UNREADABLE as error:
        raise InvalidInput(
            field="message", value=_shown(body), wanted=f"{kind_name(kind)} ({error})"
        ) from error


def _unknown() -> NotLoggedIn:
    return NotLoggedIn(action="do this", who="an unknown caller", needs="a token, or a browser session")


def _is_packed(request: HubRequest) -> bool:
    return request.headers.get("content-type", "").startswith(MSGPACK)


def _shown(body: bytes) -> str:
    return body[:60].decode(errors="replace")


def kind_name(kind: Any) -> str:
    """Give the name of a message type, or of the members of a union."""
    return getattr(kind, "__name__", None) or str(kind).replace("relive.wire.jobs.", "")
