"""What every page handler shares: who may read, what the address says, what a form says."""

from urllib.parse import parse_qsl

from relive.core.access import Caller, Scope
from relive.errors import InvalidInput
from relive.hub.http import HubRequest, allowed

_LARGEST_FORM = 1 << 16


def reader(request: HubRequest) -> Caller:
    """Give the caller if it is a person who may read pages; jobs' tokens may not.

    Raises:
        NotLoggedIn: Nobody we know.
        AccessDenied: A job's token.
    """
    return allowed(request, Scope.LOCAL, "read pages")


def member(request: HubRequest, action: str) -> Caller:
    """Give the caller if it may change things.

    Raises:
        NotLoggedIn: Nobody we know.
        AccessDenied: The token only reads.
    """
    return allowed(request, Scope.MEMBER, action)


def query_of(request: HubRequest) -> dict[str, str]:
    """Give the query; values of a repeated name are joined by commas."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(request.url.query):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def number_in(query: dict[str, str], name: str, default: int, *, most: int = 1 << 53) -> int:
    """Give a whole number of the query, never negative.

    Raises:
        InvalidInput: It is something else.
    """
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > most:
        raise InvalidInput(field=name, value=text, wanted=f"a whole number from 0 to {most}")
    return int(text)


async def form_of(request: HubRequest) -> dict[str, str]:
    """Read a form.

    Raises:
        InvalidInput: It is larger than any form of ours, or no text.
    """
    return dict(await fields_of(request))


async def fields_of(request: HubRequest) -> list[tuple[str, str]]:
    """Read a form in which a name may stand several times; raises as `form_of`."""
    body = await request.body()
    if len(body) > _LARGEST_FORM:
        raise InvalidInput(field="form", value=f"{len(body)} bytes", wanted=f"at most {_LARGEST_FORM} bytes")
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True)
    except UnicodeDecodeError as error:
        raise InvalidInput(field="form", value=body[:40], wanted="an encoded form") from error
