"""websockets, on asyncio and on trio."""

from __future__ import annotations

from functools import partial

import trio
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.trio.server import ServerConnection as TrioConnection
from websockets.trio.server import serve as serve_on_trio

from .loops import run
from .options import HOST, MAX_MESSAGE, Options


async def _echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def _fanout(ws: ServerConnection) -> None:
    async for message in ws:
        broadcast(ws.server.connections, message)


async def _serve(options: Options) -> None:
    async with serve(
        _fanout if options.fanout else _echo,
        HOST,
        options.port,
        ssl=options.ssl_context(),
        compression="deflate" if options.deflate else None,
        max_size=MAX_MESSAGE,
    ) as server:
        await server.serve_forever()


def serve_asyncio(options: Options) -> None:
    """websockets on any event loop of asyncio."""
    run(_serve(options), options.variant)


async def _echo_on_trio(ws: TrioConnection) -> None:
    async for message in ws:
        await ws.send(message)


_everyone: set[TrioConnection] = set()


async def _fanout_on_trio(ws: TrioConnection) -> None:
    _everyone.add(ws)
    try:
        async for message in ws:
            for peer in list(_everyone):
                await peer.send(message)
    finally:
        _everyone.remove(ws)


def serve_trio(options: Options) -> None:
    """websockets on trio."""
    trio.run(
        partial(
            serve_on_trio,
            _fanout_on_trio if options.fanout else _echo_on_trio,
            options.port,
            host=HOST,
            ssl=options.ssl_context(),
            compression="deflate" if options.deflate else None,
            max_size=MAX_MESSAGE,
        )
    )
