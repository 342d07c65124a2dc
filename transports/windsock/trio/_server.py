"""The trio server."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import trio
from trio.abc import Listener, Stream

from windsock.core import App, Application, Config, ServerConnection, as_app
from windsock.core.app.address import Address, address_of
from windsock.core.app.channel import Channel
from windsock.core.app.session import going_away, logger, serve_connection

from ._attendant import Attendant, attendance
from ._io import byte_stream
from ._link import TrioLink


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
        if ssl_context is not None:
            stream = trio.SSLStream(stream, ssl_context, server_side=True)
        if isinstance(stream, trio.SSLStream) and not await self._tls_handshake(stream):
            return
        connection = ServerConnection(self._config, now=started)
        bytes_ = byte_stream(stream)
        link = TrioLink(Channel(connection, self._config), bytes_, self._attendant)
        self._links.add(link)
        try:
            if self._stopping:
                going_away(link.channel, link)
            await serve_connection(
                self._app,
                link.channel,
                link,
                secure=isinstance(stream, trio.SSLStream),
                client=bytes_.client,
                server=bytes_.server,
            )
        finally:
            if not link.channel.finished:  # cancelled: say goodbye as far as that needs no waiting
                going_away(link.channel, link)
            await link.close()
            self._links.remove(link)
            if not self._links:
                self._idle.set()
                self._idle = trio.Event()

    async def _tls_handshake(self, stream: trio.SSLStream[Any]) -> bool:
        with trio.move_on_after(self._config.open_timeout):
            try:
                await stream.do_handshake()
            except trio.BrokenResourceError as error:
                logger().debug("TLS handshake failed: %s", error.__cause__)
            else:
                return True
        await trio.aclose_forcefully(stream)
        return False


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
        app: an App, or a coroutine function that takes every WebSocket.
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
    listeners = await open_listeners(host, port, unix=unix, reuse_port=reuse_port)
    try:
        await serve_listeners(
            app, listeners, config=config, ssl_context=ssl_context, task_status=task_status
        )
    finally:
        if unix is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(unix)


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
    addresses = [name for listener in listeners if (name := _name(listener)) is not None]
    async with attendance() as attendant, trio.open_nursery() as handlers:
        server = Server(app, config, attendant, handlers.cancel_scope, addresses)
        handle = partial(server.handle, ssl_context=ssl_context)
        await handlers.start(_accept, server, handle, listeners, handlers)
        task_status.started(server)


async def _accept(
    server: Server,
    handle: Callable[[Stream], Awaitable[object]],
    listeners: Sequence[Listener[Stream]],
    handlers: trio.Nursery,
    *,
    task_status: trio.TaskStatus[Any],
) -> None:
    with server.accepting:
        await trio.serve_listeners(
            handle, list(listeners), handler_nursery=handlers, task_status=task_status
        )


async def serve_stream(app: Application, stream: Stream, *, config: Config | None = None) -> None:
    """Serve `app` on one stream that is connected already, TLS included; closes it at the end."""
    async with attendance() as attendant:
        with trio.CancelScope() as handlers:
            server = Server(as_app(app), config or Config(), attendant, handlers, [])
            await server.handle(stream)


async def open_listeners(
    host: str | None, port: int, *, unix: str | None = None, reuse_port: bool = False
) -> list[trio.SocketListener]:
    """Sockets that listen at an address: one for every address that `host` has.

    Raises:
        OSError: that cannot be.
    """
    if unix is None and not reuse_port:
        return list(await trio.open_tcp_listeners(port, host=host))
    if unix is not None:
        places: list[tuple[int, Any]] = [(socket.AF_UNIX, unix)]
        with contextlib.suppress(FileNotFoundError):
            if await _is_stale(unix):
                os.unlink(unix)
    else:
        found = await trio.socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        places = [(family, address) for family, _, _, _, address in found]
    listeners: list[trio.SocketListener] = []
    try:
        for family, address in places:
            listeners.append(await _listen(family, address, reuse_port=reuse_port))
    except OSError:
        for listener in listeners:
            listener.socket.close()
        raise
    return listeners


async def _listen(family: int, address: Any, *, reuse_port: bool) -> trio.SocketListener:
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        await sock.bind(address)
        sock.listen(1024)
    except OSError:
        sock.close()
        raise
    return trio.SocketListener(sock)


async def _is_stale(path: str) -> bool:
    """Whether a Unix socket lies at `path` on which nobody listens any more."""
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            await probe.connect(path)
        except ConnectionRefusedError:
            return True
    return False


def _name(listener: Listener[Stream]) -> Address | None:
    if isinstance(listener, trio.SSLListener):
        return _name(listener.transport_listener)
    if isinstance(listener, trio.SocketListener):
        return address_of(listener.socket.getsockname())
    return None
