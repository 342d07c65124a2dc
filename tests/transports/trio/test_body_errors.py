"""The body's own exception leaves `async with connect()` as it is, and the connection in order."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import windsock.trio
from tests.transports.handlers import hold
from windsock.core import Disconnected, WebSocket

from .running import serving, url


class Interrupted(BaseException):
    """Like KeyboardInterrupt."""


ERRORS = [
    ValueError("mine"),
    ExceptionGroup("mine", [ValueError("a"), KeyError("b")]),
    BaseExceptionGroup("mine", [Interrupted()]),
    Interrupted(),
    StopAsyncIteration(),
    GeneratorExit(),
    Disconnected(4000, "made up", clean=False),
    trio.TooSlowError(),
    trio.ClosedResourceError(),
]


def is_error(error: BaseException) -> bool:
    return isinstance(error, Exception)


class Ends:
    """How WebSockets ended, as their handlers saw it."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[int | None](100)

    async def handler(self, ws: WebSocket) -> None:
        await hold(ws)
        self._send.send_nowait(ws.code)

    async def next(self) -> int | None:
        return await self._receive.receive()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_connect(error: BaseException) -> None:
    ends = Ends()
    async with serving(ends.handler) as server:
        with pytest.raises(type(error)) as raised:
            async with windsock.trio.connect(url(server)):
                raise error
        assert raised.value is error
        assert await ends.next() == (1011 if is_error(error) else 1001)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_connect_stream(error: BaseException) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(windsock.trio.serve_stream, hold, theirs)
        with pytest.raises(type(error)) as raised:
            async with windsock.trio.connect_stream(ours):
                raise error
        assert raised.value is error


async def test_an_error_from_a_nursery_in_the_body_is_wrapped_once() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    async def use(uri: str) -> None:
        async with windsock.trio.connect(uri) as ws:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ws.receive)
                nursery.start_soon(fail)

    async with serving(hold) as server:
        with pytest.raises(ExceptionGroup) as raised:
            await use(url(server))
        (error,) = raised.value.exceptions
        assert isinstance(error, ValueError)


async def test_what_the_body_returns_and_skips() -> None:
    async def first(uri: str) -> str:
        async with windsock.trio.connect(uri):
            return "returned"

    async with serving(hold) as server:
        assert await first(url(server)) == "returned"
        for number in range(3):
            async with windsock.trio.connect(url(server)):
                if number == 1:
                    break
        assert number == 1


async def test_cancelled_body() -> None:
    ends = Ends()
    async with serving(ends.handler) as server:
        with trio.CancelScope() as scope:
            async with windsock.trio.connect(url(server)) as ws:
                scope.cancel()
                await ws.receive()
        assert scope.cancelled_caught
        assert await ends.next() == 1001


@pytest.mark.mock_clock
async def test_body_that_takes_too_long() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(windsock.trio.serve_stream, hold, theirs)
        with trio.move_on_after(5) as scope:
            async with windsock.trio.connect_stream(ours) as ws:
                await ws.receive()
        assert scope.cancelled_caught
        assert trio.current_time() == 5


async def test_cancelled_before_the_answer() -> None:
    ours, _theirs = trio.testing.memory_stream_pair()
    with trio.CancelScope() as scope:
        scope.cancel()
        async with windsock.trio.connect_stream(ours):
            raise AssertionError("it was cancelled")
    assert scope.cancelled_caught
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")
