"""The blocking client."""

from __future__ import annotations

import os
import queue
import selectors
import socket
import ssl
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

from windsock._nonblocking import ByteStream, SocketStream, TLSStream, make_ready
from windsock.core import BlockingWebSocket, Config
from windsock.core.app.client import client_channel, open_websocket
from windsock.core.protocol.headers import HeaderFields
from windsock.core.protocol.uri import WebSocketURI, parse_uri

from ._coroutines import entered
from ._io import IOThread
from ._link import ThreadsLink
from ._websocket import ThreadsWebSocket

# Seconds in which the I/O thread closes a socket, which takes it no time.
_CLOSE_TIMEOUT: Final = 1.0


@contextmanager
def connect(
    uri: str,
    *,
    subprotocols: Iterable[str] = (),
    headers: HeaderFields = (),
    config: Config | None = None,
    ssl_context: ssl.SSLContext | None = None,
    unix: str | None = None,
    sock: socket.socket | None = None,
) -> Generator[BlockingWebSocket]:
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
    now = monotonic()
    channel = client_channel(
        parsed, subprotocols=subprotocols, headers=headers, config=config, now=now
    )
    with _shared.io() as io:
        try:
            stream = _open_stream(parsed, ssl_context, unix, sock, now + config.open_timeout)
        except TimeoutError:
            raise TimeoutError(f"no connection to {uri} within {config.open_timeout:g} s") from None
        link = ThreadsLink(channel, stream, io)
        link.start()
        try:
            with entered(open_websocket(channel, link, parsed, ThreadsWebSocket)) as ws:
                yield BlockingWebSocket(ws, link)
        finally:
            link.end()
            link.wait_closed(_CLOSE_TIMEOUT)


def _open_stream(
    uri: WebSocketURI,
    ssl_context: ssl.SSLContext | None,
    unix: str | None,
    sock: socket.socket | None,
    deadline: float,
) -> ByteStream:
    if unix is not None:
        sock = _dial(socket.AF_UNIX, unix, deadline)
    elif sock is None:
        sock = _dial_first(uri.host, uri.port, deadline)
    try:
        make_ready(sock)
        if uri.secure:
            return _secure(sock, ssl_context or ssl.create_default_context(), uri.host, deadline)
        return SocketStream(sock)
    except BaseException:  # an interrupt, too: nobody else could close it
        sock.close()
        raise


def _secure(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: float) -> ByteStream:
    stream = TLSStream(sock, context, server_hostname=host)
    with selectors.DefaultSelector() as selector:
        while not stream.handshake():
            selector.register(sock, stream.receive_on)
            selector.select(_left(deadline))
            selector.unregister(sock)
    return stream


def _dial_first(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to the first address that answers; none may use up the time of all."""
    found = _resolve(host, port, deadline)
    errors: list[OSError] = []
    for number, (family, _, _, _, address) in enumerate(found):
        share = _left(deadline) / (len(found) - number)
        try:
            return _dial(family, address, monotonic() + share)
        except OSError as error:
            errors.append(error)
    raise errors[0]


def _dial(family: int, address: Any, deadline: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(_left(deadline))
        sock.connect(address)
    except BaseException:  # as above
        sock.close()
        raise
    return sock


def _resolve(host: str, port: int, deadline: float) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # it is a name
    # Only on another thread can the system be asked for as long as there is time.
    answers: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, name="windsock resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=_left(deadline))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Shared:
    """The I/O thread of all clients in the process, which lives while there are any."""

    def __init__(self) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._abandon)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._io: IOThread | None = None
        self._users = 0

    def _abandon(self) -> None:
        if self._io is not None:
            self._io.abandon()
        self._forget()

    @contextmanager
    def io(self) -> Generator[IOThread]:
        """The thread, started by its first user and stopped by its last."""
        with self._lock:
            if self._io is None:
                io = IOThread("windsock clients")
                io.start()
                self._io = io
            self._users += 1
            io = self._io
        try:
            yield io
        finally:
            last = None
            with self._lock:
                if self._io is io:  # else this is the child of a fork
                    self._users -= 1
                    if not self._users:
                        last, self._io = io, None
            if last is not None:
                last.stop()


_shared: Final = _Shared()
