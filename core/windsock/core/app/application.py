"""`App`: routes to handlers."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar, cast

from .link import CatchDisconnect
from .request import Request
from .response import Reject, Response
from .routing import WEBSOCKET, Match, NoMatch, Route, RouteTable
from .websocket import WebSocket

WebSocketHandler = Callable[..., Coroutine[Any, Any, None]]
HttpHandler = Callable[..., Coroutine[Any, Any, Response]]

WebSocketHandlerT = TypeVar("WebSocketHandlerT", bound=WebSocketHandler)
HttpHandlerT = TypeVar("HttpHandlerT", bound=HttpHandler)


class App:
    """An application: WebSocket and plain HTTP handlers by path, for any transport."""

    def __init__(self) -> None:
        self._router: RouteTable | None = None

    def _routes(self) -> RouteTable:
        if self._router is None:
            self._router = RouteTable()
        return self._router

    def websocket(
        self, path: str, *, catch_disconnect: CatchDisconnect = True
    ) -> Callable[[WebSocketHandlerT], WebSocketHandlerT]:
        """Route WebSockets for `path`, such as "/chat/{room}", to the decorated coroutine function.

        It is called with the `WebSocket` and the path's placeholders as keyword arguments, before
        anything is accepted.

        Args:
            path: begins with a slash; `{name}` stands for one segment.
            catch_disconnect: which disconnects `async with ws` swallows: True for all, False for
                none, or a set of close codes.

        Raises:
            TypeError: the handler is no coroutine function.
            ValueError: the path is malformed, or taken.
        """

        def add(handler: WebSocketHandlerT) -> WebSocketHandlerT:
            _check_handler(path, handler)
            catch = (
                catch_disconnect
                if isinstance(catch_disconnect, bool)
                else frozenset(catch_disconnect)
            )
            self._routes().add(Route(path, handler, options=catch), (WEBSOCKET,))
            return handler

        return add

    def http(
        self, path: str, *, methods: str | Iterable[str] = ("GET",)
    ) -> Callable[[HttpHandlerT], HttpHandlerT]:
        """Route plain HTTP requests for `path` to the decorated coroutine function.

        It is called with the `Request` and the path's placeholders as keyword arguments, and
        returns a `Response`. GET includes HEAD.

        Raises:
            TypeError: the handler is no coroutine function.
            ValueError: the path is malformed, or taken; no method is given.
        """
        wanted = (methods,) if isinstance(methods, str) else tuple(methods)
        if not wanted:
            raise ValueError(f"the route {path!r} needs at least one HTTP method, such as GET")

        def add(handler: HttpHandlerT) -> HttpHandlerT:
            _check_handler(path, handler)
            self._routes().add(Route(path, handler), wanted)
            return handler

        return add

    async def handle_websocket(self, ws: WebSocket) -> None:
        """Find the handler for `ws` and run it.

        Raises:
            Reject: there is none.
            Exception: whatever the handler raises.
        """
        found = self._match(ws.request, WEBSOCKET)
        ws.path_params = found.path_params
        ws.catch_disconnect = found.route.options
        await found.route.handler(ws, **found.path_params)

    async def handle_http(self, request: Request) -> Response:
        """Find the handler for a plain HTTP request and run it.

        Raises:
            Reject: there is none.
            Exception: whatever the handler raises.
        """
        # A plain request may call its method so, too.
        method = "" if request.method == WEBSOCKET else request.method
        found = self._match(request, method)
        response = await found.route.handler(request, **found.path_params)
        if not isinstance(response, Response):
            raise TypeError(
                f"the handler of {found.route.path!r} returned {type(response).__name__}, "
                "not a Response"
            )
        return response

    def _match(self, request: Request, method: str) -> Match:
        found = self._routes().match(request.raw_path, method, request.headers.get("host", ""))
        if isinstance(found, NoMatch):
            raise Reject(Response(b"", found.status, list(found.headers)))
        return found


class _HandlerApp(App):
    """One coroutine function for the WebSockets of every path."""

    def __init__(self, handler: Callable[[WebSocket], Awaitable[None]]) -> None:
        super().__init__()
        self._handler = handler

    async def handle_websocket(self, ws: WebSocket) -> None:
        await self._handler(ws)


Application = App | Callable[[WebSocket], Awaitable[None]]
"""What servers serve: an App, or a coroutine function that takes every WebSocket."""


def as_app(application: Application) -> App:
    """The App that `application` is or stands for.

    Raises:
        TypeError: it is neither an App nor a coroutine function.
    """
    if isinstance(application, App):
        return application
    if _is_coroutine_function(application):
        return _HandlerApp(application)
    raise TypeError(
        f"an App or a coroutine function that takes a WebSocket is needed, not {application!r}"
    )


def _check_handler(path: str, handler: Callable[..., Any]) -> None:
    if not _is_coroutine_function(handler):
        raise TypeError(f"the handler of {path!r} must be an async def function, not {handler!r}")


def _is_coroutine_function(handler: Any) -> bool:
    if inspect.iscoroutinefunction(handler):
        return True
    # Looked up as calling does: a class is not called by the method that its instances are.
    kind = cast("type[object]", type(handler))
    return inspect.iscoroutinefunction(getattr(kind, "__call__", None))  # noqa: B004
