"""A peer that breaks the rules of framing ends its own connection, and no other."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest

from windsock.core import Config, Deflate, Disconnected, WebSocket

from .exceptions import Deviation
from .peer import Close, WirePeer, frame
from .sites import Handler, WireSite, echo
from .sync import Observed

LIMIT = 1000
LIMITED = Config(max_message_size=LIMIT, max_fragments=16)

TOO_BIG = {
    "text": frame(1, b"x" * (LIMIT + 1)),
    "binary": frame(2, b"x" * (LIMIT + 1)),
    "characters of several bytes": frame(1, "ä".encode() * (LIMIT // 2 + 1)),
    "in fragments": frame(2, b"x" * LIMIT, fin=False) + frame(0, b"x"),
}
TOO_BIG_AT_THE_HEADER = {
    "declared, never sent": frame(2, b"", declared_length=LIMIT + 1),
    "declared as 2**62": frame(2, b"", declared_length=2**62),
}
TOO_MANY_FRAGMENTS = frame(1, b"", fin=False) + frame(0, b"", fin=False) * 16
BAD_TEXT = {
    "a bad byte": frame(1, b"\xff"),
    "cut short": frame(1, b"\xe2\x82"),
    "a surrogate": frame(1, b"\xed\xa0\x80"),
    "in the second fragment": frame(1, b"fine \xe2", fin=False) + frame(0, b"\x28"),
    "in the reason of a Close": frame(8, b"\x03\xe8\xff"),
}
VIOLATIONS = {
    "reserved data opcode": frame(3, b"x"),
    "reserved control opcode": frame(11, b"x"),
    "RSV1 without an extension": frame(1, b"x", rsv=4),
    "RSV2": frame(1, b"x", rsv=2),
    "RSV3": frame(1, b"x", rsv=1),
    "fragmented Ping": frame(9, b"x", fin=False),
    "Ping of 126 bytes": frame(9, b"x" * 126),
    "continuation of nothing": frame(0, b"x"),
    "a new message inside another": frame(1, b"x", fin=False) + frame(1, b"y"),
    "Close of 1 byte": frame(8, b"\x03"),
    "Close with 1005": frame(8, (1005).to_bytes(2, "big")),
    "Close with 999": frame(8, (999).to_bytes(2, "big")),
}
STRICT_VIOLATIONS = {
    "not masked": frame(1, b"x", mask=False),
    "length of 2**63": frame(2, b"", declared_length=2**63),
    "Close with 5000": frame(8, (5000).to_bytes(2, "big")),
    "Close with 2999": frame(8, (2999).to_bytes(2, "big")),
}


def end_of(seen: Observed) -> Handler:
    """A handler that reports what it received and how that ended."""

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                seen.put(await ws.receive())
        except Disconnected as disconnected:
            seen.put(disconnected)

    return handler


def assert_failed(site: WireSite, hostile: bytes, code: int, deviation: Deviation | None) -> None:
    """The peer is failed with a code, the handler is told, and nobody else is concerned.

    A deviation has two sets: the codes that the peer may see, and those the handler may be told.
    """
    seen_by_peer, told = deviation.expect if deviation else ({code}, {code})
    seen = Observed()
    with site.connect(echo) as neighbour, site.wire(end_of(seen)) as peer:
        peer.send_raw(hostile)
        close = peer.receive()
        assert isinstance(close, Close)
        assert close.code in seen_by_peer
        disconnected = seen.get()
        assert isinstance(disconnected, Disconnected)
        assert disconnected.code in told
        neighbour.send("unharmed")
        assert neighbour.receive() == "unharmed"
    site.assert_lives()


@pytest.mark.behaviour("too-big")
@pytest.mark.parametrize("case", TOO_BIG)
def test_a_message_over_the_limit_is_1009(
    start_wire: Callable[[Config], WireSite], case: str, deviation: Deviation | None
) -> None:
    assert_failed(start_wire(LIMITED), TOO_BIG[case], 1009, deviation)


@pytest.mark.behaviour("too-big-at-the-header")
@pytest.mark.parametrize("case", TOO_BIG_AT_THE_HEADER)
def test_what_will_be_over_the_limit_is_1009_at_the_first_byte_that_shows_it(
    start_wire: Callable[[Config], WireSite], case: str, deviation: Deviation | None
) -> None:
    site, hostile = start_wire(LIMITED), TOO_BIG_AT_THE_HEADER[case]
    if deviation is None:
        assert_failed(site, hostile, 1009, None)
        return
    seen = Observed()
    with site.wire(end_of(seen)) as peer:
        peer.send_raw(hostile)
        assert seen.until_quiet(0.2) == []
    site.assert_lives()


@pytest.mark.behaviour("too-many-fragments")
def test_too_many_fragments_are_1009_though_they_are_empty(
    start_wire: Callable[[Config], WireSite], deviation: Deviation | None
) -> None:
    site = start_wire(LIMITED)
    if deviation is None:
        assert_failed(site, TOO_MANY_FRAGMENTS, 1009, None)
        return
    seen = Observed()
    with site.wire(end_of(seen)) as peer:
        peer.send_raw(TOO_MANY_FRAGMENTS + frame(0))
        assert seen.get() == deviation.expect


@pytest.mark.behaviour("limit-fits")
@pytest.mark.parametrize("message", ["x" * LIMIT, b"x" * LIMIT, "ä" * (LIMIT // 2)])
def test_a_message_of_just_the_limit_passes(
    start_wire: Callable[[Config], WireSite], message: str | bytes
) -> None:
    with start_wire(LIMITED).wire(echo) as peer:
        peer.send(message)
        assert peer.receive() == message


@pytest.mark.behaviour("bomb")
def test_a_small_message_that_inflates_over_the_limit_is_1009(
    start_wire: Callable[[Config], WireSite], deviation: Deviation | None
) -> None:
    site = start_wire(Config(compression=Deflate()))
    deflate = zlib.compressobj(wbits=-12)
    bomb = deflate.compress(bytes(32 * 1024 * 1024)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    seen = Observed()
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]
    with site.wire(end_of(seen), headers=offer) as peer:
        peer.send_raw(frame(2, bomb.removesuffix(b"\0\0\xff\xff"), rsv=4))
        close = peer.receive()
        assert isinstance(close, Close)
        assert close.code == 1009
        assert seen.get().code in (deviation.expect if deviation else {1009})
    site.assert_lives()


@pytest.mark.behaviour("bad-text")
@pytest.mark.parametrize("case", BAD_TEXT)
def test_text_that_is_not_utf8_is_1007(
    wire_site: WireSite, case: str, deviation: Deviation | None
) -> None:
    assert_failed(wire_site, BAD_TEXT[case], 1007, deviation)


@pytest.mark.behaviour("violation")
@pytest.mark.parametrize("case", VIOLATIONS)
def test_a_violation_is_1002(wire_site: WireSite, case: str, deviation: Deviation | None) -> None:
    assert_failed(wire_site, VIOLATIONS[case], 1002, deviation)


@pytest.mark.behaviour("violation-strict")
@pytest.mark.parametrize("case", STRICT_VIOLATIONS)
def test_a_violation_that_many_overlook_is_1002(
    wire_site: WireSite, case: str, deviation: Deviation | None
) -> None:
    assert_failed(wire_site, STRICT_VIOLATIONS[case], 1002, deviation)


@pytest.mark.behaviour("before-violation")
def test_messages_before_a_violation_are_received(
    wire_site: WireSite, deviation: Deviation | None
) -> None:
    seen = Observed()
    with wire_site.wire(end_of(seen)) as peer:
        peer.send_raw(frame(1, b"fine") + frame(3, b"not so"))
        if deviation is None:
            assert seen.get() == "fine"
        assert isinstance(seen.get(), Disconnected)


@pytest.mark.behaviour("message-deadline")
def test_a_message_that_takes_too_long_is_1008(
    start_wire: Callable[[Config], WireSite], deviation: Deviation | None
) -> None:
    site = start_wire(Config(message_timeout=0.3))
    seen = Observed()
    with site.wire(end_of(seen)) as peer:
        peer.send_raw(frame(1, b"begun", fin=False))
        if deviation:
            assert seen.until_quiet(0.6) == []
            peer.send_raw(frame(0, b" and ended"))
            assert seen.get() == "begun and ended"
            return
        assert peer.receive() == Close(1008, "message took too long")
        assert seen.get().code == 1008


@pytest.mark.behaviour("truncated")
@pytest.mark.parametrize("goodbye", [WirePeer.abort, WirePeer.hang_up])
def test_a_stream_that_ends_inside_a_frame_is_1006(
    wire_site: WireSite, goodbye: Callable[[WirePeer], None], deviation: Deviation | None
) -> None:
    seen = Observed()
    with wire_site.wire(end_of(seen)) as peer:
        peer.send_raw(frame(1, b"whole") + frame(1, b"torn")[:-2])
        assert seen.get() == "whole"
        goodbye(peer)
        assert seen.get().code == 1006
