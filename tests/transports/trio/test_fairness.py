"""One busy peer does not starve the others; measured in messages and rounds, not in time."""

from __future__ import annotations

import trio

import windsock.trio
from tests.transports.wire import REQUEST, TEXT, frame
from windsock.core import App, WebSocket

from .running import dial, reset, serving, url

# How many messages of the busy peer may pass in one round of everybody else: what is read at
# once, and what fits into an inbox, some times over.
_MOST = 1_000


class Busy:
    """An application with a peer that never stops."""

    def __init__(self) -> None:
        self.app = App()
        self.app.websocket("/busy")(self.busy)
        self.app.websocket("/quiet")(self.quiet)
        self.received = 0

    async def busy(self, ws: WebSocket) -> None:
        async with ws:
            async for _ in ws:
                self.received += 1

    async def quiet(self, ws: WebSocket) -> None:
        async with ws:
            async for message in ws:
                await ws.send(message)


async def flood(stream: trio.SocketStream) -> None:
    chunk = frame(TEXT, b"x") * 10_000
    while True:
        await stream.send_all(chunk)


async def open_busy(server: windsock.trio.Server) -> trio.SocketStream:
    stream = await dial(server)
    await stream.send_all(REQUEST.replace(b" / ", b" /busy "))
    assert b" 101 " in await stream.receive_some()
    return stream


async def test_a_flood_of_messages_does_not_starve_a_quiet_connection() -> None:
    test = Busy()
    async with serving(test.app) as server, trio.open_nursery() as nursery:
        stream = await open_busy(server)
        nursery.start_soon(flood, stream)
        async with windsock.trio.connect(url(server) + "quiet") as ws:
            for number in range(10):
                before = test.received
                await ws.send(str(number))
                assert await ws.receive() == str(number)
                assert test.received - before < 10 * _MOST
        assert test.received > 0
        nursery.cancel_scope.cancel()
        reset(stream)


async def test_a_flood_of_messages_does_not_starve_other_tasks() -> None:
    test = Busy()
    async with serving(test.app) as server, trio.open_nursery() as nursery:
        stream = await open_busy(server)
        nursery.start_soon(flood, stream)
        for _ in range(50):
            before = test.received
            await trio.lowlevel.checkpoint()
            assert test.received - before < _MOST
        assert test.received > 0
        nursery.cancel_scope.cancel()
        reset(stream)


async def test_a_handler_that_sends_to_a_fast_reader_does_not_starve_other_tasks() -> None:
    sent = 0

    async def pour(ws: WebSocket) -> None:
        nonlocal sent
        await ws.accept()
        async with ws:
            while True:
                await ws.send(b"x" * 1000)
                sent += 1

    async def drain(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            pass

    async with serving(pour) as server, trio.open_nursery() as nursery:
        stream = await dial(server)
        await stream.send_all(REQUEST)
        nursery.start_soon(drain, stream)
        while sent < 10_000:
            before = sent
            await trio.lowlevel.checkpoint()
            assert sent - before < 1_000  # 64 kB of backlog are 64 messages
        nursery.cancel_scope.cancel()
        reset(stream)
