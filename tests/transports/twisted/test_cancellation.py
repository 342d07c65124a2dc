"""Cancelled Deferreds: nothing is lost, torn, or left behind."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import deferLater

import windsock.twisted
from tests.behaviour.peer import Close
from tests.behaviour.raw_server import RawServer
from tests.behaviour.sync import TIMEOUT, Observed
from tests.reactor_thread import entered, start
from tests.transports.handlers import echo
from windsock.core import WebSocket

from .running import opened, url


async def cancelled(deferred: Deferred[Any]) -> None:
    deferred.cancel()
    with pytest.raises(CancelledError):
        await deferred


async def test_a_cancelled_receive_loses_nothing(reactor: Any) -> None:
    async with windsock.twisted.serve(echo) as server:
        async with windsock.twisted.connect(url(server)) as ws:
            for number in range(20):
                await ws.send(str(number))
            received: list[Any] = []
            while len(received) < 20:
                receiving = ensureDeferred(ws.receive())
                await deferLater(reactor, 0)
                if receiving.called:
                    received.append(await receiving)
                else:
                    await cancelled(receiving)
            assert received == [str(number) for number in range(20)]


def test_a_handler_that_is_cancelled_from_outside_goes_away_unreported() -> None:
    handlers: list[Deferred[None]] = []
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        async def body() -> None:
            async with ws:
                await ws.receive()

        handlers.append(ensureDeferred(body()))
        seen.put("here")
        await handlers[0]

    async def cancel() -> None:
        handlers[0].cancel()

    with entered(windsock.twisted.serve(handler)) as server, opened(server) as peer:
        seen.get()
        start(cancel).result(TIMEOUT)
        assert peer.receive() == Close(1001)


def test_a_cancelled_connect_leaves_no_connection(reactor: Any) -> None:
    async def use(uri: str) -> None:
        connecting = ensureDeferred(windsock.twisted.connect(uri).__aenter__())
        await deferLater(reactor, 0.1)
        await cancelled(connecting)

    with RawServer() as server:
        used = start(use, server.url)
        peer = server.accept()
        peer.read_request()
        used.result(TIMEOUT)
        assert peer.read_to_the_end() == b""


def test_a_cancelled_tls_handshake_leaves_no_connection(reactor: Any) -> None:
    async def use(uri: str) -> None:
        connecting = ensureDeferred(windsock.twisted.connect(uri).__aenter__())
        await deferLater(reactor, 0.1)
        await cancelled(connecting)

    with RawServer() as server:
        used = start(use, server.url.replace("ws:", "wss:"))
        peer = server.accept()
        used.result(TIMEOUT)
        peer.read_to_the_end()


async def test_nothing_is_left_on_the_reactor(reactor: Any) -> None:
    before = reactor.getDelayedCalls()
    async with windsock.twisted.serve(echo) as server:
        for _ in range(20):
            async with windsock.twisted.connect(url(server)) as ws:
                await ws.send("hello")
                await ws.receive()
    await deferLater(reactor, 0)
    assert set(reactor.getDelayedCalls()) <= set(before)


async def test_nobody_there() -> None:
    async with windsock.twisted.serve(echo) as server:
        uri = url(server)
    with pytest.raises(ConnectionRefusedError) as refused:
        async with windsock.twisted.connect(uri):
            pass
    assert refused.value.errno == errno.ECONNREFUSED


async def test_no_such_host() -> None:
    with pytest.raises(OSError):
        async with windsock.twisted.connect("ws://no-such-host.invalid/"):
            pass


async def test_no_uri() -> None:
    with pytest.raises(ValueError):
        async with windsock.twisted.connect("http://localhost/"):
            pass
