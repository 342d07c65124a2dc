"""Every blocking call has a timeout, after which it has been done in full or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import windsock.threads
from tests.behaviour.peer import Close
from tests.behaviour.raw_server import Accepted, RawServer
from tests.behaviour.sync import Observed
from tests.transports.handlers import echo
from windsock.core import BlockingWebSocket, Config, Disconnected, WebSocket

from .running import DEADLINE, beside, blocking, dial, handshake_request, open_peer

SHORT = 0.05


@contextmanager
def connected(server: RawServer) -> Iterator[tuple[BlockingWebSocket, Accepted]]:
    """A client of ours, and the peer that it is connected to."""

    def accept() -> Accepted:
        peer = server.accept(answer_close=False)
        peer.upgrade()
        return peer

    accepted = beside(accept)
    config = Config(close_timeout=0.2)
    try:
        with windsock.threads.connect(server.url, config=config) as ws:
            yield ws, accepted.result(DEADLINE)
    except Disconnected:
        pass


@contextmanager
def times_out(at_least: float = SHORT) -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        yield
    assert at_least <= time.monotonic() - began < at_least + 2


CALLS: dict[str, Callable[[BlockingWebSocket], object]] = {
    "receive": lambda ws: ws.receive(SHORT),
    "receive with a default": lambda ws: ws.receive(SHORT, default=None),
    "receive_text": lambda ws: ws.receive_text(SHORT),
    "receive_bytes": lambda ws: ws.receive_bytes(SHORT),
    "receive_json": lambda ws: ws.receive_json(SHORT),
    "ping": lambda ws: ws.ping(timeout=SHORT),
    "wait_closed": lambda ws: ws.wait_closed(SHORT),
    "close": lambda ws: ws.close(timeout=SHORT),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_ends_at_its_timeout(name: str) -> None:
    with RawServer() as server, connected(server) as (ws, _), times_out():
        CALLS[name](ws)


def test_a_timeout_of_nothing_takes_what_is_there() -> None:
    with RawServer() as server, connected(server) as (ws, peer):
        with times_out(0):
            ws.receive(0)
        peer.send("one")
        peer.send("two")
        assert ws.receive(DEADLINE) == "one"
        assert ws.receive(DEADLINE) == "two"
        peer.send("three")
        peer.ping(b"")
        peer.receive_pong()  # so it was read
        assert ws.receive(0) == "three"


@pytest.mark.parametrize("timeout", [1e9, float("inf")])
def test_long_timeouts(timeout: float) -> None:
    with RawServer() as server, connected(server) as (ws, peer):
        received = beside(lambda: ws.receive(timeout))
        peer.send("hello")
        assert received.result(DEADLINE) == "hello"


def test_receive_after_a_timeout_has_lost_nothing() -> None:
    with RawServer() as server, connected(server) as (ws, peer):
        received = []
        timeouts = 0
        for number in range(300):
            while True:
                try:
                    received.append(ws.receive(0.0001 * (number % 7)))
                    break
                except TimeoutError:
                    timeouts += 1
                    if timeouts > len(received):  # the peer is slower than us
                        peer.send(str(len(received)))
                        timeouts = len(received)
                        received.append(ws.receive(DEADLINE))
                        break
        assert received == [str(number) for number in range(300)]


def test_a_send_that_has_timed_out_has_sent_it_whole() -> None:
    size = 200_000
    with RawServer() as server, connected(server) as (ws, peer):
        sent = timed_out = 0
        while timed_out < 3:
            try:
                sent += 1
                ws.send(sent.to_bytes(4, "big") * (size // 4), SHORT)
            except TimeoutError:
                timed_out += 1
        received = beside(lambda: peer.take(sent + 1))
        ws.send("end")
        *messages, end = received.result(DEADLINE)
        assert end == "end"
        expected = [number.to_bytes(4, "big") * (size // 4) for number in range(1, sent + 1)]
        assert messages == expected


def test_the_time_is_that_of_the_whole_call() -> None:
    """What comes in meanwhile does not prolong it."""
    with RawServer() as server, connected(server) as (ws, peer):
        waiting = beside(lambda: ws.ping(timeout=0.3))
        began = time.monotonic()
        while not waiting.done():
            peer.send("news, but no Pong")
            assert time.monotonic() - began < DEADLINE
        with pytest.raises(TimeoutError):
            waiting.result()
        assert time.monotonic() - began < 2


def test_a_timeout_is_forgotten_with_its_call() -> None:
    with RawServer() as server, connected(server) as (ws, peer):
        with times_out():
            ws.receive(SHORT)
        received = beside(lambda: ws.receive())
        time.sleep(2 * SHORT)  # that a timeout would take
        peer.send("late")
        assert received.result(DEADLINE) == "late"


def test_a_timeout_before_the_handshake_is_decided() -> None:
    def handler(ws: BlockingWebSocket) -> None:
        with times_out():
            ws.wait_closed(SHORT)
        ws.accept(timeout=SHORT)
        ws.send("accepted", timeout=SHORT)

    async def serve(ws: WebSocket) -> None:
        handler(blocking(ws))

    with windsock.threads.serve(serve) as server, open_peer(server) as peer:
        assert peer.receive() == "accepted"
        assert peer.receive() == Close(1000)


def test_close_that_has_timed_out_has_begun() -> None:
    with RawServer() as server, connected(server) as (ws, peer):
        with times_out():
            ws.close(4000, "enough", timeout=SHORT)
        assert peer.receive() == Close(4000, "enough")
        with pytest.raises(Disconnected):
            ws.send("late")


def test_connect_gives_up_after_open_timeout() -> None:
    config = Config(open_timeout=0.2)
    for scheme in ("ws", "wss"):
        with RawServer() as server:  # accepts, but says nothing
            began = time.monotonic()
            with pytest.raises((TimeoutError, windsock.core.HandshakeError)):
                with windsock.threads.connect(f"{scheme}://{server.authority}", config=config):
                    pass
            assert 0.15 < time.monotonic() - began < 2


def test_a_server_gives_up_on_who_does_not_ask() -> None:
    config = Config(open_timeout=0.2)
    with windsock.threads.serve(echo, config=config) as server, dial(server) as peer:
        assert peer.read_answer().status == 408
        assert peer.ended()


def test_a_server_gives_up_on_a_peer_that_does_not_read() -> None:
    config = Config(write_timeout=0.2)

    seen = Observed()

    async def flood(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send(bytes(100_000))
        except Disconnected as disconnected:
            seen.put(disconnected.code)

    with windsock.threads.serve(flood, config=config) as server:
        with dial(server, receive_buffer=4096) as peer:
            peer.send_raw(handshake_request("/"))
            assert seen.get() == 1006
