"""What a handler raises ends its own connection, and no other."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import trio

import windsock.trio
from tests.transports.handlers import echo
from windsock.core import App, Disconnected, HandshakeError, WebSocket

from .running import serving, url


async def fail() -> None:
    raise ValueError("from a child task")


async def in_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        nursery.start_soon(fail)


async def nested() -> None:
    raise ExceptionGroup("outer", [ExceptionGroup("inner", [KeyError("k")]), ValueError("v")])


async def timed_out() -> None:
    with trio.fail_after(0):
        await trio.sleep_forever()


async def a_disconnect_of_its_own() -> None:
    raise Disconnected(1000, "made up", clean=True)


ERRORS: list[Callable[[], object]] = [
    fail,
    in_a_nursery,
    nested,
    timed_out,
    a_disconnect_of_its_own,
]


@pytest.mark.parametrize("error", ERRORS)
async def test_after_accept_it_closes_1011(
    error: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    app = App()
    app.websocket("/echo")(echo)

    @app.websocket("/fail")
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()
        await error()  # type: ignore[misc]  # they are coroutine functions

    async with serving(app) as server:
        async with windsock.trio.connect(url(server) + "echo") as other:
            async with windsock.trio.connect(url(server) + "fail") as ws:
                await ws.send("go")
                await ws.wait_closed()
                assert ws.code == 1011
            await other.send("not me")
            assert await other.receive() == "not me"
        async with windsock.trio.connect(url(server) + "echo") as another:
            await another.send("nor me")
            assert await another.receive() == "nor me"
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.exc_info is not None


@pytest.mark.parametrize("error", [fail, in_a_nursery, nested, timed_out])
async def test_before_accept_it_answers_500(
    error: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(ws: WebSocket) -> None:
        await error()  # type: ignore[misc]  # they are coroutine functions

    async with serving(handler) as server:
        for _ in range(2):
            with pytest.raises(HandshakeError) as refused:
                async with windsock.trio.connect(url(server)):
                    pass
            assert refused.value.status == 500
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 2


async def test_a_disconnect_in_a_handler_s_nursery_is_not_logged_as_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = trio.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ws.receive)
                nursery.start_soon(trio.sleep_forever)
        finally:
            ended.set()

    async with serving(handler) as server:
        async with windsock.trio.connect(url(server)):
            pass
        await ended.wait()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
