"""Four arguments: `async def handler(scope, info, matches, web_socket)`."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Final

from windsock.core.app.inspection import is_coroutine_function, name_of
from windsock.core.app.request import Request
from windsock.core.app.websocket import WebSocket

Function = Callable[..., Awaitable[Any]]

_POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class FourArgumentsWebSocket:
    """The `WebSocket` of this style."""

    __slots__ = ("_ws",)

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws

    async def accept(
        self, subprotocol: str | None = None, headers: Iterable[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Open the WebSocket, with further header fields; errors as `WebSocket.accept`."""
        fields = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in headers or ()
        ]
        await self._ws.accept(subprotocol, fields)

    async def receive(self) -> Any:
        """The next message; None once there are no more."""
        return await self._ws.receive(default=None)

    async def send(self, content: str | bytes) -> None:
        """Send a message; errors as `WebSocket.send`."""
        await self._ws.send(content)

    async def close(self, code: int = 1000) -> None:
        """Close the WebSocket, or reject it with 403 where nothing was accepted."""
        await self._ws.close(code)

    @property
    def code(self) -> int | None:
        """The close code, None until the WebSocket has ended."""
        return self._ws.code


@dataclass(frozen=True, slots=True)
class FourArgumentsRequest:
    """The four as attributes of one argument, and what goes with them."""

    scope: dict[str, Any]
    """The request as ASGI describes it."""
    info: dict[str, Any]
    """What belongs to the application: `App.state`."""
    matches: dict[str, Any]
    """What the route's placeholders stand for."""
    web_socket: FourArgumentsWebSocket | None
    """The WebSocket; None where the request is a plain one, to a middleware."""
    context: dict[str, Any]
    """What belongs to this request: `WebSocket.state`."""

    @classmethod
    def of(cls, asked: WebSocket | Request) -> FourArgumentsRequest:
        """The request of this style for one of ours."""
        request = asked if isinstance(asked, Request) else asked.request
        return cls(
            request.scope,
            {} if request.app is None else request.app.state,
            request.path_params,
            None if isinstance(asked, Request) else FourArgumentsWebSocket(asked),
            request.state,
        )


@dataclass(frozen=True, slots=True)
class FourArguments:
    """A function in this style; `four_arguments` makes it."""

    function: Function
    count: int
    """How many arguments it needs."""

    def __call__(self, *args: Any) -> Any:
        """The undecorated function, for whoever wants it by itself."""
        return self.function(*args)

    async def run(self, ws: WebSocket) -> None:
        """Handle `ws`."""
        request = FourArgumentsRequest.of(ws)
        if self.count == 1:
            await self.function(request)
        else:
            await self.function(request.scope, request.info, request.matches, request.web_socket)

    async def run_around(
        self, asked: WebSocket | Request, call_next: Callable[[Any], Awaitable[Any]]
    ) -> Any:
        """Be a middleware, which takes the request and what comes next."""

        async def handler(_: FourArgumentsRequest) -> Any:
            return await call_next(asked)

        return await self.function(FourArgumentsRequest.of(asked), handler)


def four_arguments(function: Function) -> FourArguments:
    """Mark `async def handler(scope, info, matches, web_socket)` as a WebSocket handler.

    `handler(request)` with these four as attributes will do as well, and so will a middleware
    `async def middleware(request, handler)`.

    Raises:
        TypeError: `function` needs some other number of arguments, or is no coroutine function.
    """
    if not is_coroutine_function(function):
        raise TypeError(f"@four_arguments needs an async def function, not {function!r}")
    signature = inspect.signature(function)
    needed = [one for one in signature.parameters.values() if one.default is one.empty]
    count = sum(one.kind in _POSITIONAL for one in needed)
    if count not in {1, 2, 4} or any(one.kind is one.KEYWORD_ONLY for one in needed):
        raise TypeError(
            "@four_arguments needs (scope, info, matches, web_socket) or (request), and for a "
            f"middleware (request, handler); {name_of(function)} takes {signature}"
        )
    return FourArguments(function, count)
