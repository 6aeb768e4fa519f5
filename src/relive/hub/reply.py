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
        if wants and self.content is not None and not isinstance(self.content, bytes | str):
            self.content = msgspec.msgpack.encode(self.content)
            options["media_type"] = self.media_type = MSGPACK
        return super().to_asgi_response(app, request, **options)
