"""What happens to a WebSocket while its handler is elsewhere: as much as if it were there."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.transports.wire import CLOSE, PING, PONG, TEXT, close_frame, frame, frames
from windsock.core import WebSocket

from .running import open_raw, read_until, serving_stream

pytestmark = pytest.mark.mock_clock


async def elsewhere(ws: WebSocket) -> None:
    """Accepts, receives one message, and is away for a long time."""
    await ws.accept()
    assert await ws.receive() == "go"
    await trio.sleep(1000)


@pytest.mark.parametrize("together", [True, False])
async def test_pings_are_answered(together: bool) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with serving_stream(elsewhere, theirs):
        await open_raw(ours)
        ping = frame(PING, b"there?")
        if together:  # the handler reads them both at once
            await ours.send_all(frame(TEXT, b"go") + ping)
        else:
            await ours.send_all(frame(TEXT, b"go"))
            await trio.testing.wait_all_tasks_blocked()
            await ours.send_all(ping)
        with trio.fail_after(1):
            assert frames(await read_until(ours, bool)) == [(PONG, b"there?")]
        await ours.aclose()


@pytest.mark.parametrize("together", [True, False])
async def test_a_close_frame_is_answered(together: bool) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with serving_stream(elsewhere, theirs):
        await open_raw(ours)
        if together:
            await ours.send_all(frame(TEXT, b"go") + close_frame(1000))
        else:
            await ours.send_all(frame(TEXT, b"go"))
            await trio.testing.wait_all_tasks_blocked()
            await ours.send_all(close_frame(1000))
        with trio.fail_after(1):
            ((opcode, _),) = frames(await read_until(ours, bool))
            assert opcode == CLOSE
            assert await ours.receive_some() == b""  # and TCP ends, too
        await ours.aclose()


async def test_a_turn_that_nobody_takes() -> None:
    """What was read at once is looked at to its end, though who was given a part of it has left."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with serving_stream(elsewhere, theirs):
        await open_raw(ours)
        await trio.testing.wait_all_tasks_blocked()
        many = frame(TEXT, b"x" * 100) * 200
        await ours.send_all(frame(TEXT, b"go") + many + frame(PING, b"there?"))
        with trio.fail_after(1):
            assert frames(await read_until(ours, bool)) == [(PONG, b"there?")]
        await ours.aclose()
