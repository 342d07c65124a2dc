"""One served connection, from its first byte to its last, the same on every transport."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from windsock.core.protocol import close_codes
from windsock.core.protocol.config import Config
from windsock.core.protocol.errors import Disconnected, LocalProtocolError, disconnect_in
from windsock.core.protocol.events import HandshakeRequested, HttpRequested
from windsock.core.protocol.handshake import ORIGIN_REFUSED
from windsock.core.protocol.headers import escape_controls
from windsock.core.protocol.server import ServerConnection
from windsock.core.protocol.state import State

from .address import Address
from .application import App
from .channel import Channel
from .link import Link, SupportsServing
from .request import Request, Served
from .response import Reject, Response, response_in
from .websocket import WebSocket

if TYPE_CHECKING:
    import logging


def logger() -> logging.Logger:
    """The logger `windsock`."""
    # Imported here: logging imports threading, which the core must not.
    import logging

    return logging.getLogger("windsock")


def server_channel(config: Config, *, now: float) -> Channel[SupportsServing]:
    """A channel for a client that has just connected."""
    return Channel(ServerConnection(config, now=now, leave_origin=True), config)


async def serve_connection(
    app: App,
    channel: Channel[SupportsServing],
    link: Link,
    *,
    secure: bool = False,
    client: Address | None = None,
    server: Address | None = None,
    scope: dict[str, Any] | None = None,
    websocket: type[WebSocket] = WebSocket,
) -> None:
    """Await the request, have `app` answer it, and wait for the connection to end.

    Whatever goes wrong ends this connection alone: it is logged, not raised. A cancellation goes on
    from here, unless it is an `Exception`, as `Link.cancelled` says: then this returns.

    Args:
        app: what serves the request.
        channel: the connection.
        link: its transport.
        secure: whether the client came by TLS.
        client: the peer's address.
        server: the address that it connected to.
        scope: the request as an ASGI host describes it.
        websocket: the class to make the `WebSocket` of.
    """
    try:
        try:
            with link.mutex:
                while channel.greeting is None and not channel.ended:
                    await link.wait()
            answering = _answering(app, channel, link, secure, client, server, scope, websocket)
            if answering is not None:
                # The handler is awaited from here, and by nothing between: each coroutine around
                # it would be gone through again for every message that it waits for.
                try:
                    answer = await answering.begin()
                except link.cancelled:
                    raise
                except Exception as error:  # the boundary: no application's error may go further
                    await answering.fail(error)
                else:
                    await answering.finish(answer)
            with link.mutex:
                while not channel.finished:
                    await link.wait()
        except link.cancelled:
            pass
    except* Exception as group:
        # The boundary around the boundaries below: also what a cancelled handler raises besides
        # its cancellation, which goes on from here by itself.
        logger().error("the connection of %s failed", client, exc_info=group)


def _answering(
    app: App,
    channel: Channel[SupportsServing],
    link: Link,
    secure: bool,
    client: Address | None,
    server: Address | None,
    scope: dict[str, Any] | None,
    websocket: type[WebSocket],
) -> WebSocketAnswering | HttpAnswering | None:
    """How the request that came is answered, if one did."""
    found = channel.greeting
    if isinstance(found, HandshakeRequested):
        request = Request(
            found.head,
            subprotocols=found.subprotocols,
            scheme="wss" if secure else "ws",
            client=client,
            server=server,
            scope=scope,
        )
        request.origin_allowed = found.origin_allowed
        return WebSocketAnswering(app, websocket(channel, link, request), channel)
    if isinstance(found, HttpRequested):
        request = Request(
            found.head,
            body=found.body,
            scheme="https" if secure else "http",
            client=client,
            server=server,
            scope=scope,
            served=Served(link, channel.config),
        )
        return HttpAnswering(app, request, channel, link)
    return None


class WebSocketAnswering:
    """Runs the handler of a WebSocket, and sees to it that this ends, one way or the other."""

    __slots__ = ("_app", "_channel", "_ws")

    def __init__(self, app: App, ws: WebSocket, channel: Channel[SupportsServing]) -> None:
        self._app = app
        self._ws = ws
        self._channel = channel

    def begin(self) -> Awaitable[object]:
        """What runs the handler, when it is awaited; raises as the handler does.

        Raises:
            Reject: it comes from an origin that is not allowed, or nothing is there.
        """
        if self._ws.request.origin_allowed or self._app.judges_origins:
            return self._app.handle_websocket(self._ws)
        raise Reject(Response(f"{ORIGIN_REFUSED}\n", 403))

    async def finish(self, _: object) -> None:
        """The handler has returned."""
        if self._channel.connection.state is State.DECIDING:
            logger().warning(
                "%s: the handler returned without accept or reject; rejected with 403",
                _describe(self._ws.request),
            )
            await _reject(self._ws, Response(status=403))
        elif not self._channel.ended or self._channel.inbox:
            await self._ws.close()

    async def fail(self, error: Exception) -> None:
        """The handler has raised: the client learns what that says, and the log all else."""
        response = response_in(error)
        if response is None:
            await _fail(self._ws, self._channel, error)
        else:
            await _answer(self._ws, self._channel, response, error)


async def _answer(
    ws: WebSocket, channel: Channel[SupportsServing], response: Response, cause: Exception
) -> None:
    try:
        await _reject(ws, response)
    except LocalProtocolError as problem:
        if channel.connection.state is State.DECIDING:
            problem.__cause__ = cause
            await _fail(ws, channel, problem)  # the response cannot be sent
        else:
            cause.__cause__ = problem
            await _fail(ws, channel, cause)  # it came after the decision


async def _fail(ws: WebSocket, channel: Channel[SupportsServing], error: Exception) -> None:
    if _is_its_end(channel, error):
        logger().debug("%s: %s", _describe(ws.request), error)
    else:
        logger().error("%s: the handler failed", _describe(ws.request), exc_info=error)
    if channel.connection.state is State.DECIDING:
        await _reject(ws, Response(status=500))
    else:
        await ws.close(close_codes.INTERNAL_ERROR)


def _is_its_end(channel: Channel[SupportsServing], error: Exception) -> bool:
    """Whether `error` only says that this WebSocket, and not some other, is at its end."""
    gone = disconnect_in(error)
    if gone is None or not (channel.ended or channel.connection.state is State.CLOSING):
        return False
    return gone.code == channel.connection.disconnected().code


async def _reject(ws: WebSocket, response: Response) -> None:
    try:
        await ws.reject(response)
    except Disconnected:
        logger().debug("%s: gone before it was rejected", _describe(ws.request))


class HttpAnswering:
    """Runs the handler of a plain HTTP request, and sends its response."""

    __slots__ = ("_app", "_channel", "_link", "_request")

    def __init__(
        self, app: App, request: Request, channel: Channel[SupportsServing], link: Link
    ) -> None:
        self._app = app
        self._request = request
        self._channel = channel
        self._link = link

    def begin(self) -> Awaitable[Response]:
        """What runs the handler, when it is awaited; raises as the handler does."""
        return self._app.handle_http(self._request)

    async def finish(self, response: Any) -> None:
        """The handler has returned this."""
        try:
            _respond(self._channel, self._link, response)
        except Exception as error:  # the boundary, as above
            self._apologise(error)

    async def fail(self, error: Exception) -> None:
        """The handler has raised: the client learns what that says, and the log all else."""
        response = response_in(error)
        if response is None:
            self._apologise(error)
        else:
            await self.finish(response)

    def _apologise(self, error: Exception) -> None:
        logger().error("%s: the handler failed", _describe(self._request), exc_info=error)
        _respond(self._channel, self._link, Response("Internal Server Error", 500))


def _respond(channel: Channel[SupportsServing], link: Link, response: Response) -> None:
    with link.mutex:
        if channel.connection.state is State.RESPONDING:
            channel.connection.respond(
                response.status, response.headers, response.body, now=link.now()
            )
            channel.settle(link)


def _describe(request: Request) -> str:
    # A log line must not be forged by what a peer sends.
    return escape_controls(f"{request.method} {request.target}")


def going_away(channel: Channel[SupportsServing], link: Link) -> None:
    """Graceful shutdown of one connection: 1001 to an open WebSocket, 503 to a handshake.

    A plain HTTP request is left to finish.
    """
    with link.mutex:
        connection = channel.connection
        now = link.now()
        if connection.state is State.DECIDING:
            connection.reject(503, now=now)
        elif connection.state is not State.RESPONDING:
            connection.close(close_codes.GOING_AWAY, "", now)
        channel.settle(link)
