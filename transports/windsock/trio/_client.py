"""The trio client."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import cast

import trio
from trio.abc import Stream

from windsock.core import Config, WebSocket
from windsock.core.app.client import client_channel, open_websocket
from windsock.core.protocol.headers import HeaderFields
from windsock.core.protocol.uri import WebSocketURI, parse_uri

from ._attendant import Attendant, attendance
from ._io import ByteStream, byte_stream, secured_stream
from ._link import TrioLink


@asynccontextmanager
async def connect(
    uri: str,
    *,
    subprotocols: Iterable[str] = (),
    headers: HeaderFields = (),
    config: Config | None = None,
    ssl_context: ssl.SSLContext | None = None,
    unix: str | None = None,
) -> AsyncGenerator[WebSocket]:
    """Open a WebSocket to `uri`; leaving the context closes it.

    Args:
        uri: begins with ws:// or wss://; user and password in it become basic authentication.
        subprotocols: what to offer, in order of preference.
        headers: further header fields of the request.
        config: limits and timeouts.
        ssl_context: for wss; by default one that verifies the server's certificate.
        unix: path of a Unix socket to connect to instead of the URI's host and port.

    Raises:
        ValueError: `uri` is not a WebSocket URI.
        LocalProtocolError: a subprotocol or header that cannot be sent.
        OSError: no connection; TimeoutError where `Config.open_timeout` seconds passed first.
        HandshakeError: the server did not open the WebSocket; has status, headers and body.
    """
    parsed = parse_uri(uri)
    config = config or Config()
    started = trio.current_time()
    async with attendance() as attendant:
        try:
            with trio.fail_after(config.open_timeout):
                stream = await _open_stream(parsed, unix, ssl_context, attendant)
        except trio.TooSlowError:
            message = f"no connection to {uri} within {config.open_timeout:g} s"
            raise TimeoutError(message) from None
        async with _open_websocket(
            stream, attendant, parsed, subprotocols, headers, config, started
        ) as ws:
            yield ws


async def _open_stream(
    uri: WebSocketURI, unix: str | None, ssl_context: ssl.SSLContext | None, attendant: Attendant
) -> ByteStream:
    stream: Stream
    if unix is not None:
        stream = await trio.open_unix_socket(unix)
    else:
        stream = await _open_tcp_stream(uri.host, uri.port)
    poller, nursery = attendant.poller, attendant.nursery
    if not uri.secure:
        return byte_stream(stream, poller, nursery)
    context = ssl_context or ssl.create_default_context()
    return await secured_stream(stream, poller, nursery, context, server_hostname=uri.host)


async def _open_tcp_stream(host: str, port: int) -> Stream:
    try:
        return await trio.open_tcp_stream(host, port)
    except OSError as error:
        # trio groups what went wrong at each of a host's addresses; often there is but one.
        cause = cast("ExceptionGroup[OSError] | None", error.__cause__)
        causes = [] if cause is None else list(cause.exceptions)
        if len(causes) != 1:
            raise
        raise causes[0] from None


@asynccontextmanager
async def connect_stream(
    stream: Stream,
    uri: str = "ws://localhost/",
    *,
    subprotocols: Iterable[str] = (),
    headers: HeaderFields = (),
    config: Config | None = None,
) -> AsyncGenerator[WebSocket]:
    """Open a WebSocket over a stream that is connected already; closes it at the end.

    `uri` gives the Host field and the request target; the rest is as in `connect`. A stream for
    wss must speak TLS itself.
    """
    parsed = parse_uri(uri)
    now = trio.current_time()
    async with (
        attendance() as attendant,
        _open_websocket(
            byte_stream(stream, attendant.poller, attendant.nursery),
            attendant,
            parsed,
            subprotocols,
            headers,
            config or Config(),
            now,
        ) as ws,
    ):
        yield ws


@asynccontextmanager
async def _open_websocket(
    stream: ByteStream,
    attendant: Attendant,
    uri: WebSocketURI,
    subprotocols: Iterable[str],
    headers: HeaderFields,
    config: Config,
    started: float,
) -> AsyncGenerator[WebSocket]:
    try:
        channel = client_channel(
            uri, subprotocols=subprotocols, headers=headers, config=config, now=started
        )
        link = TrioLink(channel, stream, attendant)
        try:
            async with open_websocket(channel, link, uri) as ws:
                yield ws
        finally:
            await link.close()
    finally:
        await stream.close()
