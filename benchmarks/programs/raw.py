"""Echo of bytes without any protocol: what event loops can do at all, the physical limit."""

from __future__ import annotations

import asyncio
import contextlib
import os
from functools import partial
from typing import cast

import trio

from .loops import run
from .options import HOST, Options


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast("asyncio.Transport", transport).write  # uvloop's is none by type

    def data_received(self, data: bytes) -> None:
        self._write(data)


async def _serve_asyncio(options: Options) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Echo, HOST, options.port)
    await server.serve_forever()


def serve_asyncio(options: Options) -> None:
    """A Protocol that writes what it is given, on any event loop of asyncio."""
    run(_serve_asyncio(options), options.variant)


async def _echo_stream(stream: trio.SocketStream) -> None:
    with contextlib.suppress(trio.BrokenResourceError):  # the load generator resets when it is done
        async for data in stream:
            await stream.send_all(data)


async def _echo_socket(stream: trio.SocketStream) -> None:
    """The same with the non-blocking socket, below trio's stream."""
    with contextlib.suppress(ConnectionResetError):
        await _echo_descriptor(stream.socket.fileno())


async def _echo_descriptor(number: int) -> None:
    while True:
        try:
            data = os.read(number, 65536)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(number)
            continue
        if not data:
            return
        while data:
            try:
                data = data[os.write(number, data) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(number)


def serve_trio(options: Options) -> None:
    """trio's SocketStream, or the socket below it."""
    echo = _echo_socket if options.variant == "socket" else _echo_stream
    trio.run(partial(trio.serve_tcp, echo, options.port, host=HOST))
