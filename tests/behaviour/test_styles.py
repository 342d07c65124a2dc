"""What holds for handlers in every style."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from windsock.core import App, Config, Disconnected, Response, WebSocketRequest

from .exceptions import Deviation
from .log import Log
from .peer import Close
from .sites import Site, echo
from .styles import STYLES, Style
from .sync import TIMEOUT, Observed

# Seconds in which a blocked call is told that the WebSocket has ended: promptly, on any machine.
PROMPTLY: Final = 0.5


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest) -> Style:
    """Each of the styles."""
    return STYLES[request.param]


def at(path: str, handler: Callable[..., Any]) -> App:
    """An application with one route."""
    app = App()
    app.add_route(path, "WEBSOCKET", handler)
    return app


@pytest.mark.behaviour("styles")
def test_messages_of_both_types_and_empty_ones(site: Site, style: Style) -> None:
    with site.connect(at("/", style.echo())) as peer:
        for message in ("text", b"binary", "", b"", "grün", "x" * 70_000):
            peer.send(message)
            assert peer.receive() == message


@pytest.mark.behaviour("path-params")
def test_the_values_of_the_path(site: Site, style: Style) -> None:
    with site.connect(at("/{room}/{number:int}", style.echo()), "/a%20b/7") as peer:
        peer.send("hi")
        assert peer.receive() == "a b/7: 'hi'"


@pytest.mark.behaviour("undecided")
def test_deciding_nothing_is_a_403_and_a_warning(site: Site, style: Style, log: Log) -> None:
    handler = style.decide_nothing()
    if handler is None:
        pytest.skip("this style accepts by itself")
    with site.knock(at("/", handler)) as peer:
        assert peer.answer.status == 403
    log.take(logging.WARNING, "returned without accept or reject")


@pytest.mark.behaviour("raise-before-accept")
def test_raising_before_accept_is_a_500(
    site: Site, style: Style, log: Log, deviation: Deviation | None
) -> None:
    error = RuntimeError("before accept")
    with site.knock(at("/", style.raise_first(error))) as peer:
        assert peer.answer.status == 500
    log.take_failure(error)
    site.assert_lives()


@pytest.mark.behaviour("raise-after-accept")
def test_raising_after_accept_closes_1011(site: Site, style: Style, log: Log) -> None:
    error = RuntimeError("after accept")
    with site.connect(at("/", style.raise_later(error))) as peer:
        assert peer.take(2) == ["open", Close(1011)]
    log.take_failure(error)
    site.assert_lives()


@pytest.mark.behaviour("return-after-accept")
def test_returning_closes_1000(site: Site, style: Style) -> None:
    with site.connect(at("/", style.return_later())) as peer:
        assert peer.take(2) == ["open", Close(1000)]


@pytest.mark.behaviour("close")
def test_closing_with_a_code(site: Site, style: Style) -> None:
    with site.connect(at("/", style.close(4001))) as peer:
        assert peer.take(2) == ["open", Close(4001)]


@pytest.mark.behaviour("reject")
def test_rejecting(site: Site, style: Style) -> None:
    response = Response("no dice", 401, [("X-Reason", "dice")])
    with site.knock(at("/", style.reject(response))) as peer:
        if style.rejects_with_response:
            assert peer.answer.status == 401
            assert peer.answer.headers["x-reason"] == "dice"
            assert peer.answer.body == b"no dice"
        else:
            assert peer.answer.status == 403


@pytest.mark.behaviour("subprotocol")
def test_choosing_a_subprotocol(site: Site, style: Style) -> None:
    handler = style.accept_with("second", [])
    with site.connect(at("/", handler), subprotocols=["first", "second"]) as peer:
        assert peer.answer.headers["sec-websocket-protocol"] == "second"


@pytest.mark.behaviour("accept-headers")
def test_header_fields_of_the_101(site: Site, style: Style) -> None:
    with site.connect(at("/", style.accept_with(None, [("X-More", "yes")]))) as peer:
        assert peer.answer.headers["x-more"] == "yes"


@pytest.mark.behaviour("peer-closes")
def test_the_peers_close_code(site: Site, style: Style, deviation: Deviation | None) -> None:
    seen = Observed()
    with site.connect(at("/", style.report_end(seen))) as peer:
        peer.send("first")
        peer.close(4010, "bye")
        assert seen.get() == (deviation.expect if deviation else 4010)


# Plain functions


@pytest.mark.behaviour("worker-threads")
def test_plain_functions_beyond_the_limit_are_refused_503(start: Callable[[Config], Site]) -> None:
    site = start(Config(max_worker_threads=2))
    app = at("/", STYLES["plain-function"].echo())
    with site.connect(app) as one, site.connect(app):
        with site.knock(app) as third:
            assert third.answer.status == 503
            assert "retry-after" in third.answer.headers
        one.send("unharmed")
        assert one.receive() == "unharmed"
        one.close()
        until_free(site, app)


def until_free(site: Site, app: App) -> None:
    """Knock until there is a thread again: the one that was left may take a moment to end."""
    deadline = threading.Event()
    timer = threading.Timer(TIMEOUT, deadline.set)
    timer.start()
    try:
        while not deadline.is_set():
            with site.knock(app) as peer:
                if peer.answer.status == 101:
                    return
    finally:
        timer.cancel()
    raise AssertionError("no thread is free again")


@pytest.mark.behaviour("worker-threads")
def test_a_plain_function_that_blocks_keeps_nobody_else_waiting(site: Site) -> None:
    go_on = threading.Event()

    def handler(request: WebSocketRequest) -> None:
        with request.accept() as websocket:
            assert go_on.wait(TIMEOUT)
            websocket.send("done")

    with site.connect(at("/", handler)) as blocked:
        with site.connect(echo) as other:
            other.send("hi")
            assert other.receive() == "hi"
        go_on.set()
        assert blocked.receive() == "done"


@pytest.mark.behaviour("blocking-timeouts")
def test_a_blocking_receive_times_out_and_loses_nothing(site: Site) -> None:
    seen = Observed()

    def handler(request: WebSocketRequest) -> None:
        with request.accept() as websocket:
            with pytest.raises(TimeoutError):
                websocket.receive(timeout=0.01)
            seen.put("timed out")
            websocket.send(websocket.receive(timeout=TIMEOUT), timeout=TIMEOUT)

    with site.connect(at("/", handler)) as peer:
        assert seen.get() == "timed out"
        peer.send("late")
        assert peer.receive() == "late"


@pytest.mark.behaviour("blocking-wakes")
def test_a_close_in_another_thread_wakes_a_blocked_receive(site: Site) -> None:
    seen = Observed()

    def handler(request: WebSocketRequest) -> None:
        websocket = request.accept()

        def close() -> None:
            seen.put("closing")
            websocket.close(4001)

        closer = threading.Thread(target=close)
        closer.start()
        with pytest.raises(Disconnected):
            websocket.receive(timeout=TIMEOUT)
        seen.put("woken")
        closer.join(TIMEOUT)

    with site.connect(at("/", handler)) as peer:
        assert seen.get() == "closing"
        assert seen.get(PROMPTLY) == "woken"
        assert peer.receive() == Close(4001)


@pytest.mark.behaviour("blocking-wakes")
def test_a_peer_that_leaves_wakes_a_blocked_receive(site: Site) -> None:
    seen = Observed()

    def handler(request: WebSocketRequest) -> None:
        websocket = request.accept()
        seen.put("receiving")
        with pytest.raises(Disconnected):
            websocket.receive(timeout=TIMEOUT)
        seen.put("woken")

    with site.connect(at("/", handler)) as peer:
        assert seen.get() == "receiving"
        peer.close()
        assert seen.get(PROMPTLY) == "woken"


@pytest.mark.behaviour("http")
def test_plain_http_by_a_plain_function(site: Site) -> None:
    app = App()

    @app.http("/double/{number:int}")
    def double(request: Any, number: int) -> Response:
        assert threading.current_thread() is not threading.main_thread()
        return Response(str(number * 2))

    answer = site.fetch(app, "/double/21")
    assert (answer.status, answer.body) == (200, b"42")


@pytest.mark.behaviour("lifespan")
def test_the_lifespan_runs_once_and_its_state_reaches_handlers(site: Site) -> None:
    assert site.switchboard.started == 1
    seen = Observed()

    async def handler(ws: Any) -> None:
        seen.put(ws.state["number"])
        await echo(ws)

    for _ in range(2):
        with site.connect(handler):
            assert seen.get() == 1
    assert site.switchboard.started == 1
    assert site.switchboard.ended == 0
