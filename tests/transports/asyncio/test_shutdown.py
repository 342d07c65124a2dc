"""Graceful shutdown, in the middle of everything; and shutdown by cancellation."""

from __future__ import annotations

import asyncio

import pytest

import windsock.asyncio
from tests.transports.handlers import echo, hold
from tests.transports.wire import REQUEST
from windsock.asyncio import Server
from windsock.core import App, Disconnected, HandshakeError, Request, Response, WebSocket

from .running import dial, rounds_until, url


async def test_under_load() -> None:
    handled = ready = 0
    codes: list[int] = []

    async def handler(ws: WebSocket) -> None:
        nonlocal handled
        await echo(ws)
        handled += 1

    async def chat(ws: WebSocket) -> None:
        nonlocal ready
        for number in range(1_000_000):
            await ws.send(f"message {number} " + "x" * 1000)
            assert str(await ws.receive()).startswith(f"message {number} ")
            if number == 3:
                ready += 1

    async def client(uri: str) -> None:
        async with windsock.asyncio.connect(uri) as ws:
            with pytest.raises(Disconnected) as end:
                await chat(ws)
            codes.append(end.value.code)

    async with windsock.asyncio.serve(handler) as server, asyncio.TaskGroup() as clients:
        for _ in range(50):
            clients.create_task(client(url(server)))
        await rounds_until(lambda: ready == 50)
        await server.shutdown()
    assert codes == [1001] * 50
    assert handled == 50


async def test_nobody_gets_in_any_more() -> None:
    async with windsock.asyncio.serve(hold) as server:
        async with windsock.asyncio.connect(url(server)) as ws:
            await server.shutdown()
            assert await ws.receive(None) is None
            with pytest.raises(OSError):
                async with windsock.asyncio.connect(url(server)):
                    pass


async def test_a_handshake_that_is_not_decided_gets_503() -> None:
    waiting = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        waiting.set()
        await ws.wait_closed()

    async def shutdown(server: Server) -> None:
        await waiting.wait()
        await server.shutdown()

    async with windsock.asyncio.serve(handler) as server, asyncio.TaskGroup() as tasks:
        tasks.create_task(shutdown(server))
        with pytest.raises(HandshakeError) as refused:
            async with windsock.asyncio.connect(url(server)):
                pass
        assert refused.value.status == 503


async def test_a_plain_request_is_answered_to_its_end() -> None:
    app = App()
    asked, go_on = asyncio.Event(), asyncio.Event()

    @app.http("/")
    async def answer(request: Request) -> Response:
        asked.set()
        await go_on.wait()
        return Response("done")

    async with windsock.asyncio.serve(app) as server, dial(server) as raw:
        await raw.send(b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n")
        await asked.wait()
        shutdown = asyncio.create_task(server.shutdown())
        await asyncio.sleep(0)
        go_on.set()
        assert (await raw.read_all()).endswith(b"done")
        await raw.close()
        await shutdown


async def test_connections_that_say_nothing_are_closed() -> None:
    async with windsock.asyncio.serve(hold) as server:
        async with dial(server) as silent, dial(server) as half:
            await half.send(REQUEST[:30])
            await server.shutdown()
            assert await silent.read_all() == b""
            assert await half.read_all() == b""


async def test_cancelled_from_outside() -> None:
    opened = asyncio.Event()
    servers: list[Server] = []

    async def serve() -> None:
        async with windsock.asyncio.serve(hold) as server:
            servers.append(server)
            opened.set()
            await server.serve_forever()

    task = asyncio.create_task(serve())
    await opened.wait()
    async with windsock.asyncio.connect(url(servers[0])) as ws:
        task.cancel()
        await ws.wait_closed()
        assert ws.code == 1001
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_in_the_body_of_serve_comes_out_as_it_is() -> None:
    error = ExceptionGroup("mine", [ValueError("a")])
    with pytest.raises(ExceptionGroup) as raised:
        async with windsock.asyncio.serve(hold):
            raise error
    assert raised.value is error
