"""Which of the styles a handler is written in, and the one form that each of them is run in."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from .blocking import BlockingWebSocket
from .inspection import is_async_generator_function, is_coroutine_function, name_of
from .request import Request
from .response import Response
from .routing.parameters import Parameters, read_parameters
from .styles.four_arguments import FourArguments
from .styles.generator import GeneratorHandler
from .styles.plain import WebSocketRequest
from .websocket import WebSocket
from .workers import Workers

_MARKED: Final = (FourArguments, GeneratorHandler)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler in the form that it is run in."""

    call: Callable[[Any, Workers], Awaitable[Any]]
    """Called with a `WebSocket`, or a `Request` whose `Response` it returns."""
    parameters: Parameters
    """What its signature asks for."""


def websocket_endpoint(
    handler: Callable[..., Any],
    placeholders: Iterable[str],
    route: str,
    *,
    auto_accept: bool = False,
    complete: bool = True,
) -> Endpoint:
    """The endpoint of a WebSocket handler in any of the styles.

    Args:
        handler: what is to be run.
        placeholders: the names of the route's placeholders, in order.
        route: what to call the route in messages.
        auto_accept: whether it is accepted before a coroutine function runs.
        complete: whether these are all placeholders; else a prefix may have others, and nothing
            is amiss because the handler asks for them.

    Raises:
        TypeError: it is no handler, or cannot be called with the route's placeholders.
    """
    names = tuple(placeholders)
    if isinstance(handler, FourArguments):
        return _four_arguments(handler, route)
    if isinstance(handler, GeneratorHandler):
        return _generator(handler, names, route, complete)
    if is_async_generator_function(handler):
        return _generator(GeneratorHandler(handler), names, route, complete)
    if not callable(handler) or isinstance(handler, type):
        raise TypeError(f"the handler of {route!r} must be a function, not {handler!r}")
    parameters = _read(handler, names, route, complete)
    if is_coroutine_function(handler):
        make = _accepted if auto_accept else _coroutine
        return Endpoint(make(handler, parameters), parameters)
    return Endpoint(_plain(handler, parameters, route), parameters)


def http_endpoint(
    handler: Callable[..., Any],
    placeholders: Iterable[str],
    route: str,
    *,
    complete: bool = True,
) -> Endpoint:
    """The endpoint of a plain HTTP handler: a coroutine function or one that may block.

    The arguments are those of `websocket_endpoint`.

    Raises:
        TypeError: it is neither, or cannot be called with the route's placeholders.
    """
    if (
        not callable(handler)
        or isinstance(handler, (type, *_MARKED))
        or is_async_generator_function(handler)
    ):
        raise TypeError(
            f"the plain HTTP handler of {route!r} must be a function of the request that returns "
            f"a Response, not {handler!r}"
        )
    parameters = _read(handler, tuple(placeholders), route, complete)
    make = _http_coroutine if is_coroutine_function(handler) else _http_plain
    return Endpoint(make(handler, parameters, route), parameters)


def _read(
    handler: Callable[..., Any],
    names: tuple[str, ...],
    route: str,
    complete: bool,
    *,
    leading: int = 1,
    positional: bool = False,
) -> Parameters:
    try:
        return read_parameters(handler, names, leading=leading, route=route, positional=positional)
    except TypeError:
        if complete:
            raise
        return Parameters()


def _coroutine(
    handler: Callable[..., Any], parameters: Parameters
) -> Callable[[WebSocket, Workers], Awaitable[Any]]:
    def call(ws: WebSocket, _: Workers) -> Awaitable[Any]:
        return cast("Awaitable[Any]", handler(ws, **parameters.arguments(ws.request)))

    return call


def _accepted(
    handler: Callable[..., Any], parameters: Parameters
) -> Callable[[WebSocket, Workers], Awaitable[Any]]:
    async def run(ws: WebSocket, arguments: dict[str, Any]) -> None:
        async with ws:
            await handler(ws, **arguments)

    def call(ws: WebSocket, _: Workers) -> Awaitable[Any]:
        # The arguments come first: what does not convert is answered instead of accepted.
        return run(ws, parameters.arguments(ws.request))

    return call


def _plain(
    handler: Callable[..., Any], parameters: Parameters, route: str
) -> Callable[[WebSocket, Workers], Awaitable[Any]]:
    def call(ws: WebSocket, workers: Workers) -> Awaitable[Any]:
        arguments = parameters.arguments(ws.request)

        def run() -> None:
            request = WebSocketRequest(BlockingWebSocket(ws, ws.link))
            _check_ran(handler(request, **arguments), route)

        return workers.run(ws.link, ws.config.max_worker_threads, run)

    return call


def _generator(
    handler: GeneratorHandler, names: tuple[str, ...], route: str, complete: bool
) -> Endpoint:
    parameters = _read(handler.function, names, route, complete, leading=2, positional=True)

    def call(ws: WebSocket, _: Workers) -> Awaitable[Any]:
        values = tuple(ws.path_params[name] for name in names)
        return handler.run(ws, values, parameters.query_arguments(ws.request.query))

    return Endpoint(call, parameters)


def _four_arguments(handler: FourArguments, route: str) -> Endpoint:
    if handler.count == 2:
        raise TypeError(
            f"{name_of(handler.function)} of {route!r} takes two arguments, which makes it a "
            "middleware; a handler takes (scope, info, matches, web_socket) or (request)"
        )

    def call(ws: WebSocket, _: Workers) -> Awaitable[Any]:
        return handler.run(ws)

    return Endpoint(call, Parameters())


def _http_coroutine(
    handler: Callable[..., Any], parameters: Parameters, route: str
) -> Callable[[Request, Workers], Awaitable[Response]]:
    async def call(request: Request, _: Workers) -> Response:
        return _check(await handler(request, **parameters.arguments(request)), route)

    return call


def _http_plain(
    handler: Callable[..., Any], parameters: Parameters, route: str
) -> Callable[[Request, Workers], Awaitable[Response]]:
    async def call(request: Request, workers: Workers) -> Response:
        arguments = parameters.arguments(request)

        def run() -> Response:
            return _check(handler(request, **arguments), route)

        if request.served is None:  # by a test or a tool, and not by a server
            return run()
        limit = request.served.config.max_worker_threads
        return await workers.run(request.served.link, limit, run)

    return call


def _check_ran(found: object, route: str) -> None:
    """See to it that what was called has run: a function around a coroutine function has not."""
    if inspect.iscoroutine(found) or inspect.isasyncgen(found):
        if inspect.iscoroutine(found):
            found.close()  # or Python would complain that it was never awaited
        raise TypeError(
            f"the handler of {route!r} is an ordinary function that returned a "
            f"{type(found).__name__}: make it an async def function, too"
        )


def _check(response: object, route: str) -> Response:
    _check_ran(response, route)
    if not isinstance(response, Response):
        raise TypeError(
            f"the handler of {route!r} returned {type(response).__name__}, not a Response"
        )
    return response
