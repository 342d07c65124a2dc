"""Async generators: `async def handler(scope, receiver, *path_params)`, which yields what to do."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast, overload

from windsock.core.app.inspection import (
    is_async_generator_function,
    is_coroutine_function,
    name_of,
)
from windsock.core.app.websocket import WebSocket
from windsock.core.protocol import close_codes
from windsock.core.protocol.errors import Disconnected

Event = Mapping[str, Any]
Callback = Callable[..., Awaitable[Any]]
GeneratorFunction = Callable[..., AsyncGenerator[Event, None] | Awaitable[Event | None]]


def ws_send(data: str | bytes) -> dict[str, Any]:
    """To be yielded: send a message. Raises TypeError for anything but str and bytes."""
    if isinstance(data, str):
        return {"type": "websocket.send", "text": data}
    if isinstance(data, bytes):
        return {"type": "websocket.send", "bytes": data}
    raise TypeError(f"ws_send takes str or bytes, not {type(data).__name__}")


def ws_close(code: int = 1000, reason: str = "") -> dict[str, Any]:
    """To be yielded: close, and end the handler. From `on_connect`: decline with 403.

    Raises:
        TypeError: `code` is no int, or `reason` no str.
    """
    if not isinstance(code, int) or isinstance(code, bool):
        raise TypeError(f"ws_close takes an int, not {type(code).__name__}")
    if not isinstance(reason, str):
        raise TypeError(f"the reason of ws_close is a str, not {type(reason).__name__}")
    return {"type": "websocket.close", "code": code, "reason": reason}


def ws_accept(
    subprotocol: str | None = None, headers: Iterable[tuple[str | bytes, str | bytes]] = ()
) -> dict[str, Any]:
    """From `on_connect`: accept, with one of the offered subprotocols and further header fields.

    Raises:
        TypeError: `subprotocol` is neither str nor None.
    """
    if subprotocol is not None and not isinstance(subprotocol, str):
        raise TypeError(f"a subprotocol is a str, not {type(subprotocol).__name__}")
    fields = [(_to_bytes(name), _to_bytes(value)) for name, value in headers]
    return {"type": "websocket.accept", "subprotocol": subprotocol, "headers": fields}


def _to_bytes(part: str | bytes) -> bytes:
    return part.encode("latin-1") if isinstance(part, str) else part


@dataclass(frozen=True, slots=True)
class GeneratorHandler:
    """A generator with what is to happen around it; `generator_handler` makes it."""

    function: GeneratorFunction
    on_connect: Callback | None = None
    on_disconnect: Callback | None = None
    on_close: Callback | None = None

    def __post_init__(self) -> None:
        function = self.function
        if not (is_async_generator_function(function) or is_coroutine_function(function)):
            raise TypeError(
                "a generator handler is an async def function (scope, receiver, *path_params), "
                f"not {function!r}"
            )
        _check_callback("on_connect", self.on_connect, "(scope)", most=1)
        for name in ("on_disconnect", "on_close"):
            _check_callback(name, getattr(self, name), "(scope) or (scope, code)", most=2)

    def __call__(self, *args: Any) -> Any:
        """The undecorated function, for whoever wants it by itself."""
        return self.function(*args)

    async def run(self, ws: WebSocket, values: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        """Handle `ws`; `values` stand in the path, `options` in the query."""
        scope = ws.scope
        if not await self._connect(ws, scope):
            return
        try:
            async with ws:
                try:
                    client = self.function(scope, _Receiver(ws), *values, **options)
                    await self._play(ws, client)
                finally:
                    ws.see_end()
        finally:
            await self._leave(ws, scope)

    async def _connect(self, ws: WebSocket, scope: dict[str, Any]) -> bool:
        answer: Any = ws_accept() if self.on_connect is None else await self.on_connect(scope)
        match answer:
            case {"type": "websocket.accept" | "websocket.close" as decision}:
                await ws.send_event(dict(cast("Event", answer)))
                return bool(decision == "websocket.accept")
            case _:
                raise TypeError(f"on_connect returns ws_accept() or ws_close(), not {answer!r}")

    async def _play(self, ws: WebSocket, client: Any) -> None:
        if inspect.isawaitable(client):
            event = await client
            if event is not None:
                await self._do(ws, event)
            return
        try:
            await self._follow(ws, client)
        finally:
            await _close(client)

    async def _follow(self, ws: WebSocket, client: AsyncGenerator[Event, None]) -> None:
        """Do what the generator yields, up to its end or that of the WebSocket."""
        following = client.__anext__()
        while True:
            try:
                event = await following
            except StopAsyncIteration:
                return
            try:
                if not await self._do(ws, event):
                    return
                following = client.__anext__()
            except BaseException as error:
                # To the generator it is the `yield` that raises: a task group around it that
                # cancels what is inside must get its cancellation back.
                following = client.athrow(error)

    async def _do(self, ws: WebSocket, event: Event) -> bool:
        """Do what was yielded; whether there can be more."""
        if not isinstance(event, Mapping):
            raise TypeError(
                f"{name_of(self.function)} gave {event!r}: it must be ws_send(…) or ws_close(…)"
            )
        if event.get("type") == "websocket.close":
            # What follows has the handler ended before it waits for the peer.
            ws.begin_close(event.get("code") or close_codes.NORMAL, event.get("reason") or "")
            return False
        try:
            await ws.send_event(dict(event))
        except Disconnected:
            return False  # `on_disconnect` is told
        return True

    async def _leave(self, ws: WebSocket, scope: dict[str, Any]) -> None:
        # Who was cancelled did not wait for the end.
        code = close_codes.GOING_AWAY if ws.code is None else ws.code
        try:
            if ws.closed_by_peer and self.on_disconnect is not None:
                await _call_back(self.on_disconnect, scope, code)
        finally:
            if self.on_close is not None:
                await _call_back(self.on_close, scope, code)


async def _close(client: AsyncGenerator[Event, None]) -> None:
    try:
        await client.aclose()
    except BaseExceptionGroup as group:
        # A task group in the generator puts into a group what closes it.
        _, others = group.split(GeneratorExit)
        if others is not None:
            raise others from None


class _Receiver:
    """The messages, up to the end, however it comes about.

    No generator: there is nothing to close where a handler leaves the loop over it early, and a
    cancelled `anext` loses nothing.
    """

    __slots__ = ("_ws",)

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """The next message, the empty ones included."""
        try:
            return await self._ws.receive()
        except Disconnected:
            raise StopAsyncIteration from None


def _check_callback(name: str, callback: Callback | None, wanted: str, *, most: int) -> None:
    if callback is None:
        return
    if not is_coroutine_function(callback):
        raise TypeError(f"{name} must be an async def function, not {callback!r}")
    if not any(_takes(callback, count) for count in range(1, most + 1)):
        raise TypeError(f"{name} must take {wanted}, unlike {name_of(callback)}")


def _takes(callback: Callback, count: int) -> bool:
    try:
        inspect.signature(callback).bind(*range(count))
    except TypeError:
        return False
    return True


async def _call_back(callback: Callback, scope: dict[str, Any], code: int) -> None:
    if _takes(callback, 2):
        await callback(scope, code)
    else:
        await callback(scope)


@overload
def generator_handler(function: GeneratorFunction, /) -> GeneratorHandler: ...
@overload
def generator_handler(
    *,
    on_connect: Callback | None = None,
    on_disconnect: Callback | None = None,
    on_close: Callback | None = None,
) -> Callable[[GeneratorFunction], GeneratorHandler]: ...
def generator_handler(
    function: GeneratorFunction | None = None,
    /,
    *,
    on_connect: Callback | None = None,
    on_disconnect: Callback | None = None,
    on_close: Callback | None = None,
) -> GeneratorHandler | Callable[[GeneratorFunction], GeneratorHandler]:
    """Make a WebSocket handler of `async def handler(scope, receiver, *path_params)`.

    It yields `ws_send(…)` and `ws_close(…)`, and is closed 1000 when it ends, or 1011 when it
    raises. `receiver` iterates over the messages, and ends when the peer leaves. What cannot be
    done is raised by the `yield` that asks for it. A coroutine function may return one such event,
    or None.

    Args:
        function: the handler.
        on_connect: `async def on_connect(scope)` returns `ws_accept(…)`, or `ws_close()` to
            decline, after which nothing else runs; it accepts by default.
        on_disconnect: `async def on_disconnect(scope)` or `(scope, code)`, called where the peer
            ended the connection, whether or not the handler was receiving.
        on_close: the same, called at the end of every accepted connection, whoever ended it, also
            when the handler raised.

    Raises:
        TypeError: `function` is neither an async generator function nor a coroutine function, or
            a callback is none that takes these arguments.
    """

    def decorate(function: GeneratorFunction) -> GeneratorHandler:
        return GeneratorHandler(function, on_connect, on_disconnect, on_close)

    return decorate if function is None else decorate(function)
