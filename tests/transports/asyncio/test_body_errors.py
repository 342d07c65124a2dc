"""The body's own exception leaves `async with connect()` as it is, and the connection in order."""

from __future__ import annotations

import asyncio

import pytest

import windsock.asyncio
from tests.transports.handlers import hold
from windsock.core import Disconnected, WebSocket

from .running import RawPeer, raw_server, url


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
    TimeoutError("mine"),
    ConnectionResetError("mine"),
]


class Ends:
    """How WebSockets ended, as their handlers saw it."""

    def __init__(self) -> None:
        self._codes: asyncio.Queue[int | None] = asyncio.Queue()

    async def handler(self, ws: WebSocket) -> None:
        await hold(ws)
        self._codes.put_nowait(ws.code)

    async def next(self) -> int | None:
        return await self._codes.get()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_connect(error: BaseException) -> None:
    ends = Ends()
    async with windsock.asyncio.serve(ends.handler) as server:
        with pytest.raises(type(error)) as raised:
            async with windsock.asyncio.connect(url(server)):
                raise error
        assert raised.value is error
        assert await ends.next() == (1011 if isinstance(error, Exception) else 1001)


async def test_what_the_body_returns_and_skips() -> None:
    async def first(uri: str) -> str:
        async with windsock.asyncio.connect(uri):
            return "returned"

    async with windsock.asyncio.serve(hold) as server:
        assert await first(url(server)) == "returned"


async def test_a_timeout_around_the_body() -> None:
    ends = Ends()

    async def use(uri: str) -> None:
        async with asyncio.timeout(0.05), windsock.asyncio.connect(uri) as ws:
            await ws.receive()

    async with windsock.asyncio.serve(ends.handler) as server:
        with pytest.raises(TimeoutError):
            await use(url(server))
        assert await ends.next() == 1001


async def test_a_cancelled_task() -> None:
    ends = Ends()
    opened = asyncio.Event()

    async def client(uri: str) -> None:
        async with windsock.asyncio.connect(uri) as ws:
            opened.set()
            await ws.receive()

    async with windsock.asyncio.serve(ends.handler) as server:
        task = asyncio.create_task(client(url(server)))
        await opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await ends.next() == 1001


async def test_cancelled_before_the_answer() -> None:
    asked = asyncio.Event()

    async def silent(raw: RawPeer) -> None:
        await raw.read()
        asked.set()
        assert await raw.read_all() == b""

    async with raw_server(silent) as uri:

        async def client() -> None:
            async with windsock.asyncio.connect(uri):
                raise AssertionError("it was cancelled")

        task = asyncio.create_task(client())
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
