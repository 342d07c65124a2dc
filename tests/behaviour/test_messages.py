"""Messages in both directions: type, order, size, and the ways to receive and send them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest

from windsock.core import (
    Config,
    Deflate,
    Disconnected,
    LocalProtocolError,
    MessageTypeError,
    WebSocket,
)

from .exceptions import Deviation
from .peer import Close, frame
from .sites import Site, WireSite, echo
from .sync import Gate, Observed

MESSAGES: list[str | bytes] = [
    "text",
    b"binary",
    "",
    b"",
    "ünïcödé 🎏",
    bytes(range(256)),
    "x" * 125,
    "x" * 126,
    "\0",
]


@pytest.mark.behaviour("messages")
def test_messages_keep_their_type_and_order_both_ways(site: Site) -> None:
    with site.connect(echo) as peer:
        for message in MESSAGES:
            peer.send(message)
        assert peer.take(len(MESSAGES)) == MESSAGES


@pytest.mark.behaviour("messages")
def test_many_messages_in_a_row(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for number in range(500):
            await ws.send(str(number))
        seen.put([await ws.receive() for _ in range(500)])

    numbers = [str(number) for number in range(500)]
    with site.connect(handler) as peer:
        assert peer.take(500) == numbers
        for number in numbers:
            peer.send(number)
        assert seen.get() == numbers
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("messages")
@pytest.mark.parametrize("message", ["ä" * 524288, bytes(range(256)) * 4096], ids=["text", "bytes"])
def test_a_message_of_1_mib_goes_both_ways(site: Site, message: str | bytes) -> None:
    with site.connect(echo) as peer:
        peer.send(message)
        assert peer.receive() == message


@pytest.mark.behaviour("messages")
def test_a_fragmented_message_is_one_message(wire_site: WireSite) -> None:
    with wire_site.wire(echo) as peer:
        character = "🎏".encode()
        peer.send_raw(frame(1, character[:1], fin=False))
        peer.send_raw(frame(0, character[1:3], fin=False))
        peer.send_raw(frame(0, b"", fin=False))
        peer.send_raw(frame(0, character[3:]))
        assert peer.receive() == "🎏"


@pytest.mark.behaviour("messages")
def test_a_message_that_comes_byte_by_byte(wire_site: WireSite) -> None:
    with wire_site.wire(echo) as peer:
        for byte in frame(1, b"dribbled"):
            peer.send_raw(bytes([byte]))
        assert peer.receive() == "dribbled"


@pytest.mark.behaviour("messages")
def test_large_and_small_messages_come_out_in_order(wire_site: WireSite) -> None:
    large = bytes(range(256)) * 2048
    with wire_site.wire(echo) as peer:
        data = b"".join(frame(2, message) for message in (b"a", large, b"b", large, large, b"c"))
        cuts = [0, 10, 5000, 300_000, len(data) - 1, len(data)]
        for start, end in itertools.pairwise(cuts):
            peer.send_raw(data[start:end])
        assert peer.take(6) == [b"a", large, b"b", large, large, b"c"]


@pytest.mark.behaviour("messages")
def test_bytes_like_objects_are_sent_as_they_are_now(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        data = bytearray(b"now")
        await ws.send(data)
        data[:] = b"too late"
        await ws.send(memoryview(b"a view")[2:])

    with site.connect(handler) as peer:
        assert peer.take(2) == [b"now", b"view"]


@pytest.mark.behaviour("typed-messages")
def test_receive_text_and_bytes_leave_a_message_of_the_other_type(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(MessageTypeError, match="is bytes, not str"):
            await ws.receive_text()
        seen.put(await ws.receive_bytes())
        with pytest.raises(MessageTypeError, match="is str, not bytes"):
            await ws.receive_bytes()
        seen.put(await ws.receive_text())

    with site.connect(handler) as peer:
        peer.send(b"first")
        peer.send("second")
        assert seen.take(2) == [b"first", "second"]
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("typed-messages")
def test_json_goes_in_text_messages(site: Site) -> None:
    value = {"name": "Jürgen", "numbers": [1, 2.5, None, True]}

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        assert await ws.receive_json() == value
        assert await ws.receive_json() == value
        with pytest.raises(ValueError):
            await ws.receive_json()
        await ws.send_json(value)
        with pytest.raises(TypeError):
            await ws.send_json(object())

    with site.connect(handler) as peer:
        peer.send(json.dumps(value))
        peer.send(json.dumps(value).encode())
        peer.send("no json")
        received = peer.receive()
        assert isinstance(received, str)
        assert json.loads(received) == value
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("typed-messages")
def test_what_cannot_be_sent_is_refused_and_harms_nothing(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for wrong in (None, 1, ["text"], {"text": "x"}):
            with pytest.raises(TypeError):
                await ws.send(wrong)  # type: ignore[arg-type]  # the mistake that is tested
        with pytest.raises(TypeError):
            await ws.send_text(b"bytes")  # type: ignore[arg-type]  # as above
        with pytest.raises(TypeError):
            await ws.send_bytes("text")  # type: ignore[arg-type]  # as above
        with pytest.raises(LocalProtocolError):
            await ws.send("\ud800")
        await ws.send_text("fine")
        await ws.send_bytes(b"fine")

    with site.connect(handler) as peer:
        assert peer.take(3) == ["fine", b"fine", Close(1000)]


@pytest.mark.behaviour("last-messages")
def test_messages_before_the_peers_close_are_received_before_disconnected(site: Site) -> None:
    gate, seen = Gate(), Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        await gate.wait()
        for _ in range(3):
            seen.put(await ws.receive())
        with pytest.raises(Disconnected):
            await ws.receive()
        seen.put("the end")

    with site.connect(handler) as peer:
        for number in range(3):
            peer.send(str(number))
        peer.close(1001)
        gate.open()
        assert seen.take(4) == ["0", "1", "2", "the end"]


@pytest.mark.behaviour("last-messages")
def test_everything_that_was_sent_before_close_arrives(site: Site) -> None:
    large = bytes(range(256)) * 4096

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send(large)
        await ws.send("last words")
        await ws.close(4000, "done")

    with site.connect(handler) as peer:
        assert peer.take(3) == [large, "last words", Close(4000, "done")]


@pytest.mark.behaviour("last-messages")
def test_close_with_unread_messages_does_not_destroy_the_last_one(wire_site: WireSite) -> None:
    gate, seen = Gate(), Observed()
    large = bytes(range(256)) * 4096

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await gate.wait()
        await ws.send(large)
        await ws.close()
        seen.put("closed")

    with wire_site.wire(handler) as peer:
        for _ in range(20):
            peer.send(b"x" * 10_000)
        gate.open()
        assert peer.take(2) == [large, Close(1000)]
    assert seen.get() == "closed"


@pytest.mark.behaviour("events")
def test_events_are_shaped_like_asgis(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put(await ws.receive_event())
        headers = [(b"x-extra", b"1")]
        await ws.send_event({"type": "websocket.accept", "subprotocol": "two", "headers": headers})
        seen.put(await ws.receive_event())
        seen.put(await ws.receive_event())
        await ws.send_event({"type": "websocket.send", "text": "text"})
        await ws.send_event({"type": "websocket.send", "bytes": b"bytes"})

    with site.connect(handler, subprotocols=["one", "two"]) as peer:
        assert peer.answer.headers["sec-websocket-protocol"] == "two"
        assert peer.answer.headers["x-extra"] == "1"
        peer.send("text")
        peer.send(b"bytes")
        assert peer.take(2) == ["text", b"bytes"]
        assert seen.take(3) == [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": "text"},
            {"type": "websocket.receive", "bytes": b"bytes"},
        ]


@pytest.mark.behaviour("disconnect-event")
def test_the_end_is_an_event(site: Site, deviation: Deviation | None) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        seen.put(await ws.receive_event())

    with site.connect(handler) as peer:
        peer.close(4001, "bye")
        expected = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}
        assert seen.get() == (deviation.expect if deviation else expected)


@pytest.mark.behaviour("events")
def test_a_close_event_closes_or_rejects(site: Site) -> None:
    async def close(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_event({"type": "websocket.close", "code": 4002, "reason": "enough"})

    async def reject(ws: WebSocket) -> None:
        await ws.send_event({"type": "websocket.close"})

    with site.connect(close) as peer:
        assert peer.receive() == Close(4002, "enough")
    with site.knock(reject) as peer:
        assert peer.answer.status == 403


@pytest.mark.behaviour("events")
def test_an_event_that_says_nothing_is_refused(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for event in (
            {"type": "websocket.send"},
            {"type": "websocket.send", "text": None},
            {"type": "websocket.what"},
            {},
        ):
            with pytest.raises(LocalProtocolError, match="an event is"):
                await ws.send_event(event)
        await ws.send("fine")

    with site.connect(handler) as peer:
        assert peer.take(2) == ["fine", Close(1000)]


@pytest.mark.behaviour("compression")
def test_compressed_messages_where_both_sides_agree(
    start_wire: Callable[[Config], WireSite], deviation: Deviation | None
) -> None:
    site = start_wire(Config() if deviation else Config(compression=Deflate()))
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]
    with site.wire(echo, headers=offer) as peer:
        assert "permessage-deflate" in peer.answer.headers["sec-websocket-extensions"]
        for message in MESSAGES:
            peer.send(message)
        assert peer.take(len(MESSAGES)) == MESSAGES


@pytest.mark.behaviour("compression-off")
def test_no_compression_unless_configured(wire_site: WireSite, deviation: Deviation | None) -> None:
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate")]
    with wire_site.wire(echo, headers=offer) as peer:
        compressed = "sec-websocket-extensions" in peer.answer.headers
        assert compressed == (deviation is not None)
        peer.send("fine")
        assert peer.receive() == "fine"
