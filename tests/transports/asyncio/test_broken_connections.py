"""TCP connections that end in other ways than WebSockets should."""

from __future__ import annotations

import asyncio

import pytest

import windsock.asyncio
from tests.transports.handlers import echo
from tests.transports.wire import CLOSE, PING, PONG, REQUEST, TEXT, close_frame, frame, frames
from windsock.core import Disconnected, WebSocket

from .running import RawPeer, accept, dial, open_files, raw_server, rounds_until, url


class Outcome:
    """What a handler's last call raised."""

    def __init__(self) -> None:
        self._ends: asyncio.Queue[Disconnected] = asyncio.Queue()

    async def receive(self, ws: WebSocket) -> None:
        """A handler that receives."""
        await ws.accept()
        try:
            while True:
                await ws.receive()
        except Disconnected as end:
            self._ends.put_nowait(end)

    async def flood(self, ws: WebSocket) -> None:
        """A handler that sends more than anybody buffers."""
        await ws.accept()
        try:
            while True:
                await ws.send(bytes(256 * 1024))
        except Disconnected as end:
            self._ends.put_nowait(end)

    async def wait(self, ws: WebSocket) -> None:
        """A handler that is elsewhere, and looks up when the WebSocket has ended."""
        await ws.accept()
        await rounds_until(lambda: ws.closed)
        with pytest.raises(Disconnected) as end:
            await ws.send("too late")
        self._ends.put_nowait(end.value)

    async def get(self) -> Disconnected:
        return await self._ends.get()


async def test_reset_while_receiving() -> None:
    outcome = Outcome()
    async with windsock.asyncio.serve(outcome.receive) as server, dial(server) as raw:
        await raw.open()
        raw.reset()
        end = await outcome.get()
        assert (end.code, end.clean) == (1006, False)


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_gone_while_sending(how: str) -> None:
    outcome = Outcome()
    async with windsock.asyncio.serve(outcome.flood) as server, dial(server) as raw:
        await raw.send(REQUEST)
        await raw.read()
        if how == "reset":
            raw.reset()
        else:
            await raw.close()
        assert (await outcome.get()).code == 1006


async def test_a_gone_client_is_noticed_by_a_handler_that_is_elsewhere() -> None:
    outcome = Outcome()
    async with windsock.asyncio.serve(outcome.wait) as server, dial(server) as raw:
        await raw.open()
        raw.reset()
        async with asyncio.timeout(1):
            assert (await outcome.get()).code == 1006


async def test_half_closed_without_a_close_frame() -> None:
    outcome = Outcome()
    async with windsock.asyncio.serve(outcome.receive) as server, dial(server) as raw:
        await raw.open()
        raw.send_eof()
        assert (await outcome.get()).code == 1006
        assert await raw.read_all() == b""


async def test_half_closed_after_a_message_and_a_close_frame() -> None:
    async with windsock.asyncio.serve(echo) as server, dial(server) as raw:
        await raw.open()
        await raw.send(frame(TEXT, b"last words") + close_frame(1000))
        raw.send_eof()
        answer, close = frames(await raw.read_all())
        assert answer == (TEXT, b"last words")
        assert close[0] == CLOSE


async def test_gone_in_the_handshake() -> None:
    async with windsock.asyncio.serve(echo) as server:
        async with dial(server) as raw:
            await raw.send(REQUEST[:50])
            raw.send_eof()
            await raw.read_all()
        for _ in range(20):
            async with dial(server) as raw:
                raw.reset()
        async with windsock.asyncio.connect(url(server)) as ws:
            await ws.send("still there?")
            assert await ws.receive() == "still there?"


async def test_a_server_that_is_reset() -> None:
    async def accept_and_reset(raw: RawPeer) -> None:
        await accept(raw)
        raw.reset()

    async with raw_server(accept_and_reset) as uri:
        async with windsock.asyncio.connect(uri) as ws:
            with pytest.raises(Disconnected) as end:
                await ws.receive()
        assert (end.value.code, end.value.clean) == (1006, False)


async def test_pings_are_answered_while_the_handler_is_elsewhere() -> None:
    go_on = asyncio.Event()

    async def elsewhere(ws: WebSocket) -> None:
        async with ws:
            assert await ws.receive() == "go"
            await go_on.wait()

    async with windsock.asyncio.serve(elsewhere) as server, dial(server) as raw:
        await raw.open()
        await raw.send(frame(TEXT, b"go") + frame(PING, b"there?"))
        async with asyncio.timeout(1):
            assert frames(await raw.read()) == [(PONG, b"there?")]
        go_on.set()
        assert frames(await raw.read())[0][0] == CLOSE
        await raw.send(close_frame(1000))


async def test_tcp_ends_with_the_websocket_though_the_client_is_elsewhere() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close()

    async with windsock.asyncio.serve(handler) as server:
        async with windsock.asyncio.connect(url(server)):
            # It waits for its connections, and they for the client's end of TCP.
            async with asyncio.timeout(3):
                await server.shutdown()


async def test_tcp_ends_with_the_websocket_though_the_handler_goes_on() -> None:
    go_on = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close()
        await go_on.wait()

    async with windsock.asyncio.serve(handler) as server, dial(server) as raw:
        rest = await raw.open()
        files = open_files()
        await raw.send(close_frame(1000))
        raw.send_eof()
        assert frames(rest + await raw.read_all())[0][0] == CLOSE
        await rounds_until(lambda: open_files() < files)  # the server's socket is one of them
        go_on.set()
