"""Coroutine functions as handlers, without an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import pytest
import trio

import windsock.threads
from tests.behaviour.peer import Close
from tests.transports.handlers import echo
from windsock.core import App, Request, Response, WebSocket
from windsock.threads._coroutines import ONLY_WEBSOCKETS, complete

from .running import dial, open_peer

LOOPS: dict[str, Callable[[], Awaitable[Any]]] = {
    "asyncio.sleep(0)": lambda: asyncio.sleep(0),
    "asyncio.sleep(1)": lambda: asyncio.sleep(1),
    "asyncio.to_thread": lambda: asyncio.to_thread(print),
    "trio.sleep": partial(trio.sleep, 1),
    "trio.checkpoint": trio.lowlevel.checkpoint,
    "anyio.sleep": lambda: anyio.sleep(1),
}


@pytest.mark.parametrize("name", LOOPS)
def test_what_needs_an_event_loop_says_so(name: str, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await LOOPS[name]()

    with windsock.threads.serve(handler) as server:
        with open_peer(server) as peer:
            assert peer.receive() == Close(1011)
        (record,) = caplog.records
        assert "the handler failed" in record.message
        assert ONLY_WEBSOCKETS in caplog.text
        assert "time.sleep" in caplog.text
        assert "in handler" in caplog.text  # the traceback leads to the await
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)


def test_a_plain_http_handler_is_told_as_well(caplog: pytest.LogCaptureFixture) -> None:
    app = App()

    @app.http("/")
    async def page(request: Request) -> Response:
        await asyncio.sleep(1)
        return Response("late")

    with windsock.threads.serve(app) as server, dial(server) as peer:
        peer.send_raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.read_answer().status == 500
    assert ONLY_WEBSOCKETS in caplog.text


def test_errors_of_the_applications_own_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise RuntimeError("my own")

    with windsock.threads.serve(handler) as server, open_peer(server) as peer:
        assert peer.receive() == Close(1011)
    assert "my own" in caplog.text
    assert ONLY_WEBSOCKETS not in caplog.text


def test_a_handler_that_goes_on_after_that() -> None:
    async def handler(ws: WebSocket) -> None:
        for _ in range(3):
            with pytest.raises(RuntimeError, match="only the WebSocket's own methods"):
                await asyncio.sleep(0)
        await echo(ws)

    with windsock.threads.serve(handler) as server, open_peer(server) as peer:
        peer.send("hello")
        assert peer.receive() == "hello"


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_ends_a_handlers_thread_ends_its_connection(end: type[BaseException]) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise end

    with windsock.threads.serve(handler) as server:
        with open_peer(server) as peer:
            assert peer.receive() == Close(1006)
        with open_peer(server) as peer:
            assert peer.receive() == Close(1006)


def test_complete_gives_what_the_coroutine_returns_or_raises() -> None:
    async def answer() -> int:
        return 42

    async def fail() -> None:
        raise LookupError

    assert complete(answer()) == 42
    with pytest.raises(LookupError):
        complete(fail())
