"""windsock on its own transports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from windsock.core import Application, Config, Deflate, WebSocket

from .loops import run
from .options import HOST, MAX_MESSAGE, Options

MOST_CONNECTIONS: Final = 16_384


def config(options: Options) -> Config:
    """The defaults, but for what the scenario needs."""
    return Config(max_message_size=MAX_MESSAGE, compression=Deflate() if options.deflate else None)


def application(options: Options) -> Application:
    """The handler that the scenario needs."""
    return _fanout() if options.fanout else echo


async def echo(ws: WebSocket) -> None:
    """Send back what comes."""
    async with ws:
        async for message in ws:
            await ws.send(message)


def _fanout() -> Application:
    everyone: set[WebSocket] = set()

    async def fanout(ws: WebSocket) -> None:
        async with ws:
            everyone.add(ws)
            try:
                async for message in ws:
                    for peer in list(everyone):
                        await peer.send(message)
            finally:
                everyone.remove(ws)

    return fanout


def serve(options: Options) -> None:
    """Serve on the transport that the variant names, as the command line does."""
    import_module(f"windsock.{options.variant}").run(
        application(options),
        host=HOST,
        port=options.port,
        config=config(options),
        ssl_context=options.ssl_context(),
        started=_ignore,
    )


def _ignore(urls: Sequence[str]) -> None:
    """The runner finds out by itself when it can connect."""


def serve_on_threads(options: Options) -> None:
    """windsock.threads with as many threads as a scenario has connections."""
    import windsock.threads

    with windsock.threads.serve(
        application(options),
        HOST,
        options.port,
        config=config(options),
        ssl_context=options.ssl_context(),
        max_connections=MOST_CONNECTIONS,
    ) as server:
        server.serve_forever()


def serve_on_loop(options: Options) -> None:
    """windsock.asyncio on another event loop."""
    run(_serve_on_loop(options), options.variant)


async def _serve_on_loop(options: Options) -> None:
    import windsock.asyncio

    async with windsock.asyncio.serve(
        application(options),
        HOST,
        options.port,
        config=config(options),
        ssl_context=options.ssl_context(),
    ):
        await asyncio.Event().wait()
