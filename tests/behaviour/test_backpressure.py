"""Neither side can make the other one's memory grow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from windsock.core import Config, Disconnected, WebSocket

from . import anyloop as anyio
from .exceptions import Deviation
from .memory import SEND_CAPACITY, MemoryPeer
from .peer import Close, frame
from .sites import Site, WireSite
from .sync import Gate, Observed, in_event_loop

MESSAGE = 10_000
STALL = 0.3
"""Seconds without progress that mean: the other side does not take any more."""
KERNEL = 16 * 1024 * 1024
"""More bytes than the kernel's buffers of both ends hold together."""


async def wait_while_somebody_reads(ws: WebSocket, gate: Gate) -> None:
    """Wait for the gate, and have the transport read for as long as it wants to."""
    if not in_event_loop():  # reading is for another thread
        await gate.wait()
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ws.wait_closed)
        await gate.wait()
        tasks.cancel_scope.cancel()


@pytest.mark.behaviour("inbox-full")
def test_a_full_inbox_stops_reading_and_loses_nothing(
    start_wire: Callable[[Config], WireSite],
) -> None:
    site = start_wire(Config(inbox_high_water=64 * 1024))
    gate, seen = Gate(), Observed()
    count = 4000  # 40 MB

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await wait_while_somebody_reads(ws, gate)
        for number in range(count):
            message = await ws.receive()
            if message != number.to_bytes(4, "big") * (MESSAGE // 4):
                seen.put(f"message {number} is wrong")
                return
        seen.put("all there")

    messages = (number.to_bytes(4, "big") * (MESSAGE // 4) for number in range(count))
    data = b"".join(frame(2, message) for message in messages)
    with site.wire(handler, send_buffer=64 * 1024) as peer:
        sent = peer.send_until_stalled(data, STALL)
        assert 0 < sent < KERNEL
        site.assert_lives()
        gate.open()
        peer.send_raw(data[sent:])
        assert seen.get() == "all there"
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("inbox-full")
def test_a_flood_of_empty_messages_fills_the_inbox_too(
    start_wire: Callable[[Config], WireSite],
) -> None:
    site = start_wire(Config(inbox_high_water=64 * 1024))
    gate, seen = Gate(), Observed()
    count = 3_000_000

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await wait_while_somebody_reads(ws, gate)
        seen.put(await ws.receive())

    with site.wire(handler, send_buffer=64 * 1024) as peer:
        assert 0 < peer.send_until_stalled(frame(1) * count, STALL) < KERNEL
        gate.open()
        assert seen.get() == ""


@pytest.mark.behaviour("inbox-full")
def test_an_application_in_memory_takes_no_more_than_it_has_room_for(
    start: Callable[[Config], Site], host: str
) -> None:
    if host != "memory":
        pytest.skip("what a host holds back is seen at its socket: the tests above")
    site = start(Config(inbox_high_water=64 * 1024))
    gate, seen = Gate(), Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await gate.wait()
        seen.put([await ws.receive() for _ in range(100)])

    with site.connect(handler) as peer:
        assert isinstance(peer, MemoryPeer)
        for number in range(100):
            peer.send(bytes([number]) * MESSAGE)
        assert peer.exchange.unreceived >= 90
        gate.open()
        assert seen.get() == [bytes([number]) * MESSAGE for number in range(100)]


@pytest.mark.behaviour("send-waits")
def test_send_waits_while_the_peer_does_not_read(wire_site: WireSite) -> None:
    seen = Observed()
    count = 2000  # 20 MB

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for number in range(count):
            await ws.send(number.to_bytes(4, "big") * (MESSAGE // 4))
            seen.put(number)

    with wire_site.wire(handler, receive_buffer=4096) as peer:
        sent = seen.until_quiet(STALL)
        assert 0 < len(sent) * MESSAGE < KERNEL
        wire_site.assert_lives()
        for number in range(count):
            assert peer.receive() == number.to_bytes(4, "big") * (MESSAGE // 4)
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("send-waits")
def test_send_waits_while_a_host_in_memory_takes_nothing(
    start: Callable[[Config], Site], host: str
) -> None:
    if host != "memory":
        pytest.skip("what a host takes is seen at its socket: the test above")
    site = start(Config())
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for number in range(1000):
            await ws.send(bytes(MESSAGE))
            seen.put(number)

    with site.connect(handler) as peer:
        held = site.config.write_high_water // MESSAGE + SEND_CAPACITY
        assert len(seen.take(SEND_CAPACITY)) == SEND_CAPACITY
        for _ in range(100):
            assert peer.receive() == bytes(MESSAGE)
        last = seen.take(100 - SEND_CAPACITY)[-1]
        assert last < 100 + held + 2


@pytest.mark.behaviour("write-deadline")
def test_a_peer_that_takes_nothing_is_given_up_after_the_write_deadline(
    start_wire: Callable[[Config], WireSite], deviation: Deviation | None
) -> None:
    site = start_wire(Config(write_timeout=0.4))
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(Disconnected) as caught:
            await send_forever(ws)
        seen.put((caught.value.code, caught.value.clean))

    with site.wire(handler, receive_buffer=4096) as peer:
        if deviation:
            assert seen.until_quiet(1) == []
            peer.abort()
        assert seen.get() == (1006, False)
    site.assert_lives()


async def send_forever(ws: WebSocket) -> None:
    while True:
        await ws.send(bytes(MESSAGE))


@pytest.mark.behaviour("slow-peer")
def test_a_peer_that_reads_slowly_gets_everything(wire_site: WireSite) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for number in range(200):
            await ws.send(number.to_bytes(4, "big") * (MESSAGE // 4))

    with wire_site.wire(handler, receive_buffer=4096) as peer:
        for number in range(200):
            assert peer.receive() == number.to_bytes(4, "big") * (MESSAGE // 4)
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("slow-peer")
def test_a_peer_that_reads_slowly_gets_large_messages_before_the_end(wire_site: WireSite) -> None:
    large = bytes(range(256)) * 4096

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for _ in range(3):
            await ws.send(large)
            await ws.send("small")

    with wire_site.wire(handler, receive_buffer=4096) as peer:
        assert peer.take(6) == [large, "small"] * 3
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("slow-peer")
def test_a_flood_of_pings_from_a_peer_that_does_not_read_is_no_harm(
    wire_site: WireSite, deviation: Deviation | None
) -> None:
    with wire_site.wire(echo_once, receive_buffer=4096, send_buffer=64 * 1024) as peer:
        data = frame(9, bytes(125)) * 20_000
        peer.send_until_stalled(data, STALL)
        wire_site.assert_lives()


async def echo_once(ws: WebSocket) -> None:
    async with ws:
        await ws.receive()
