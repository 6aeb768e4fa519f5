"""The one shape of every error that the hub answers with."""

from typing import Any

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error over HTTP: a stable code, a sentence, its facts, and what to do."""

    code: str
    message: str
    facts: dict[str, Any] = {}
    todo: str | None = None
