"""Sockets are read whoever watches them: an epoll for all of them, or a task for each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

import windsock.trio
from tests.certificates import client_context, server_context
from tests.transports.handlers import echo
from tests.transports.wire import CLOSE, PING, PONG, TEXT, close_frame, frame, frames
from windsock import _nonblocking
from windsock.core import Config, WebSocket
from windsock.core.app.channel import Channel
from windsock.trio import _server
from windsock.trio._poller import Poller, TaskPoller, poller

from .running import dial, open_raw, read_all, read_until, serving, url

DEADLINE = 5.0
POLLERS = [poller, TaskPoller]

pytestmark = pytest.mark.parametrize("watched_by", POLLERS)


@pytest.fixture(autouse=True)
def _watched(watched_by: Callable[[trio.Nursery], Poller], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_server, "poller", watched_by)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_both_ways_at_once(scheme: str) -> None:
    """More than the kernel takes at a time, while it is being read, on several connections."""
    context = server_context() if scheme == "wss" else None
    size, count = 1_000_000, 10

    async def client(number: int) -> None:
        async with windsock.trio.connect(
            url(server, scheme),
            ssl_context=client_context() if scheme == "wss" else None,
            config=Config(max_message_size=2 * size),
        ) as ws:
            message = bytes([number]) * size

            async def send() -> None:
                for _ in range(count):
                    await ws.send(message)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                for _ in range(count):
                    assert await ws.receive() == message

    with trio.fail_after(6 * DEADLINE):
        async with serving(
            echo, ssl_context=context, config=Config(max_message_size=2 * size)
        ) as server:
            async with trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(client, number)


async def test_while_the_handler_is_elsewhere() -> None:
    async def elsewhere(ws: WebSocket) -> None:
        await ws.accept()
        await trio.sleep_forever()

    with trio.fail_after(DEADLINE):
        async with serving(elsewhere, config=Config(shutdown_timeout=0.01)) as server:
            async with await dial(server) as stream:
                await open_raw(stream)
                await stream.send_all(frame(PING, b"there?"))
                assert frames(await read_until(stream, bool)) == [(PONG, b"there?")]
                await stream.send_all(close_frame(1000))
                ((opcode, _),) = frames(await read_until(stream, bool))
                assert opcode == CLOSE
                assert await stream.receive_some() == b""  # and TCP ends, too


async def test_what_is_left_behind_leaves_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that sends and then does something else, with nothing else going on."""
    sent: list[bytes] = []
    send = _nonblocking.SocketStream.send

    def noted(self: _nonblocking.SocketStream, data: bytes | memoryview) -> int:
        sent.append(bytes(data))
        return send(self, data)

    async def leaves(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()
        for number in range(3):
            await ws.send(str(number))
        await trio.sleep_forever()

    monkeypatch.setattr(_nonblocking.SocketStream, "send", noted)
    with trio.fail_after(DEADLINE):
        async with serving(leaves, config=Config(shutdown_timeout=0.01)) as server:
            async with await dial(server) as stream:
                await open_raw(stream)
                await stream.send_all(frame(TEXT, b"go"))
                answer = await read_until(stream, lambda data: b"2" in data)
                assert frames(answer) == [(TEXT, b"0"), (TEXT, b"1"), (TEXT, b"2")]
                assert sent[-1] == answer


async def test_a_peer_that_resets_while_nobody_reads_it() -> None:
    """Its inbox is full, so its socket is not watched; the next message to it finds it gone."""
    ended = trio.Event()

    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.receive()
            await go_on.wait()
            async for _ in ws:
                pass
        ended.set()

    go_on = trio.Event()
    with trio.fail_after(DEADLINE):
        async with serving(handler, config=Config(inbox_high_water=1000)) as server:
            stream = await dial(server)
            await open_raw(stream)
            for _ in range(50):
                await stream.send_all(frame(TEXT, b"x" * 100))
            await trio.testing.wait_all_tasks_blocked()
            await stream.aclose()
            await trio.testing.wait_all_tasks_blocked()  # the scheduler does not run in circles
            go_on.set()
            await ended.wait()


async def test_a_cancelled_handler_may_hear_its_peer_out() -> None:
    codes: list[int | None] = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await ws.close(4000)
                codes.append(ws.code)

    with trio.fail_after(DEADLINE):
        async with trio.open_nursery() as servers:
            server: windsock.trio.Server = await servers.start(windsock.trio.serve, handler)
            with trio.CancelScope(shield=True):
                async with windsock.trio.connect(url(server)) as ws:
                    servers.cancel_scope.cancel()
                    await ws.wait_closed()
                    assert ws.code == 4000
    assert codes == [4000]


async def test_an_error_of_ours_costs_one_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receive_data = Channel.receive_data

    def broken(self: Channel[Any], data: bytes | None, now: float) -> bool:
        if data and b"bug" in data:
            raise ZeroDivisionError
        return receive_data(self, data, now)

    monkeypatch.setattr(Channel, "receive_data", broken)
    with trio.fail_after(DEADLINE):
        async with serving(echo) as server:
            async with await dial(server) as stream:
                await open_raw(stream)
                await stream.send_all(frame(TEXT, b"a bug"))
                assert await read_all(stream) == b""
            async with windsock.trio.connect(url(server)) as ws:
                await ws.send("still there?")
                assert await ws.receive() == "still there?"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
