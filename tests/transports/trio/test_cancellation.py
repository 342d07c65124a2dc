"""A server that is cancelled from outside."""

from __future__ import annotations

import trio
import trio.testing

import windsock.trio
from tests.transports.handlers import hold
from tests.transports.wire import REQUEST
from windsock.core import WebSocket

from .running import dial, read_all, url


async def test_handlers_are_cancelled_and_clients_told() -> None:
    cancelled = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append(ws)
            raise

    async with trio.open_nursery() as servers:
        server = await servers.start(windsock.trio.serve, handler)
        async with windsock.trio.connect(url(server)) as ws:
            servers.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await ws.wait_closed()
                assert ws.code == 1001
    assert len(cancelled) == 1


async def test_cancellation_while_a_request_is_read() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(windsock.trio.serve, hold)
        stream = await dial(server)
        await stream.send_all(b"GET / HT")
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            assert await read_all(stream) == b""
            await stream.aclose()


async def test_a_handler_cannot_delay_it() -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.receive()

    async with trio.open_nursery() as nursery:
        server = await nursery.start(windsock.trio.serve, handler)
        # The client never answers the Close frame: nobody waits for it.
        stream = await dial(server)
        await stream.send_all(REQUEST)
        await stream.receive_some()
        nursery.cancel_scope.cancel()
    await stream.aclose()


async def test_serve_stream() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(windsock.trio.serve_stream, hold, theirs)
        async with windsock.trio.connect_stream(ours) as ws:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await ws.wait_closed()
                assert ws.closed


async def test_before_it_has_started() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await windsock.trio.serve(hold)
    assert scope.cancelled_caught
