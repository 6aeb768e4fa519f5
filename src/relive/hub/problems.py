"""Errors as statuses and problems, whoever answers with them: the only place that knows statuses."""

import msgspec

from relive.errors import (
    AccessDenied,
    Ambiguous,
    BlobDigestMismatch,
    Conflict,
    DatabaseBusy,
    DatabaseUnreachable,
    EnvironmentFailed,
    InvalidInput,
    InvalidPipelineFile,
    InvalidRange,
    NotFound,
    NotLoggedIn,
    NotSupportedYet,
    PoolUnfit,
    PoolUnreachable,
    ReliveError,
    SignatureInvalid,
    StoreFull,
    StoreUnavailable,
)
from relive.wire.problem import Problem

# The first class that fits decides, so a subclass stands before its base.
_STATUSES: tuple[tuple[type[ReliveError], int], ...] = (
    (InvalidRange, 416),
    (InvalidInput, 400),
    (InvalidPipelineFile, 422),
    (NotSupportedYet, 422),
    (SignatureInvalid, 422),
    (BlobDigestMismatch, 422),
    (EnvironmentFailed, 422),
    (Ambiguous, 409),
    (NotFound, 404),
    (Conflict, 409),
    (NotLoggedIn, 401),
    (AccessDenied, 403),
    (StoreFull, 507),
    (PoolUnfit, 422),
    (PoolUnreachable, 502),
    (StoreUnavailable, 503),
    (DatabaseUnreachable, 503),
    (DatabaseBusy, 503),
)


def status_of(error: ReliveError) -> int:
    """Give the status that an error is answered with."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def problem_of(error: ReliveError) -> Problem:
    """Give an error's one shape."""
    facts = msgspec.to_builtins(error.facts(), enc_hook=str)
    return Problem(code=error.code, message=str(error), facts=facts, todo=error.to_do())


def headers_for(status: int) -> dict[str, str]:
    """Give what an error's headers say besides its body."""
    if status == 401:
        return {"www-authenticate": 'Bearer realm="relive"'}
    return {"retry-after": "5"} if status in (503, 507) else {}
