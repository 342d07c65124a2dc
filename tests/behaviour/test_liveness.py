"""A handler that is elsewhere, a peer that is gone, and pings both ways."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from windsock.core import Config, Disconnected, LocalProtocolError, WebSocket

from . import anyloop as anyio
from .exceptions import Deviation
from .peer import Close
from .sites import Handler, Site, WireSite, echo
from .sync import Gate, Observed, pause

KEEPALIVE = Config(ping_interval=0.3, ping_timeout=0.4)


@pytest.mark.behaviour("pings-answered")
def test_pings_are_answered_though_the_handler_never_reads(wire_site: WireSite) -> None:
    gate = Gate()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await gate.wait()

    with wire_site.wire(handler) as peer:
        for number in range(3):
            began = time.monotonic()
            peer.ping(f"are you there? {number}".encode())
            assert peer.receive_pong() == f"are you there? {number}".encode()
            assert time.monotonic() - began < 1
        gate.open()
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("pings-answered")
def test_a_ping_between_fragments_is_answered_at_once(wire_site: WireSite) -> None:
    with wire_site.wire(echo) as peer:
        peer.send_raw(b"\x01\x83\0\0\0\0one")
        peer.ping(b"in between")
        assert peer.receive_pong() == b"in between"
        peer.send_raw(b"\x80\x83\0\0\0\0two")
        assert peer.receive() == "onetwo"


def wait_for_the_end(seen: Observed) -> Handler:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        seen.put(ws.code)

    return handler


def look_now_and_then(seen: Observed) -> Handler:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        while not ws.closed:  # such handlers exist, and must be served
            await pause(0.01)
        seen.put(ws.code)

    return handler


@pytest.mark.behaviour("gone-noticed")
@pytest.mark.parametrize("make_handler", [wait_for_the_end, look_now_and_then])
@pytest.mark.parametrize("goodbye", ["abort", "close"])
def test_a_gone_peer_is_noticed_within_a_second_though_the_handler_never_reads(
    site: Site,
    make_handler: Callable[[Observed], Handler],
    goodbye: str,
    deviation: Deviation | None,
) -> None:
    seen = Observed()
    with site.connect(make_handler(seen)) as peer:
        began = time.monotonic()
        getattr(peer, goodbye)()
        code = seen.get()
        assert time.monotonic() - began < 1
        if deviation is None:
            assert code == (1006 if goodbye == "abort" else 1000)
        else:
            assert code in deviation.expect


@pytest.mark.behaviour("keepalive")
def test_a_silent_peer_is_pinged_and_may_stay_while_it_answers(
    start_wire: Callable[[Config], WireSite],
) -> None:
    with start_wire(KEEPALIVE).wire(echo) as peer:
        for _ in range(3):
            peer.receive_ping()
        peer.send("still here")
        assert peer.receive() == "still here"


@pytest.mark.behaviour("keepalive-timeout")
def test_a_peer_that_answers_no_ping_is_failed_1011(
    start_wire: Callable[[Config], WireSite], deviation: Deviation | None
) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(Disconnected) as caught:
            await ws.receive()
        seen.put(caught.value.code)

    with start_wire(KEEPALIVE).wire(handler, answer_pings=False) as peer:
        peer.receive_ping()
        if deviation and deviation.expect == "more pings":
            for _ in range(3):
                peer.receive_ping()
            assert seen.until_quiet(0) == []
            return
        assert peer.receive() == Close(1011, "keepalive ping timeout")
        assert seen.get() == (deviation.expect if deviation else 1011)


@pytest.mark.behaviour("ping")
def test_ping_measures_the_way_there_and_back(
    wire_site: WireSite, deviation: Deviation | None
) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        assert ws.latency is None
        if not ws.capabilities.ping:
            with pytest.raises(LocalProtocolError, match="the host server owns the frames"):
                await ws.ping()
            seen.put("refused")
            return
        seen.put(await ws.ping())
        seen.put(ws.latency)
        seen.put(await ws.ping(b"payload"))

    with wire_site.wire(handler) as peer:
        if deviation:
            assert seen.get() == "refused"
            return
        assert peer.receive_ping()
        elapsed, latency = seen.take(2)
        assert 0 <= elapsed < 5
        assert latency == pytest.approx(elapsed, abs=0.5)
        assert peer.receive_ping() == b"payload"
        assert seen.get() >= 0


@pytest.mark.behaviour("ping")
def test_ping_raises_when_the_websocket_ends_first(
    wire_site: WireSite, deviation: Deviation | None
) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises((Disconnected, LocalProtocolError)) as caught:
            await ws.ping()
        seen.put(type(caught.value))

    with wire_site.wire(handler, answer_pings=False) as peer:
        if deviation is None:
            peer.receive_ping()
            peer.close(4000)
        assert seen.get() is (LocalProtocolError if deviation else Disconnected)


@pytest.mark.usefixtures("tasks")
@pytest.mark.behaviour("ping")
def test_a_cancelled_ping_harms_nothing(wire_site: WireSite, deviation: Deviation | None) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        if ws.capabilities.ping:
            with anyio.move_on_after(0.01):
                await ws.ping()
            await ws.send("cancelled")
        await echo(ws)

    with wire_site.wire(handler, answer_pings=False) as peer:
        if deviation is None:
            assert peer.receive_ping()
            assert peer.receive() == "cancelled"
        peer.send("fine")
        assert peer.receive() == "fine"
