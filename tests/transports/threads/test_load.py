"""Many connections, busy handlers, and peers that want everything for themselves."""

from __future__ import annotations

import threading
import time

import pytest

import windsock.threads
from tests.behaviour.peer import frame
from tests.behaviour.sync import Observed
from tests.transports.handlers import echo
from windsock.core import Config, WebSocket
from windsock.threads import Server

from .running import DEADLINE, beside, blocking, open_peer, url


def test_many_connections_at_a_time() -> None:
    with windsock.threads.serve(echo) as server:
        peers = [open_peer(server) for _ in range(300)]
        for number, peer in enumerate(peers):
            peer.send(str(number))
        for number, peer in enumerate(peers):
            assert peer.receive() == str(number)
        for peer in peers:
            peer.dispose()


def test_thousands_of_echoes_from_several_threads() -> None:
    def use(server: Server, name: int) -> None:
        with windsock.threads.connect(url(server)) as ws:
            for number in range(500):
                ws.send(f"{name} {number}")
                assert ws.receive(DEADLINE) == f"{name} {number}"

    with windsock.threads.serve(echo) as server:
        used = [beside(lambda name=name: use(server, name)) for name in range(8)]
        for future in used:
            future.result(DEADLINE)


def test_messages_in_a_row_both_ways() -> None:
    """As fast as they go, so that sending, reading and waiting meet in all orders."""
    with windsock.threads.serve(echo) as server, windsock.threads.connect(url(server)) as ws:
        sizes = [number * 37 % 5000 for number in range(3000)]
        received = beside(lambda: [len(ws.receive(DEADLINE)) for _ in sizes])
        for size in sizes:
            ws.send(bytes(size), timeout=DEADLINE)
        assert received.result(DEADLINE) == sizes


def test_pings_are_answered_while_the_handler_computes() -> None:
    stop = threading.Event()

    async def compute(ws: WebSocket) -> None:
        await ws.accept()
        while not stop.is_set():
            sum(range(10_000))

    with windsock.threads.serve(compute) as server, open_peer(server) as peer:
        for number in range(5):
            began = time.monotonic()
            peer.ping(str(number).encode())
            assert peer.receive_pong() == str(number).encode()
            assert time.monotonic() - began < 1
        stop.set()


def test_a_gone_peer_is_noticed_while_the_handler_computes() -> None:
    seen = Observed()

    async def compute(ws: WebSocket) -> None:
        await ws.accept()
        began = time.monotonic()
        while not ws.closed and time.monotonic() - began < DEADLINE:
            sum(range(10_000))
        seen.put((ws.code, time.monotonic()))

    with windsock.threads.serve(compute) as server, open_peer(server) as peer:
        began = time.monotonic()
        peer.abort()
        code, when = seen.get()
        assert code == 1006
        assert when - began < 1


def test_keepalive_while_the_handler_is_elsewhere() -> None:
    config = Config(ping_interval=0.1, ping_timeout=0.2)
    seen = Observed()
    go_on = threading.Event()

    async def elsewhere(ws: WebSocket) -> None:
        await ws.accept()
        go_on.wait(DEADLINE)
        seen.put((ws.closed, ws.code))

    with windsock.threads.serve(elsewhere, config=config) as server:
        with open_peer(server, answer_pings=False) as peer:
            peer.receive_ping()
            assert getattr(peer.receive(), "code", None) == 1011
            go_on.set()
            assert seen.get() == (True, 1011)


@pytest.mark.parametrize("reads", [True, False])
def test_a_flood_does_not_keep_the_others_waiting(reads: bool) -> None:
    async def handler(ws: WebSocket) -> None:
        if ws.request.path == "/quiet":
            await echo(ws)
            return
        async with ws:
            while reads:
                await ws.receive()
            await ws.wait_closed()

    with windsock.threads.serve(handler) as server:
        stop = threading.Event()
        flood = frame(2, bytes(100)) * 1000

        def run() -> None:
            with open_peer(server, "/flood") as peer:
                peer.socket.settimeout(0.1)
                while not stop.is_set():
                    try:
                        peer.socket.send(flood)
                    except TimeoutError:
                        continue

        floods = [beside(run) for _ in range(2)]
        with open_peer(server, "/quiet") as peer:
            for number in range(30):
                began = time.monotonic()
                peer.send(str(number))
                assert peer.receive() == str(number)
                assert time.monotonic() - began < 1
        stop.set()
        for future in floods:
            future.result(DEADLINE)


def test_a_peer_that_does_not_read_keeps_nobody_waiting() -> None:
    async def handler(ws: WebSocket) -> None:
        if ws.request.path == "/quiet":
            await echo(ws)
            return
        blocking(ws).accept()
        while True:
            await ws.send(bytes(1_000_000))

    with windsock.threads.serve(handler, config=Config(shutdown_timeout=0.1)) as server:
        deaf = [open_peer(server, "/deaf") for _ in range(3)]
        with open_peer(server, "/quiet") as peer:
            for number in range(30):
                peer.send(str(number))
                assert peer.receive() == str(number)
        for one in deaf:
            one.dispose()
