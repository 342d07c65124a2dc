"""`Router`: handlers by path, for an application or a part of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, TypeVar

from windsock.core.protocol.config import Deflate

from .codec import MessageType
from .handlers import Endpoint, http_endpoint, websocket_endpoint
from .inspection import is_coroutine_function
from .link import CatchDisconnect
from .marks import marked_handlers
from .middleware import Middleware, check_middleware
from .options import Limits, RouteOptions, route_options
from .routing.converters import Converters
from .routing.patterns import placeholder_names
from .routing.table import WEBSOCKET, Route, RouteTable

_WEBSOCKET_METHODS: Final = frozenset({WEBSOCKET, "WS"})

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

RouteData = tuple[str, "str | Iterable[str]", Callable[..., Any]]
"""A route as data: path, methods, handler. The method of a WebSocket is "WS" or "WEBSOCKET"."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What a route leads to."""

    websocket: Endpoint | None
    http: Endpoint | None
    options: RouteOptions


@dataclass(frozen=True, slots=True)
class _Entry:
    """A route as it was given, to be given again to the router that this one is included in."""

    path: str
    methods: tuple[str, ...]
    handler: Callable[..., Any]
    host: str | None
    name: str | None
    options: RouteOptions


class Router:
    """Routes to be included in an `App`, or in another router, under a prefix.

    A path begins with a slash and may have placeholders: `{name}` for one segment or a part of
    one, `{name:type}` for what a type takes, `{name:path}` for several segments, `{}` for what
    nobody needs; `<name>` and `<type:name>` mean the same. A host may have them, too. Their values
    are the handler's keyword arguments of the same names, converted by type or else by annotation;
    what does not convert leads to the next route, or to 404. The handler's other arguments come
    from the query string and must have defaults; what does not convert there is answered 400.

    A WebSocket handler is one of

    - `async def handler(ws, **path_params)`,
    - `async def handler(scope, receiver, *path_params)` that yields, see `generator_handler`,
    - `def handler(request, **path_params)`, which may block, in a worker thread where it must,
    - `async def handler(scope, info, matches, web_socket)`, marked with `four_arguments`.

    Args:
        routes: routes as data: path, methods, handler.
        middleware: what stands before the handlers, the first outermost.
        host: the host pattern of all routes, such as "{tenant}.example.com"; None for any host.
        converters: further placeholder types, by name.
        strict_slashes: whether "/a" and "/a/" are two paths. Where the router is included, that is
            for the other one to say.

    Raises:
        TypeError, ValueError: a route cannot be added; the message shows it.
    """

    _complete: ClassVar = False
    """Whether the paths are those that are served, without a prefix to come."""

    def __init__(
        self,
        routes: Iterable[RouteData] = (),
        *,
        middleware: Iterable[Middleware] = (),
        host: str | None = None,
        converters: Converters | None = None,
        strict_slashes: bool = False,
    ) -> None:
        self._converters = dict(converters or {})
        self._table = RouteTable(strict_slashes=strict_slashes, converters=self._converters)
        self._entries: list[_Entry] = []
        self._names: dict[str, str] = {}
        self._middleware = check_middleware(middleware)
        self._host = host
        self._included = False
        for path, methods, handler in routes:
            self.add_route(path, methods, handler)

    def add_route(
        self,
        path: str,
        methods: str | Iterable[str],
        handler: Callable[..., Any],
        *,
        host: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        """Route `path` to `handler`, for WebSockets where a method is "WEBSOCKET" or "WS".

        Args:
            path: the pattern.
            methods: HTTP methods, or WEBSOCKET, or both. GET includes HEAD.
            handler: a WebSocket handler in any style, or a plain HTTP handler.
            host: the host pattern, if not the router's.
            name: for `url_for`; the handler's own by default.
            options: as of `websocket`.

        Raises:
            TypeError, ValueError: it cannot be added; the message shows the route and says why.
        """
        given = (methods,) if isinstance(methods, str) else tuple(methods)
        checked = route_options(path, **options)
        self._add(_Entry(path, given, handler, host or self._host, name, checked))

    def _add(self, entry: _Entry) -> None:
        if self._included:
            raise RuntimeError(
                f"the route {entry.path!r} comes too late: its router is included already; add "
                "routes first, and include the router then"
            )
        websocket = [method.upper() in _WEBSOCKET_METHODS for method in entry.methods]
        if entry.options.auto_accept and not is_coroutine_function(entry.handler):
            raise TypeError(
                f"auto_accept of {entry.path!r} is for async def handler(ws): one in another style "
                "accepts by itself"
            )
        names = placeholder_names(entry.path, entry.host)
        arguments = (entry.handler, names, entry.path)
        handled = Handled(
            websocket_endpoint(
                *arguments,
                auto_accept=entry.options.auto_accept is True,
                complete=self._complete,
            )
            if any(websocket)
            else None,
            http_endpoint(*arguments, complete=self._complete) if not all(websocket) else None,
            entry.options,
        )
        endpoint = handled.websocket or handled.http
        name = entry.name or self._free_name(entry)
        self._table.add(
            Route(
                entry.path,
                entry.handler,
                host=entry.host,
                name=name,
                options=handled,
                annotations=endpoint.parameters.annotations if endpoint else {},
            ),
            entry.methods,
        )
        if name is not None:
            self._names[name] = entry.path
        self._entries.append(entry)

    def _free_name(self, entry: _Entry) -> str | None:
        function = getattr(entry.handler, "function", entry.handler)  # behind a decorator of ours
        name: str | None = getattr(function, "__name__", None)
        taken = name is not None and self._names.get(name, entry.path) != entry.path
        return None if taken else name

    def add(self, target: object) -> None:
        """Add the handler that `route` has marked, or all such methods of an object.

        Raises:
            TypeError: there is no mark.
            TypeError, ValueError: a route cannot be added; the message shows it.
        """
        found = list(marked_handlers(target))
        if not found:
            hint = " of it" if isinstance(target, type) else ""
            what = "an instance" if isinstance(target, type) else "@route(path, methods=[…])"
            raise TypeError(f"{target!r} has no route: {what}{hint} is needed")
        for marked, handler in found:
            self.add_route(marked.path, marked.methods, handler, **marked.options)

    def include_router(self, router: Router, *, prefix: str = "") -> None:
        """Take over the routes of `router`, under a prefix, within its middleware and this one's.

        Args:
            router: it takes no more routes after that.
            prefix: what goes before its paths, such as "/api"; it may have placeholders.

        Raises:
            RuntimeError: `router` is included already.
            TypeError: a handler cannot be called with the placeholders of its path.
            ValueError: the prefix is malformed, or a route cannot be added here; the message shows
                it.
        """
        if router._included or router is self:
            raise RuntimeError("this router is included already; make another one")
        check_prefix(prefix)
        for name, converter in router._converters.items():
            if self._converters.setdefault(name, converter) is not converter:
                raise ValueError(f"the converter {name!r} of the included router is another one")
        self._table.add_converters(router._converters)
        for entry in router._entries:
            options = replace(
                entry.options, middleware=router._middleware + entry.options.middleware
            )
            path = prefix if prefix and entry.path == "/" else prefix + entry.path
            self._add(replace(entry, path=path, host=entry.host or self._host, options=options))
        router._included = True

    def url_for(self, name: str, /, **values: Any) -> str:
        """The percent-encoded path of a route.

        Args:
            name: the route's, by default that of its handler.
            values: one for each placeholder.

        Raises:
            LookupError: there is no such route.
            ValueError: a value is missing, superfluous, or does not fit; the message shows the
                route.
        """
        return self._table.url_for(name, values)

    def websocket(
        self,
        path: str,
        *,
        host: str | None = None,
        name: str | None = None,
        catch_disconnect: CatchDisconnect = True,
        auto_accept: bool | None = None,
        value_type: MessageType | None = None,
        receive_type: MessageType | None = None,
        send_type: MessageType | None = None,
        subprotocols: Iterable[str] = (),
        origins: Iterable[str] | None = None,
        compression: Deflate | bool | None = None,
        limits: Limits | None = None,
        middleware: Iterable[Middleware] = (),
    ) -> Callable[[HandlerT], HandlerT]:
        """Route WebSockets for `path`, such as "/chat/{room}", to the decorated handler.

        Args:
            path: the pattern.
            host: the host pattern, if not the router's.
            name: for `url_for`; the handler's own by default.
            catch_disconnect: which disconnects `async with ws` swallows: True for all, False for
                none, or a set of close codes.
            auto_accept: True has the handler, an async def function of `ws`, run inside
                `async with ws`, so that it is accepted; False keeps `async with` from accepting.
                None for neither.
            value_type: what `receive` gives and `send` takes: "text", "bytes", "json", or "event"
                for the dicts of ASGI; None for messages as they come.
            receive_type: the same for `receive` alone.
            send_type: the same for `send` alone.
            subprotocols: which of the client's offers to accept, in order of preference.
            origins: which pages may connect besides the server's own, instead of
                `Config.origins`; "*" for all.
            compression: False for none, True or a `Deflate` for permessage-deflate, None for what
                the server's `Config` says. An ASGI host has its own.
            limits: fields of `Config` for this route.
            middleware: what stands before the handler, the first outermost.

        Raises:
            TypeError, ValueError: it cannot be added; the message shows the route and says why.
        """
        return self._decorator(
            path,
            (WEBSOCKET,),
            host=host,
            name=name,
            catch_disconnect=catch_disconnect,
            auto_accept=auto_accept,
            value_type=value_type,
            receive_type=receive_type,
            send_type=send_type,
            subprotocols=subprotocols,
            origins=origins,
            compression=compression,
            limits=limits,
            middleware=middleware,
        )

    def http(
        self,
        path: str,
        *,
        methods: str | Iterable[str] = ("GET",),
        host: str | None = None,
        name: str | None = None,
        middleware: Iterable[Middleware] = (),
    ) -> Callable[[HandlerT], HandlerT]:
        """Route plain HTTP requests for `path` to the decorated function.

        It is called with the `Request`, and returns a `Response`. It may block, in a worker
        thread, where it is no coroutine function.

        Args:
            path: the pattern.
            methods: HTTP methods. GET includes HEAD.
            host: the host pattern, if not the router's.
            name: for `url_for`; the handler's own by default.
            middleware: what stands before the handler, the first outermost.

        Raises:
            TypeError, ValueError: it cannot be added; the message shows the route and says why.
        """
        return self._decorator(path, methods, host=host, name=name, middleware=middleware)

    def route(
        self, path: str, methods: str | Iterable[str] = ("GET",), **options: Any
    ) -> Callable[[HandlerT], HandlerT]:
        """Route `path` to the decorated handler for HTTP methods, for "WEBSOCKET", or for both.

        `options` are those of `websocket`. Raises TypeError or ValueError where it cannot be added.
        """
        return self._decorator(path, methods, **options)

    def _decorator(
        self, path: str, methods: str | Iterable[str], **options: Any
    ) -> Callable[[HandlerT], HandlerT]:
        def add(handler: HandlerT) -> HandlerT:
            self.add_route(path, methods, handler, **options)
            return handler

        return add


def check_prefix(prefix: str) -> None:
    """See to it that paths can go after `prefix`. Raises ValueError where they cannot."""
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        right = "/" + prefix.strip("/")
        raise ValueError(
            f"a prefix begins with a slash and ends without: {right!r}, not {prefix!r}"
        )
