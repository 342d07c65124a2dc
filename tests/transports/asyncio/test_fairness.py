"""One busy peer does not starve the others; measured in messages and rounds, not in time."""

from __future__ import annotations

import asyncio
from typing import Final

import windsock.asyncio
from tests.transports.handlers import echo
from tests.transports.wire import REQUEST, TEXT, frame
from windsock.core import App, WebSocket

from .running import RawPeer, dial, url

# How many messages of the busy peer may pass in one round of everybody else: some turns' worth.
_MOST: Final = 1_000


class Busy:
    """An application with a peer that never stops."""

    def __init__(self) -> None:
        self.app = App()
        self.app.websocket("/busy")(self.busy)
        self.app.websocket("/quiet")(echo)
        self.received = 0

    async def busy(self, ws: WebSocket) -> None:
        async with ws:
            async for _ in ws:
                self.received += 1


async def flood(raw: RawPeer) -> None:
    await raw.send(REQUEST.replace(b" / ", b" /busy "))
    status, _ = await raw.read_head()
    assert status == 101
    chunk = frame(TEXT, b"x") * 10_000
    while True:
        await raw.send(chunk)


async def test_a_flood_of_messages_does_not_starve_a_quiet_connection() -> None:
    test = Busy()
    async with windsock.asyncio.serve(test.app) as server, dial(server) as raw:
        flooding = asyncio.create_task(flood(raw))
        async with windsock.asyncio.connect(url(server) + "quiet") as ws:
            for number in range(10):
                before = test.received
                await ws.send(str(number))
                assert await ws.receive() == str(number)
                assert test.received - before < 10 * _MOST
        assert test.received > 0
        flooding.cancel()
        raw.reset()


async def test_a_flood_of_messages_does_not_starve_other_tasks() -> None:
    test = Busy()
    async with windsock.asyncio.serve(test.app) as server, dial(server) as raw:
        flooding = asyncio.create_task(flood(raw))
        rounds = 0
        while rounds < 50 or not test.received:
            before = test.received
            await asyncio.sleep(0)
            assert test.received - before < _MOST
            rounds += 1
        flooding.cancel()
        raw.reset()


async def test_a_handler_that_sends_to_a_fast_reader_does_not_starve_other_tasks() -> None:
    sent = 0

    async def pour(ws: WebSocket) -> None:
        nonlocal sent
        async with ws:
            while True:
                await ws.send(b"x" * 1000)
                sent += 1

    async with windsock.asyncio.serve(pour) as server, dial(server) as raw:
        await raw.send(REQUEST)
        draining = asyncio.create_task(raw.read_all())
        while sent < 10_000:
            before = sent
            await asyncio.sleep(0)
            assert sent - before < 1_000  # 64 kB of backlog are 64 messages
        raw.reset()
        await draining
