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

from ._attendant import attendance
from ._io import byte_stream
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
    try:
        with trio.fail_after(config.open_timeout):
            stream = await _open_stream(parsed, unix, ssl_context)
    except trio.TooSlowError:
        raise TimeoutError(f"no connection to {uri} within {config.open_timeout:g} s") from None
    async with _connect_stream(stream, parsed, subprotocols, headers, config, started) as ws:
        yield ws


async def _open_stream(
    uri: WebSocketURI, unix: str | None, ssl_context: ssl.SSLContext | None
) -> Stream:
    stream: Stream
    if unix is not None:
        stream = await trio.open_unix_socket(unix)
    else:
        stream = await _open_tcp_stream(uri.host, uri.port)
    if not uri.secure:
        return stream
    context = ssl_context or ssl.create_default_context()
    secured = trio.SSLStream(stream, context, server_hostname=uri.host)
    try:
        await secured.do_handshake()
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(secured)
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None  # such as ssl.SSLCertVerificationError
        raise ConnectionError(f"the TLS handshake with {uri.host} broke off") from error
    except BaseException:
        await trio.aclose_forcefully(secured)
        raise
    return secured


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
    async with _connect_stream(
        stream, parsed, subprotocols, headers, config or Config(), now
    ) as ws:
        yield ws


@asynccontextmanager
async def _connect_stream(
    stream: Stream,
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
        async with attendance() as attendant:
            link = TrioLink(channel, byte_stream(stream), attendant)
            try:
                async with open_websocket(channel, link, uri) as ws:
                    yield ws
            finally:
                await link.close()
    finally:
        await trio.aclose_forcefully(stream)
