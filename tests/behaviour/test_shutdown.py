"""Graceful shutdown, each time of a server of the test's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from windsock.core import (
    App,
    Config,
    Disconnected,
    Request,
    Response,
    WebSocket,
    WebSocketRequest,
)

from . import anyloop as anyio
from .exceptions import Deviation
from .hosts import HOSTS, Running
from .peer import Close
from .sites import CASE, WireSite, echo
from .sync import TIMEOUT, Gate, Observed

Launch = Callable[[Config], tuple[Running, WireSite]]


@pytest.fixture
def launch(host: str) -> Iterator[Launch]:
    """Starts a server that the test may shut down."""
    with ExitStack() as stack:

        def launch(config: Config) -> tuple[Running, WireSite]:
            running = stack.enter_context(HOSTS[host](config))
            assert isinstance(running.site, WireSite)
            return running, running.site

        yield launch


@pytest.mark.behaviour("shutdown")
def test_open_websockets_are_closed_1001_and_handlers_are_told(
    launch: Launch, deviation: Deviation | None
) -> None:
    running, site = launch(Config(shutdown_timeout=1))
    peer_code, told = deviation.expect if deviation else (1001, 1001)
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        seen.put("accepted")
        try:
            await ws.receive()
        except Disconnected as disconnected:
            seen.put(disconnected.code)
        except anyio.get_cancelled_exc_class():
            seen.put("cancelled")
            raise

    with site.wire(handler) as one, site.wire(handler) as two:
        assert seen.take(2) == ["accepted", "accepted"]
        stopped = running.shutdown()
        for peer in (one, two):
            close = peer.receive()
            assert isinstance(close, Close)
            assert close.code == peer_code
            peer.dispose()
        stopped.result(TIMEOUT)
        assert seen.take(2) == [told, told]


@pytest.mark.behaviour("shutdown")
def test_blocked_plain_functions_are_told(launch: Launch, deviation: Deviation | None) -> None:
    running, site = launch(Config(shutdown_timeout=1))
    peer_code, _ = deviation.expect if deviation else (1001, 1001)
    seen = Observed()

    def handler(request: WebSocketRequest) -> None:
        websocket = request.accept()
        seen.put("accepted")
        with pytest.raises(Disconnected):
            websocket.receive(timeout=TIMEOUT)
        seen.put("told")

    app = App()
    app.add_route("/", "WEBSOCKET", handler)
    with site.wire(app) as peer:
        assert seen.get() == "accepted"
        stopped = running.shutdown()
        close = peer.receive()
        assert isinstance(close, Close)
        assert close.code == peer_code
        peer.dispose()
        assert seen.get() == "told"
        stopped.result(TIMEOUT)


@pytest.mark.behaviour("lifespan")
def test_the_lifespan_ends_with_the_server(host: str) -> None:
    with HOSTS[host](Config(shutdown_timeout=1)) as running:
        running.site.assert_lives()
        app = running.site.switchboard
        assert (app.started, app.ended) == (1, 0)
    assert (app.started, app.ended) == (1, 1)


@pytest.mark.behaviour("shutdown-stops-accepting")
def test_nobody_is_accepted_after_a_shutdown(launch: Launch) -> None:
    running, site = launch(Config(shutdown_timeout=5))
    site.assert_lives()
    running.shutdown().result(TIMEOUT)
    with pytest.raises(ConnectionError):
        site.dial()


@pytest.mark.behaviour("shutdown-stops-accepting")
def test_a_shutdown_of_an_idle_server_takes_no_time(launch: Launch) -> None:
    running, site = launch(Config(shutdown_timeout=10))
    site.assert_lives()
    began = time.monotonic()
    running.shutdown().result(TIMEOUT)
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("tasks")
@pytest.mark.behaviour("shutdown-deadline")
def test_a_handler_that_does_not_end_is_cancelled_at_the_deadline(
    launch: Launch,
) -> None:
    running, site = launch(Config(shutdown_timeout=1))
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        seen.put("accepted")
        try:
            await anyio.sleep_forever()
        finally:
            seen.put("cancelled")

    with site.wire(handler):
        assert seen.get() == "accepted"
        began = time.monotonic()
        running.shutdown().result(TIMEOUT)
        assert seen.get() == "cancelled"
        assert 0.5 < time.monotonic() - began < 8


@pytest.mark.behaviour("shutdown-deadline")
def test_a_peer_that_does_not_answer_the_close_is_left_at_the_deadline(
    launch: Launch,
) -> None:
    running, site = launch(Config(shutdown_timeout=1))
    with site.wire(echo, answer_close=False) as peer:
        peer.send("hello")
        assert peer.receive() == "hello"
        running.shutdown().result(TIMEOUT)


@pytest.mark.behaviour("shutdown-handshakes")
def test_an_undecided_handshake_is_a_503(launch: Launch, deviation: Deviation | None) -> None:
    running, site = launch(Config(shutdown_timeout=1))
    gate, seen = Gate(), Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put("asked")
        await gate.wait()
        await ws.close()

    with site.dial() as peer:
        peer.send_raw(site.request(handler))
        assert seen.get() == "asked"
        stopped = running.shutdown()
        assert peer.read_answer().status == (deviation.expect if deviation else 503)
        gate.open()
    stopped.result(TIMEOUT)


@pytest.mark.behaviour("shutdown-stops-accepting")
def test_a_connection_without_a_request_does_not_hold_the_server(
    launch: Launch,
) -> None:
    running, site = launch(Config(shutdown_timeout=10))
    with site.dial() as peer:
        peer.send_raw(b"GET / HT")
        site.assert_lives()
        began = time.monotonic()
        running.shutdown().result(TIMEOUT)
        assert time.monotonic() - began < 5


@pytest.mark.behaviour("shutdown-http")
def test_a_plain_request_is_answered_before_the_end(launch: Launch) -> None:
    running, site = launch(Config(shutdown_timeout=5))
    app, gate, seen = App(), Gate(), Observed()

    @app.http("/page")
    async def page(request: Request) -> Response:
        seen.put("asked")
        await gate.wait()
        return Response("answered")

    with site.dial() as peer:
        request = f"GET /page HTTP/1.1\r\nHost: x\r\n{CASE}: {site.case(app)}\r\n\r\n"
        peer.send_raw(request.encode())
        assert seen.get() == "asked"
        stopped = running.shutdown()
        gate.open()
        assert peer.read_answer().body == b"answered"
    stopped.result(TIMEOUT)
