"""The trio server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from functools import partial
from typing import cast

import trio
from trio.abc import Listener, Stream

from windsock.core import App, Application, Config, as_app
from windsock.core.app.address import Address
from windsock.core.app.session import going_away, logger, serve_connection, server_channel

from ._accepting import accept_sockets
from ._attendant import Attendant, attendance
from ._io import ByteStream, byte_stream, secured_socket, secured_stream, socket_stream
from ._link import TrioLink
from ._listeners import listener_address, open_listeners
from ._poller import poller


class Server:
    """A running server; `serve` reports it through `task_status`."""

    def __init__(
        self,
        app: App,
        config: Config,
        attendant: Attendant,
        handlers: trio.CancelScope,
        addresses: Sequence[Address],
    ) -> None:
        self._app = app
        self._config = config
        self._attendant = attendant
        self._handlers = handlers
        self._links: set[TrioLink] = set()
        # Who has not asked for anything yet needs no task.
        self._awaiting: dict[TrioLink, ByteStream] = {}
        self._idle = trio.Event()
        self._stopping = False
        self.accepting = trio.CancelScope()
        """Cancel it to stop accepting."""
        self.addresses = list(addresses)
        """Where it listens: (host, port), or the path of a Unix socket."""

    async def shutdown(self) -> None:
        """Stop accepting, send 1001 to every open WebSocket, and wait for their handlers.

        Handlers that are not done after `Config.shutdown_timeout` seconds are cancelled.
        """
        self._stopping = True
        self.accepting.cancel()
        for link in list(self._links):
            going_away(link.channel, link)
        if self._links:
            with trio.move_on_after(self._config.shutdown_timeout):
                await self._idle.wait()
        self._handlers.cancel()

    async def handle(self, stream: Stream, ssl_context: ssl.SSLContext | None = None) -> None:
        """Serve one connection until it ends, and close it."""
        started = trio.current_time()
        secure = ssl_context is not None or _speaks_tls(stream)
        poller, nursery = self._attendant.poller, self._attendant.nursery
        if not secure:
            await self._serve(byte_stream(stream, poller, nursery), started, False)
            return
        await self._serve_secured(
            secured_stream(stream, poller, nursery, ssl_context, server_side=True), started
        )

    async def handle_socket(self, sock: socket.socket, ssl_context: ssl.SSLContext | None) -> None:
        """`handle` for a socket, which it closes."""
        started, poller = trio.current_time(), self._attendant.poller
        sock.setblocking(False)
        if ssl_context is None:
            await self._serve(socket_stream(sock, poller), started, False)
            return
        await self._serve_secured(
            secured_socket(sock, poller, ssl_context, server_side=True), started
        )

    def _accept(
        self,
        sock: socket.socket,
        client: Address | None,
        ssl_context: ssl.SSLContext | None,
        start_soon: Callable[..., None],
    ) -> None:
        """Have a socket that was accepted from `client` handled, by a task once it needs one.

        `start_soon` starts it, and need not be called by one.
        """
        if ssl_context is not None:
            start_soon(self.handle_socket, sock, ssl_context)
            return

        def asked(link: TrioLink) -> None:
            stream = self._awaiting.pop(link, None)
            if stream is not None:
                start_soon(self._serve_link, link, stream, False)

        stream = socket_stream(sock, self._attendant.poller, client)
        link = self._link(stream, trio.current_time(), asked)
        self._awaiting[link] = stream
        if self._stopping:
            going_away(link.channel, link)

    async def _forget_awaiting(self) -> None:
        """Close the connections that no task was started for; never waits."""
        awaiting = list(self._awaiting)
        self._awaiting.clear()
        for link in awaiting:
            await self._close(link)

    async def _serve_secured(self, opening: Awaitable[ByteStream], started: float) -> None:
        bytes_: ByteStream | None = None
        with trio.move_on_after(self._config.open_timeout):
            try:
                bytes_ = await opening
            except OSError as error:
                logger().debug("TLS handshake failed: %s", error)
        if bytes_ is not None:
            await self._serve(bytes_, started, True)

    def _link(
        self,
        stream: ByteStream,
        started: float,
        asked: Callable[[TrioLink], None] | None = None,
    ) -> TrioLink:
        channel = server_channel(self._config, now=started)
        link = TrioLink(channel, stream, self._attendant, asked)
        self._links.add(link)
        return link

    async def _serve(self, stream: ByteStream, started: float, secure: bool) -> None:
        await self._serve_link(self._link(stream, started), stream, secure)

    async def _serve_link(self, link: TrioLink, stream: ByteStream, secure: bool) -> None:
        try:
            if self._stopping:
                going_away(link.channel, link)
            await serve_connection(
                self._app,
                link.channel,
                link,
                secure=secure,
                client=stream.client,
                server=stream.server,
            )
        finally:
            await self._close(link)

    async def _close(self, link: TrioLink) -> None:
        if not link.channel.finished:  # cancelled: say goodbye as far as that needs no waiting
            going_away(link.channel, link)
        await link.close()
        self._links.remove(link)
        if not self._links:
            self._idle.set()
            self._idle = trio.Event()


def _speaks_tls(stream: Stream) -> bool:
    return isinstance(stream, trio.SSLStream)


async def serve(
    app: Application,
    host: str | None = "127.0.0.1",
    port: int = 0,
    *,
    unix: str | None = None,
    config: Config | None = None,
    ssl_context: ssl.SSLContext | None = None,
    reuse_port: bool = False,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` until cancelled, or until `Server.shutdown`.

    Args:
        app: an App, or a handler in any style that takes every WebSocket.
        host: name or address to listen on, None for every interface.
        port: 0 for any free port; see `Server.addresses`.
        unix: path of a Unix socket to listen on instead.
        config: limits and timeouts.
        ssl_context: for TLS (wss and https).
        reuse_port: set SO_REUSEPORT, so that several processes can share the port.
        task_status: `nursery.start` returns the `Server` once it accepts connections.

    Raises:
        TypeError: `app` is neither.
        OSError: it cannot listen there.
    """
    app = as_app(app)
    async with open_listeners(host, port, unix=unix, reuse_port=reuse_port) as listeners:
        await serve_listeners(
            app, listeners, config=config, ssl_context=ssl_context, task_status=task_status
        )


async def serve_listeners(
    app: Application,
    listeners: Sequence[Listener[Stream]],
    *,
    config: Config | None = None,
    ssl_context: ssl.SSLContext | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` on listeners of any kind, which it closes; otherwise like `serve`."""
    app = as_app(app)
    config = config or Config()
    addresses = [name for listener in listeners if (name := listener_address(listener)) is not None]
    async with app.running(), attendance(poller) as attendant, trio.open_nursery() as handlers:
        server = Server(app, config, attendant, handlers.cancel_scope, addresses)
        await handlers.start(_accept, server, ssl_context, listeners, handlers)
        task_status.started(server)


async def _accept(
    server: Server,
    ssl_context: ssl.SSLContext | None,
    listeners: Sequence[Listener[Stream]],
    handlers: trio.Nursery,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    # A request may come to light anywhere; its handler's context is nevertheless this one.
    start_soon = partial(copy_context().run, cast("Callable[..., None]", handlers.start_soon))

    def accepted(sock: socket.socket, client: Address | None) -> None:
        server._accept(  # pyright: ignore[reportPrivateUsage]  # ours
            sock, client, ssl_context, start_soon
        )

    sockets = [one for one in listeners if isinstance(one, trio.SocketListener)]
    others = [one for one in listeners if not isinstance(one, trio.SocketListener)]
    handle = partial(server.handle, ssl_context=ssl_context)
    try:
        with server.accepting:
            async with trio.open_nursery() as nursery:
                for listener in sockets:
                    nursery.start_soon(accept_sockets, listener, accepted)
                if others:
                    serve_others = partial(trio.serve_listeners, handler_nursery=handlers)
                    nursery.start_soon(serve_others, handle, others)
                task_status.started()
    finally:
        await server._forget_awaiting()  # pyright: ignore[reportPrivateUsage]  # ours


async def serve_stream(app: Application, stream: Stream, *, config: Config | None = None) -> None:
    """Serve `app` on one stream that is connected already, TLS included; closes it at the end."""
    async with attendance() as attendant:
        with trio.CancelScope() as handlers:
            server = Server(as_app(app), config or Config(), attendant, handlers, [])
            await server.handle(stream)
