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
from .response import Response, response_in
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
            handling = _handle(app, channel, link, secure, client, server, scope, websocket)
            if handling is not None:
                await handling
            with link.mutex:
                while not channel.finished:
                    await link.wait()
        except link.cancelled:
            pass
    except* Exception as group:
        # The boundary around the boundaries below: also what a cancelled handler raises besides
        # its cancellation, which goes on from here by itself.
        logger().error("the connection of %s failed", client, exc_info=group)


def _handle(
    app: App,
    channel: Channel[SupportsServing],
    link: Link,
    secure: bool,
    client: Address | None,
    server: Address | None,
    scope: dict[str, Any] | None,
    websocket: type[WebSocket],
) -> Awaitable[None] | None:
    """What is to be awaited for the request that came, if one did."""
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
        ws = websocket(channel, link, request)
        if found.origin_allowed or app.judges_origins:
            return run_websocket(app, ws, channel, link)
        return _reject(ws, Response(f"{ORIGIN_REFUSED}\n", 403))
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
        return run_http(app, request, channel, link)
    return None


async def run_websocket(
    app: App, ws: WebSocket, channel: Channel[SupportsServing], link: Link
) -> None:
    """Run the handler of `ws` and see to it that the WebSocket ends, one way or the other."""
    try:
        await app.handle_websocket(ws)
    except link.cancelled:
        raise
    except Exception as error:  # the boundary: no application's error may reach another connection
        response = response_in(error)
        if response is None:
            await _fail(ws, channel, error)
        else:
            await _answer(ws, channel, response, error)
    else:
        if channel.connection.state is State.DECIDING:
            logger().warning(
                "%s: the handler returned without accept or reject; rejected with 403",
                _describe(ws.request),
            )
            await _reject(ws, Response(status=403))
        elif not channel.ended or channel.inbox:
            await ws.close()


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


async def run_http(
    app: App, request: Request, channel: Channel[SupportsServing], link: Link
) -> None:
    """Run the handler of a plain HTTP request and send its response."""
    try:
        try:
            response = await app.handle_http(request)
        except Exception as error:
            found = response_in(error)
            if found is None:
                raise
            response = found
        _respond(channel, link, response)
    except link.cancelled:
        raise
    except Exception as error:  # the boundary, as above
        logger().error("%s: the handler failed", _describe(request), exc_info=error)
        _respond(channel, link, Response("Internal Server Error", 500))


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
