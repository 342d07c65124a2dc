"""The asyncio server."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext

from windsock._unix_socket import unix_listener
from windsock.core import App, Application, Config, as_app
from windsock.core.app.address import Address, address_of
from windsock.core.app.session import going_away, serve_connection, server_channel

from ._flusher import Flusher
from ._link import AsyncioLink


class Server:
    """A running server; `serve` makes it."""

    def __init__(
        self, app: App, config: Config, loop: asyncio.AbstractEventLoop, *, secure: bool
    ) -> None:
        self._app = app
        self._config = config
        self._loop = loop
        self._flusher = Flusher(loop)
        self._secure = secure
        self._listeners: list[asyncio.Server] = []
        # Who has not asked for anything yet needs no task.
        self._awaiting: set[AsyncioLink] = set()
        self._sessions: dict[AsyncioLink, asyncio.Task[None]] = {}
        self._stopping = False
        self._stopped = asyncio.Event()
        self.addresses: list[Address] = []
        """Where it listens: (host, port), or the path of a Unix socket."""

    def _make_link(self) -> AsyncioLink:
        channel = server_channel(self._config, now=self._loop.time())
        return AsyncioLink(channel, self._loop, self._flusher, self._connected, self._asked)

    def _connected(self, link: AsyncioLink) -> None:
        if self._stopping:
            link.end()
        else:
            self._awaiting.add(link)

    def _asked(self, link: AsyncioLink) -> None:
        if link in self._awaiting:
            self._awaiting.remove(link)
            self._start(link)

    def _start(self, link: AsyncioLink) -> None:
        if link.transport is not None:
            self._sessions[link] = self._loop.create_task(self._serve(link, link.transport))

    async def _serve(self, link: AsyncioLink, transport: asyncio.Transport) -> None:
        try:
            await serve_connection(
                self._app,
                link.channel,
                link,
                secure=self._secure,
                client=address_of(transport.get_extra_info("peername")),
                server=address_of(transport.get_extra_info("sockname")),
            )
        finally:
            link.end()
            del self._sessions[link]

    async def serve_forever(self) -> None:
        """Wait until the server was shut down."""
        await self._stopped.wait()

    async def shutdown(self) -> None:
        """Stop accepting, send 1001 to every open WebSocket, and wait for their handlers.

        Handlers that are not done after `Config.shutdown_timeout` seconds are cancelled.
        """
        if self._stopping:
            await self._stopped.wait()
            return
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        for link in self._awaiting:
            self._start(link)
        self._awaiting.clear()
        for link in list(self._sessions):
            going_away(link.channel, link)
        if self._sessions:
            sessions = list(self._sessions.values())
            await asyncio.wait(sessions, timeout=self._config.shutdown_timeout)
        remaining = list(self._sessions.values())
        for task in remaining:
            task.cancel()
        await asyncio.gather(*remaining, return_exceptions=True)
        self._stopped.set()

    async def listen(
        self,
        host: str | None,
        port: int,
        *,
        sock: socket.socket | None,
        ssl_context: ssl.SSLContext | None,
        reuse_port: bool,
    ) -> None:
        """Begin to accept connections. Raises OSError where that cannot be."""
        secure = ssl_context is not None
        handshake_timeout = self._config.open_timeout if secure else None
        shutdown_timeout = self._config.close_timeout if secure else None
        if sock is not None:
            listener = await self._loop.create_server(
                self._make_link,
                sock=sock,
                ssl=ssl_context,
                ssl_handshake_timeout=handshake_timeout,
                ssl_shutdown_timeout=shutdown_timeout,
            )
        else:
            listener = await self._loop.create_server(
                self._make_link,
                host,
                port,
                reuse_port=reuse_port or None,
                ssl=ssl_context,
                ssl_handshake_timeout=handshake_timeout,
                ssl_shutdown_timeout=shutdown_timeout,
            )
        self._listeners.append(listener)
        for listening in listener.sockets:
            address = address_of(listening.getsockname())
            assert address is not None
            self.addresses.append(address)


@asynccontextmanager
async def serve(
    app: Application,
    host: str | None = "127.0.0.1",
    port: int = 0,
    *,
    unix: str | None = None,
    sock: socket.socket | None = None,
    config: Config | None = None,
    ssl_context: ssl.SSLContext | None = None,
    reuse_port: bool = False,
) -> AsyncGenerator[Server]:
    """Serve `app` in the background while the context is open; leaving it shuts down gracefully.

    Args:
        app: an App, or a handler in any style that takes every WebSocket.
        host: name or address to listen on, None for every interface.
        port: 0 for any free port; see `Server.addresses`.
        unix: path of a Unix socket to listen on instead.
        sock: a listening or bound socket to use instead.
        config: limits and timeouts.
        ssl_context: for TLS (wss and https).
        reuse_port: set SO_REUSEPORT, so that several processes can share the port.

    Raises:
        TypeError: `app` is neither.
        OSError: it cannot listen there.
    """
    loop = asyncio.get_running_loop()
    app = as_app(app)
    server = Server(app, config or Config(), loop, secure=ssl_context is not None)
    with unix_listener(unix) if unix is not None else nullcontext(sock) as sock:
        async with app.running():
            await server.listen(
                host, port, sock=sock, ssl_context=ssl_context, reuse_port=reuse_port
            )
            try:
                yield server
            finally:
                await server.shutdown()
