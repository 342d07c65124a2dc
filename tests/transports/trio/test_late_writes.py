"""What a task sends and never waits for goes out with the scheduler's next pass."""

from __future__ import annotations

import trio
from trio.testing import memory_stream_pair

from windsock.core import WebSocket
from windsock.trio import connect_stream, serve_stream

DEADLINE = 5.0


async def test_a_client_that_sends_and_then_waits_for_something_else() -> None:
    received = trio.Event()

    async def handler(ws: WebSocket) -> None:
        async with ws:
            assert await ws.receive() == "unprompted"
            received.set()

    ours, theirs = memory_stream_pair()
    with trio.fail_after(DEADLINE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_stream, handler, theirs)
            async with connect_stream(ours) as ws:
                await ws.send("unprompted")
                await received.wait()
