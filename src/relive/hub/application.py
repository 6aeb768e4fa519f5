"""Litestar as the hub uses it: with msgspec's types alone, and quick to start.

By itself it reads the signature of each of three hundred handlers at the start, makes types of it, and copies
what groups of them hold: a tenth of a second. Here a handler is prepared with its first request.
"""

from typing import Any, Self

from litestar import Litestar, Router
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import HTTPRouteHandler
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler


class Group(Router):
    """Handlers that share a prefix, guards or dependencies; made for one application, so it needs no copy."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self


class Application(Litestar):
    """Litestar without pydantic's and attrs' types, which it imports wherever they are installed."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]

    def register(self, value: ControllerRouterHandler) -> None:  # type: ignore[override]  # as Litestar's own
        """Take in a handler or a group; what the published description shows is prepared at once for it."""
        # Not Litestar's own: it would prepare them all.
        for route in Router.register(self, value):
            if not isinstance(route, HTTPRoute):
                raise ImproperlyConfiguredException(f"{route.path} is no HTTP route")
            for handler in route.route_handlers:
                self._take(route, handler)
            for plugin in self.plugins.receive_route:
                plugin.receive_route(route)
        self.asgi_router.construct_routing_trie()

    def _take(self, route: HTTPRoute, handler: HTTPRouteHandler) -> None:
        model: Any = _LateModel(self, route, handler)
        for method in handler.http_methods:
            if method in route.route_handler_map:
                raise ImproperlyConfiguredException(f"{method} {route.path} has two handlers")
            route.route_handler_map[method] = (handler, model)
        if handler.resolve_include_in_schema():
            model.prepare()


class _LateModel:
    """Stands for what Litestar knows of a handler's arguments, until a request asks it."""

    def __init__(self, app: Litestar, route: HTTPRoute, handler: HTTPRouteHandler) -> None:
        self._app = app
        self._route = route
        self._handler = handler

    def prepare(self) -> Any:
        """Put what it stands for in its place, and give that."""
        # Once: a second time would put it in a thread of a thread. It may have several addresses.
        if not hasattr(self._handler, "has_sync_callable"):
            self._handler.on_registration(self._app)
        model = self._handler.create_kwargs_model(path_parameters=self._route.path_parameters)
        for method in self._handler.http_methods:
            self._route.route_handler_map[method] = (self._handler, model)
        return model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.prepare(), name)
