"""What a row of MLflow's routes is, and how a request finds its row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from relive.core.access import Caller, Scope
from relive.errors import AccessDenied
from relive.hub.http import HubRequest, allowed
from relive.services.context import Services

METHODS: Final = ("GET", "POST", "PATCH", "DELETE", "PUT")
Handler = Callable[[Services, Caller, Any], Any]
Query = dict[str, str]
# (method, path) → message type (None: the query as it is) and handler, whose docstring the documentation
# shows. A part of the path in braces is a field of the message.
Table = dict[tuple[str, str], tuple[Any, Handler]]


@dataclass(frozen=True)
class Found:
    """The row of a request.

    Attributes:
        kind: Type of its message; None: the query as it is.
        named: What the path says.
    """

    kind: Any
    handle: Handler
    named: dict[str, str]


class Routes:
    """All rows, found by method and path."""

    def __init__(self, table: Table) -> None:
        """Take the rows."""
        self._exact = {key: row for key, row in table.items() if "{" not in key[1]}
        # A path with fields has few siblings of its length and method, which are tried in turn.
        self._named: dict[tuple[str, int], list[tuple[list[str], tuple[Any, Handler]]]] = {}
        for (method, path), row in table.items():
            if "{" in path:
                parts = path.split("/")
                self._named.setdefault((method, len(parts)), []).append((parts, row))

    def methods(self, path: str) -> list[str]:
        """Give the methods that a path takes; none if it is not served."""
        return [method for method in METHODS if self.find(method, path) is not None]

    def find(self, method: str, path: str) -> Found | None:
        """Give the row of a request; None if this is not served."""
        if (row := self._exact.get((method, path))) is not None:
            return Found(*row, {})
        given = path.split("/")
        for parts, row in self._named.get((method, len(given)), ()):
            if all(part[0] == "{" or part == word for part, word in zip(parts, given, strict=True)):
                fields = zip(parts, given, strict=True)
                return Found(*row, {part[1:-1]: word for part, word in fields if part[0] == "{"})
        return None


def client_of(request: HubRequest, action: str) -> Caller:
    """Give the caller if it may speak MLflow's protocol: people and commands, not a job's runner."""
    caller = allowed(request, Scope.COMMAND, action)
    if caller.scope is Scope.RUNNER:
        raise AccessDenied(action=action, who=caller.name, needs="the token of its command")
    return caller
