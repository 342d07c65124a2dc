"""Compressed messages as peers send them, and not quite so: the lane for them is a shortcut.

Invariant: as in test_differential, of streams of messages in one window, plain ones in between, in
fragments with Pings between these, with wrong bytes, and larger than allowed or not UTF-8.
"""

from __future__ import annotations

import random
import zlib
from collections import deque
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.helpers import (
    BINARY,
    CONT,
    PING,
    TEXT,
    Pair,
    frame_from,
    other,
    parse_frames,
    pull,
)
from tests.core.test_differential import (
    CONFIG,
    CUTS,
    PARAMETERS,
    ROLES,
    Structure,
    check,
    cut_at,
    stream_to,
)
from windsock.core.protocol.compressed_lane import CompressedLane
from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.deflate import BoundedDeflate, DeflateParameters, InflateError
from windsock.core.protocol.events import Closed
from windsock.core.protocol.frames import FrameEngine, Role, Violation

ROOMY = Config(max_message_size=20_000, max_fragments=4, compression=Deflate())
_noise = random.Random(7692)
NOISE_AND_MORE = _noise.randbytes(4200) + bytes(18_000)
CONTENTS = st.one_of(
    st.text(max_size=30).map(str.encode),
    st.text("abc€😀", max_size=200).map(str.encode),
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"",
            "{'city': 'Bogotá'} ".encode() * 20,
            b"text, and then\xff" * 20,
            b"\xe2\x82",
            *(bytes(size) for size in (399, 400, 401, 19_999, 20_000, 20_001, 40_000)),
            # More than is inflated at once.
            _noise.randbytes(6000),
            "".join(_noise.choices("ab¿€😀xyz", k=5000)).encode(),
            NOISE_AND_MORE,
        ]
    ),
)
CUT_UP = st.lists(st.integers(0, 10_000), max_size=2)


class Sent(NamedTuple):
    """A message."""

    opcode: int
    content: bytes
    compressed: bool = True
    final: bool = False
    """Whether its last block is marked as such (RFC 7692 §7.2.3.4)."""
    level: int = 6
    wrong: tuple[int, int] | None = None
    """Which byte of what is sent is changed by how much."""
    cuts: tuple[int, ...] = ()
    """Where it is cut into fragments, with a Ping after each."""


MESSAGES = st.builds(
    Sent,
    st.sampled_from([TEXT, TEXT, BINARY]),
    CONTENTS,
    compressed=st.sampled_from([True] * 4 + [False]),
    final=st.sampled_from([False] * 6 + [True]),
    level=st.sampled_from([6, 6, 1, 0]),
    wrong=st.sampled_from([None] * 8 + [(0, 1), (1, 8), (5, 64), (4200, 255), (-1, 3)]),
    cuts=st.one_of(st.just(()), st.just(()), CUT_UP.map(tuple)),
)


def sent_with_context(role: Role, parameters: DeflateParameters, messages: list[Sent]) -> bytes:
    """`messages` as a peer of `role` sends them, in one window as far as it may."""
    compressor = None
    structures: list[Structure] = []
    for message in messages:
        payload = message.content
        if message.compressed:
            if compressor is None:
                bits = parameters.client_max_window_bits
                compressor = zlib.compressobj(message.level, zlib.DEFLATED, -bits)
            payload = compressor.compress(payload)
            if message.final:
                payload += compressor.flush(zlib.Z_FINISH) + b"\x00"
            else:
                payload += compressor.flush(zlib.Z_SYNC_FLUSH)
                payload = payload.removesuffix(b"\x00\x00\xff\xff")
            if message.final or parameters.client_no_context_takeover:
                compressor = None
        if message.wrong is not None and payload:
            changed = bytearray(payload)
            changed[message.wrong[0] % len(payload)] ^= message.wrong[1]
            payload = bytes(changed)
        parts = cut_at(payload, list(message.cuts)) or [b""]
        for number, part in enumerate(parts):
            opcode, rsv = (CONT, 0) if number else (message.opcode, message.compressed * 4)
            last = number == len(parts) - 1
            structures.append((opcode, part, last, rsv, False))
            if not last:
                structures.append((PING, b"p", True, 0, False))
    return stream_to(role, structures)


@given(
    ROLES,
    st.integers(1, len(PARAMETERS) - 1),
    st.lists(MESSAGES, min_size=1, max_size=5),
    CUTS,
    st.sampled_from([CONFIG, ROOMY]),
)
@example(Role.SERVER, 1, [Sent(TEXT, b"Hello, Hello")] * 3, [9], CONFIG)
@example(Role.CLIENT, 2, [Sent(TEXT, b"Hello, Hello")] * 3, [9], CONFIG)
@example(Role.SERVER, 1, [Sent(TEXT, b"Hello"), Sent(TEXT, b"Hello", cuts=(3,))] * 2, [], CONFIG)
@example(Role.SERVER, 1, [Sent(TEXT, b"Hello"), Sent(TEXT, b"Hello", False)] * 2, [3], CONFIG)
@example(Role.SERVER, 1, [Sent(TEXT, b"a"), Sent(TEXT, b"b\xff"), Sent(TEXT, b"c")], [], CONFIG)
@example(Role.SERVER, 1, [Sent(TEXT, b"a" * n) for n in (400, 399, 401, 1)], [], CONFIG)
@example(Role.SERVER, 1, [Sent(TEXT, b"\xff" + b"a" * 400)], [], CONFIG)
@example(Role.SERVER, 1, [Sent(TEXT, NOISE_AND_MORE)], [], ROOMY)
@example(Role.SERVER, 1, [Sent(BINARY, b"a" * 9, final=True), Sent(BINARY, b"a")], [], CONFIG)
def test_streams_of_compressed_messages(
    role: Role, which: int, messages: list[Sent], cuts: list[int], config: Config
) -> None:
    parameters = PARAMETERS[which]
    assert parameters is not None
    events = check(role, which, sent_with_context(role, parameters, messages), cuts, config)
    if all(message.wrong is None for message in messages):
        expected = []
        for message in messages:
            if len(message.content) > config.max_message_size or (
                message.opcode == TEXT and not is_text(message.content)
            ):
                break
            text = message.opcode == TEXT
            expected.append(message.content.decode() if text else message.content)
        found = [event for event in events if isinstance(event, (str, bytes))]
        assert found == expected


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(
    ROLES,
    st.integers(1, len(PARAMETERS) - 1),
    st.lists(st.one_of(st.text(), st.binary(max_size=200_000)), max_size=4),
)
def test_output(role: Role, which: int, messages: list[str | bytes]) -> None:
    """Compared unmasked."""
    sent = []
    for fast_lane in (True, False):
        engine = FrameEngine(role, CONFIG, PARAMETERS[which], fast_lane=fast_lane)
        data = b"".join(engine.encode_message(message) for message in messages)
        sent.append(parse_frames(data, role))
    assert sent[0] == sent[1]
    assert all(frame.rsv == 4 and frame.fin for frame in sent[0])


HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692 §7.2.3.1
LIKEWISE = bytes.fromhex("f200110000")  # §7.2.3.2


def test_a_batch(role: Role) -> None:
    """Compressed and plain, taken at once up to what there is room for, and to what is wrong."""
    sender = other(role)
    frames = [
        frame_from(sender, TEXT, HELLO, rsv=4),
        frame_from(sender, TEXT, b"plain"),
        frame_from(sender, TEXT, b"more"),
        frame_from(sender, BINARY, LIKEWISE, rsv=4),
        frame_from(sender, TEXT, b"\xff\xff", rsv=4),
        frame_from(sender, TEXT, b"never seen"),
    ]
    engine = FrameEngine(role, CONFIG, DeflateParameters())
    messages: deque[str | bytes] = deque()
    engine.receive_data(b"".join(frames))
    assert engine.take_messages(messages, 1) == 5 + 64
    assert engine.take_messages(messages, 1) == 5 + 64
    assert engine.take_messages(messages, 70) == 4 + 5 + 2 * 64
    assert list(messages) == ["Hello", "plain", "more", b"Hello"]
    for _ in range(2):
        assert engine.take_messages(messages, 1000) == 0
    assert engine.next_event() == Violation(1007, "invalid compressed data")
    assert engine.take_messages(messages, 1000) == 0
    assert engine.next_event() is None
    assert len(messages) == 4


def test_there_is_room_for_plain_messages_as_for_others() -> None:
    frames = [
        frame_from(Role.CLIENT, TEXT, HELLO, rsv=4),
        *[frame_from(Role.CLIENT, TEXT, b"plain")] * 3,
    ]
    engine = FrameEngine(Role.SERVER, CONFIG, DeflateParameters())
    messages: deque[str | bytes] = deque()
    engine.receive_data(b"".join(frames))
    assert engine.take_messages(messages, 80) == 2 * (5 + 64)
    assert list(messages) == ["Hello", "plain"]


def test_what_failed_is_not_inflated_again() -> None:
    class Counting(BoundedDeflate):
        count = 0

        def inflate(self, data: bytes) -> bytes:
            self.count += 1
            return super().inflate(data)

    deflate = Counting(DeflateParameters(), Deflate(), client=False, max_message_size=400)
    lane = CompressedLane(deflate, masks=False, max_frame_size=400)
    messages: deque[str | bytes] = deque()
    data = frame_from(Role.CLIENT, TEXT, b"\xff\xff", rsv=4)
    for _ in range(2):
        assert lane.decode_messages(data, 0, True, 400, messages, 1000) == (0, 0)
    assert deflate.count == 1
    assert isinstance(lane.failure, InflateError)
    assert lane.failure.code == 1007
    assert not messages


def test_a_read_past_the_events() -> None:
    """What `receive_messages` makes of a read: all of it, or what comes before something else."""
    pair = Pair(Config(compression=Deflate()))
    sent = []
    for text in ("Hello", "Hello", "and more"):
        pair.client.send(text)
        sent.append(pair.client.data_to_send())
    pull(pair.server)
    messages: deque[str | bytes] = deque()
    assert pair.server.receive_messages(sent[0] + sent[1], 0.0, messages, 1000) == (138, True)
    wrong = frame_from(Role.CLIENT, TEXT, b"\xff\xff", rsv=4)
    assert pair.server.receive_messages(sent[2] + wrong + wrong, 0.0, messages, 1000) == (
        8 + 64,
        False,
    )
    assert list(messages) == ["Hello", "Hello", "and more"]
    assert pair.server.take_messages(messages, 1000) == 0
    (closed,) = pull(pair.server)
    assert closed == Closed(1007, "invalid compressed data", clean=False, by_peer=False)
