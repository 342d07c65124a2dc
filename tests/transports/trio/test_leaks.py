"""Nothing is left over after many connections."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

import windsock.trio
from tests.certificates import client_context, server_context
from tests.transports.handlers import echo
from tests.transports.wire import REQUEST
from windsock.core import Config, HandshakeError, WebSocket
from windsock.trio._link import TrioLink

from .running import dial, open_files, open_raw, read_all, reset, serving, url


async def polite(uri: str) -> None:
    async with windsock.trio.connect(uri) as ws:
        await ws.send("hello")
        await ws.receive()


async def secure(uri: str) -> None:
    async with windsock.trio.connect(uri, ssl_context=client_context()) as ws:
        await ws.send("hello")
        await ws.receive()


async def cancelled(uri: str) -> None:
    with trio.CancelScope() as scope:
        async with windsock.trio.connect(uri) as ws:
            scope.cancel()
            await ws.receive()


async def rejected(uri: str) -> None:
    with pytest.raises(HandshakeError):
        async with windsock.trio.connect(uri):
            pass


async def handler(ws: WebSocket) -> None:
    if ws.request.path == "/reject":
        await ws.reject()
    else:
        await echo(ws)


async def tasks_are(count: int) -> None:
    """Wait until there are no more tasks than `count`."""
    while trio.lowlevel.current_statistics().tasks_living > count:
        await trio.lowlevel.checkpoint()


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
    async with serving(handler, ssl_context=context) as server:
        uri = url(server, scheme) + path
        await client(uri)
        await trio.testing.wait_all_tasks_blocked()  # the server has seen the end of it
        tasks = trio.lowlevel.current_statistics().tasks_living
        files = open_files()
        limit = trio.CapacityLimiter(20)

        async def one() -> None:
            async with limit:
                await client(uri)

        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(one)
        await tasks_are(tasks)
        assert open_files() <= files
    gc.collect()  # a socket that was forgotten says so now


async def test_raw_peers_that_vanish() -> None:
    async with serving(handler) as server:
        await polite(url(server))
        await trio.testing.wait_all_tasks_blocked()  # the server has seen the end of it
        tasks = trio.lowlevel.current_statistics().tasks_living
        files = open_files()
        for number in range(100):
            stream = await dial(server)
            if number % 4 == 1:
                await stream.send_all(REQUEST[:40])
            elif number % 4 == 2:
                await open_raw(stream)
            elif number % 4 == 3:
                await stream.send_all(b"\0" * 100)
                await read_all(stream)
            reset(stream)
        await tasks_are(tasks)
        assert open_files() <= files
    gc.collect()


async def test_failed_connects() -> None:
    async with serving(handler) as server:
        files = open_files()
        for _ in range(20):
            with pytest.raises(OSError):
                await secure(url(server, "wss"))
        tasks = trio.lowlevel.current_statistics().tasks_living
        await tasks_are(tasks)
    with pytest.raises(OSError):
        await polite(url(server))
    gc.collect()
    assert open_files() <= files


def links() -> list[TrioLink]:
    return [one for one in gc.get_objects() if isinstance(one, TrioLink)]


async def test_a_connection_that_has_ended_needs_no_garbage_collector() -> None:
    """A cycle in each of them makes the collector run so often that it shows."""
    async with serving(handler) as server:
        await polite(url(server))
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        others = links()  # of servers that other tests have in other threads
        gc.disable()
        try:
            for _ in range(3):
                await polite(url(server))
            with trio.fail_after(10):
                while len(links()) > len(others):
                    await trio.testing.wait_all_tasks_blocked(0.01)  # the last may be at its end
        finally:
            gc.enable()


async def test_a_connection_that_a_deadline_has_ended_is_forgotten() -> None:
    async with serving(handler, config=Config(open_timeout=0.05)) as server:
        gc.collect()
        others = len(links())
        client = await dial(server)
        async with client:
            await read_all(client)
        with trio.fail_after(10):
            while len(links()) > others:
                await trio.testing.wait_all_tasks_blocked(0.01)
