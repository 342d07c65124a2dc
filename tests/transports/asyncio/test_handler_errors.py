"""What a handler raises ends its own connection, and no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

import windsock.asyncio
from tests.transports.handlers import echo
from windsock.core import App, Disconnected, HandshakeError, WebSocket

from .running import url


async def fail() -> None:
    raise ValueError("from a child task")


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def in_a_task_group() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(forever())
        tasks.create_task(fail())


async def nested() -> None:
    raise ExceptionGroup("outer", [ExceptionGroup("inner", [KeyError("k")]), ValueError("v")])


async def timed_out() -> None:
    async with asyncio.timeout(0):
        await forever()


async def cancelled() -> None:
    task = asyncio.create_task(forever())
    task.cancel()
    await task


async def a_disconnect_of_its_own() -> None:
    raise Disconnected(1000, "made up", clean=True)


Error = Callable[[], Awaitable[None]]


@pytest.mark.parametrize(
    "error", [fail, in_a_task_group, nested, timed_out, a_disconnect_of_its_own]
)
async def test_after_accept_it_closes_1011(error: Error, caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.websocket("/echo")(echo)

    @app.websocket("/fail")
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()
        await error()

    async with windsock.asyncio.serve(app) as server:
        async with windsock.asyncio.connect(url(server) + "echo") as other:
            async with windsock.asyncio.connect(url(server) + "fail") as ws:
                await ws.send("go")
                await ws.wait_closed()
                assert ws.code == 1011
            await other.send("not me")
            assert await other.receive() == "not me"
        async with windsock.asyncio.connect(url(server) + "echo") as another:
            await another.send("nor me")
            assert await another.receive() == "nor me"
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.exc_info is not None


@pytest.mark.parametrize("error", [fail, in_a_task_group, nested, timed_out])
async def test_before_accept_it_answers_500(error: Error, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        await error()

    async with windsock.asyncio.serve(handler) as server:
        for _ in range(2):
            with pytest.raises(HandshakeError) as refused:
                async with windsock.asyncio.connect(url(server)):
                    pass
            assert refused.value.status == 500
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 2


async def test_a_handler_that_cancels_itself_ends_its_own_connection() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await cancelled()

    async with windsock.asyncio.serve(handler) as server:
        for _ in range(2):
            async with windsock.asyncio.connect(url(server)) as ws:
                await ws.wait_closed()
                assert ws.closed


async def test_a_disconnect_in_a_handler_s_tasks_is_not_logged_as_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ws.wait_closed())
                tasks.create_task(receive(ws))
                tasks.create_task(forever())
        finally:
            ended.set()

    async def receive(ws: WebSocket) -> None:
        await ws.receive()

    async with windsock.asyncio.serve(handler) as server:
        async with windsock.asyncio.connect(url(server)):
            pass
        await ended.wait()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
