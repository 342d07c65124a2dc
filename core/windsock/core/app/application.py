"""`App`: what a server serves."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar, cast
from urllib.parse import unquote

from .codec import JSONCodec
from .converters import Converters
from .handlers import websocket_endpoint
from .inspection import is_async_generator_function
from .middleware import CallNext, Middleware, run_middleware
from .options import RouteOptions
from .request import Request
from .response import Reject, Response
from .router import Handled, RouteData, Router, check_prefix
from .routing import WEBSOCKET, NoMatch
from .websocket import WebSocket
from .workers import Workers

LifespanT = TypeVar("LifespanT", bound=Callable[..., Any])


class App(Router):
    """An application: WebSocket and plain HTTP handlers by path, for any transport.

    Args:
        routes: routes as data: path, methods, handler.
        middleware: what stands before all handlers, the first outermost; also before the answer
            to a path that leads nowhere.
        host: the host pattern of all routes; None for any host.
        converters: further placeholder types, by name.
        strict_slashes: whether "/a" and "/a/" are two paths. Neither redirects to the other.
        json: the codec of JSON messages: anything with `loads` and `dumps`; by default the
            standard library's.
        state: what `state` begins with.

    Raises:
        TypeError, ValueError: a route cannot be added; the message shows it.
    """

    def __init__(
        self,
        routes: Iterable[RouteData] = (),
        *,
        middleware: Iterable[Middleware] = (),
        host: str | None = None,
        converters: Converters | None = None,
        strict_slashes: bool = False,
        json: JSONCodec | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            routes,
            middleware=middleware,
            host=host,
            converters=converters,
            strict_slashes=strict_slashes,
        )
        self.state: dict[str, Any] = dict(state or {})
        """What belongs to the whole application; every WebSocket and request gets a copy."""
        self._json = json
        self._workers = Workers()
        self._mounted: dict[str, tuple[App, str | None]] = {}
        self._lifespans: list[Callable[..., AbstractAsyncContextManager[Any]]] = []
        self._running = 0

    # Parts

    def mount(self, prefix: str, app: Application, *, name: str | None = None) -> None:
        """Have `app` serve all paths below `prefix` that no route of this application's takes.

        It sees them without the prefix, which is its `Request.root_path`, and has its own
        middleware, inside this one's. Its lifespan is run with this one's.

        Args:
            prefix: without placeholders, such as "/v1".
            app: an App, or a handler.
            name: `url_for("name:route")` then finds its routes.

        Raises:
            TypeError: `app` is neither.
            ValueError: the prefix is malformed, or taken.
        """
        check_prefix(prefix)
        if not prefix or any(mark in prefix for mark in "{}<>"):
            raise ValueError(f"a mounted application needs a fixed prefix, not {prefix!r}")
        if prefix in self._mounted:
            raise ValueError(f"there is an application mounted at {prefix!r} already")
        self._mounted[prefix] = (as_app(app), name)

    def url_for(self, name: str, /, **values: Any) -> str:
        """The percent-encoded path of a route; of a mounted application's as "mounted:route".

        Raises:
            LookupError: there is no such route.
            ValueError: a value is missing, superfluous, or does not fit.
        """
        first, colon, rest = name.partition(":")
        for prefix, (app, mounted_as) in self._mounted.items():
            if colon and mounted_as == first:
                return prefix + app.url_for(rest, **values)
        return super().url_for(name, **values)

    # The application's own start and end

    def lifespan(self, function: LifespanT) -> LifespanT:
        """Have an async generator run around all that is served, once per process.

        What comes before its `yield` runs before the first connection is taken, what comes after
        it once the last one has ended. A dict that it yields is added to `state`. It is called
        with the App, or with nothing.

        Raises:
            TypeError: it is neither an async generator function nor a function that returns an
                async context manager.
        """
        if is_async_generator_function(function):
            made: Callable[..., Any] = asynccontextmanager(function)
        elif callable(function) and not inspect.iscoroutinefunction(function):
            made = function
        else:
            raise TypeError(
                f"a lifespan is an async generator function that yields once, not {function!r}"
            )
        takes_app = bool(inspect.signature(function).parameters)
        self._lifespans.append(made if takes_app else lambda _: made())
        return function

    @property
    def has_lifespan(self) -> bool:
        """Whether there is anything to run before the first connection."""
        return bool(self._lifespans) or any(app.has_lifespan for app, _ in self._mounted.values())

    @property
    def is_running(self) -> bool:
        """Whether a server serves it, within `running`."""
        return self._running > 0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """What a server serves within: the application's own start and end.

        Where several serve it at a time, it is started by the first and ended by that one.

        Raises:
            Exception: whatever its lifespan raises.
        """
        async with AsyncExitStack() as stack:
            if not self._running:
                for lifespan in self._lifespans:
                    given = await stack.enter_async_context(lifespan(self))
                    self.state.update(given or {})
                for app, _ in self._mounted.values():
                    await stack.enter_async_context(app.running())
            self._running += 1
            try:
                yield
            finally:
                self._running -= 1

    # Serving

    @property
    def judges_origins(self) -> bool:
        """Whether some route has origins of its own, so that the server leaves them all to it."""
        return any(entry.options.origins is not None for entry in self._entries) or any(
            app.judges_origins for app, _ in self._mounted.values()
        )

    async def handle_websocket(self, ws: WebSocket) -> None:
        """Find the handler for `ws` and run it.

        Raises:
            Reject: there is none, or a middleware has answered in its place.
            Exception: whatever the handler raises.
        """
        handler = self._find(ws.request, WEBSOCKET)
        answer = await run_middleware(self._middleware, ws, handler)
        if isinstance(answer, Response):
            raise Reject(answer)

    async def handle_http(self, request: Request) -> Response:
        """Find the handler for a plain HTTP request and run it.

        Raises:
            Reject: there is none.
            Exception: whatever the handler raises.
        """
        # No client may ask for a WebSocket by a method of that name.
        method = "" if request.method == WEBSOCKET else request.method
        handler = self._find(request, method)
        return cast(Response, await run_middleware(self._middleware, request, handler))

    def _find(self, request: Request, method: str) -> CallNext:
        """What is to run inside the middleware; the request learns what leads there."""
        request.app = self
        path = request.raw_path
        found = self._table.match(path, method, request.headers.get("host", ""))
        if not isinstance(found, NoMatch):
            request.path_params |= found.path_params
            handled: Handled = found.route.options
            if method == WEBSOCKET:
                return self._websocket_handler(handled)
            return self._http_handler(handled)
        mounted = self._find_mounted(path) if found.status == 404 else None
        if mounted is not None:
            app, prefix = mounted
            return _mounted_handler(app, prefix)
        return _refuse(found)

    def _websocket_handler(self, handled: Handled) -> CallNext:
        endpoint, options = handled.websocket, handled.options
        assert endpoint is not None

        async def handle(ws: WebSocket) -> Any:
            options.check_origin(ws)
            options.apply(ws, self._json)
            if options.auto_accept:
                endpoint.parameters.arguments(ws.request)  # what is wrong there is answered first
                async with ws:
                    await endpoint.call(ws, self._workers)
            else:
                await endpoint.call(ws, self._workers)

        return _within(options.middleware, handle)

    def _http_handler(self, handled: Handled) -> CallNext:
        endpoint = handled.http
        assert endpoint is not None

        async def handle(request: Request) -> Any:
            return await endpoint.call(request, self._workers)

        return _within(handled.options.middleware, handle)

    def _find_mounted(self, raw_path: str) -> tuple[App, str] | None:
        deepest = max((prefix.count("/") for prefix in self._mounted), default=0)
        segments = raw_path.split("/", deepest + 1)[: deepest + 1]
        while len(segments) > 1:
            prefix = "/".join(segments)
            found = self._mounted.get("/".join(unquote(segment) for segment in segments))
            if found is not None:
                return found[0], prefix
            segments.pop()
        return None


def _within(middleware: tuple[Middleware, ...], handler: CallNext) -> CallNext:
    if not middleware:
        return handler

    async def handle(asked: Any) -> Any:
        return await run_middleware(middleware, asked, handler)

    return handle


def _mounted_handler(app: App, prefix: str) -> CallNext:
    async def handle(asked: WebSocket | Request) -> Any:
        request = asked.request
        request.root_path += prefix
        for name, value in app.state.items():
            request.state.setdefault(name, value)
        if isinstance(asked, Request):
            return await app.handle_http(asked)
        return await app.handle_websocket(asked)

    return handle


def _refuse(found: NoMatch) -> CallNext:
    async def handle(_: object) -> Any:
        raise Reject(Response(b"", found.status, list(found.headers)))

    return handle


class _HandlerApp(App):
    """One handler for the WebSockets of every path."""

    def __init__(self, handler: Callable[..., Any]) -> None:
        super().__init__()
        self._endpoint = websocket_endpoint(handler, (), "every path")

    async def handle_websocket(self, ws: WebSocket) -> None:
        ws.request.app = self
        RouteOptions().check_origin(ws)
        await self._endpoint.call(ws, self._workers)

    async def handle_http(self, request: Request) -> Response:
        # RFC 9110 §15.5.22: there is nothing but WebSockets here.
        return Response(b"", 426, [("Upgrade", "websocket")])


Application = App | Callable[..., Awaitable[Any]] | Callable[..., Any]
"""What servers serve: an App, or a handler in any style that takes every WebSocket."""


def as_app(application: Application) -> App:
    """The App that `application` is or stands for.

    Raises:
        TypeError: it is neither an App nor a handler.
    """
    if isinstance(application, App):
        return application
    if not callable(application) or isinstance(application, type):
        raise TypeError(f"an App or a WebSocket handler is needed, not {application!r}")
    return _HandlerApp(application)
