"""Blocking functions beside the reactor."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred

import windsock.twisted
from tests.behaviour.sync import TIMEOUT, Observed
from tests.reactor_thread import entered, start
from tests.transports.handlers import echo
from windsock.core import App, BlockingWebSocket, Disconnected, WebSocket
from windsock.twisted._threads import Home, home_of

from .running import opened, url


async def test_a_function_runs_in_a_thread_of_its_own(reactor: Any) -> None:
    home = home_of(reactor)
    assert await home.to_thread(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await home.to_thread(lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await home.to_thread(lambda: next(iter(())))


async def test_who_is_cancelled_leaves_the_thread_to_itself(reactor: Any) -> None:
    go_on, done = threading.Event(), threading.Event()

    def function() -> None:
        go_on.wait(TIMEOUT)
        done.set()

    waiting = home_of(reactor).to_thread(function)
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    go_on.set()
    assert await home_of(reactor).to_thread(lambda: done.wait(TIMEOUT))


def test_a_call_from_a_thread(reactor: Any) -> None:
    async def function() -> int:
        return threading.get_ident()

    async def fail() -> None:
        raise ZeroDivisionError

    home = home_of(reactor)
    assert home.from_thread(function, None) != threading.get_ident()
    assert home.from_thread(function, 10) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        home.from_thread(fail, None)


def test_a_call_that_takes_too_long_is_cancelled(reactor: Any) -> None:
    seen = Observed()

    async def wait() -> None:
        try:
            await Deferred()
        except CancelledError:
            seen.put("cancelled")
            raise

    async def cancel_itself() -> None:
        raise CancelledError

    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        home_of(reactor).from_thread(wait, 0.05)
    assert seen.get() == "cancelled"
    with pytest.raises(CancelledError):
        home_of(reactor).from_thread(cancel_itself, 10)


async def test_a_call_on_the_reactors_own_thread_is_refused(reactor: Any) -> None:
    async def function() -> None:
        pass

    with pytest.raises(RuntimeError, match="wait for itself"):
        home_of(reactor).from_thread(function, None)


class StoppedReactor:
    """Takes calls, and makes none."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.stop: Any = None

    def callWhenRunning(self, function: Any) -> None:
        pass

    def addSystemEventTrigger(self, phase: str, event: str, function: Any) -> None:
        self.stop = function

    def callFromThread(self, *args: Any) -> None:
        self.called.set()


def test_a_reactor_that_stops_disconnects_who_waits() -> None:
    async def function() -> None:
        pass

    reactor = StoppedReactor()
    home = Home(reactor)  # type: ignore[arg-type]
    errors: list[BaseException] = []

    def call() -> None:
        with pytest.raises(Disconnected) as caught:
            home.from_thread(function, None)
        errors.append(caught.value)

    thread = threading.Thread(target=call)
    thread.start()
    assert reactor.called.wait(TIMEOUT)
    reactor.stop()
    thread.join(TIMEOUT)
    call()
    assert len(errors) == 2


def test_a_plain_function_serves_a_websocket() -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()

        def talk() -> None:
            blocking = BlockingWebSocket(ws, ws.link)
            with pytest.raises(TimeoutError):
                blocking.receive(0.01)
            seen.put("nothing yet")
            for message in blocking:
                blocking.send(message)
            seen.put(threading.current_thread().daemon)

        await ws.link.to_thread(talk)

    with entered(windsock.twisted.serve(handler)) as server, opened(server) as peer:
        assert seen.get() == "nothing yet"
        for number in range(100):
            peer.send(str(number))
            assert peer.receive() == str(number)
        peer.close()
        assert seen.get() is True


def test_a_plain_function_is_a_handler() -> None:
    app = App()

    @app.websocket("/")
    def handler(request: Any) -> None:
        with request.accept() as ws:
            for message in ws:
                ws.send(message)

    with entered(windsock.twisted.serve(app)) as server, opened(server) as peer:
        peer.send("blocking")
        assert peer.receive() == "blocking"


def test_a_client_is_used_from_a_thread() -> None:
    async def use() -> str | bytes:
        async with windsock.twisted.serve(echo) as server:
            async with windsock.twisted.connect(url(server)) as ws:

                def talk() -> Any:
                    blocking = BlockingWebSocket(ws, ws.link)
                    blocking.send("hello")
                    return blocking.receive()

                return await ensureDeferred(ws.link.to_thread(talk))

    assert start(use).result(TIMEOUT) == "hello"
