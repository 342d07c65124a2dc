"""What stands between a connection and its handler."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from windsock.core.protocol.headers import HeaderFields

from .inspection import is_coroutine_function, name_of
from .request import Request
from .response import Response
from .styles.four_arguments import FourArguments
from .websocket import WebSocket

CallNext = Callable[[Any], Awaitable[Any]]
Middleware = Callable[[Any, CallNext], Awaitable[Any]]
"""`async def middleware(request_or_ws, call_next)`: for plain HTTP it returns a `Response`, its
own or what `await call_next(request_or_ws)` gave; for a WebSocket a `Response` rejects it."""

ScopeHandler = Callable[[Any], Awaitable[Any]]
ScopeMiddleware = Callable[[ScopeHandler, Any], Awaitable[Any]]


def check_middleware(middleware: Iterable[Any]) -> tuple[Middleware, ...]:
    """The middlewares, each in the one form that is run.

    Raises:
        TypeError: it is no list, or one is no coroutine function of two arguments.
    """
    if callable(middleware) or not isinstance(middleware, Iterable):
        raise TypeError(f"middleware is a list of async def functions, not {middleware!r}")
    return tuple(_check(one) for one in middleware)


def _check(middleware: Any) -> Middleware:
    if isinstance(middleware, FourArguments):
        if middleware.count != 2:
            raise TypeError(
                "a middleware in the style of four arguments takes (request, handler), "
                f"{name_of(middleware.function)} takes {middleware.count} arguments"
            )
        return middleware.run_around
    if not is_coroutine_function(middleware):
        hint = (
            "; a function that takes the next one and returns a coroutine function goes into "
            "apply_middleware(…)"
        )
        raise TypeError(
            "a middleware is an async def function (request_or_ws, call_next), not "
            f"{middleware!r}{hint if callable(middleware) else ''}"
        )
    try:
        inspect.signature(middleware).bind(None, None)
    except TypeError:
        raise TypeError(
            f"the middleware {middleware!r} must take two arguments: (request_or_ws, call_next)"
        ) from None
    return cast(Middleware, middleware)


def with_middleware(middleware: Sequence[Middleware], handler: CallNext) -> CallNext:
    """`handler` inside the middlewares, the first of them outermost.

    To await what it gives raises TypeError where one of them returned something that is no answer.
    """
    for one in reversed(middleware):
        handler = partial(_run_one, one, handler)
    return handler


async def _run_one(middleware: Middleware, call_next: CallNext, asked: Any) -> Any:
    answer = await middleware(asked, call_next)
    if not isinstance(answer, Response):
        if isinstance(asked, Request):
            raise TypeError(
                f"the middleware {name_of(middleware)} returned {answer!r} for {asked!r}: it must "
                "return a Response, its own or what `await call_next(request)` gave"
            )
        if answer is not None:
            raise TypeError(
                f"the middleware {name_of(middleware)} returned {answer!r} for {asked!r}: it must "
                "return a Response to reject it, or what `await call_next(ws)` gave"
            )
    return answer


def apply_middleware(*middleware: Callable[[ScopeMiddleware], ScopeMiddleware]) -> Middleware:
    """One middleware of several in the style of functions around functions, the first outermost.

    Each is `def wrap(next_middleware)` and returns `async def wrapped(handler, scope)`, which
    goes on with `await next_middleware(handler, scope)`. It may add to the scope, which is that
    of the request, or answer by itself: with a dict of `status`, `headers` and `body`, or with
    `ws_close()`.

    Raises:
        TypeError: one does not return a coroutine function.
    """

    async def innermost(handler: ScopeHandler, scope: Any) -> Any:
        return await handler(scope)

    wrapped: ScopeMiddleware = innermost
    for wrap in reversed(middleware):
        wrapped = wrap(wrapped)
        if not is_coroutine_function(wrapped):
            raise TypeError(
                f"{wrap!r} must take the next middleware and return an async def function "
                f"(handler, scope), not {wrapped!r}"
            )
    outermost = wrapped

    async def apply(asked: WebSocket | Request, call_next: CallNext) -> Any:
        inner: Response | None = None

        async def handler(scope: Any) -> Any:
            nonlocal inner
            if scope is not asked.request.scope:  # a copy with more in it
                asked.request.scope.update(scope)
            inner = await call_next(asked)
            return _as_dict(inner)

        return _as_response(await outermost(handler, asked.request.scope), inner)

    return apply


def _as_dict(answer: Response | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    headers = dict(answer.headers.items_as_sent())
    return {"status": answer.status, "headers": headers, "body": answer.body}


def _as_response(answer: Any, inner: Response | None) -> Response | None:
    match answer:
        case None | Response():
            return answer
        case {"type": "websocket.close"}:
            return Response(status=403)
        case {"status": int(status)}:
            found = cast("Mapping[str, Any]", answer)
            headers = _fields(found.get("headers") or (), inner)
            return Response(found.get("body") or b"", status, headers)
        case _:
            raise TypeError(
                "a middleware returns what the next one did, a dict of status, headers and body, "
                f"or ws_close(), not {answer!r}"
            )


def _fields(headers: HeaderFields, inner: Response | None) -> HeaderFields:
    """The header fields, with those again that a dict had no room for: two of one name."""
    if inner is None or not isinstance(headers, Mapping):
        return headers
    changed = dict(cast("Mapping[str, str]", headers))
    kept: list[tuple[str, str]] = []
    for name, last in dict(inner.headers.items_as_sent()).items():
        if changed.get(name) == last:
            del changed[name]
            kept += [field for field in inner.headers.items_as_sent() if field[0] == name]
    return [*kept, *changed.items()]
