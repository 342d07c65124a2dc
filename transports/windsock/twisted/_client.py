"""The Twisted client."""

from __future__ import annotations

import errno
import ssl
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.protocol import ClientFactory
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOFactory

from windsock.core import Config, WebSocket
from windsock.core.app.client import client_channel, open_websocket
from windsock.core.protocol.headers import HeaderFields
from windsock.core.protocol.uri import parse_uri

from ._link import TwistedLink
from ._reactor import as_reactor


class _Factory(ClientFactory):
    """Gives a link its one transport."""

    noisy = False

    def __init__(self, link: TwistedLink) -> None:
        self._link = link

    def buildProtocol(self, addr: object) -> TwistedLink:
        return self._link


@asynccontextmanager
async def connect(
    uri: str,
    *,
    subprotocols: Iterable[str] = (),
    headers: HeaderFields = (),
    config: Config | None = None,
    tls: object | None = None,
    unix: str | None = None,
    reactor: object | None = None,
) -> AsyncGenerator[WebSocket]:
    """Open a WebSocket to `uri`; leaving the context closes it.

    Args:
        uri: begins with ws:// or wss://; user and password in it become basic authentication.
        subprotocols: what to offer, in order of preference.
        headers: further header fields of the request.
        config: limits and timeouts.
        tls: for wss: what `twisted.internet.ssl.optionsForClientTLS` makes; by default one that
            verifies the server's certificate against the authorities that the system trusts.
        unix: path of a Unix socket to connect to instead of the URI's host and port.
        reactor: by default the process's own.

    Raises:
        ValueError: `uri` is not a WebSocket URI.
        LocalProtocolError: a subprotocol or header that cannot be sent.
        OSError: no connection; TimeoutError where `Config.open_timeout` seconds passed first.
        HandshakeError: the server did not open the WebSocket; has status, headers and body.
    """
    parsed = parse_uri(uri)
    config = config or Config()
    own = as_reactor(reactor)
    any_reactor: Any = own
    channel = client_channel(
        parsed, subprotocols=subprotocols, headers=headers, config=config, now=time.monotonic()
    )
    link = TwistedLink(channel, own)
    factory: Any = _Factory(link)
    if parsed.secure:
        options: Any = optionsForClientTLS(parsed.host) if tls is None else tls
        factory = TLSMemoryBIOFactory(options, True, factory, clock=any_reactor)
    endpoint: Any
    if unix is not None:
        unix_endpoint: Any = UNIXClientEndpoint
        endpoint = unix_endpoint(any_reactor, unix, timeout=config.open_timeout)
    else:
        endpoint = HostnameEndpoint(
            any_reactor, parsed.host, parsed.port, timeout=config.open_timeout
        )
    try:
        await _bounded(link, endpoint, factory, config.open_timeout, any_reactor)
        async with open_websocket(channel, link, parsed) as ws:
            yield ws
        await link.gone()
    finally:
        link.end()


async def _bounded(
    link: TwistedLink, endpoint: Any, factory: object, seconds: float, clock: Any
) -> None:
    connected = ensureDeferred(_connect(link, endpoint, factory))
    connected.addTimeout(seconds, clock)
    try:
        await connected
    except (error.TimeoutError, DeferredTimeoutError, error.ConnectionAborted):
        link.abort()
        raise TimeoutError(f"no connection within {seconds:g} s") from None
    except error.ConnectError as failed:
        number: object = cast(Any, failed).osError
        code = number if isinstance(number, int) else errno.ECONNREFUSED
        raise OSError(code, str(failed)) from failed
    except error.ConnectionClosed as failed:
        closed = link.channel.closed
        if closed is not None and not closed.by_peer:
            # Our own doing: the deadline of the channel has come first.
            raise TimeoutError(f"no connection within {seconds:g} s") from None
        raise ConnectionResetError(
            errno.ECONNRESET, "the server hung up in the TLS handshake"
        ) from failed
    except VerificationError as failed:
        raise ssl.SSLCertVerificationError(
            1, f"the server's certificate is not for this host: {failed}"
        ) from failed
    except SSL.Error as failed:
        raise _ssl_error(failed) from failed


async def _connect(link: TwistedLink, endpoint: Any, factory: object) -> None:
    await endpoint.connect(factory)
    while link.handshaking and link.lost is None:
        await link.wait()
    if link.handshaking:
        assert link.lost is not None
        raise link.lost


def _ssl_error(failed: Exception) -> ssl.SSLError:
    """The standard library's error for one of OpenSSL's, whose argument is a list of reasons."""
    why = "; ".join(str(entry[-1]) for entry in failed.args[0]) if failed.args else ""
    kind = ssl.SSLCertVerificationError if "certificate" in why else ssl.SSLError
    return kind(1, f"the TLS handshake failed: {why or 'the server hung up'}")
