"""Nothing is left over after many connections."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

import windsock.asyncio
from tests.certificates import client_context, server_context
from tests.transports.handlers import echo
from tests.transports.wire import REQUEST
from windsock.core import HandshakeError, WebSocket

from .running import dial, open_files, rounds_until, url


async def polite(uri: str) -> None:
    async with windsock.asyncio.connect(uri) as ws:
        await ws.send("hello")
        await ws.receive()


async def secure(uri: str) -> None:
    async with windsock.asyncio.connect(uri, ssl_context=client_context()) as ws:
        await ws.send("hello")
        await ws.receive()


async def cancelled(uri: str) -> None:
    opened = asyncio.Event()

    async def client() -> None:
        async with windsock.asyncio.connect(uri) as ws:
            opened.set()
            await ws.receive()

    task = asyncio.create_task(client())
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def rejected(uri: str) -> None:
    with pytest.raises(HandshakeError):
        async with windsock.asyncio.connect(uri):
            pass


async def handler(ws: WebSocket) -> None:
    if ws.request.path == "/reject":
        await ws.reject()
    else:
        await echo(ws)


async def level(client: Callable[[str], Awaitable[None]], uri: str) -> tuple[int, int]:
    """How many tasks and files there are after one connection, which may need some for good."""
    tasks = len(asyncio.all_tasks())
    await client(uri)
    for _ in range(100):  # rounds in which the server ends its side
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == tasks
    return tasks, open_files()


async def settle(tasks: int, files: int) -> None:
    """Wait until there are no more tasks and files than that."""
    async with asyncio.timeout(5):
        await rounds_until(lambda: len(asyncio.all_tasks()) <= tasks and open_files() <= files)


CLIENTS: list[tuple[Callable[[str], Awaitable[None]], str, str, int]] = [
    (polite, "ws", "", 500),
    (secure, "wss", "", 50),
    (cancelled, "ws", "", 100),
    (rejected, "ws", "reject", 100),
]


@pytest.mark.parametrize(("client", "scheme", "path", "count"), CLIENTS)
async def test_connections(
    client: Callable[[str], Awaitable[None]], scheme: str, path: str, count: int
) -> None:
    context = server_context() if scheme == "wss" else None
    async with windsock.asyncio.serve(handler, ssl_context=context) as server:
        uri = url(server, scheme) + path
        tasks, files = await level(client, uri)
        limit = asyncio.Semaphore(20)

        async def one() -> None:
            async with limit:
                await client(uri)

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one())
        await settle(tasks, files)
    gc.collect()  # a socket that was forgotten says so now


async def test_raw_peers_that_vanish() -> None:
    async with windsock.asyncio.serve(handler) as server:
        tasks, files = await level(polite, url(server))
        for number in range(100):
            async with dial(server) as raw:
                if number % 4 == 1:
                    await raw.send(REQUEST[:40])
                elif number % 4 == 2:
                    await raw.open()
                elif number % 4 == 3:
                    await raw.send(b"\0" * 100)
                    await raw.read_all()
                raw.reset()
        await settle(tasks, files)
    gc.collect()


async def test_failed_connects() -> None:
    async with windsock.asyncio.serve(handler) as server:
        tasks, files = await level(polite, url(server))
        for _ in range(20):
            with pytest.raises(OSError):
                await secure(url(server, "wss"))
    with pytest.raises(OSError):
        await polite(url(server))
    await settle(tasks, files)
    gc.collect()
