"""What every transport's `connect` shares: all but the socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from windsock.core.protocol.client import ClientConnection
from windsock.core.protocol.config import Config
from windsock.core.protocol.errors import HandshakeError
from windsock.core.protocol.events import Opened, Refused
from windsock.core.protocol.headers import HeaderFields, Headers
from windsock.core.protocol.uri import WebSocketURI

from .channel import Channel, ClientChannel
from .link import Link
from .request import Request
from .websocket import WebSocket


def client_channel(
    uri: WebSocketURI,
    *,
    subprotocols: Iterable[str],
    headers: HeaderFields,
    config: Config,
    now: float,
) -> ClientChannel:
    """A channel whose first output is the opening handshake for `uri`.

    Raises:
        LocalProtocolError: a subprotocol or header that cannot be sent.
    """
    lines = list(Headers(headers).items_as_sent())
    if uri.credentials is not None and "authorization" not in Headers(lines):
        lines.append(("Authorization", uri.credentials))
    connection = ClientConnection(
        uri.host_header,
        uri.target,
        subprotocols=subprotocols,
        headers=lines,
        config=config,
        now=now,
    )
    return Channel(connection, config)


@asynccontextmanager
async def open_websocket(
    channel: ClientChannel,
    link: Link,
    uri: WebSocketURI,
    websocket: type[WebSocket] = WebSocket,
) -> AsyncGenerator[WebSocket]:
    """Do the opening handshake over a connected link; on exit, the closing handshake.

    Args:
        channel: made by `client_channel`.
        link: its transport.
        uri: what is opened.
        websocket: the class to make the `WebSocket` of.

    Raises:
        HandshakeError: the server did not open the WebSocket.
    """
    with link.mutex:
        link.flush_soon()
        while channel.greeting is None:
            if channel.ended:
                raise HandshakeError("the connection ended before an answer", None, Headers())
            await link.wait()
    found = channel.greeting
    if isinstance(found, Refused):
        raise HandshakeError(found.message, found.status, found.headers, found.body)
    assert isinstance(found, Opened)
    head = channel.connection.request
    request = Request(head, scheme="wss" if uri.secure else "ws", server=(uri.host, uri.port))
    ws = websocket(channel, link, request, response_headers=found.headers)
    ws.catch_disconnect = False
    failure: Exception | None = None
    try:
        async with ws:
            yield ws
    except link.cancelled:
        raise
    except Exception as error:
        failure = error  # the connection is ended in good order all the same
    # The server ends TCP first (RFC 6455 §7.1.1); the core's close deadline bounds the wait.
    with link.mutex:
        while not channel.finished:
            await link.wait()
    if failure is not None:
        raise failure
