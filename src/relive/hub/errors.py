"""Errors as the framework's replies."""

import logging
import secrets
from typing import Any

from litestar import MediaType, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec

from relive.errors import ReliveError
from relive.hub.http import HubRequest
from relive.hub.problems import headers_for, problem_of, status_of
from relive.wire.problem import Problem

_log = logging.getLogger(__name__)

_MEANINGS = {
    400: "What was sent cannot be read or used",
    401: "No token, or one that is no good",
    403: "This token may not do this",
    404: "There is no such thing",
    409: "The present state does not allow it",
    422: "It was read, and is not what it should be",
    503: "Not now: try again after Retry-After",
    507: "The disk is full: try again after Retry-After",
}
# What the published description says of errors: each is a `Problem`.
PROBLEMS = {
    status: ResponseSpec(Problem, description=meaning, generate_examples=False)
    for status, meaning in _MEANINGS.items()
}
_FRAMEWORK_CODES = {404: "not_found", 405: "method_not_allowed", 413: "message_too_large"}


def answer_known(_request: HubRequest, error: ReliveError) -> Response[Problem]:
    """Answer an error that relive raised on purpose."""
    return _answer(problem_of(error), status_of(error))


def answer_framework(request: HubRequest, error: HTTPException) -> Response[Problem]:
    """Answer what the framework found wrong with the request itself."""
    extra: Any = error.extra
    faults = extra if isinstance(extra, list) else []
    said = "; ".join(_fault(fault) for fault in faults) or error.detail or f"HTTP {error.status_code}"
    return _answer(
        Problem(
            code=_FRAMEWORK_CODES.get(error.status_code, "invalid_request"),
            message=f"{request.method} {request.url.path}: {said}",
            facts={"details": faults} if faults else {},
        ),
        error.status_code,
    )


def _fault(fault: dict[str, Any]) -> str:
    """Say which part of a request is wrong, and how."""
    key, source = fault.get("key", "data"), fault.get("source", "body")
    part = "the message" if key == "data" else f"{key!r} in the {getattr(source, 'value', source)}"
    said = str(fault.get("message", ""))
    return f"{part} is missing" if said == f"'{key}'" else f"{part}: {said}"


def answer_unknown(request: HubRequest, error: Exception) -> Response[Problem]:
    """Answer a defect: the reader gets an id, the log gets the reason."""
    incident = secrets.token_hex(4)
    _log.error("incident %s at %s %s", incident, request.method, request.url.path, exc_info=error)
    return _answer(
        Problem(
            code="internal",
            message=f"The hub failed on this request; its log has the reason under {incident}.",
            facts={"incident": incident},
            todo="relive doctor",
        ),
        500,
    )


def _answer(problem: Problem, status: int) -> Response[Problem]:
    return Response(problem, status_code=status, media_type=MediaType.JSON, headers=headers_for(status))
