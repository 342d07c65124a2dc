"""The two kinds of byte stream: a bare socket, and TLS over one. Nothing here ever blocks."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
from typing import Any, Final, Protocol

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

_READ_SIZE: Final = 64 * 1024


class ByteStream(Protocol):
    """What a link needs of its stream. Any method but `close` may raise OSError."""

    receive_on: int
    """The event of the selector after which `receive`, or `handshake`, may get on."""
    send_on: int
    """The same for `send`."""

    @property
    def socket(self) -> socket.socket:
        """What the selector is to look at."""
        ...

    def handshake(self) -> bool:
        """Get on with TLS's own handshake; whether it is done."""
        ...

    def send(self, data: bytes | memoryview) -> int:
        """Write what can be written now; how many bytes that was."""
        ...

    def receive(self) -> bytes | None:
        """Some bytes; b"" at the end of the stream, None if there is nothing now."""
        ...

    @property
    def pending(self) -> bool:
        """Whether there is something to `receive` that the selector does not know of."""
        ...

    def shut_sending(self) -> None:
        """Say that nothing more is sent. What is received after that is to be thrown away."""

    def close(self) -> None:
        """Close the socket. Never raises; more than once does no harm."""


class SocketStream:
    """A TCP or Unix socket."""

    __slots__ = ("receive_on", "send_on", "socket")

    pending = False

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.receive_on = READ
        self.send_on = WRITE

    def handshake(self) -> bool:
        return True

    def send(self, data: bytes | memoryview) -> int:
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0

    def receive(self) -> bytes | None:
        try:
            return self.socket.recv(_READ_SIZE)
        except BlockingIOError:
            return None

    def shut_sending(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()


class TLSStream:
    """TLS over a socket. Writing may have to wait for reading, and the other way round."""

    __slots__ = ("_said_goodbye", "receive_on", "send_on", "socket")

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.socket: ssl.SSLSocket = sock
        self.receive_on = READ
        self.send_on = WRITE
        self._said_goodbye = False

    def handshake(self) -> bool:
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self.receive_on = READ
        except ssl.SSLWantWriteError:
            self.receive_on = WRITE
        else:
            self.receive_on = READ
            return True
        return False

    def send(self, data: bytes | memoryview) -> int:
        try:
            return self.socket.send(data)
        except ssl.SSLWantReadError:
            self.send_on = READ
        except (ssl.SSLWantWriteError, BlockingIOError):
            self.send_on = WRITE
        return 0

    def receive(self) -> bytes | None:
        try:
            return self.socket.recv(_READ_SIZE)
        except (ssl.SSLWantReadError, BlockingIOError):
            self.receive_on = READ
        except ssl.SSLWantWriteError:
            self.receive_on = WRITE
        return None

    @property
    def pending(self) -> bool:
        return self.socket.pending() > 0

    def shut_sending(self) -> None:
        # TLS says goodbye for both directions at once, but the TCP stream below can be half closed
        # after that; the end of what the peer sends is then seen there.
        self._say_goodbye()
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._say_goodbye()
        self.socket.close()

    def _say_goodbye(self) -> None:
        if not self._said_goodbye:
            self._said_goodbye = True
            # It would like to wait for the peer's goodbye. ValueError: there was no handshake.
            with contextlib.suppress(OSError, ValueError):
                self.socket.unwrap()


def wrap_accepted(sock: socket.socket, context: ssl.SSLContext | None) -> ByteStream:
    """The stream of a socket that a listener accepted, which belongs to it from now on.

    Raises:
        OSError: it is gone already; it was closed.
    """
    try:
        make_ready(sock)
        if context is None:
            return SocketStream(sock)
        return TLSStream(wrap_tls(sock, context, server_side=True, do_handshake_on_connect=False))
    except OSError:
        sock.close()
        raise


def wrap_tls(sock: socket.socket, context: ssl.SSLContext, **options: Any) -> ssl.SSLSocket:
    """`context.wrap_socket(sock, **options)`. Raises OSError."""
    sock.getpeername()  # where that fails, wrap_socket may not close what it has taken
    return context.wrap_socket(sock, **options)


def make_ready(sock: socket.socket) -> None:
    """Make `sock` non-blocking, and have it send small frames at once."""
    sock.setblocking(False)
    if sock.family in {socket.AF_INET, socket.AF_INET6}:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
