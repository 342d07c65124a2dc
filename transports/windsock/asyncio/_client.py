"""The asyncio client."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from windsock.core import Config, WebSocket
from windsock.core.app.client import client_channel, open_websocket
from windsock.core.protocol.headers import HeaderFields
from windsock.core.protocol.uri import parse_uri

from ._flusher import Flusher
from ._link import AsyncioLink


@asynccontextmanager
async def connect(
    uri: str,
    *,
    subprotocols: Iterable[str] = (),
    headers: HeaderFields = (),
    config: Config | None = None,
    ssl_context: ssl.SSLContext | None = None,
    unix: str | None = None,
    sock: socket.socket | None = None,
) -> AsyncGenerator[WebSocket]:
    """Open a WebSocket to `uri`; leaving the context closes it.

    Args:
        uri: begins with ws:// or wss://; user and password in it become basic authentication.
        subprotocols: what to offer, in order of preference.
        headers: further header fields of the request.
        config: limits and timeouts.
        ssl_context: for wss; by default one that verifies the server's certificate.
        unix: path of a Unix socket to connect to instead of the URI's host and port.
        sock: a connected socket to use instead.

    Raises:
        ValueError: `uri` is not a WebSocket URI.
        LocalProtocolError: a subprotocol or header that cannot be sent.
        OSError: no connection; TimeoutError where `Config.open_timeout` seconds passed first.
        HandshakeError: the server did not open the WebSocket; has status, headers and body.
    """
    parsed = parse_uri(uri)
    config = config or Config()
    loop = asyncio.get_running_loop()
    channel = client_channel(
        parsed, subprotocols=subprotocols, headers=headers, config=config, now=loop.time()
    )
    link = AsyncioLink(channel, loop, Flusher(loop))
    context = (ssl_context or ssl.create_default_context()) if parsed.secure else None
    server_hostname = parsed.host if parsed.secure else None
    shutdown_timeout = config.close_timeout if parsed.secure else None
    try:
        async with asyncio.timeout(config.open_timeout):
            if unix is not None:
                await loop.create_unix_connection(
                    lambda: link,
                    unix,
                    ssl=context,
                    server_hostname=server_hostname,
                    ssl_shutdown_timeout=shutdown_timeout,
                )
            elif sock is not None:
                await loop.create_connection(
                    lambda: link,
                    sock=sock,
                    ssl=context,
                    server_hostname=server_hostname,
                    ssl_shutdown_timeout=shutdown_timeout,
                )
            else:
                await loop.create_connection(
                    lambda: link,
                    parsed.host,
                    parsed.port,
                    ssl=context,
                    server_hostname=server_hostname,
                    ssl_shutdown_timeout=shutdown_timeout,
                )
    except TimeoutError:
        raise TimeoutError(f"no connection to {uri} within {config.open_timeout:g} s") from None
    try:
        async with open_websocket(channel, link, parsed) as ws:
            yield ws
    finally:
        link.end()
