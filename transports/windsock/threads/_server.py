"""The server on threads."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

from windsock._nonblocking import wrap_accepted
from windsock._unix_socket import unix_listener
from windsock.core import (
    App,
    Application,
    Config,
    HandshakeRequested,
    HttpRequested,
    Request,
    Response,
    ServerConnection,
    State,
    WebSocket,
    as_app,
)
from windsock.core.app.address import Address, address_of
from windsock.core.app.session import going_away, logger, serve_connection, server_channel

from ._coroutines import complete, entered, explain
from ._io import IOThread
from ._link import ThreadsLink
from ._listeners import Listener, open_listeners
from ._websocket import ThreadsWebSocket

# Seconds that handlers are given to end after all that they could wait for was ended.
_GRACE: Final = 1.0

# Connections beyond `max_connections` that may be in their opening handshake, or be told why not.
_SPARE: Final = 256


class Server:
    """A running server; `serve` makes it. Its methods may be called from any thread."""

    def __init__(
        self, app: App, config: Config, ssl_context: ssl.SSLContext | None, max_connections: int
    ) -> None:
        self._app = _Explaining(app)
        self._config = config
        self._ssl_context = ssl_context
        self._max_connections = max_connections
        self._io = IOThread("windsock server")
        self._listeners: list[Listener] = []
        # Guards what is below. Nobody who holds it takes the lock of a connection.
        self._changed = threading.Condition()
        self._links: set[ThreadsLink] = set()
        self._handlers: dict[threading.Thread, ThreadsLink] = {}
        self._full = False
        self._crowded = False
        self._stopping = False
        self._stopped = threading.Event()
        self.addresses: list[Address] = []
        """Where it listens: (host, port), or the path of a Unix socket."""

    def listen(self, sock: socket.socket) -> None:
        """Listen on a bound socket. Raises OSError where that cannot be."""
        self._listeners.append(Listener(sock, self._io, self._accepted))
        address = address_of(sock.getsockname())
        assert address is not None
        self.addresses.append(address)

    def start(self) -> None:
        """Begin to accept connections."""
        self._io.start()
        self._io.call(self._resume)

    def serve_forever(self) -> None:
        """Block until the server was shut down."""
        self._stopped.wait()

    def shutdown(self) -> None:
        """Stop accepting, send 1001 to every open WebSocket, and wait for their handlers.

        After `Config.shutdown_timeout` seconds the connections that are left are ended, which wakes
        what blocks on them. A handler that is busy elsewhere cannot be ended: it is left behind
        with a warning, on a thread that does not keep the process from ending.
        """
        with self._changed:
            first, self._stopping = not self._stopping, True
        if not first:
            self._stopped.wait()
            return
        grace = 0.0
        try:
            self._io.call_and_wait(self._close_listeners)
            with self._changed:
                links = [*self._links, *self._handlers.values()]
            for link in dict.fromkeys(links):
                going_away(link.channel, link)
            self._wait_until_idle(self._config.shutdown_timeout)
            grace = _GRACE
        finally:
            try:
                self._end_all(grace)
            finally:
                self._stopped.set()

    def _wait_until_idle(self, timeout: float) -> None:
        """Wait for all sockets and handlers, but not for the one that has called."""
        me = threading.current_thread()

        def is_idle() -> bool:
            mine = self._handlers.get(me)
            return self._handlers.keys() <= {me} and self._links <= {mine}

        with self._changed:
            self._changed.wait_for(is_idle, timeout)

    def _end_all(self, grace: float) -> None:
        with self._changed:
            links = list(self._links)
        for link in links:
            link.end()
        self._wait_until_idle(grace)
        self._io.stop()
        with self._changed:
            busy = len(self._handlers.keys() - {threading.current_thread()})
        if busy and grace:  # else it was to end at once
            logger().warning("shut down, but the handlers of %d connections still run", busy)

    # The I/O thread

    def _resume(self) -> None:
        for listener in self._listeners:
            listener.resume()

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _accepted(self, sock: socket.socket, peer: Any) -> bool:
        try:
            server = address_of(sock.getsockname())
            stream = wrap_accepted(sock, self._ssl_context)
        except OSError:
            sock.close()
            return True  # it has gone already
        link = ThreadsLink(
            server_channel(self._config, now=monotonic()),
            stream,
            self._io,
            secured=self._ssl_context is None,
            opened=lambda link: self._opened(link, address_of(peer), server),
            closed=self._closed,
        )
        with self._changed:
            self._links.add(link)
            self._full = len(self._links) >= self._max_connections + _SPARE
        link.start()
        return not self._full

    def _opened(self, link: ThreadsLink, client: Address | None, server: Address | None) -> None:
        if not isinstance(link.channel.greeting, (HandshakeRequested, HttpRequested)):
            return  # it was refused already
        if self._stopping:
            going_away(link.channel, link)
            return
        thread = threading.Thread(
            target=self._handle, args=(link, client, server), name="windsock handler", daemon=True
        )
        with self._changed:
            crowded = len(self._handlers) >= self._max_connections
            if not crowded:
                self._handlers[thread] = link
            news = crowded and not self._crowded
            self._crowded = crowded
        if news:
            logger().info("refusing more than %d connections", self._max_connections)
        if crowded:
            _refuse(link)
            return
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads
            logger().error("cannot handle a connection: %s", error)
            self._done(thread)
            _refuse(link)

    def _closed(self, link: ThreadsLink) -> None:
        with self._changed:
            self._links.discard(link)
            resume = self._full and not self._stopping
            self._full = False
            self._changed.notify_all()
        if resume:
            self._resume()

    # The handlers' threads

    def _handle(self, link: ThreadsLink, client: Address | None, server: Address | None) -> None:
        try:
            complete(
                serve_connection(
                    self._app,
                    link.channel,
                    link,
                    secure=self._ssl_context is not None,
                    client=client,
                    server=server,
                    websocket=ThreadsWebSocket,
                )
            )
        finally:
            link.end()
            self._done(threading.current_thread())

    def _done(self, thread: threading.Thread) -> None:
        with self._changed:
            del self._handlers[thread]
            self._changed.notify_all()


def _refuse(link: ThreadsLink) -> None:
    """Answer with 503, whatever was asked."""
    connection: ServerConnection = link.channel.connection
    answer: Callable[..., None] = connection.respond
    if connection.state is State.DECIDING:
        answer = connection.reject
    elif connection.state is not State.RESPONDING:
        return  # the client has gone already
    fields = [("Content-Type", "text/plain"), ("Retry-After", "1")]
    answer(503, fields, b"too many connections\n", now=link.now())
    link.channel.settle(link)


class _Explaining(App):
    """Says what is wrong where a handler needs an event loop."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app

    @property
    def judges_origins(self) -> bool:
        return self._app.judges_origins

    async def handle_websocket(self, ws: WebSocket) -> None:
        try:
            await self._app.handle_websocket(ws)
        except RuntimeError as error:
            explain(error)
            raise

    async def handle_http(self, request: Request) -> Response:
        try:
            return await self._app.handle_http(request)
        except RuntimeError as error:
            explain(error)
            raise


@contextmanager
def serve(
    app: Application,
    host: str | None = "127.0.0.1",
    port: int = 0,
    *,
    unix: str | None = None,
    sock: socket.socket | None = None,
    config: Config | None = None,
    ssl_context: ssl.SSLContext | None = None,
    reuse_port: bool = False,
    max_connections: int | None = None,
) -> Generator[Server]:
    """Serve `app` in the background while the context is open; leaving it shuts down gracefully.

    Each request is handled by a thread of its own. There coroutine functions work as well, as long
    as they await nothing but the WebSocket's own methods.

    Args:
        app: an App, or a handler in any style that takes every WebSocket.
        host: name or address to listen on, None for every interface.
        port: 0 for any free port; see `Server.addresses`.
        unix: path of a Unix socket to listen on instead.
        sock: a listening or bound socket to use instead.
        config: limits and timeouts.
        ssl_context: for TLS (wss and https).
        reuse_port: set SO_REUSEPORT, so that several processes can share the port.
        max_connections: how many requests are handled at a time, each in a thread, by default
            `Config.max_worker_threads`; more are answered with 503.

    Raises:
        TypeError: `app` is neither.
        ValueError: `max_connections` is less than 1.
        OSError: it cannot listen there.
    """
    config = config or Config()
    if max_connections is None:
        max_connections = config.max_worker_threads
    if max_connections < 1:
        raise ValueError(f"max_connections must be at least 1, not {max_connections!r}")
    app = as_app(app)
    with contextlib.ExitStack() as stack:
        if unix is not None:
            sock = stack.enter_context(unix_listener(unix))
        if sock is not None:
            sockets = [sock]
        else:
            sockets = open_listeners(host, port, reuse_port=reuse_port)
        for opened in sockets:
            stack.callback(opened.close)
        stack.enter_context(entered(app.running()))
        server = Server(app, config, ssl_context, max_connections)
        stack.callback(server.shutdown)
        for opened in sockets:
            server.listen(opened)
        server.start()
        yield server
