"""The two kinds of byte stream a WebSocket can live on: a socket, and any trio stream."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import trio
from trio.abc import HalfCloseableStream, Stream

from windsock import _nonblocking
from windsock._nonblocking import READ
from windsock.core.app.address import Address, address_of

from ._poller import Poller

_READ_SIZE: Final = 64 * 1024
_NOTHING: Final = memoryview(b"")


class Receiver(Protocol):
    """Whom a stream serves."""

    def data_received(self, data: bytes, now: float) -> None:
        """Some bytes came at `now`; b"" for the end of the stream, also where it broke."""

    def received(self, count: int, now: float) -> None:
        """The same, for so many bytes in the room that was offered; it has been released."""

    def written(self, left: int) -> None:
        """Writing went on; so many bytes are left."""

    def write_failed(self) -> None:
        """It cannot go on."""


class _Nobody:
    """Whom a closed stream serves. It and its link would refer to each other for ever otherwise,
    and leave each connection to the garbage collector."""

    def data_received(self, data: bytes, now: float) -> None: ...
    def received(self, count: int, now: float) -> None: ...
    def written(self, left: int) -> None: ...
    def write_failed(self) -> None: ...


_NOBODY: Final = _Nobody()


class ByteStream(Protocol):
    """What the link needs of its stream."""

    client: Address | None
    """The address of whoever connected, where there is one."""
    server: Address | None
    """The address that was connected to."""

    def start(self, receiver: Receiver) -> None:
        """Read for `receiver` from now on."""

    def read(self, wanted: bool) -> None:
        """Go on reading, or stop."""

    def offer(self, room: memoryview | None) -> None:
        """Where to receive the next bytes if that saves copies; None for anywhere."""

    @property
    def send_now(self) -> Callable[[bytes | memoryview], int]:
        """Writes what can be written without waiting; how many bytes that was. Raises OSError."""
        ...

    def write_rest(self, data: bytes | memoryview, start: int) -> None:
        """Write `data[start:]`, as soon as that can be; nothing is to be sent before it is done,
        see `Receiver.written`."""

    def shut_sending(self, *, clean: bool) -> None:
        """Shut down the sending side, once everything is written.

        `clean` says that the peer has sent its last byte already.
        """

    def end(self) -> None:
        """Close it at once, or as soon as that can be; more than once does no harm."""

    async def close(self) -> None:
        """Close it at once. Never raises."""


class SocketStream:
    """A TCP or Unix socket, or TLS on one, without a stream object in between."""

    __slots__ = (
        "_io",
        "_poller",
        "_receive",
        "_receive_into",
        "_receiver",
        "_rest",
        "_room",
        "_wants_data",
        "client",
        "send_now",
        "server",
        "socket",
        "wanted",
    )

    def __init__(
        self, io: _nonblocking.ByteStream, poller: Poller, client: Address | None = None
    ) -> None:
        self._io = io
        self._receive = io.receive
        self._receive_into = io.receive_into
        self.send_now = io.send
        self._poller = poller
        self._receiver: Receiver = _NOBODY
        self._rest = _NOTHING
        self._room: memoryview | None = None
        self._wants_data = False
        self.socket = io.socket
        self.wanted = 0
        self.client = _peer(io.socket) if client is None else client
        self.server = _own(io.socket)

    def start(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.read(True)
        if self._io.pending:
            self._read(trio.current_time())

    def read(self, wanted: bool) -> None:
        self._wants_data = wanted
        self._watch()

    def offer(self, room: memoryview | None) -> None:
        if self._receive_into is not None:
            self._room = room

    def _watch(self) -> None:
        wanted = self._io.receive_on if self._wants_data else 0
        if self._rest:
            wanted |= self._io.send_on
        if wanted != self.wanted and self.socket.fileno() >= 0:
            self._poller.watch(self, wanted)

    # For the poller

    def ready(self, events: int, now: float) -> None:
        if events != READ or self._rest:
            if self._rest and events & self._io.send_on:
                self._write_on()
            if not (self._wants_data and events & self._io.receive_on):
                return
        self._read(now)
        if self._io.pending:
            self._read(now)

    def _read(self, now: float) -> None:
        if self._room is not None:
            self._read_into(self._room, now)
            return
        try:
            data = self._receive()
        except OSError:  # reset by the peer: the same as its end, for a WebSocket
            data = b""
        if data is None:
            self._watch()  # TLS may have to wait for something else now
        else:
            self._receiver.data_received(data, now)

    def _read_into(self, room: memoryview, now: float) -> None:
        assert self._receive_into is not None
        try:
            count = self._receive_into(room)
        except OSError:  # as above
            count = 0
        if count is None:
            return
        self._room = None
        room.release()
        if count:
            self._receiver.received(count, now)
        else:
            self._receiver.data_received(b"", now)

    # Writing

    def write_rest(self, data: bytes | memoryview, start: int) -> None:
        self._rest = memoryview(data)[start:]
        self._watch()

    def _write_on(self) -> None:
        try:
            self._rest = self._rest[self._io.send(self._rest) :]
        except OSError:
            self._rest = _NOTHING
            self._receiver.write_failed()
        else:
            self._receiver.written(len(self._rest))
        self._watch()

    def shut_sending(self, *, clean: bool) -> None:
        with contextlib.suppress(OSError):  # the peer may have gone
            self._io.shut_sending()

    def end(self) -> None:
        self._wants_data = False
        self._room = None
        self._rest = _NOTHING
        self._watch()
        self._io.close()

    async def close(self) -> None:
        self.end()
        self._receiver = _NOBODY


class AnyStream:
    """Any trio stream: an in-memory one, one that somebody else made, TLS on such a one."""

    __slots__ = (
        "_lot",
        "_nursery",
        "_reading",
        "_receiver",
        "_rest",
        "_stream",
        "_wants_data",
        "_writing",
        "client",
        "server",
    )

    def __init__(self, stream: Stream, nursery: trio.Nursery) -> None:
        self._stream = stream
        self._nursery = nursery
        # A handler that is cancelled may have something to say and to hear yet: this ends with
        # the link.
        self._reading = trio.CancelScope(shield=True)
        self._writing: trio.CancelScope | None = None
        self._wants_data = True
        self._receiver: Receiver = _NOBODY
        self._lot = trio.lowlevel.ParkingLot()
        self._rest: bytes | memoryview = b""
        transport = stream
        while isinstance(transport, trio.SSLStream):
            transport = cast("trio.SSLStream[Stream]", transport).transport_stream
        self.client: Address | None = None
        self.server: Address | None = None
        if isinstance(transport, trio.SocketStream):
            self.client, self.server = _peer(transport.socket), _own(transport.socket)

    def start(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._nursery.start_soon(self._read_loop)

    def read(self, wanted: bool) -> None:
        self._wants_data = wanted
        self._lot.unpark_all()

    async def _read_loop(self) -> None:
        with self._reading:
            while True:
                if self._wants_data:
                    try:
                        data = bytes(await self._stream.receive_some(_READ_SIZE))
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        data = b""
                    self._receiver.data_received(data, trio.current_time())
                else:
                    await self._lot.park()

    def offer(self, room: memoryview | None) -> None:
        """A trio stream cannot receive into memory that is there."""

    def send_now(self, data: bytes | memoryview) -> int:
        return 0

    def write_rest(self, data: bytes | memoryview, start: int) -> None:
        self._rest = data
        if self._writing is None:
            self._writing = trio.CancelScope(shield=True)
            self._nursery.start_soon(self._write_loop, self._writing)

    async def _write_loop(self, scope: trio.CancelScope) -> None:
        with scope:
            try:
                while self._rest:
                    await self._stream.send_all(self._rest)
                    self._rest = b""
                    self._receiver.written(0)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._receiver.write_failed()
        self._writing = None

    def shut_sending(self, *, clean: bool) -> None:
        self._nursery.start_soon(self._shut_sending, clean)

    async def _shut_sending(self, clean: bool) -> None:
        stream = self._stream
        # TLS cannot be half closed: it says goodbye for both directions at once. That is right
        # if the peer has nothing more to say, else the TCP stream below is half closed.
        if isinstance(stream, trio.SSLStream) and not clean:
            stream = cast("trio.SSLStream[Stream]", stream).transport_stream
        # Closed is what the handler's task may have done while this waited.
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if isinstance(stream, HalfCloseableStream):
                await stream.send_eof()
                return
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.aclose()
        self._receiver.data_received(b"", trio.current_time())

    def end(self) -> None:
        self._nursery.start_soon(self.close)

    async def close(self) -> None:
        self._reading.cancel()
        if self._writing is not None:
            self._writing.cancel()
        self._receiver = _NOBODY
        await trio.aclose_forcefully(self._stream)


def byte_stream(stream: Stream, poller: Poller, nursery: trio.Nursery) -> ByteStream:
    """The fastest ByteStream for a trio stream, which belongs to it from now on."""
    if type(stream) is trio.SocketStream:
        return socket_stream(_detached(stream), poller)
    return AnyStream(stream, nursery)


def socket_stream(sock: socket.socket, poller: Poller, client: Address | None = None) -> ByteStream:
    """The same for a socket that does not block, and its peer's address if that is known."""
    return SocketStream(_nonblocking.SocketStream(sock), poller, client)


async def secured_stream(
    stream: Stream,
    poller: Poller,
    nursery: trio.Nursery,
    context: ssl.SSLContext | None,
    **options: Any,
) -> ByteStream:
    """The same with TLS on it, once TLS's own handshake is done.

    Args:
        stream: is closed where that comes to nothing.
        poller, nursery: as for `byte_stream`.
        context: of TLS; None for a stream that speaks it already.
        options: `server_side` or `server_hostname`, as for `SSLContext.wrap_socket`.

    Raises:
        OSError: it came to nothing; ssl.SSLError is one.
    """
    if context is None:
        secured = cast("trio.SSLStream[Stream]", stream)
    elif type(stream) is trio.SocketStream:
        return await secured_socket(_detached(stream), poller, context, **options)
    else:
        secured = trio.SSLStream(stream, context, **options)
    try:
        await secured.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(secured)
        if isinstance(error, trio.BrokenResourceError):
            raise _broken(error) from None
        raise
    return AnyStream(secured, nursery)


async def secured_socket(
    sock: socket.socket, poller: Poller, context: ssl.SSLContext, **options: Any
) -> ByteStream:
    """The same for a socket that does not block."""
    try:
        stream = _nonblocking.TLSStream(sock, context, **options)
        while not stream.handshake():
            if stream.receive_on == READ:
                await trio.lowlevel.wait_readable(sock)
            else:
                await trio.lowlevel.wait_writable(sock)
    except BaseException:
        sock.close()
        raise
    return SocketStream(stream, poller)


def _broken(error: trio.BrokenResourceError) -> OSError:
    if isinstance(error.__cause__, OSError):
        return error.__cause__  # such as ssl.SSLCertVerificationError
    return ConnectionError("the TLS handshake broke off")


def _detached(stream: trio.SocketStream) -> socket.socket:
    """The socket of a stream that is not to be used any more."""
    sock = socket.socket(fileno=stream.socket.detach())
    sock.setblocking(False)
    return sock


def _peer(sock: socket.socket | trio.socket.SocketType) -> Address | None:
    try:
        return address_of(sock.getpeername())
    except OSError:  # gone already
        return None


def _own(sock: socket.socket | trio.socket.SocketType) -> Address | None:
    try:
        return address_of(sock.getsockname())
    except OSError:  # closed already
        return None
