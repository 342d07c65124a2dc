"""Several threads on one WebSocket."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

import windsock.threads
from tests.behaviour.peer import Close
from tests.behaviour.raw_server import RawServer
from tests.behaviour.sync import Gate, Observed
from tests.transports.handlers import echo
from windsock import _nonblocking
from windsock.core import BlockingWebSocket, Disconnected, WebSocket

from .running import DEADLINE, beside, blocking, open_peer, until, until_waiting, url

AT_ONCE = 0.1
"""Seconds in which whoever blocks is told."""


def disconnected(call: Any) -> tuple[int, float]:
    """The code that a call is told, and when that was."""
    with pytest.raises(Disconnected) as told:
        call()
    return told.value.code, time.monotonic()


def test_close_wakes_a_receive_on_another_thread() -> None:
    with windsock.threads.serve(echo) as server, windsock.threads.connect(url(server)) as ws:
        received = beside(lambda: disconnected(ws.receive))
        until_waiting(ws)
        began = time.monotonic()
        ws.close(4000)
        code, when = received.result(DEADLINE)
        assert code == 4000
        assert when - began < AT_ONCE


def test_close_wakes_a_receive_though_the_peer_does_not_answer() -> None:
    with RawServer() as raw:
        accepted = beside(lambda: raw.accept(answer_close=False))

        def use() -> tuple[int, float]:
            config = windsock.core.Config(close_timeout=0.5)
            with windsock.threads.connect(raw.url, config=config) as ws:
                opened.append(ws)
                return disconnected(ws.receive)

        opened: list[BlockingWebSocket] = []
        used = beside(use)
        accepted.result(DEADLINE).upgrade()
        until(lambda: bool(opened), "it did not open")
        until_waiting(opened[0])
        began = time.monotonic()
        opened[0].close(4000)
        code, when = used.result(DEADLINE)
        assert (code, when - began < AT_ONCE) == (4000, True)


def test_close_wakes_the_handler_of_another_connection() -> None:
    told = Observed()
    waiting: list[WebSocket] = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        if ws.request.path == "/wait":
            waiting.append(ws)
            told.put(disconnected(blocking(ws).receive))
        else:
            until_waiting(waiting[0])
            told.put(time.monotonic())
            await waiting[0].close(4001)

    with windsock.threads.serve(handler) as server, open_peer(server, "/wait") as one:
        until(lambda: bool(waiting), "it did not open")
        with open_peer(server, "/close"):
            began = told.get()
            code, when = told.get()
            assert code == 4001
            assert when - began < AT_ONCE
            assert one.receive() == Close(4001)


def test_shutdown_wakes_whoever_receives() -> None:
    told = Observed()
    waiting: list[WebSocket] = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        waiting.append(ws)
        told.put(disconnected(blocking(ws).receive))

    with windsock.threads.serve(handler) as server:
        peers = [open_peer(server) for _ in range(5)]
        until(lambda: len(waiting) == 5, "not all have opened")
        for ws in waiting:
            until_waiting(ws)
        began = time.monotonic()
        stopped = beside(server.shutdown)
        for code, when in told.take(5):
            assert code == 1001
            assert when - began < AT_ONCE
        for peer in peers:
            assert peer.receive() == Close(1001)
            peer.dispose()
        stopped.result(DEADLINE)


def test_the_peers_end_wakes_whoever_waits() -> None:
    told = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        ws_ = blocking(ws)
        calls = [ws_.receive, ws_.receive, ws_.ping, lambda: (ws_.wait_closed(), ws_.send("x"))]
        results = [beside(lambda call=call: disconnected(call)) for call in calls]
        until_waiting(ws, 4)
        told.put("waiting")
        for result in results:
            told.put(result.result(DEADLINE)[0])

    with windsock.threads.serve(handler) as server, open_peer(server, answer_pings=False) as peer:
        assert told.get() == "waiting"
        peer.abort()
        assert told.take(4) == [1006] * 4


def test_one_thread_sends_while_another_receives() -> None:
    with windsock.threads.serve(echo) as server, windsock.threads.connect(url(server)) as ws:
        received = beside(lambda: [ws.receive(DEADLINE) for _ in range(500)])
        for number in range(500):
            ws.send(str(number))
        assert received.result(DEADLINE) == [str(number) for number in range(500)]


def test_each_message_is_received_once() -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            for number in range(1000):
                await ws.send(str(number))

    with windsock.threads.serve(handler) as server, windsock.threads.connect(url(server)) as ws:
        results = [beside(lambda: list(ws)) for _ in range(4)]
        received = [message for result in results for message in result.result(DEADLINE)]
        assert sorted(received, key=int) == [str(number) for number in range(1000)]


def test_messages_of_several_threads_stay_whole() -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        async with ws:
            async for message in ws:
                seen.put(message)

    with windsock.threads.serve(handler) as server, windsock.threads.connect(url(server)) as ws:
        start = threading.Barrier(8)

        def send(letter: str) -> None:
            start.wait(DEADLINE)
            for size in range(50):
                ws.send(letter * (1 + size * 2000), timeout=DEADLINE)

        results = [beside(lambda letter=letter: send(letter)) for letter in "abcdefgh"]
        messages = seen.take(400)
        for result in results:
            result.result(DEADLINE)
        for message in messages:
            assert set(message) == {message[0]}
        for letter in "abcdefgh":
            of_one = [len(message) for message in messages if message[0] == letter]
            assert of_one == [1 + size * 2000 for size in range(50)]


def test_handlers_send_to_one_another() -> None:
    everyone: set[WebSocket] = set()

    async def handler(ws: WebSocket) -> None:
        async with ws:
            everyone.add(ws)
            async for message in ws:
                for other in list(everyone):
                    await other.send(message)

    with windsock.threads.serve(handler) as server:
        peers = [open_peer(server) for _ in range(6)]
        until(lambda: len(everyone) == 6, "not all have opened")
        for number, peer in enumerate(peers):
            for count in range(20):
                peer.send(f"{number}:{count}")
        for peer in peers:
            found = [str(peer.receive()) for _ in range(120)]
            for number in range(6):
                mine = [message for message in found if message.startswith(f"{number}:")]
                assert mine == [f"{number}:{count}" for count in range(20)]
        for peer in peers:
            peer.dispose()


def test_one_receiver_that_gives_up_leaves_the_other_receiving() -> None:
    with windsock.threads.serve(echo) as server, windsock.threads.connect(url(server)) as ws:
        other = beside(lambda: ws.receive(DEADLINE))
        until_waiting(ws)
        with pytest.raises(TimeoutError):
            ws.receive(0.05)
        ws.send("one")
        assert other.result(DEADLINE) == "one"


def test_an_interrupt_in_a_send_ends_the_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frame may be torn, so nothing must follow it."""
    send = _nonblocking.SocketStream.send

    def interrupted(stream: Any, data: bytes) -> int:
        if len(data) > 10_000:
            send(stream, data[:5000])
            raise KeyboardInterrupt
        return send(stream, data)

    def use() -> None:
        with pytest.raises(KeyboardInterrupt), windsock.threads.connect(raw.url) as ws:
            ws.send(bytes(20_000))

    monkeypatch.setattr(_nonblocking.SocketStream, "send", interrupted)
    with RawServer() as raw:
        used = beside(use)
        peer = raw.accept()
        peer.upgrade()
        assert peer.receive() == Close(1006)
        used.result(DEADLINE)


def test_an_interrupt_in_the_body_closes_1001() -> None:
    def use() -> None:
        with pytest.raises(KeyboardInterrupt), windsock.threads.connect(raw.url):
            raise KeyboardInterrupt

    with RawServer() as raw:
        used = beside(use)
        peer = raw.accept()
        peer.upgrade()
        assert peer.receive() == Close(1001)
        peer.dispose()
        used.result(DEADLINE)


def test_what_the_peer_said_last_is_heard_though_writing_fails_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, gate = Observed(), Gate()

    def fail(stream: object, data: bytes) -> int:
        raise BrokenPipeError

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with ws.link.mutex:  # so that nobody reads it now
            told.put("accepted")
            await gate.wait()
            monkeypatch.setattr(_nonblocking.SocketStream, "send", fail)
            await ws.send("to nobody")
        told.put(ws.code)

    with windsock.threads.serve(handler) as server, open_peer(server) as peer:
        assert told.get() == "accepted"
        peer.close(4000)
        gate.open()
        assert told.get() == 4000
