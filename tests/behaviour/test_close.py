"""The end of a WebSocket: who closed, with what code and reason, and what both sides see of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from windsock.core import App, Config, Disconnected, LocalProtocolError, WebSocket

from . import anyloop as anyio
from .exceptions import Deviation
from .log import Log
from .peer import Close, Peer, frame
from .sites import Handler, Site, WireSite
from .sync import Observed, overdue_after

CLOSES = [
    (1000, ""),
    (1000, "bye"),
    (1001, "leaving"),
    (1003, ""),
    (1011, "my fault"),
    (3000, ""),
    (4010, "cbye"),
    (4999, "ünïcödé 🎏"),
]


async def receive_until_the_end(ws: WebSocket) -> None:
    while True:
        await ws.receive()


async def send_until_the_end(ws: WebSocket) -> None:
    while True:
        await ws.send("tick")


def report_disconnect(seen: Observed) -> Handler:
    """A handler that receives until it is told the end, and reports that."""

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(Disconnected) as caught:
            await receive_until_the_end(ws)
        seen.put((caught.value.code, caught.value.reason, caught.value.clean))
        seen.put((ws.closed, ws.code, ws.reason))

    return handler


@pytest.mark.behaviour("peer-closes")
@pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 3000, 4010, 4999])
def test_the_peers_close_code_is_raised(site: Site, code: int, deviation: Deviation | None) -> None:
    seen = Observed()
    with site.connect(report_disconnect(seen)) as peer:
        peer.close(code)
        assert seen.get()[0] == (deviation.expect if deviation else code)
        assert seen.get()[1] == (deviation.expect if deviation else code)


@pytest.mark.behaviour("peer-closes-reason")
@pytest.mark.parametrize("reason", ["", "cbye", "ünïcödé 🎏", "x" * 123])
def test_the_peers_reason_is_raised(site: Site, reason: str, deviation: Deviation | None) -> None:
    seen = Observed()
    with site.connect(report_disconnect(seen)) as peer:
        peer.close(4010, reason)
        assert seen.get()[1] == (deviation.expect if deviation else reason)
        assert seen.get() == (True, *seen_outcome(deviation, reason))


def seen_outcome(deviation: Deviation | None, reason: str) -> tuple[int, str]:
    return (1006, "") if deviation else (4010, reason)


@pytest.mark.behaviour("peer-closes-without-code")
def test_a_close_without_a_code_is_1005(site: Site, deviation: Deviation | None) -> None:
    seen = Observed()
    with site.connect(report_disconnect(seen)) as peer:
        peer.close(1005)
        assert seen.get()[0] == (deviation.expect if deviation else 1005)


@pytest.mark.behaviour("close-echoed")
@pytest.mark.parametrize("code", [1000, 3000, 4010])
def test_the_peers_close_is_answered_with_its_code(wire_site: WireSite, code: int) -> None:
    seen = Observed()
    with wire_site.wire(report_disconnect(seen)) as peer:
        peer.close(code, "bye")
        answer = peer.receive()
        assert isinstance(answer, Close)
        assert answer.code == code
        assert peer.ended()


@pytest.mark.behaviour("clean")
def test_a_closing_handshake_is_clean(site: Site, deviation: Deviation | None) -> None:
    seen = Observed()
    with site.connect(report_disconnect(seen)) as peer:
        peer.close()
        assert seen.get()[2] is (deviation is None)


def abort(peer: Peer) -> None:
    peer.abort()


def hang_up(peer: Peer) -> None:
    peer.hang_up() if hasattr(peer, "hang_up") else peer.abort()


@pytest.mark.behaviour("peer-vanishes")
@pytest.mark.parametrize("vanish", [abort, hang_up], ids=["reset", "end-of-stream"])
def test_a_peer_that_vanishes_is_1006(
    site: Site, vanish: Callable[[Peer], None], deviation: Deviation | None
) -> None:
    seen = Observed()
    with site.connect(report_disconnect(seen)) as peer:
        vanish(peer)
        assert seen.get() == (deviation.expect if deviation else 1006, "", False)


@pytest.mark.behaviour("peer-vanishes")
@pytest.mark.parametrize("vanish", [abort, hang_up], ids=["reset", "end-of-stream"])
def test_a_peer_that_vanishes_within_a_large_message_is_1006(
    wire_site: WireSite, vanish: Callable[[Peer], None], deviation: Deviation | None
) -> None:
    seen = Observed()
    with wire_site.wire(report_disconnect(seen)) as peer:
        peer.send_raw(frame(2, bytes(1 << 20))[:500_000])
        vanish(peer)
        assert seen.get() == (deviation.expect if deviation else 1006, "", False)


@pytest.mark.behaviour("receive-default")
def test_receive_with_a_default_returns_it_after_the_last_message(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        while (message := await ws.receive(default=None)) is not None:
            seen.put(message)
        seen.put(await ws.receive(default="no more"))

    with site.connect(handler) as peer:
        peer.send("")
        peer.send("one")
        peer.close(4000)
        assert seen.take(3) == ["", "one", "no more"]


SILENT = [1000, 1001, 1005]
LOUD = [1003, 1006, 1007, 1008, 1009, 1011, 1012, 3000, 4000, 4999]


@pytest.mark.behaviour("iteration")
@pytest.mark.parametrize("code", [*SILENT, *LOUD])
def test_iteration_ends_silently_on_an_orderly_goodbye_only(
    site: Site, code: int, deviation: Deviation | None
) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            async for message in ws:
                seen.put(message)
        except Disconnected as disconnected:
            seen.put(disconnected.code)
        else:
            seen.put("silence")

    with site.connect(handler) as peer:
        peer.send("one")
        assert seen.get() == "one"
        if code == 1006:
            peer.abort()
        else:
            peer.close(code)
        expected = "silence" if code in SILENT else code
        assert seen.get() == (deviation.expect if deviation else expected)


@pytest.mark.behaviour("send-after-gone")
@pytest.mark.parametrize("goodbye", ["close", "abort"])
def test_send_after_the_peer_has_gone_raises(site: Site, goodbye: str) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        for attempt in (
            lambda: ws.send("too late"),
            lambda: ws.send_bytes(b"too late"),
            lambda: ws.send_json({}),
            ws.receive,
            ws.receive_text,
            ws.receive_json,
        ):
            with pytest.raises(Disconnected):
                await attempt()
        await ws.close()
        await ws.wait_closed()
        seen.put("all raised")

    with site.connect(handler) as peer:
        getattr(peer, goodbye)()
        assert seen.get() == "all raised"


@pytest.mark.behaviour("send-after-gone")
def test_a_handler_that_only_sends_learns_that_the_peer_has_gone(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with overdue_after(10), pytest.raises(Disconnected):
            await send_until_the_end(ws)
        seen.put("told")

    with site.connect(handler) as peer:
        assert peer.receive() == "tick"
        peer.abort()
    assert seen.get() == "told"


@pytest.mark.behaviour("close")
@pytest.mark.parametrize(("code", "reason"), CLOSES)
def test_code_and_reason_reach_the_peer(site: Site, code: int, reason: str) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(code, reason)
        seen.put((ws.closed, ws.code, ws.reason))

    with site.connect(handler) as peer:
        assert peer.receive() == Close(code, reason)
        assert seen.get() == (True, code, reason)


@pytest.mark.behaviour("close")
def test_after_close_nothing_is_sent_or_received(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(4001, "enough")
        await ws.close(4002, "again")
        for attempt in (lambda: ws.send("late"), ws.receive):
            with pytest.raises(Disconnected) as caught:
                await attempt()
            assert (caught.value.code, caught.value.reason) == (4001, "enough")
        seen.put(await ws.receive(default="nothing"))
        await ws.close()

    with site.connect(handler) as peer:
        assert peer.receive() == Close(4001, "enough")
        assert seen.get() == "nothing"


@pytest.mark.behaviour("close")
def test_the_socket_ends_after_close(wire_site: WireSite) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()

    with wire_site.wire(handler) as peer:
        assert peer.receive() == Close(1000)
        assert peer.ended()


@pytest.mark.behaviour("close-refused")
@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1014, 1015, 1016, 2999, 5000])
def test_a_code_that_must_not_be_sent_is_refused(site: Site, code: int) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(LocalProtocolError):
            await ws.close(code)
        await ws.send("unharmed")

    with site.connect(handler) as peer:
        assert peer.take(2) == ["unharmed", Close(1000)]


@pytest.mark.behaviour("close-refused")
def test_a_reason_that_does_not_fit_is_refused(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for reason in ("x" * 124, "ü" * 62, "\ud800"):
            with pytest.raises(LocalProtocolError):
                await ws.close(1000, reason)
        await ws.close(1000, "x" * 123)

    with site.connect(handler) as peer:
        assert peer.receive() == Close(1000, "x" * 123)


@pytest.mark.behaviour("close-deadline")
def test_close_does_not_wait_forever_for_the_peers_answer(
    start_wire: Callable[[Config], WireSite],
    deviation: Deviation | None,
) -> None:
    site = start_wire(Config(close_timeout=0.3))
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        began = time.monotonic()
        await ws.close(4000)
        seen.put(time.monotonic() - began)

    with site.wire(handler, answer_close=False) as peer:
        assert peer.receive() == Close(4000)
        peer.send_raw(frame(1, b"still talking"))
        elapsed = seen.get()
        if deviation is None:
            assert 0.25 < elapsed < 5
            assert peer.ended()


@pytest.mark.behaviour("close-crossing")
def test_messages_that_cross_our_close_are_discarded(wire_site: WireSite) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        assert await ws.receive() == "now"
        await ws.close(4000)
        seen.put(await ws.receive(default="nothing"))

    with wire_site.wire(handler, answer_close=False) as peer:
        peer.send("now")
        assert peer.receive() == Close(4000)
        peer.send_raw(frame(1, b"crossing") + frame(8, (4000).to_bytes(2, "big")))
        assert peer.ended()
        assert seen.get() == "nothing"


@pytest.mark.usefixtures("tasks")
@pytest.mark.behaviour("close-crossing")
def test_one_task_closes_while_another_receives(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()

        async def receive() -> None:
            with pytest.raises(Disconnected) as caught:
                await ws.receive()
            seen.put(caught.value.code)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.lowlevel.checkpoint()
            await ws.close(4000)

    with site.connect(handler) as peer:
        assert peer.receive() == Close(4000)
        assert seen.get() == 4000


# `async with ws`


@pytest.mark.behaviour("async-with")
def test_async_with_accepts_and_closes_1000(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws as entered:
            assert entered is ws
            await ws.send("hello")

    with site.connect(handler) as peer:
        assert peer.take(2) == ["hello", Close(1000)]


@pytest.mark.behaviour("async-with")
def test_async_with_after_accept_keeps_what_was_accepted(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept("one")
        async with ws:
            await ws.send("hello")

    with site.connect(handler, subprotocols=["one"]) as peer:
        assert peer.answer.headers["sec-websocket-protocol"] == "one"
        assert peer.take(2) == ["hello", Close(1000)]


@pytest.mark.behaviour("async-with")
def test_only_the_outermost_async_with_closes(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            async with ws:
                await ws.send("inner")
            await ws.send("outer")

    with site.connect(handler) as peer:
        assert peer.take(3) == ["inner", "outer", Close(1000)]


@pytest.mark.behaviour("async-with")
def test_an_exception_closes_1011_and_comes_out_as_it_is(site: Site, log: Log) -> None:
    seen = Observed()
    error = RuntimeError("in the body")

    async def handler(ws: WebSocket) -> None:
        try:
            async with ws, ws:
                raise error
        except RuntimeError as caught:
            seen.put(caught)
            raise

    with site.connect(handler) as peer:
        assert peer.receive() == Close(1011)
        assert seen.get() is error
    log.take_failure(error)


@pytest.mark.behaviour("async-with")
def test_close_in_the_body_wins(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.close(4000, "mine")

    with site.connect(handler) as peer:
        assert peer.receive() == Close(4000, "mine")


CATCH = [
    (True, {1000, 1001, 1005, 1006, 1011, 4000}),
    (False, set()),
    ({1000, 1001}, {1000, 1001}),
    ({1006}, {1006}),
    ((), set()),
]


@pytest.mark.behaviour("catch-disconnect")
@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1011, 4000])
@pytest.mark.parametrize(("catch", "caught"), CATCH, ids=[str(catch) for catch, _ in CATCH])
def test_catch_disconnect_decides_what_async_with_swallows(
    site: Site,
    catch: bool | set[int] | tuple[int, ...],
    caught: set[int],
    code: int,
    deviation: Deviation | None,
) -> None:
    app, seen = App(), Observed()

    @app.websocket("/", catch_disconnect=catch)
    async def handler(ws: WebSocket) -> None:
        try:
            async with ws:
                await ws.receive()
        except Disconnected as disconnected:
            seen.put(("raised", disconnected.code))
            raise
        seen.put("swallowed")

    with site.connect(app) as peer:
        if code == 1006:
            peer.abort()
        else:
            peer.close(code)
        if deviation:
            code = deviation.expect
        assert seen.get() == ("swallowed" if code in caught else ("raised", code))
    # A disconnect that a handler lets out is no error: the log stays empty.


@pytest.mark.behaviour("async-with")
def test_catch_disconnect_can_be_set_on_the_websocket(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        ws.catch_disconnect = False
        with pytest.raises(Disconnected):
            async with ws:
                await ws.receive()
        seen.put("raised")

    with site.connect(handler) as peer:
        peer.close()
        assert seen.get() == "raised"
