"""Every timeout of `Config`, on trio's clock, over in-memory streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio
import trio.testing

import windsock.trio
from tests.transports.handlers import hold
from tests.transports.wire import (
    CLOSE,
    PING,
    PONG,
    REQUEST,
    TEXT,
    close_code,
    close_frame,
    frame,
    frames,
    split_head,
)
from windsock.core import (
    NEED_DATA,
    Config,
    Disconnected,
    HandshakeError,
    ServerConnection,
    WebSocket,
)

from .running import MemoryListener, open_raw, read_all, read_until, serving_stream

pytestmark = pytest.mark.mock_clock

CONFIG = Config(
    open_timeout=3,
    close_timeout=5,
    write_timeout=7,
    ping_interval=11,
    ping_timeout=13,
    message_timeout=17,
    shutdown_timeout=19,
)


@asynccontextmanager
async def silent_server() -> AsyncIterator[AbstractAsyncContextManager[WebSocket]]:
    """A client of a server that opens the WebSocket and then neither reads nor writes."""
    ours, theirs = trio.testing.memory_stream_pair()

    async def accept() -> None:
        connection = ServerConnection(now=0)
        while connection.next_event() is NEED_DATA:
            connection.receive_data(bytes(await theirs.receive_some()), 0)
        connection.accept(now=0)
        await theirs.send_all(connection.data_to_send())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        yield windsock.trio.connect_stream(ours, config=CONFIG)


async def test_server_answers_408_to_a_request_that_does_not_come() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with serving_stream(hold, theirs, config=CONFIG):
        await ours.send_all(b"GET / HTTP/1.1\r\n")
        status, _ = split_head(await read_until(ours, lambda data: b"\r\n\r\n" in data))
        assert (status, trio.current_time()) == (408, CONFIG.open_timeout)
        await ours.aclose()


async def test_server_answers_503_when_the_handler_does_not_decide() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        with pytest.raises(Disconnected):
            await ws.accept()

    ours, theirs = trio.testing.memory_stream_pair()
    async with serving_stream(handler, theirs, config=CONFIG):
        await ours.send_all(REQUEST)
        status, _ = split_head(await read_until(ours, lambda data: b"\r\n\r\n" in data))
        assert (status, trio.current_time()) == (503, CONFIG.open_timeout)
        await ours.aclose()


async def test_server_pings_a_silent_client_and_gives_it_up() -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        ends.append((ws.code, trio.current_time()))

    ours, theirs = trio.testing.memory_stream_pair()
    async with serving_stream(handler, theirs, config=CONFIG):
        data = await open_raw(ours)
        data += await read_until(ours, bool)
        assert frames(data)[0][0] == PING
        assert trio.current_time() == CONFIG.ping_interval
        (opcode, payload), *_ = frames(await read_until(ours, bool))
        assert (opcode, close_code(payload)) == (CLOSE, 1011)
        assert trio.current_time() == CONFIG.ping_interval + CONFIG.ping_timeout
        await ours.aclose()
    assert ends == [(1011, CONFIG.ping_interval + CONFIG.ping_timeout)]


async def test_an_answered_ping_keeps_the_connection() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with serving_stream(hold, theirs, config=CONFIG):
        await open_raw(ours)
        for number in range(1, 5):
            ((opcode, payload),) = frames(await read_until(ours, bool))
            assert (opcode, trio.current_time()) == (PING, number * CONFIG.ping_interval)
            await ours.send_all(frame(PONG, payload))
        await ours.send_all(close_frame(1000))
        assert frames(await read_until(ours, bool))[0][0] == CLOSE
        await ours.aclose()


async def test_server_waits_for_the_answer_to_its_close_frame_so_long() -> None:
    times = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(4000)
        times.append((ws.code, trio.current_time()))

    ours, theirs = trio.testing.memory_stream_pair()
    async with serving_stream(handler, theirs, config=CONFIG):
        data = await open_raw(ours)
        ((opcode, payload),) = frames(data or await read_until(ours, bool))
        assert (opcode, close_code(payload)) == (CLOSE, 4000)
        assert await read_all(ours) == b""
    assert times == [(1006, CONFIG.close_timeout)]


async def test_server_gives_up_a_client_that_takes_nothing() -> None:
    times = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send(bytes(1024))
        except Disconnected as end:
            times.append((end.code, trio.current_time()))

    # Here a send is done only when the other side has received it.
    ours, theirs = trio.testing.lockstep_stream_pair()
    async with serving_stream(handler, theirs, config=CONFIG):
        await open_raw(ours)
    assert times == [(1006, CONFIG.write_timeout)]


async def test_server_gives_up_a_message_that_does_not_end() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(Disconnected) as end:
            await ws.receive()
        assert end.value.code == 1008

    ours, theirs = trio.testing.memory_stream_pair()
    async with serving_stream(handler, theirs, config=CONFIG):
        await open_raw(ours)
        await ours.send_all(frame(TEXT, b"never", fin=False))
        ((opcode, payload),) = frames(await read_until(ours, bool))
        assert (opcode, trio.current_time()) == (PING, CONFIG.ping_interval)
        await ours.send_all(frame(PONG, payload))
        ((opcode, payload),) = frames(await read_until(ours, bool))
        assert (opcode, close_code(payload)) == (CLOSE, 1008)
        assert trio.current_time() == CONFIG.message_timeout
        await ours.aclose()


async def test_shutdown_cancels_handlers_that_do_not_end() -> None:
    cancelled = trio.Event()

    async def stubborn(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    listener = MemoryListener()
    async with trio.open_nursery() as nursery:

        async def serve(*, task_status: trio.TaskStatus[windsock.trio.Server]) -> None:
            await windsock.trio.serve_listeners(
                stubborn, [listener], config=CONFIG, task_status=task_status
            )

        server = await nursery.start(serve)
        async with windsock.trio.connect_stream(listener.connect(), config=CONFIG) as ws:
            nursery.start_soon(server.shutdown)
            await ws.wait_closed()
            assert (ws.code, trio.current_time()) == (1001, 0)
        await cancelled.wait()
        assert trio.current_time() == CONFIG.shutdown_timeout


async def test_client_gives_up_a_server_that_does_not_answer() -> None:
    ours, _theirs = trio.testing.memory_stream_pair()
    with pytest.raises(HandshakeError, match="within 3 s") as refused:
        async with windsock.trio.connect_stream(ours, config=CONFIG):
            pass
    assert refused.value.status is None
    assert trio.current_time() == CONFIG.open_timeout


async def test_client_pings_a_silent_server_and_gives_it_up() -> None:
    async with silent_server() as client, client as ws:
        with pytest.raises(Disconnected) as end:
            await ws.receive()
        assert end.value.code == 1011
        assert trio.current_time() == CONFIG.ping_interval + CONFIG.ping_timeout


async def test_client_waits_for_the_answer_to_its_close_frame_so_long() -> None:
    async with silent_server() as client:
        async with client as ws:
            await ws.close(4000)
            assert ws.code == 1006
        assert trio.current_time() == CONFIG.close_timeout


async def test_leaving_the_context_waits_so_long() -> None:
    async with silent_server() as client:
        async with client:
            pass
        assert trio.current_time() == CONFIG.close_timeout
