"""Who waits for a message goes on as soon as it was read, and what it sends is written then."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.transports.wire import REQUEST, TEXT, frame, frames
from windsock.asyncio._flusher import Flusher
from windsock.asyncio._link import AsyncioLink
from windsock.core import Config, Disconnected, WebSocket, as_app
from windsock.core.app.session import serve_connection, server_channel


class Wire(asyncio.Transport):
    """Notes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    close = abort


class Served:
    """A connection to `handler` that has done its opening handshake."""

    def __init__(self, handler: Callable[[WebSocket], Awaitable[None]]) -> None:
        self.loop = asyncio.get_running_loop()
        self.wire = Wire()
        channel = server_channel(Config(), now=self.loop.time())
        self.link = AsyncioLink(channel, self.loop, Flusher(self.loop))
        self.link.connection_made(self.wire)
        self.task = self.loop.create_task(serve_connection(as_app(handler), channel, self.link))

    async def open(self) -> None:
        self.link.data_received(REQUEST)
        await passes()
        assert b"".join(self.wire.written).startswith(b"HTTP/1.1 101 ")
        self.wire.written.clear()

    async def read(self, *texts: str) -> list[str]:
        """What was written when the transport had given the last of `texts` to its protocol."""
        found: asyncio.Future[list[str]] = self.loop.create_future()

        def call() -> None:
            for text in texts:
                self.link.data_received(frame(TEXT, text.encode()))
            found.set_result(self.written())

        self.loop.call_soon(call)
        return await found

    def written(self) -> list[str]:
        sent = [payload.decode() for _, payload in frames(b"".join(self.wire.written))]
        self.wire.written.clear()
        return sent

    async def end(self) -> None:
        self.link.connection_lost(None)
        await asyncio.wait([self.task])


async def passes() -> None:
    """More of the event loop's than anything here needs."""
    for _ in range(10):
        await asyncio.sleep(0)


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def test_an_answer_is_written_before_the_transport_goes_on() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await echo(ws)

    served = Served(handler)
    await served.open()
    assert await served.read("one") == ["one"]
    assert await served.read("two", "three") == ["two", "three"]
    await served.end()


async def test_so_it_is_where_the_handler_goes_on_to_something_else() -> None:
    more = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async for message in ws:
            await ws.send(message)
            await more.wait()
            await ws.send("more")

    served = Served(handler)
    await served.open()
    assert await served.read("one", "two") == ["one"]
    more.set()
    await passes()
    assert served.written() == ["more", "two", "more"]
    await served.end()


async def test_a_transport_may_call_from_a_task() -> None:
    """Which cannot be left for another one: that has to wait for the event loop's next pass."""

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await echo(ws)

    served = Served(handler)
    await served.open()
    served.link.data_received(frame(TEXT, b"one"))
    assert not served.wire.written
    await passes()
    assert served.written() == ["one"]
    assert await served.read("two") == ["two"]
    await served.end()


async def test_a_handler_that_was_cancelled_meanwhile() -> None:
    received: list[str] = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        first = asyncio.create_task(ws.receive())
        await asyncio.sleep(0)
        first.cancel()
        served.link.data_received(frame(TEXT, b"one"))
        with pytest.raises(asyncio.CancelledError):
            await first
        received.append(await ws.receive())
        with pytest.raises(Disconnected):
            await ws.receive()

    served = Served(handler)
    await served.open()
    await passes()
    assert received == ["one"]
    await served.end()


async def test_several_who_wait() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(answer(ws))

    async def answer(ws: WebSocket) -> None:
        await ws.send(await ws.receive())

    served = Served(handler)
    await served.open()
    assert await served.read("one", "two", "three") == ["one", "two", "three"]
    await served.end()


async def test_a_handler_keeps_its_context() -> None:
    variable = contextvars.ContextVar[str]("variable", default="the transport's")

    async def handler(ws: WebSocket) -> None:
        variable.set("the handler's")
        await ws.accept()
        async for _ in ws:
            await ws.send(variable.get())

    served = Served(handler)
    await served.open()
    assert await served.read("one") == ["the handler's"]
    assert variable.get() == "the transport's"
    await served.end()


def test_an_exit_ends_the_event_loop_and_not_just_the_connection() -> None:
    """It does not pass through the transport, which may take it for a failure of its own."""

    async def main() -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            async for message in ws:
                sys.exit(message)

        served = Served(handler)
        tasks.append(served.task)
        await served.open()
        assert await served.read("bye") == []
        await asyncio.wait([served.task])
        await asyncio.sleep(60)

    tasks: list[asyncio.Task[None]] = []
    with pytest.raises(SystemExit, match="bye"):
        asyncio.run(main())
    assert isinstance(tasks[0].exception(), SystemExit)
