"""The Twisted server."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.protocol import ServerFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from windsock._unix_socket import unix_listener
from windsock.core import Application, Config, as_app
from windsock.core.app.address import Address, address_of
from windsock.core.app.session import going_away, logger, serve_connection, server_channel

from ._link import TwistedLink
from ._reactor import ListeningPort, as_reactor
from ._threads import home_of
from ._unix_port import UnixPort
from ._waiting import Waiters


class WebSocketFactory(ServerFactory):
    """Serves an application on whatever `endpoint.listen(factory)` listens on, TLS included.

    The application's lifespan is the caller's: what listens should do so inside
    `async with app.running()`, as `serve` does.

    Args:
        app: an App, or a handler in any style that takes every WebSocket.
        config: limits and timeouts.
        reactor: the endpoint's, by default the process's own.

    Raises:
        TypeError: `app` is neither.
    """

    noisy = False

    def __init__(
        self, app: Application, *, config: Config | None = None, reactor: object | None = None
    ) -> None:
        self._app = as_app(app)
        self._config = config or Config()
        self._reactor = as_reactor(reactor)
        self._sessions: dict[TwistedLink, Deferred[None]] = {}
        self._news = Waiters()
        self._stopping = False
        self._stopped = False

    def buildProtocol(self, addr: object) -> TwistedLink:
        """A link for a new connection; what is served on it begins when the transport is there."""
        channel = server_channel(self._config, now=time.monotonic())
        return TwistedLink(channel, self._reactor, self._connected)

    def _connected(self, link: TwistedLink) -> None:
        if self._stopping:
            link.abort()
            return
        self._sessions[link] = ensureDeferred(self._serve(link))

    async def _serve(self, link: TwistedLink) -> None:
        client = _address(link.peer)
        try:
            await serve_connection(
                self._app,
                link.channel,
                link,
                secure=link.secure,
                client=client,
                server=_address(link.host),
            )
            link.end()
            await link.gone()
        except CancelledError:
            pass  # the shutdown did not wait for it any longer
        except GeneratorExit:
            raise  # it is abandoned, as at the end of the process: there is nobody to tell
        except BaseException as error:
            # The boundary: nobody above can do what SystemExit and the like ask for.
            logger().error("the connection of %s failed", client, exc_info=error)
        link.end()
        self._sessions.pop(link)
        self._news.wake()

    async def shutdown(self) -> None:
        """Send 1001 to every open WebSocket, and wait for their handlers.

        Handlers that are not done after `Config.shutdown_timeout` seconds are cancelled.
        Connections that come after this are dropped: stop listening first.
        """
        if self._stopping:
            await self.wait_stopped()
            return
        self._stopping = True
        for link in list(self._sessions):
            going_away(link.channel, link)
        idle = ensureDeferred(self._idle())
        clock: Any = self._reactor
        idle.addTimeout(self._config.shutdown_timeout, clock)
        try:
            await idle
        except DeferredTimeoutError:
            for link, session in list(self._sessions.items()):
                session.cancel()
                link.abort()
            await self._idle()
        self._stopped = True
        self._news.wake()

    async def _idle(self) -> None:
        while self._sessions:
            await self._news.wait()

    async def wait_stopped(self) -> None:
        """Wait until `shutdown` is done."""
        while not self._stopped:
            await self._news.wait()


class Server:
    """A running server; `serve` makes it."""

    def __init__(self, factory: WebSocketFactory, ports: list[ListeningPort]) -> None:
        self._factory = factory
        self._ports = ports
        self.addresses: list[Address] = []
        """Where it listens: (host, port), or the path of a Unix socket."""
        for port in ports:
            address = _address(port.getHost())
            assert address is not None
            self.addresses.append(address)

    async def serve_forever(self) -> None:
        """Wait until the server was shut down."""
        await self._factory.wait_stopped()

    async def shutdown(self) -> None:
        """Stop accepting, send 1001 to every open WebSocket, and wait for their handlers.

        Handlers that are not done after `Config.shutdown_timeout` seconds are cancelled.
        """
        ports, self._ports = self._ports, []
        for port in ports:
            stopped = port.stopListening()
            if stopped is not None:
                await stopped
        await self._factory.shutdown()


@asynccontextmanager
async def serve(
    app: Application,
    host: str | None = "127.0.0.1",
    port: int = 0,
    *,
    unix: str | None = None,
    config: Config | None = None,
    tls: object | None = None,
    reactor: object | None = None,
) -> AsyncGenerator[Server]:
    """Serve `app` in the background while the context is open; leaving it shuts down gracefully.

    Args:
        app: an App, or a handler in any style that takes every WebSocket.
        host: name or address to listen on, None for every interface.
        port: 0 for any free port; see `Server.addresses`.
        unix: path of a Unix socket to listen on instead.
        config: limits and timeouts.
        tls: for TLS (wss and https): a `twisted.internet.ssl.CertificateOptions`, or another
            `IOpenSSLServerConnectionCreator`.
        reactor: by default the process's own.

    Raises:
        TypeError: `app` is neither; `tls` is an `ssl.SSLContext`, which Twisted cannot use.
        OSError: it cannot listen there.
    """
    if isinstance(tls, ssl.SSLContext):
        raise TypeError("Twisted takes a twisted.internet.ssl.CertificateOptions for TLS")
    own = as_reactor(reactor)
    application = as_app(app)
    factory = WebSocketFactory(application, config=config, reactor=own)
    outer = factory if tls is None else _with_tls(factory, tls, own)
    if unix is not None:
        with unix_listener(unix) as sock:
            async with application.running():
                listening = UnixPort(sock, outer, own)
                listening.startListening()
                async with _running(Server(factory, [listening])) as server:
                    yield server
    else:
        found = await home_of(own).to_thread(lambda: _resolve(host, port))
        with _listening(found) as sockets:
            async with application.running():
                ports = [own.adoptStreamPort(s.fileno(), s.family, outer) for s in sockets]
                for sock in sockets:
                    sock.close()  # the ports have their own
                async with _running(Server(factory, ports)) as server:
                    yield server


@asynccontextmanager
async def _running(server: Server) -> AsyncGenerator[Server]:
    try:
        yield server
    finally:
        await server.shutdown()


def _with_tls(factory: Any, tls: Any, reactor: Any) -> object:
    return TLSMemoryBIOFactory(tls, False, factory, reactor)


Resolved = list[tuple[int, Any]]
"""Address families, and addresses as sockets of that family take them."""


def _resolve(host: str | None, port: int) -> Resolved:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


@contextmanager
def _listening(addresses: Resolved) -> Generator[list[socket.socket]]:
    sockets: list[socket.socket] = []
    try:
        for family, address in addresses:
            sock = socket.create_server(address, family=family, backlog=1024)
            sock.setblocking(False)
            sockets.append(sock)
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def _address(address: object) -> Address | None:
    """The address that Twisted gave, as windsock has it; "" for a Unix socket without a path."""
    if isinstance(address, IPv4Address | IPv6Address):
        return address_of((address.host, address.port))
    if isinstance(address, UNIXAddress):
        name = address.name
        return address_of(name if isinstance(name, str | bytes) else "")
    return None
