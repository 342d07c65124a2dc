"""Servers and raw peers for the tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio
import trio.testing
from trio.abc import Listener, Stream

import windsock.trio
from tests.transports.wire import REQUEST, split_head
from windsock.core import Application
from windsock.trio import Server


@asynccontextmanager
async def serving(app: Application, **options: Any) -> AsyncIterator[Server]:
    """`serve` in the background; shuts down at the end."""
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(windsock.trio.serve, app, **options))
        yield server
        await server.shutdown()


@asynccontextmanager
async def serving_stream(app: Application, stream: Stream, **options: Any) -> AsyncIterator[None]:
    """`serve_stream` in the background."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(windsock.trio.serve_stream, app, stream, **options))
        yield


def url(server: Server, scheme: str = "ws") -> str:
    """The URL of a server's first address."""
    host, port = tcp_address(server)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


def tcp_address(server: Server) -> tuple[str, int]:
    """The server's first address, which is no Unix socket's."""
    address = server.addresses[0]
    assert isinstance(address, tuple)
    return address


async def dial(server: Server) -> trio.SocketStream:
    """A bare connection to a server."""
    return await trio.open_tcp_stream(*tcp_address(server))


async def read_until(stream: Stream, found: Callable[[bytes], bool]) -> bytes:
    """Read until `found` is pleased; the peer must not hang up before."""
    data = b""
    while not found(data):
        chunk = await stream.receive_some()
        assert chunk, f"hung up after {data!r}"
        data += chunk
    return data


async def read_all(stream: Stream) -> bytes:
    """Everything up to the end of the stream; reset counts as its end."""
    data = b""
    try:
        while chunk := await stream.receive_some():
            data += chunk
    except trio.BrokenResourceError:
        pass
    return data


async def open_raw(stream: Stream) -> bytes:
    """Do the opening handshake; what came after it."""
    await stream.send_all(REQUEST)
    answer = await read_until(stream, lambda data: b"\r\n\r\n" in data)
    status, rest = split_head(answer)
    assert status == 101
    return rest


def open_files() -> int:
    """How many file descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


def reset(stream: trio.SocketStream) -> None:
    """End a TCP connection with RST."""
    stream.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    stream.socket.close()


class MemoryListener(Listener[Stream]):
    """Accepts in-memory connections."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Any](100)

    def connect(self) -> trio.StapledStream[Any, Any]:
        """The client's side of a new connection."""
        ours, theirs = trio.testing.memory_stream_pair()
        self._send.send_nowait(theirs)
        return ours

    async def accept(self) -> Any:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await self._receive.aclose()
        await self._send.aclose()
