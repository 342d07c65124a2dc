"""Raw peers and URLs for the tests."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tests.transports.wire import REQUEST, split_head
from windsock.asyncio import Server
from windsock.core import NEED_DATA, ServerConnection


def url(server: Server, scheme: str = "ws") -> str:
    """The URL of a server's first address."""
    host, port = tcp_address(server)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


def tcp_address(server: Server) -> tuple[str, int]:
    """The server's first address, which is no Unix socket's."""
    address = server.addresses[0]
    assert isinstance(address, tuple)
    return address


class RawPeer:
    """A bare connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    def send_eof(self) -> None:
        """End the stream to the server."""
        self._writer.write_eof()

    async def read(self) -> bytes:
        """What comes next, which must not be the end."""
        data = await self._reader.read(65536)
        assert data, "the server hung up"
        return data

    async def read_head(self) -> tuple[int, bytes]:
        """Status of the response, and what came with its head."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += await self.read()
        return split_head(data)

    async def read_all(self) -> bytes:
        """Everything up to the end of the stream; reset counts as its end."""
        data = b""
        try:
            while chunk := await self._reader.read(65536):
                data += chunk
        except ConnectionError:
            pass
        return data

    async def open(self) -> bytes:
        """Do the opening handshake; what came after it."""
        await self.send(REQUEST)
        status, rest = await self.read_head()
        assert status == 101
        return rest

    def reset(self) -> None:
        """End the connection with RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def dial(server: Server) -> AsyncIterator[RawPeer]:
    """A bare connection to a server."""
    peer = RawPeer(*await asyncio.open_connection(*tcp_address(server), limit=2**20))
    try:
        yield peer
    finally:
        await peer.close()


@asynccontextmanager
async def raw_server(
    serve: Callable[[RawPeer], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server that does as it is told, once; gives its URL."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = RawPeer(reader, writer)
        try:
            await serve(peer)
        finally:
            await peer.close()
            done.set_result(None)

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"ws://{host}:{port}/"
        await done


async def accept(peer: RawPeer) -> None:
    """The server's side of the opening handshake."""
    connection = ServerConnection(now=0)
    while connection.next_event() is NEED_DATA:
        connection.receive_data(await peer.read(), 0)
    connection.accept(now=0)
    await peer.send(connection.data_to_send())


def open_files() -> int:
    """How many file descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


async def rounds_until(true: Callable[[], bool]) -> None:
    """Let the loop go round until something is true that nobody announces."""
    while not true():  # noqa: ASYNC110  # there is no event to wait for
        await asyncio.sleep(0)
