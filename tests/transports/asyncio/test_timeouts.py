"""Every timeout of `Config`, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

import windsock.asyncio
from tests.certificates import server_context
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
)
from windsock.core import Config, Disconnected, HandshakeError, WebSocket

from .running import RawPeer, accept, dial, raw_server, url

pytestmark = pytest.mark.virtual_time

CONFIG = Config(
    open_timeout=3,
    close_timeout=5,
    write_timeout=7,
    ping_interval=11,
    ping_timeout=13,
    message_timeout=17,
    shutdown_timeout=19,
)


def now() -> float:
    """Virtual seconds since the test began."""
    return round(asyncio.get_running_loop().time(), 3)


async def against(
    handler: Callable[[WebSocket], Awaitable[None]], peer: Callable[[RawPeer], Awaitable[None]]
) -> None:
    """Have a raw peer meet a handler."""
    async with windsock.asyncio.serve(handler, config=CONFIG) as server, dial(server) as raw:
        await peer(raw)


async def test_server_answers_408_to_a_request_that_does_not_come() -> None:
    async def peer(raw: RawPeer) -> None:
        await raw.send(b"GET / HTTP/1.1\r\n")
        status, _ = await raw.read_head()
        assert (status, now()) == (408, CONFIG.open_timeout)

    await against(hold, peer)


async def test_server_answers_503_when_the_handler_does_not_decide() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        with pytest.raises(Disconnected):
            await ws.accept()

    async def peer(raw: RawPeer) -> None:
        await raw.send(REQUEST)
        status, _ = await raw.read_head()
        assert (status, now()) == (503, CONFIG.open_timeout)

    await against(handler, peer)


async def test_server_pings_a_silent_client_and_gives_it_up() -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        ends.append((ws.code, now()))

    async def peer(raw: RawPeer) -> None:
        await raw.open()
        assert frames(await raw.read())[0][0] == PING
        assert now() == CONFIG.ping_interval
        (opcode, payload), *_ = frames(await raw.read())
        assert (opcode, close_code(payload)) == (CLOSE, 1011)
        assert now() == CONFIG.ping_interval + CONFIG.ping_timeout

    await against(handler, peer)
    assert ends == [(1011, CONFIG.ping_interval + CONFIG.ping_timeout)]


async def test_an_answered_ping_keeps_the_connection() -> None:
    async def peer(raw: RawPeer) -> None:
        await raw.open()
        for number in range(1, 5):
            ((opcode, payload),) = frames(await raw.read())
            assert (opcode, now()) == (PING, number * CONFIG.ping_interval)
            await raw.send(frame(PONG, payload))
        await raw.send(close_frame(1000))
        assert frames(await raw.read())[0][0] == CLOSE

    await against(hold, peer)


async def test_server_waits_for_the_answer_to_its_close_frame_so_long() -> None:
    times = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(4000)
        times.append((ws.code, now()))

    async def peer(raw: RawPeer) -> None:
        ((opcode, payload),) = frames(await raw.open() or await raw.read())
        assert (opcode, close_code(payload)) == (CLOSE, 4000)
        assert await raw.read_all() == b""

    await against(handler, peer)
    assert times == [(1006, CONFIG.close_timeout)]


async def test_server_gives_up_a_client_that_takes_nothing() -> None:
    times: asyncio.Queue[tuple[int, float]] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send(bytes(256 * 1024))
        except Disconnected as end:
            times.put_nowait((end.code, now()))

    async def peer(raw: RawPeer) -> None:
        await raw.send(REQUEST)  # and the answer fills asyncio's buffers, then the kernel's
        assert await times.get() == (1006, CONFIG.write_timeout)
        raw.reset()

    await against(handler, peer)


async def test_server_gives_up_a_message_that_does_not_end() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(Disconnected) as end:
            await ws.receive()
        assert end.value.code == 1008

    async def peer(raw: RawPeer) -> None:
        await raw.open()
        await raw.send(frame(TEXT, b"never", fin=False))
        ((opcode, payload),) = frames(await raw.read())
        assert (opcode, now()) == (PING, CONFIG.ping_interval)
        await raw.send(frame(PONG, payload))
        ((opcode, payload),) = frames(await raw.read())
        assert (opcode, close_code(payload)) == (CLOSE, 1008)
        assert now() == CONFIG.message_timeout

    await against(handler, peer)


async def test_shutdown_cancels_handlers_that_do_not_end() -> None:
    cancelled = []

    async def stubborn(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.append(now())

    async with windsock.asyncio.serve(stubborn, config=CONFIG) as server:
        async with windsock.asyncio.connect(url(server), config=CONFIG) as ws:
            shutdown = asyncio.create_task(server.shutdown())
            await ws.wait_closed()
            assert (ws.code, now()) == (1001, 0)
        await shutdown
        assert now() == CONFIG.shutdown_timeout
    assert cancelled == [CONFIG.shutdown_timeout]


async def test_client_gives_up_a_server_that_does_not_answer() -> None:
    async def silent(raw: RawPeer) -> None:
        await raw.read()
        await raw.read_all()

    async with raw_server(silent) as uri:
        with pytest.raises(HandshakeError, match="within 3 s") as refused:
            async with windsock.asyncio.connect(uri, config=CONFIG):
                pass
    assert refused.value.status is None
    assert now() == CONFIG.open_timeout


async def test_client_gives_up_a_tls_handshake_that_is_not_answered() -> None:
    async def silent(raw: RawPeer) -> None:
        await raw.read_all()

    async with raw_server(silent) as uri:
        with pytest.raises(TimeoutError, match="within 3 s"):
            async with windsock.asyncio.connect(uri.replace("ws:", "wss:"), config=CONFIG):
                pass
        assert now() == CONFIG.open_timeout


async def test_server_gives_up_a_tls_handshake_that_does_not_come() -> None:
    serving = windsock.asyncio.serve(hold, config=CONFIG, ssl_context=server_context())
    async with serving as server, dial(server) as raw:
        assert await raw.read_all() == b""
        assert now() == CONFIG.open_timeout


async def test_client_pings_a_silent_server_and_gives_it_up() -> None:
    async with raw_server(deaf) as uri:
        async with windsock.asyncio.connect(uri, config=CONFIG) as ws:
            with pytest.raises(Disconnected) as end:
                await ws.receive()
            assert end.value.code == 1011
            assert now() == CONFIG.ping_interval + CONFIG.ping_timeout


async def deaf(raw: RawPeer) -> None:
    """Opens the WebSocket, and answers nothing."""
    await accept(raw)
    await raw.read_all()


async def test_client_waits_for_the_answer_to_its_close_frame_so_long() -> None:
    async with raw_server(deaf) as uri:
        async with windsock.asyncio.connect(uri, config=CONFIG) as ws:
            await ws.close(4000)
            assert (ws.code, now()) == (1006, CONFIG.close_timeout)


async def test_leaving_the_context_waits_so_long() -> None:
    async with raw_server(deaf) as uri:
        async with windsock.asyncio.connect(uri, config=CONFIG):
            pass
        assert now() == CONFIG.close_timeout
