"""The two kinds of byte stream a WebSocket can live on: a bare socket, and any trio stream."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Final, Protocol, cast

import trio
from trio.abc import HalfCloseableStream, Stream

from windsock.core.app.address import Address, address_of

_READ_SIZE: Final = 64 * 1024


class ByteStream(Protocol):
    """What the link needs of its stream."""

    def send_now(self, data: bytes) -> int:
        """Write what can be written without waiting; how many bytes that was. Raises OSError."""
        ...

    async def send_all(self, data: bytes, progress: Callable[[int], None]) -> None:
        """Write everything, calling `progress` with the size of what is left. Raises OSError."""

    async def receive(self) -> bytes | None:
        """Some bytes; b"" at the end of the stream or where it broke; None if interrupted."""

    def interrupt(self) -> None:
        """Make the `receive` that is under way return None."""

    async def shut_sending(self, *, clean: bool) -> bool:
        """Shut down the sending side; False if that has closed the whole stream.

        `clean` says that the peer has sent its last byte already.
        """
        ...

    async def close(self) -> None:
        """Close at once; more than once does no harm. Never raises."""


class SocketStream:
    """A non-blocking TCP or Unix socket, without a stream object in between."""

    __slots__ = ("_socket", "client", "server")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self.client, self.server = _names(sock)

    def send_now(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    async def send_all(self, data: bytes, progress: Callable[[int], None]) -> None:
        rest = memoryview(data)
        while rest:
            try:
                await trio.lowlevel.wait_writable(self._socket)
            except trio.ClosedResourceError:
                if self._socket.fileno() < 0:
                    raise OSError("the socket was closed") from None
                continue  # it was `interrupt`, which wakes writers too
            with contextlib.suppress(BlockingIOError):
                rest = rest[self._socket.send(rest) :]
                progress(len(rest))

    async def receive(self) -> bytes | None:
        try:
            await trio.lowlevel.wait_readable(self._socket)
            return self._socket.recv(_READ_SIZE)
        except (BlockingIOError, trio.ClosedResourceError):
            return None
        except OSError:  # reset by the peer: the same as its end, for a WebSocket
            return b""

    def interrupt(self) -> None:
        # Wakes `wait_readable`, and does nothing else to the socket.
        trio.lowlevel.notify_closing(self._socket)

    async def shut_sending(self, *, clean: bool) -> bool:
        with contextlib.suppress(OSError):  # the peer may have gone
            self._socket.shutdown(socket.SHUT_WR)
        return True

    async def close(self) -> None:
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


class AnyStream:
    """Any trio stream: TLS, an in-memory one, one that somebody else made."""

    __slots__ = ("_receiving", "_stream", "client", "server")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._receiving: trio.CancelScope | None = None
        transport = stream
        while isinstance(transport, trio.SSLStream):
            transport = cast("trio.SSLStream[Stream]", transport).transport_stream
        self.client: Address | None = None
        self.server: Address | None = None
        if isinstance(transport, trio.SocketStream):
            self.client, self.server = _names(transport.socket)

    def send_now(self, data: bytes) -> int:
        return 0

    async def send_all(self, data: bytes, progress: Callable[[int], None]) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise OSError(str(error)) from error
        progress(0)

    async def receive(self) -> bytes | None:
        with trio.CancelScope() as self._receiving:
            try:
                return bytes(await self._stream.receive_some(_READ_SIZE))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return b""
        return None

    def interrupt(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()

    async def shut_sending(self, *, clean: bool) -> bool:
        stream = self._stream
        # TLS cannot be half closed: it says goodbye for both directions at once. That is right
        # if the peer has nothing more to say, else the TCP stream below is half closed.
        if isinstance(stream, trio.SSLStream) and not clean:
            stream = cast("trio.SSLStream[Stream]", stream).transport_stream
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if isinstance(stream, HalfCloseableStream):
                await stream.send_eof()
                return True
        await self._goodbye()
        return False

    async def _goodbye(self) -> None:
        # Closed is what the handler's task may have done while this waited.
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.aclose()

    async def close(self) -> None:
        await trio.aclose_forcefully(self._stream)


def byte_stream(stream: Stream) -> SocketStream | AnyStream:
    """The fastest ByteStream for a trio stream, which belongs to it from now on."""
    if type(stream) is trio.SocketStream:
        return SocketStream(socket.socket(fileno=stream.socket.detach()))
    return AnyStream(stream)


def _names(sock: socket.socket | trio.socket.SocketType) -> tuple[Address | None, Address | None]:
    try:
        return address_of(sock.getpeername()), address_of(sock.getsockname())
    except OSError:  # gone already
        return None, None
