"""TCP connections that end in other ways than WebSockets should."""

from __future__ import annotations

import time

import pytest

import windsock.twisted
from tests.behaviour.anyloop import sleep
from tests.behaviour.peer import Close, handshake_request
from tests.behaviour.raw_server import RawServer
from tests.behaviour.sync import TIMEOUT, Gate, Observed
from tests.reactor_thread import entered, start
from tests.transports.handlers import echo
from tests.transports.wire import TEXT, close_frame, frame
from windsock.core import Config, Disconnected, WebSocket

from .running import dial, open_files, opened


async def receive(ws: WebSocket, seen: Observed) -> None:
    await ws.accept()
    with pytest.raises(Disconnected) as end:
        await ws.receive()
    seen.put((end.value.code, end.value.clean))


async def flood(ws: WebSocket, seen: Observed) -> None:
    await ws.accept()
    with pytest.raises(Disconnected) as end:
        await send_forever(ws)
    seen.put((end.value.code, end.value.clean))


async def send_forever(ws: WebSocket) -> None:
    while True:
        await ws.send(bytes(256 * 1024))


async def be_elsewhere(ws: WebSocket, seen: Observed) -> None:
    await ws.accept()
    while not ws.closed:
        await sleep(0.01)
    with pytest.raises(Disconnected) as end:
        await ws.send("too late")
    seen.put((end.value.code, end.value.clean))


@pytest.mark.parametrize("handler", [receive, flood, be_elsewhere])
@pytest.mark.parametrize("how", ["abort", "hang_up", "dispose"])
def test_a_client_that_goes(handler: object, how: str) -> None:
    seen = Observed()

    async def serve(ws: WebSocket) -> None:
        await handler(ws, seen)  # type: ignore[operator]

    with entered(windsock.twisted.serve(serve, config=Config(write_timeout=1))) as server:
        peer = opened(server)
        getattr(peer, how)()
        assert seen.get() == (1006, False)
        peer.dispose()


def test_half_closed_after_a_message_and_a_close_frame() -> None:
    """What was sent before the end of the stream is answered after it."""
    serving = windsock.twisted.serve(echo)
    with entered(serving) as server, opened(server, answer_close=False) as peer:
        peer.send_raw(frame(TEXT, b"last words") + close_frame(1000))
        peer.hang_up()
        assert peer.receive() == "last words"
        assert peer.receive() == Close(1000)
        assert peer.read_to_the_end() == b""


def test_a_half_closed_client_gets_a_big_answer_in_full() -> None:
    """More than the transport takes at once."""
    gate = Gate()

    async def handler(ws: WebSocket) -> None:
        async with ws:
            await gate.wait()
            await ws.send(bytes(20_000_000))

    config = Config(write_high_water=100_000_000)
    with entered(windsock.twisted.serve(handler, config=config)) as server:
        with opened(server, answer_close=False) as peer:
            gate.open()
            assert peer.receive() == bytes(20_000_000)
            assert peer.receive() == Close(1000)
            peer.send_raw(close_frame(1000))
            peer.hang_up()
            assert peer.read_to_the_end() == b""


def test_gone_in_the_handshake() -> None:
    with entered(windsock.twisted.serve(echo)) as server:
        for _ in range(20):
            peer = dial(server)
            peer.send_raw(handshake_request("/", [], host="x")[:50])
            peer.abort()
        with opened(server) as peer:
            peer.send("still there?")
            assert peer.receive() == "still there?"


def test_tcp_ends_with_the_websocket_though_the_handler_goes_on() -> None:
    gate = Gate()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close()
        await gate.wait()

    with entered(windsock.twisted.serve(handler)) as server:
        with opened(server) as peer:
            files = open_files()
            assert peer.receive() == Close(1000)
            peer.hang_up()
            assert peer.read_to_the_end() == b""
            deadline = time.monotonic() + 5
            while open_files() >= files:  # the server's socket is one of them
                assert time.monotonic() < deadline
                time.sleep(0.01)
        gate.open()


def test_a_peer_that_takes_too_little_in_time_is_given_up_with_its_close_unsent() -> None:
    """The last resort: the transport still holds what nobody takes."""
    config = Config(close_timeout=0.3, write_timeout=60, write_high_water=10_000_000)
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send(bytes(9_000_000))
        began = time.monotonic()
        await ws.close()
        seen.put((ws.code, time.monotonic() - began))

    with entered(windsock.twisted.serve(handler, config=config)) as server:
        with opened(server, receive_buffer=4096) as peer:
            code, seconds = seen.get()
            assert code == 1006
            assert 0.25 < seconds < 5
            peer.read_to_the_end()


def test_a_server_that_is_reset() -> None:
    async def use(uri: str) -> tuple[int, bool]:
        async with windsock.twisted.connect(uri) as ws:
            with pytest.raises(Disconnected) as end:
                await ws.receive()
        return end.value.code, end.value.clean

    with RawServer() as server:
        used = start(use, server.url)
        peer = server.accept()
        peer.upgrade()
        peer.abort()
        assert used.result(TIMEOUT) == (1006, False)
