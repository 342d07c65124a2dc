"""`App`: what a server serves."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar, cast
from urllib.parse import quote

from .codec import JSONCodec
from .handlers import Endpoint, websocket_endpoint
from .inspection import is_async_generator_function
from .middleware import CallNext, Middleware, with_middleware
from .options import RouteOptions
from .request import Request
from .response import Reject, Response
from .router import Handled, RouteData, Router, check_prefix
from .routing.converters import Converters
from .routing.shapes import decode_path
from .routing.table import WEBSOCKET, NoMatch
from .websocket import WebSocket
from .workers import Workers

T = TypeVar("T")
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

    _complete = True

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
        self._starting = False

    # Parts

    def mount(self, prefix: str, app: Application, *, name: str | None = None) -> None:
        """Have `app` serve all paths below `prefix` that no route of this application's takes.

        It sees them without the prefix, which is its `Request.root_path`, and has its own
        middleware, inside this one's. Its lifespan is run with this one's.

        Args:
            prefix: without placeholders and not encoded, such as "/v1".
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
        mounted = as_app(app)
        if self in mounted._with_mounted():
            raise ValueError(f"an application cannot be mounted in itself, at {prefix!r}")
        self._mounted[prefix] = (mounted, name)
        for one in mounted._with_mounted():
            one._workers = self._workers

    def _with_mounted(self) -> Iterator[App]:
        yield self
        for app, _ in self._mounted.values():
            yield from app._with_mounted()

    def url_for(self, name: str, /, **values: Any) -> str:
        """The percent-encoded path of a route; of a mounted application's as "mounted:route".

        Raises:
            LookupError: there is no such route.
            ValueError: a value is missing, superfluous, or does not fit.
        """
        first, colon, rest = name.partition(":")
        for prefix, (app, mounted_as) in self._mounted.items():
            if colon and mounted_as == first:
                return _below(quote(prefix), app.url_for(rest, **values))
        return super().url_for(name, **values)

    # The application's own start and end

    def lifespan(self, function: LifespanT) -> LifespanT:
        """Have an async generator run around all that is served, once per process.

        What comes before its `yield` runs before the first connection is taken, what comes after
        it once the last one has ended. A dict that it yields is added to `state`. It is called
        with the App if it needs an argument, else with none.

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
        try:
            inspect.signature(function).bind()
        except TypeError:
            self._lifespans.append(made)
        else:
            self._lifespans.append(_without_argument(made))
        return function

    @property
    def has_lifespan(self) -> bool:
        """Whether there is anything to run before the first connection."""
        return any(app._lifespans for app in self._with_mounted())

    @property
    def is_running(self) -> bool:
        """Whether a server serves it, within `running`."""
        return self._running > 0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """What a server serves within: the application's own start and end.

        Where several serve it at a time, it is started by the first and ended by that one.

        Raises:
            RuntimeError: another server is just starting it.
            TypeError: its lifespan yields something else than a dict or nothing.
            Exception: whatever its lifespan raises.
        """
        if self._starting:
            raise RuntimeError("another server is just starting this application: start it first")
        async with AsyncExitStack() as stack:
            if not self._running:
                self._starting = True
                try:
                    await self._start(stack)
                finally:
                    self._starting = False
            self._running += 1
            try:
                yield
            finally:
                self._running -= 1

    async def _start(self, stack: AsyncExitStack) -> None:
        for lifespan in self._lifespans:
            given = await stack.enter_async_context(lifespan(self))
            if given is not None and not isinstance(given, Mapping):
                raise TypeError(f"a lifespan yields a dict for `state`, or nothing, not {given!r}")
            self.state.update(cast("Mapping[str, Any]", given or {}))
        for app, _ in self._mounted.values():
            await stack.enter_async_context(app.running())

    # Serving

    @property
    def judges_origins(self) -> bool:
        """Whether some route has origins of its own, so that the server leaves them all to it."""
        return any(
            entry.options.origins is not None
            for app in self._with_mounted()
            for entry in app._entries
        )

    def handle_websocket(self, ws: WebSocket) -> Awaitable[Any]:
        """Find the handler for `ws`: to await what this gives runs it.

        Raises:
            Reject: there is none, or a middleware has answered in its place.
            Exception: whatever the handler raises.
        """
        handler = self._find(ws.request, WEBSOCKET)
        if not self._middleware and isinstance(handler, _WebSocketHandler):
            return handler.run(ws)
        return _reject_if_answered(with_middleware(self._middleware, handler), ws)

    async def handle_http(self, request: Request) -> Response:
        """Find the handler for a plain HTTP request and run it; 404 or the like without one.

        Raises:
            Exception: whatever the handler raises.
        """
        # No client may ask for a WebSocket by a method of that name.
        method = "" if request.method == WEBSOCKET else request.method
        handler = self._find(request, method)
        return cast(Response, await with_middleware(self._middleware, handler)(request))

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
        assert handled.websocket is not None
        options = handled.options
        handler = _WebSocketHandler(handled.websocket, options, self._json, self._workers)
        return with_middleware(options.middleware, handler)

    def _http_handler(self, handled: Handled) -> CallNext:
        endpoint = handled.http
        assert endpoint is not None

        async def handle(request: Request) -> Any:
            return await endpoint.call(request, self._workers)

        return with_middleware(handled.options.middleware, handle)

    def _find_mounted(self, raw_path: str) -> tuple[App, str] | None:
        deepest = max((prefix.count("/") for prefix in self._mounted), default=0)
        segments = raw_path.split("/", deepest + 1)[: deepest + 1]
        while len(segments) > 1:
            prefix = "/".join(segments)
            found = self._mounted.get(decode_path(prefix))
            if found is not None:
                return found[0], prefix
            segments.pop()
        return None


class _WebSocketHandler:
    """The handler of a route; called as what is inside of a middleware."""

    __slots__ = ("_endpoint", "_json", "_options", "_workers")

    def __init__(
        self, endpoint: Endpoint, options: RouteOptions, json: JSONCodec | None, workers: Workers
    ) -> None:
        self._endpoint = endpoint
        self._options = options
        self._json = json
        self._workers = workers

    def run(self, ws: WebSocket) -> Awaitable[Any]:
        """To await this runs it; what it returns means nothing."""
        self._options.check_origin(ws)
        self._options.apply(ws, self._json)
        return self._endpoint.call(ws, self._workers)

    async def __call__(self, ws: WebSocket) -> None:
        await self.run(ws)


async def _reject_if_answered(handler: CallNext, ws: WebSocket) -> None:
    answer = await handler(ws)
    if isinstance(answer, Response):
        raise Reject(answer)


def _without_argument(function: Callable[[], T]) -> Callable[[App], T]:
    def call(_: App) -> T:
        return function()

    return call


def _mounted_handler(app: App, prefix: str) -> CallNext:
    async def handle(asked: WebSocket | Request) -> Any:
        request = asked.request
        # Its own state goes below what the outer application has.
        state = request.state
        request.enter(prefix)
        for name, value in app.state.items():
            state.setdefault(name, value)
        if isinstance(asked, Request):
            return await app.handle_http(asked)
        return await app.handle_websocket(asked)

    return handle


def _refuse(found: NoMatch) -> CallNext:
    async def handle(_: object) -> Response:
        return Response(b"", found.status, found.headers)

    return handle


def _below(prefix: str, url: str) -> str:
    """A URL as `url_for` gives it, with `prefix` before its path."""
    if not url.startswith("//"):
        return prefix + url
    host, slash, path = url[2:].partition("/")
    return f"//{host}{prefix}{slash}{path}"


class _HandlerApp(App):
    """One handler for the WebSockets of every path."""

    def __init__(self, handler: Callable[..., Any]) -> None:
        super().__init__()
        self._handled = Handled(websocket_endpoint(handler, (), "every path"), None, RouteOptions())

    def _find(self, request: Request, method: str) -> CallNext:
        request.app = self
        if method == WEBSOCKET:
            return self._websocket_handler(self._handled)
        # RFC 9110 §15.5.22: there is nothing but WebSockets here.
        return _refuse(NoMatch(426, (("Upgrade", "websocket"),)))


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
