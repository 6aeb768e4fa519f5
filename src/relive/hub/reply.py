"""Replies of the API: JSON, or MessagePack for clients that ask for it."""

from typing import Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.response.base import ASGIResponse

from relive.hub.http import MSGPACK

AnyRequest = Request[Any, Any, Any]


class ApiResponse(Response[Any]):
    """A reply in the form the client prefers.

    JSON has no NaN and no infinities, and metrics do: relive's own client asks for MessagePack and gets them
    exactly, while in JSON they are null.
    """

    def to_asgi_response(self, app: Litestar | None, request: AnyRequest, **options: Any) -> ASGIResponse:
        """Encode the content as the request's Accept header wants it."""
        wants = MSGPACK in request.headers.get("accept", "")
        packed = _packed(self.content) if wants else None
        if packed is not None:
            self.content = packed
            options["media_type"] = self.media_type = MSGPACK
        return super().to_asgi_response(app, request, **options)


def _packed(content: Any) -> bytes | None:
    """Encode what MessagePack can hold: not a number of more than 64 bits, which JSON can bring and take."""
    if content is None or isinstance(content, bytes | str):
        return None
    try:
        return msgspec.msgpack.encode(content)
    except OverflowError:
        return None
