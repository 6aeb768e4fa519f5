"""How MLflow's routes fail: always in the shape, with the codes and the statuses, that its clients read."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException

from relive.errors import Conflict, ReliveError, Superseded
from relive.hub.errors import answer_unknown
from relive.hub.http import HubRequest
from relive.hub.problems import headers_for, status_of
from relive.services.mlflow.faults import MlflowFault, missing_value
from relive.wire.mlflow.common import Failure

_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    507: "RESOURCE_EXHAUSTED",
}
# How MLflow classifies its error codes, for whoever counts them; other codes have no class.
_CLASSES = {
    "BAD_REQUEST": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "ENDPOINT_NOT_FOUND": ("KAM00", "RESOURCE_NOT_FOUND"),
    "INTERNAL_ERROR": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "INVALID_PARAMETER_VALUE": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "INVALID_STATE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "PERMISSION_DENIED": ("KAM00", "PERMISSION_DENIED"),
    "RESOURCE_ALREADY_EXISTS": ("KAM00", "RESOURCE_ALREADY_EXISTS"),
    "RESOURCE_DOES_NOT_EXIST": ("KAM00", "RESOURCE_NOT_FOUND"),
    "TEMPORARILY_UNAVAILABLE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
}

Answer = Callable[..., Coroutine[Any, Any, Response[Any]]]


def failure(status: int, message: str, code: str = "") -> Response[Any]:
    """Give an answer that says what failed; without a code the status' own."""
    code = code or _CODES.get(status, "INTERNAL_ERROR")
    # It may repeat a half of a surrogate pair, which JSON can write and UTF-8 cannot.
    said = Failure(code, message.encode("utf-8", "replace").decode(), *_CLASSES.get(code, ()))
    return Response(msgspec.to_builtins(said), status_code=status, headers=headers_for(status))


def failure_of(request: HubRequest, error: Exception) -> Response[Any]:
    """Give the answer for whatever was raised."""
    if isinstance(error, KeyError):
        return failure(400, missing_value(str(error.args[0])))
    if isinstance(error, MlflowFault):
        return failure(error.status, error.message, error.error_code)
    if isinstance(error, ReliveError):
        return failure(_status_of(error), str(error))
    if isinstance(error, HTTPException):
        return failure(error.status_code, error.detail)
    return failure(500, answer_unknown(request, error).content.message)


def in_mlflows_words(answer: Answer) -> Answer:
    """Let a route fail as MLflow's do."""

    @wraps(answer)
    async def guarded(request: HubRequest, *args: Any, **named: Any) -> Response[Any]:
        try:
            return await answer(request, *args, **named)
        except Exception as error:  # noqa: BLE001 - a defect too has the shape that clients read
            return failure_of(request, error)

    return guarded


def _status_of(error: ReliveError) -> int:
    # What was asked is a bad value to MLflow's clients, unless another took over.
    is_plain = isinstance(error, Conflict) and not isinstance(error, Superseded)
    return 400 if is_plain else status_of(error)
