"""The two kinds of byte stream: a bare socket, and TLS over one. Nothing here ever blocks."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

# From 128 KiB on, the usual malloc maps fresh pages for each read, which costs more than it saves.
_READ_SIZE: Final = 120 * 1024
_WRITE_SIZE: Final = 256 * 1024
_RECORD_SIZE: Final = 16 * 1024  # what a TLS record holds at most (RFC 8446 §5.1)


class ByteStream(Protocol):
    """What a link needs of its stream. Any method but `close` may raise OSError."""

    socket: socket.socket
    """What the selector is to look at."""
    receive_on: int
    """The event of the selector after which `receive`, or `handshake`, may get on."""
    send_on: int
    """The same for `send`."""
    pending: bool
    """Whether there is something to `receive` that the selector does not know of."""

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
    def receive_into(self) -> Callable[[memoryview], int | None] | None:
        """`receive` into memory that is there, for how many bytes that was; None where that would
        save nothing."""
        ...

    def shut_sending(self) -> None:
        """Say that nothing more is sent. What is received after that is to be thrown away."""

    def close(self) -> None:
        """Close the socket. Never raises; more than once does no harm."""


class SocketStream:
    """A TCP or Unix socket."""

    __slots__ = ("pending", "receive_on", "send_on", "socket")

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.receive_on = READ
        self.send_on = WRITE
        self.pending = False

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

    def receive_into(self, room: memoryview) -> int | None:
        try:
            return self.socket.recv_into(room)
        except BlockingIOError:
            return None

    def shut_sending(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()


class TLSStream:
    """TLS over a socket.

    It goes through memory, so that the socket is read and written in pieces as large as they come.
    OpenSSL by itself makes two system calls to read a record, and one to write it.
    """

    receive_into = None

    __slots__ = (
        "_ciphertext",
        "_incoming",
        "_outgoing",
        "_promised",
        "_said_goodbye",
        "_tls",
        "pending",
        "receive_on",
        "send_on",
        "socket",
    )

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, **options: Any) -> None:
        self.socket = sock
        self.receive_on = READ
        self.send_on = WRITE
        self.pending = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, **options)
        # What the kernel has not taken yet, and how much of what was to be sent is in it.
        self._ciphertext = b""
        self._promised = 0
        self._said_goodbye = False

    def handshake(self) -> bool:
        while True:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._write()  # it says what is wrong
                raise
            if not self._write():
                self.receive_on = WRITE
                return False
            self.receive_on = READ
            if done:
                self.pending = self._incoming.pending > 0
                return True
            if not self._read():
                return False

    def send(self, data: bytes | memoryview) -> int:
        sent = 0
        if self._ciphertext or self._promised:
            if not self._write():
                return 0
            sent, self._promised = self._promised, 0
        rest = memoryview(data)[sent:]
        while rest:
            piece = rest[:_WRITE_SIZE]
            done = 0
            while done < len(piece):  # a record at a time
                done += self._tls.write(piece[done:])
            if not self._write():
                # It has not been sent before that is; until then the caller comes with it again.
                self._promised = done
                break
            sent += done
            rest = rest[done:]
        return sent

    def receive(self) -> bytes | None:
        if self._said_goodbye:
            return self._receive_ciphertext()
        if not self.pending and not self._read():
            return None
        self.pending = False
        records: list[bytes] = []
        try:
            while True:
                records.append(self._tls.read(_RECORD_SIZE))
                if not records[-1] or not self._incoming.pending:
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLEOFError:
            records.append(b"")  # without a goodbye: a WebSocket has one of its own
        if self._outgoing.pending:
            with contextlib.suppress(OSError):  # that is for the next `send` to see
                self._write()
        if len(records) == 1:
            return records[0]
        self.pending = bool(records) and not records[-1]  # the end, to be told of the next time
        return b"".join(records) or None

    def _read(self) -> bool:
        """Take what the socket has; whether there was anything."""
        data = self._receive_ciphertext()
        if data:
            self._incoming.write(data)
        elif data is not None:
            self._incoming.write_eof()
        return data is not None

    def _receive_ciphertext(self) -> bytes | None:
        try:
            return self.socket.recv(_READ_SIZE)
        except BlockingIOError:
            return None

    def _write(self) -> bool:
        """Write what TLS wants to be written; whether nothing is left."""
        data = self._ciphertext + self._outgoing.read()
        if data:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            self._ciphertext = data[sent:]
        return not self._ciphertext

    def shut_sending(self) -> None:
        # TLS says goodbye for both directions at once, but the TCP stream below can be half closed
        # after that; the end of what the peer sends is then seen there.
        self._say_goodbye()
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            self._say_goodbye()
            self.socket.close()

    def _say_goodbye(self) -> None:
        if not self._said_goodbye:
            self._said_goodbye = True
            self.pending = False
            with contextlib.suppress(OSError):  # it would like to wait for the peer's goodbye
                self._tls.unwrap()
            with contextlib.suppress(OSError):
                self._write()


def wrap_accepted(sock: socket.socket, context: ssl.SSLContext | None) -> ByteStream:
    """The stream of a socket that a listener accepted, which belongs to it from now on.

    Raises:
        OSError: it is gone already; it was closed.
    """
    try:
        make_ready(sock)
        if context is None:
            return SocketStream(sock)
        return TLSStream(sock, context, server_side=True)
    except OSError:
        sock.close()
        raise


def make_ready(sock: socket.socket) -> None:
    """Make `sock` non-blocking, and have it send small frames at once."""
    sock.setblocking(False)
    if sock.family in {socket.AF_INET, socket.AF_INET6}:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
