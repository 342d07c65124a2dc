"""TCP connections that end in other ways than WebSockets should."""

from __future__ import annotations

import pytest
import trio

import windsock.trio
from tests.transports.handlers import echo
from tests.transports.wire import CLOSE, REQUEST, TEXT, close_frame, frame, frames
from windsock.core import NEED_DATA, Disconnected, ServerConnection, WebSocket

from .running import dial, open_files, open_raw, read_all, reset, serving, url


class Outcome:
    """What a handler's last call raised."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Disconnected](10)

    async def receive(self, ws: WebSocket) -> None:
        """A handler that receives."""
        await ws.accept()
        try:
            while True:
                await ws.receive()
        except Disconnected as end:
            self._send.send_nowait(end)

    async def flood(self, ws: WebSocket) -> None:
        """A handler that sends more than anybody buffers."""
        await ws.accept()
        try:
            while True:
                await ws.send(bytes(256 * 1024))
        except Disconnected as end:
            self._send.send_nowait(end)

    async def wait(self, ws: WebSocket) -> None:
        """A handler that is elsewhere, and looks up when the WebSocket has ended."""
        await ws.accept()
        while not ws.closed:
            await trio.lowlevel.checkpoint()  # elsewhere: in anything but `ws`
        with pytest.raises(Disconnected) as end:
            await ws.send("too late")
        self._send.send_nowait(end.value)

    async def get(self) -> Disconnected:
        return await self._receive.receive()


async def test_reset_while_receiving() -> None:
    outcome = Outcome()
    async with serving(outcome.receive) as server:
        stream = await dial(server)
        await open_raw(stream)
        reset(stream)
        end = await outcome.get()
        assert (end.code, end.clean) == (1006, False)


async def test_reset_while_sending() -> None:
    outcome = Outcome()
    async with serving(outcome.flood) as server:
        stream = await dial(server)
        await stream.send_all(REQUEST)
        await stream.receive_some(1000)
        reset(stream)
        assert (await outcome.get()).code == 1006


async def test_hung_up_while_sending() -> None:
    outcome = Outcome()
    async with serving(outcome.flood) as server:
        stream = await dial(server)
        await stream.send_all(REQUEST)
        await stream.receive_some(1000)
        await stream.aclose()
        assert (await outcome.get()).code == 1006


async def test_a_gone_client_is_noticed_by_a_handler_that_is_elsewhere() -> None:
    outcome = Outcome()
    async with serving(outcome.wait) as server:
        stream = await dial(server)
        await open_raw(stream)
        reset(stream)
        with trio.fail_after(1):
            assert (await outcome.get()).code == 1006


async def test_half_closed_without_a_close_frame() -> None:
    outcome = Outcome()
    async with serving(outcome.receive) as server:
        stream = await dial(server)
        await open_raw(stream)
        await stream.send_eof()
        assert (await outcome.get()).code == 1006
        assert await read_all(stream) == b""
        await stream.aclose()


async def test_half_closed_after_a_message_and_a_close_frame() -> None:
    async with serving(echo) as server:
        stream = await dial(server)
        await open_raw(stream)
        await stream.send_all(frame(TEXT, b"last words") + close_frame(1000))
        await stream.send_eof()
        answer, close = frames(await read_all(stream))
        assert answer == (TEXT, b"last words")
        assert close[0] == CLOSE
        await stream.aclose()


async def test_half_closed_in_the_handshake() -> None:
    async with serving(echo) as server:
        stream = await dial(server)
        await stream.send_all(REQUEST[:50])
        await stream.send_eof()
        await read_all(stream)
        await stream.aclose()
        async with windsock.trio.connect(url(server)) as ws:
            await ws.send("still there?")
            assert await ws.receive() == "still there?"


async def test_connected_and_gone_at_once() -> None:
    async with serving(echo) as server:
        for _ in range(20):
            reset(await dial(server))
        async with windsock.trio.connect(url(server)) as ws:
            await ws.send("still there?")
            assert await ws.receive() == "still there?"


async def test_a_server_that_is_reset() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    _, port = listener.socket.getsockname()

    async def accept_and_reset() -> None:
        stream = await listener.accept()
        connection = ServerConnection(now=0)
        while connection.next_event() is NEED_DATA:
            connection.receive_data(await stream.receive_some(), 0)
        connection.accept(now=0)
        await stream.send_all(connection.data_to_send())
        reset(stream)

    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(accept_and_reset)
        async with windsock.trio.connect(f"ws://127.0.0.1:{port}/") as ws:
            with pytest.raises(Disconnected) as end:
                await ws.receive()
        assert (end.value.code, end.value.clean) == (1006, False)


async def test_tcp_ends_with_the_websocket_though_the_client_is_elsewhere() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close()

    with trio.fail_after(3):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(windsock.trio.serve, handler)
            async with windsock.trio.connect(url(server)):
                # It waits for its connections, and they for the client's end of TCP.
                await server.shutdown()


async def test_tcp_ends_with_the_websocket_though_the_handler_goes_on() -> None:
    go_on = trio.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close()
        await go_on.wait()

    async with serving(handler) as server:
        stream = await dial(server)
        rest = await open_raw(stream)
        files = open_files()
        await stream.send_all(close_frame(1000))
        await stream.send_eof()
        assert frames(rest + await read_all(stream))[0][0] == CLOSE
        while open_files() == files:  # the server's socket is one of them
            await trio.lowlevel.checkpoint()
        go_on.set()
        await stream.aclose()
