"""Graceful shutdown, of servers and of factories, and what is left after it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, clientFromString, serverFromString
from twisted.internet.task import deferLater

import windsock.twisted
from tests.behaviour.peer import Close
from tests.behaviour.sync import TIMEOUT, Observed
from tests.reactor_thread import entered, start
from tests.transports.handlers import echo, hold
from windsock.core import App, Config, Disconnected, WebSocket
from windsock.twisted import WebSocketFactory

from .running import opened, url


async def test_a_handler_that_does_not_end_is_cancelled_and_not_reported() -> None:
    cancelled: list[BaseException] = []

    async def stubborn(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await Deferred()
        except CancelledError as error:
            cancelled.append(error)
            raise

    config = Config(shutdown_timeout=0.2)
    async with windsock.twisted.serve(stubborn, config=config) as server:
        async with windsock.twisted.connect(url(server)) as ws:
            began = time.monotonic()
            shutdown = ensureDeferred(server.shutdown())
            await ws.wait_closed()
            assert ws.code == 1001
        await shutdown
        assert 0.15 < time.monotonic() - began < 5
    assert len(cancelled) == 1


async def test_a_handler_that_resists_its_cancellation_is_waited_for(reactor: Any) -> None:
    done: list[str] = []

    async def stubborn(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await Deferred()
        except CancelledError:
            await deferLater(reactor, 0.2)
            done.append("cleaned up")

    config = Config(shutdown_timeout=0.1)
    async with windsock.twisted.serve(stubborn, config=config) as server:
        async with windsock.twisted.connect(url(server)) as ws:
            await server.shutdown()
            assert done == ["cleaned up"]
            assert ws.code == 1001


def test_a_body_that_is_cancelled_at_the_end_leaves_whole_frames() -> None:
    seen = Observed()

    async def flood(ws: WebSocket) -> None:
        async with ws:
            try:
                while True:
                    await ws.send("x" * 100_000)
            except Disconnected as end:
                seen.put(end.code)
                await Deferred()

    config = Config(shutdown_timeout=0.2)
    with entered(windsock.twisted.serve(flood, config=config)) as server:
        with opened(server) as peer:
            assert peer.receive() == "x" * 100_000
            stopped = start(server.shutdown)
            while (message := peer.receive()) == "x" * 100_000:
                pass
            assert message == Close(1001)
            assert seen.get() == 1001
            stopped.result(TIMEOUT)


async def test_two_shutdowns_end_together() -> None:
    async with windsock.twisted.serve(hold) as server:
        waiting = ensureDeferred(server.serve_forever())
        async with windsock.twisted.connect(url(server)) as ws:
            first, second = ensureDeferred(server.shutdown()), ensureDeferred(server.shutdown())
            await ws.wait_closed()
        await first
        await second
        await waiting


async def test_a_factory_on_an_endpoint(reactor: Any) -> None:
    factory = WebSocketFactory(echo, config=Config(shutdown_timeout=1))
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    uri = f"ws://127.0.0.1:{port.getHost().port}/"
    async with windsock.twisted.connect(uri) as ws:
        await ws.send("hello")
        assert await ws.receive() == "hello"
        shutdown = ensureDeferred(factory.shutdown())
        await ws.wait_closed()
        assert ws.code == 1001
    await shutdown
    with pytest.raises((windsock.core.HandshakeError, OSError)):
        async with windsock.twisted.connect(uri):
            pass
    await port.stopListening()


async def test_a_factory_on_an_endpoint_of_a_string(reactor: Any, socket_path: str) -> None:
    factory = WebSocketFactory(echo)
    port = await serverFromString(reactor, f"unix:{socket_path}").listen(factory)
    assert clientFromString(reactor, f"unix:{socket_path}")
    async with windsock.twisted.connect("ws://localhost/", unix=socket_path) as ws:
        await ws.send("near")
        assert await ws.receive() == "near"
    await port.stopListening()
    await factory.shutdown()


def test_what_is_no_application_is_refused() -> None:
    with pytest.raises(TypeError):
        WebSocketFactory("echo")  # type: ignore[arg-type]


async def test_the_applications_lifespan_is_around_it() -> None:
    events: list[str] = []

    class Alive(App):
        def running(self) -> Any:
            return self

        async def __aenter__(self) -> None:
            events.append("started")

        async def __aexit__(self, *error: object) -> None:
            events.append("ended")

    async with windsock.twisted.serve(Alive()):
        assert events == ["started"]
    assert events == ["started", "ended"]


async def test_a_handler_that_wants_to_exit_ends_its_connection_alone(caplog: Any) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise SystemExit(3)

    async with windsock.twisted.serve(handler) as server:
        for _ in range(2):
            async with windsock.twisted.connect(url(server)) as ws:
                await ws.wait_closed()
    assert [type(record.exc_info[1]) for record in caplog.records] == [SystemExit] * 2
    caplog.clear()
