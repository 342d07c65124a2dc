"""permessage-deflate: messages compressed and inflated, within bounds (RFC 7692 §6, §7.2)."""

from __future__ import annotations

import itertools
import random
import tracemalloc
import zlib
from typing import Any

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from tests.core.helpers import (
    BINARY,
    CONT,
    PING,
    TEXT,
    Frame,
    Pair,
    decode,
    feed_frames,
    frame_from,
    other,
    parse_frames,
)
from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.deflate import BoundedDeflate, DeflateParameters
from windsock.core.protocol.events import Ping
from windsock.core.protocol.frames import FrameEngine, FrameEvent, Role, Violation

RSV1 = 4
CONFIG = Config(compression=Deflate(), max_message_size=1 << 20)
AGREED = DeflateParameters()


def inflate(*frames: Frame, role: Role = Role.CLIENT, config: Config = CONFIG) -> list[FrameEvent]:
    data = b"".join(
        frame_from(other(role), f.opcode, f.payload, fin=f.fin, rsv=f.rsv) for f in frames
    )
    return decode(data, to=role, config=config, deflate=AGREED)


def deflate(data: bytes, *, level: int = 6, tail: bool = False) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    compressed = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return compressed if tail else compressed[:-4]


def hexa(text: str) -> bytes:
    return bytes.fromhex(text)


def test_examples_of_the_rfc(role: Role) -> None:
    """RFC 7692 §7.2.3."""
    one_block = Frame(TEXT, hexa("f248cdc9c90700"), rsv=RSV1)
    fragments = [
        Frame(TEXT, hexa("f248cd"), fin=False, rsv=RSV1),
        Frame(CONT, hexa("c9c90700")),
    ]
    sharing = Frame(TEXT, hexa("f200110000"), rsv=RSV1)
    no_compression = Frame(TEXT, hexa("000500faff48656c6c6f00"), rsv=RSV1)
    final_bit = Frame(TEXT, hexa("f348cdc9c9070000"), rsv=RSV1)
    two_blocks = Frame(TEXT, hexa("f248050000 00ffffcac9c90700".replace(" ", "")), rsv=RSV1)
    for frames in [[one_block], fragments, [no_compression], [final_bit], [two_blocks]]:
        assert inflate(*frames, role=role) == ["Hello"]
    assert inflate(one_block, sharing, role=role) == ["Hello", "Hello"]
    assert inflate(Frame(TEXT, b"\x00", rsv=RSV1), role=role) == [""]


def test_messages_in_every_mixture(role: Role) -> None:
    hello = Frame(TEXT, hexa("f248cdc9c90700"), rsv=RSV1)
    plain = Frame(TEXT, b"plain")
    final = Frame(TEXT, hexa("f348cdc9c9070000"), rsv=RSV1)
    empty = Frame(BINARY, b"\x00", rsv=RSV1)
    texts: dict[Frame, FrameEvent] = {hello: "Hello", plain: "plain", final: "Hello", empty: b""}
    for frames in itertools.permutations(texts):
        assert inflate(*frames, role=role) == [texts[frame] for frame in frames]


@pytest.mark.parametrize("payload", ["", "f348cdc9c90700", "0300", "03000300030000", "00"])
def test_the_next_message_is_whole_whatever_ended_the_last(payload: str) -> None:
    """Without a byte at all, or with a final block and no empty one after it (§7.2.3.4)."""
    hello = Frame(TEXT, hexa("f248cdc9c90700"), rsv=RSV1)
    first = Frame(TEXT, hexa(payload), rsv=RSV1)
    expected = "Hello" if payload.startswith("f3") else ""
    assert inflate(first, hello) == [expected, "Hello"]
    assert inflate(hello, first, hello) == ["Hello", expected, "Hello"]


def test_final_blocks_in_fragments() -> None:
    frames = [
        Frame(TEXT, hexa("f348cdc9c90700"), fin=False, rsv=RSV1),
        Frame(CONT, hexa("f348cdc9c907"), fin=False),
        Frame(CONT, hexa("0000")),
    ]
    assert inflate(*frames) == ["HelloHello"]


@pytest.mark.parametrize("rsv", [4, 5, 6, 2, 1])
def test_the_bit_is_for_the_first_frame_of_a_message(role: Role, rsv: int) -> None:
    """§6.1: not for continuations, not for control frames; and the others for none."""
    first = Frame(TEXT, b"", fin=False)
    for frames in ([first, Frame(CONT, b"", rsv=rsv)], [Frame(PING, b"", rsv=rsv)]):
        (event,) = inflate(*frames, role=role)
        assert isinstance(event, Violation)
        assert event.code == 1002
    if rsv != RSV1:
        (event,) = inflate(Frame(TEXT, b"\x00", rsv=rsv), role=role)
        assert isinstance(event, Violation)
        assert event.code == 1002


@pytest.mark.parametrize("payload", ["ff", "f248cdc9c9ff", "07", "000500fa00"])
def test_invalid_compressed_data(role: Role, payload: str) -> None:
    events = inflate(Frame(BINARY, hexa(payload) * 10, rsv=RSV1), role=role)
    assert events == [Violation(1007, "invalid compressed data")]


def test_text_is_checked_after_inflating(role: Role) -> None:
    events = inflate(Frame(TEXT, deflate(b"\xff"), rsv=RSV1), role=role)
    assert events == [Violation(1007, "text that is not UTF-8")]


def test_a_ping_at_every_cut_of_a_compressed_message(role: Role) -> None:
    text = "Hello, " * 20 + "κόσμε"
    payload = deflate(text.encode())
    for i in range(len(payload) + 1):
        frames = [
            Frame(TEXT, payload[:i], fin=False, rsv=RSV1),
            Frame(PING, b"p"),
            Frame(CONT, payload[i:]),
        ]
        assert inflate(*frames, role=role) == [Ping(b"p"), text]


@pytest.mark.parametrize("excess", [-1, 0, 1, 2])
@pytest.mark.parametrize("limit", [10, 300, 16384, 32768, 65536, 100_000])
@pytest.mark.parametrize("kind", ["zeros", "noise", "stored"])
def test_the_limit_is_on_the_inflated_size(limit: int, excess: int, kind: str) -> None:
    """Accepted up to it, refused beyond, nothing lost (also where zlib's output is just full)."""
    size = limit + excess
    data = random.Random(1).randbytes(size) if kind == "noise" else bytes(size)
    payload = deflate(data, level=0 if kind == "stored" else 6)
    config = Config(compression=Deflate(), max_message_size=limit)
    frames = [[Frame(BINARY, payload, rsv=RSV1)]]
    half = len(payload) // 2
    frames += [
        [Frame(BINARY, payload[:cut], fin=False, rsv=RSV1), Frame(CONT, payload[cut:])]
        for cut in (0, half, len(payload))
    ]
    for message in frames:
        events = inflate(*message, config=config)
        if excess > 0:
            assert events == [Violation(1009, f"message over {limit} bytes")]
        else:
            assert events == [data]


@pytest.mark.parametrize("limit", [64 * 1024, 1 << 20, 16 << 20])
@pytest.mark.parametrize("read", [1000, 1 << 20])
@pytest.mark.parametrize("fast_lane", [True, False])
def test_a_bomb(limit: int, read: int, fast_lane: bool) -> None:
    """1000:1. Little more than the limit allows is ever in memory."""
    bomb = deflate(bytes(64 << 20), level=9)
    assert len(bomb) * 1000 < 64 << 20
    config = Config(compression=Deflate(), max_message_size=limit)
    data = frame_from(Role.CLIENT, BINARY, bomb, rsv=RSV1)
    engine = FrameEngine(Role.SERVER, config, AGREED, fast_lane=fast_lane)
    events: list[FrameEvent] = []
    tracemalloc.start()
    for start in range(0, len(data), read):
        events += feed_frames(engine, [data[start : start + read]])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert events == [Violation(1009, f"message over {limit} bytes")]
    piece = min(limit, 4096 * 1032)
    if fast_lane:
        assert peak <= limit + piece + 200 * 1024
    else:
        # A bytearray that grows keeps an eighth in reserve; wsproto holds one piece three times.
        assert peak <= 1.125 * limit + 3 * piece + 400 * 1024


def test_a_message_as_large_as_allowed_is_held_twice() -> None:
    """In its parts, and when these are joined."""
    limit = 8 << 20
    payload = deflate(bytes(limit), level=9)
    data = frame_from(Role.CLIENT, BINARY, payload, rsv=RSV1)
    engine = FrameEngine(Role.SERVER, Config(compression=Deflate(), max_message_size=limit), AGREED)
    tracemalloc.start()
    (message,) = feed_frames(engine, [data])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(message, bytes)
    assert len(message) == limit
    assert peak <= 2 * limit + 200 * 1024


def test_windows_are_made_when_first_used(monkeypatch: pytest.MonkeyPatch, role: Role) -> None:
    """And one of each kind serves all messages, whichever way they take."""
    made: list[str] = []

    def count(kind: str) -> None:
        real = getattr(zlib, kind)

        def make(*args: Any) -> Any:
            made.append(kind)
            return real(*args)

        monkeypatch.setattr(f"windsock.core.protocol.deflate.zlib.{kind}", make)

    count("compressobj")
    count("decompressobj")
    engine = FrameEngine(role, CONFIG, AGREED)
    hello = frame_from(other(role), TEXT, hexa("f248cdc9c90700"), rsv=RSV1)
    sharing = frame_from(other(role), TEXT, hexa("f2"), fin=False, rsv=RSV1)
    sharing += frame_from(other(role), CONT, hexa("00110000"))
    assert made == []
    assert feed_frames(engine, [hello, sharing, hello]) == ["Hello"] * 3
    assert made == ["decompressobj"]
    engine.encode_message("a")
    engine.encode_message("b")
    assert made == ["decompressobj", "compressobj"]


def test_final_blocks_take_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends zlib's stream, which then copies what is left of its input."""
    given: list[int] = []

    class Counting:
        def __init__(self, bits: int) -> None:
            self.real = real(bits)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def decompress(self, data: bytes, most: int) -> bytes:
            given.append(len(data))
            return self.real.decompress(data, most)

    real = zlib.decompressobj
    monkeypatch.setattr("windsock.core.protocol.deflate.zlib.decompressobj", Counting)
    totals = []
    for count in (16_000, 64_000):
        given.clear()
        data = frame_from(Role.SERVER, BINARY, b"\x03\x00" * count, rsv=RSV1)
        assert feed_frames(FrameEngine(Role.CLIENT, CONFIG, AGREED), [data]) == [b""]
        totals.append(sum(given))
    assert totals[1] < 4.5 * totals[0]


# Both sides

TAKEOVER = list(itertools.product([False, True], repeat=2))
MESSAGES: list[str | bytes] = [
    "Hello",
    "Hello",
    "",
    "",
    b"",
    "κόσμε" * 1000,
    bytes(range(256)) * 300,
    random.Random(2).randbytes(50_000),
    "κόσμε" * 1000,
]


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize(("server_forgets", "client_forgets"), TAKEOVER)
def test_there_and_back(bits: int, server_forgets: bool, client_forgets: bool) -> None:
    """Every window size and both modes of context takeover (§7.1), negotiated by both sides."""
    options = Deflate(
        server_max_window_bits=bits,
        client_max_window_bits=24 - bits,
        server_no_context_takeover=server_forgets,
        client_no_context_takeover=client_forgets,
    )
    pair = Pair(Config(compression=options))
    for message in MESSAGES:
        pair.client.send(message)
        pair.server.send(message)
    assert pair.to_server() == MESSAGES
    assert pair.to_client() == MESSAGES


@pytest.mark.parametrize("bits", range(9, 16))
def test_a_compressor_keeps_to_its_window(role: Role, bits: int) -> None:
    """The peer may have no more memory than was agreed on."""
    agreed = DeflateParameters(False, False, bits, bits)
    engine = FrameEngine(role, CONFIG, agreed)
    noise = random.Random(3).randbytes(1 << bits)
    decompressor = zlib.decompressobj(-bits)
    for _ in range(3):
        (sent,) = parse_frames(engine.encode_message(noise * 2), role)
        assert sent.rsv == RSV1
        assert decompressor.decompress(sent.payload + b"\x00\x00\xff\xff") == noise * 2


def test_context_takeover_shows_in_the_size(role: Role) -> None:
    text = "".join(random.Random(4).choices("abcdefgh", k=200))
    sizes = {}
    for forget in (False, True):
        engine = FrameEngine(role, CONFIG, DeflateParameters(forget, forget))
        sent = [engine.encode_message(text) for _ in range(3)]
        sizes[forget] = [len(data) for data in sent]
    assert sizes[True][0] == sizes[True][1] == sizes[True][2] == sizes[False][0]
    assert sizes[False][2] < sizes[False][0] / 3


def test_a_peer_that_forgets_is_met_with_a_fresh_window() -> None:
    agreed = DeflateParameters(client_no_context_takeover=True)
    sharing = frame_from(Role.CLIENT, TEXT, hexa("f200110000"), rsv=RSV1)
    hello = frame_from(Role.CLIENT, TEXT, hexa("f248cdc9c90700"), rsv=RSV1)
    events = decode(hello + sharing, to=Role.SERVER, config=CONFIG, deflate=agreed)
    assert events == ["Hello", Violation(1007, "invalid compressed data")]


def test_uncompressed_messages_are_fine_where_compression_was_agreed_on(role: Role) -> None:
    assert inflate(Frame(TEXT, b"plain"), Frame(BINARY, b"", fin=False), Frame(CONT, b"x")) == [
        "plain",
        b"x",
    ]


def test_control_frames_are_never_compressed(role: Role) -> None:
    engine = FrameEngine(role, CONFIG, AGREED)
    for data in (
        engine.encode_ping(b"p" * 125),
        engine.encode_pong(b""),
        engine.encode_close(1000, "x"),
    ):
        (sent,) = parse_frames(data, role)
        assert sent.rsv == 0


def test_the_extension_compresses_fragments_too() -> None:
    """Nothing here sends any, but wsproto's interface has them."""
    extension = BoundedDeflate(AGREED, Deflate(), client=False, max_message_size=1)
    server = Connection(ConnectionType.SERVER, [extension])
    parts = [
        TextMessage(data="Hel", message_finished=False),
        TextMessage(data="", message_finished=False),
        TextMessage(data="lo"),
    ]
    data = b"".join(bytes(server.send(part)) for part in parts)
    assert [sent.rsv for sent in parse_frames(data, Role.SERVER)] == [RSV1, 0, 0]
    assert decode(data, to=Role.CLIENT, config=CONFIG, deflate=AGREED) == ["Hello"]


def test_the_extension_as_wsproto_sees_it() -> None:
    options = Deflate(server_max_window_bits=15)
    extension = BoundedDeflate(AGREED, options, client=True, max_message_size=1)
    assert extension.enabled()
    assert extension.name == "permessage-deflate"
    assert extension.offer() == "permessage-deflate; client_max_window_bits=12"
