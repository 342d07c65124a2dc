"""Graceful shutdown, in the middle of everything."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import windsock.trio
from tests.transports.handlers import echo, hold
from tests.transports.wire import REQUEST
from windsock.core import App, Disconnected, HandshakeError, Request, Response, WebSocket

from .running import dial, read_all, serving, url


async def test_under_load() -> None:
    handled = 0

    async def handler(ws: WebSocket) -> None:
        nonlocal handled
        await echo(ws)
        handled += 1

    ready = 0
    codes: list[int] = []

    async def client(uri: str) -> None:
        async with windsock.trio.connect(uri) as ws:
            with pytest.raises(Disconnected) as end:
                await chat(ws)
            codes.append(end.value.code)

    async def chat(ws: WebSocket) -> None:
        nonlocal ready
        for number in range(1_000_000):
            await ws.send(f"message {number} " + "x" * 1000)
            assert str(await ws.receive()).startswith(f"message {number} ")
            if number == 3:
                ready += 1

    async with trio.open_nursery() as servers:
        server = await servers.start(windsock.trio.serve, handler)
        async with trio.open_nursery() as clients:
            for _ in range(50):
                clients.start_soon(client, url(server))
            while ready < 50:
                await trio.lowlevel.checkpoint()
            await server.shutdown()
    assert codes == [1001] * 50
    assert handled == 50


async def test_nobody_gets_in_any_more() -> None:
    async with trio.open_nursery() as servers:
        server = await servers.start(windsock.trio.serve, hold)
        uri = url(server)
        async with windsock.trio.connect(uri) as ws:
            await server.shutdown()
            assert ws.code == 1001 or await ws.receive(None) is None
            with pytest.raises(OSError):
                async with windsock.trio.connect(uri):
                    pass


async def test_a_handshake_that_is_not_decided_gets_503() -> None:
    waiting = trio.Event()

    async def handler(ws: WebSocket) -> None:
        waiting.set()
        await ws.wait_closed()

    async with serving(handler) as server, trio.open_nursery() as nursery:

        async def shutdown() -> None:
            await waiting.wait()
            await server.shutdown()

        nursery.start_soon(shutdown)
        with pytest.raises(HandshakeError) as refused:
            async with windsock.trio.connect(url(server)):
                pass
        assert refused.value.status == 503


async def test_a_plain_request_is_answered_to_its_end() -> None:
    app = App()
    asked, go_on = trio.Event(), trio.Event()

    @app.http("/")
    async def answer(request: Request) -> Response:
        asked.set()
        await go_on.wait()
        return Response("done")

    async with serving(app) as server, trio.open_nursery() as nursery:
        stream = await dial(server)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n")
        await asked.wait()
        nursery.start_soon(server.shutdown)
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()
        assert (await read_all(stream)).endswith(b"done")
        await stream.aclose()


async def test_connections_that_say_nothing_are_closed() -> None:
    async with serving(hold) as server:
        async with await dial(server) as silent, await dial(server) as half:
            await half.send_all(REQUEST[:30])
            await trio.testing.wait_all_tasks_blocked()
            await server.shutdown()
            assert await read_all(silent) == b""
            assert await read_all(half) == b""
