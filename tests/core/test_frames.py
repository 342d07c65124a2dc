"""Frames and messages, valid and not: data in, events out, however the data is cut."""

from __future__ import annotations

import struct
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.helpers import (
    BINARY,
    CLOSE,
    CONT,
    MASK,
    PING,
    PONG,
    TEXT,
    Frame,
    byte_by_byte,
    close_payload,
    decode,
    feed_frames,
    frame,
    frame_from,
    other,
    parse_frames,
    pull_frames,
)
from windsock.core.protocol.config import Config
from windsock.core.protocol.events import Ping
from windsock.core.protocol.fast_lane import MESSAGE_OVERHEAD
from windsock.core.protocol.frames import (
    CloseFrame,
    FrameEngine,
    FrameEvent,
    PongFrame,
    Role,
    Violation,
)

AFTER = "next"


def sent_to(role: Role, *frames: Frame) -> bytes:
    sender = other(role)
    return b"".join(frame_from(sender, f.opcode, f.payload, fin=f.fin, rsv=f.rsv) for f in frames)


def code_of(events: list[FrameEvent]) -> int:
    """The code of the violation that is all there is in `events`."""
    assert len(events) == 1, events
    assert isinstance(events[0], Violation), events
    return events[0].code


MESSAGES: list[tuple[list[Frame], list[FrameEvent]]] = [
    ([Frame(TEXT)], [""]),
    ([Frame(BINARY)], [b""]),
    ([Frame(TEXT, b"Hello")], ["Hello"]),
    ([Frame(TEXT, "κόσμε 😀".encode())], ["κόσμε 😀"]),
    ([Frame(BINARY, bytes(range(256)))], [bytes(range(256))]),
    ([Frame(TEXT, b"a"), Frame(BINARY, b"b")], ["a", b"b"]),
    ([Frame(TEXT, b"Hel", fin=False), Frame(CONT, b"lo")], ["Hello"]),
    ([Frame(BINARY, b"a", fin=False), Frame(CONT, b"b", fin=False), Frame(CONT)], [b"ab"]),
    ([Frame(TEXT, fin=False), Frame(CONT, fin=False), Frame(CONT)], [""]),
    ([Frame(BINARY, fin=False), Frame(CONT)], [b""]),
    ([Frame(TEXT, b"\xce", fin=False), Frame(CONT, b"\xba")], ["κ"]),
    ([Frame(PING, b"p")], [Ping(b"p")]),
    ([Frame(PING)], [Ping(b"")]),
    ([Frame(PONG, b"p")], [PongFrame(b"p")]),
    ([Frame(PONG)], [PongFrame(b"")]),
    ([Frame(PING, bytes(125))], [Ping(bytes(125))]),
    (
        [Frame(TEXT, b"a", fin=False), Frame(PING, b"p"), Frame(PONG), Frame(CONT, b"b")],
        [Ping(b"p"), PongFrame(b""), "ab"],
    ),
]


@pytest.mark.parametrize(("frames", "events"), MESSAGES)
def test_messages_and_control_frames(
    role: Role, frames: list[Frame], events: list[FrameEvent]
) -> None:
    data = sent_to(role, *frames)
    assert decode(data, to=role) == events
    trailing = sent_to(role, Frame(TEXT, AFTER.encode()))
    assert decode(data + trailing, to=role) == [*events, AFTER]


ENDS: list[tuple[Frame, FrameEvent]] = [
    (Frame(CLOSE), CloseFrame(1005, "")),
    (Frame(CLOSE, close_payload(1000)), CloseFrame(1000, "")),
    (Frame(CLOSE, close_payload(4999, "é" * 61)), CloseFrame(4999, "é" * 61)),
    (Frame(CLOSE, close_payload(1007, "x")), CloseFrame(1007, "x")),
]


@pytest.mark.parametrize(("end", "event"), ENDS)
def test_nothing_comes_after_a_close_frame(role: Role, end: Frame, event: FrameEvent) -> None:
    data = sent_to(role, end)
    assert decode(data, to=role) == [event]
    assert decode(data + sent_to(role, Frame(TEXT, b"x"), end), to=role) == [event]


def test_nothing_comes_after_a_violation(role: Role) -> None:
    data = sent_to(role, Frame(3), Frame(TEXT, b"x"), Frame(CLOSE))
    assert code_of(decode(data, to=role)) == 1002


@pytest.mark.parametrize("rsv", range(8))
@pytest.mark.parametrize("opcode", range(16))
@pytest.mark.parametrize("fin", [True, False])
def test_every_first_byte(role: Role, rsv: int, opcode: int, fin: bool) -> None:
    """RFC 6455 §5.2, §5.4, §5.5."""
    events = decode(sent_to(role, Frame(opcode, b"", rsv=rsv, fin=fin)), to=role)
    valid = not rsv and (opcode in {TEXT, BINARY} or (fin and opcode in {CLOSE, PING, PONG}))
    if not valid:
        assert code_of(events) == 1002
    elif not fin:
        assert events == []
    else:
        by_opcode: dict[int, FrameEvent] = {
            TEXT: "",
            BINARY: b"",
            CLOSE: CloseFrame(1005, ""),
            PING: Ping(b""),
            PONG: PongFrame(b""),
        }
        assert events == [by_opcode[opcode]]


@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
@pytest.mark.parametrize("size", [0, 3, 200])
def test_masking_is_for_clients_alone(role: Role, opcode: int, size: int) -> None:
    """§5.1: a server fails on an unmasked frame, a client on a masked one."""
    wrong_mask = None if role is Role.SERVER else MASK
    assert code_of(decode(frame(opcode, bytes(size), mask=wrong_mask), to=role)) == 1002


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537])
def test_lengths_around_each_form(role: Role, size: int) -> None:
    """§5.2, the three forms of the payload length."""
    config = Config(max_message_size=1 << 20)
    payload = b"x" * size
    assert decode(sent_to(role, Frame(BINARY, payload)), to=role, config=config) == [payload]


@pytest.mark.parametrize("size", [0, 1, 125])
def test_sixteen_bits_where_seven_would_do(role: Role, size: int) -> None:
    """§5.2: the minimal number of bytes must be used."""
    length = b"\x7e" + struct.pack("!H", size)
    data = frame_from(other(role), BINARY, bytes(size), length=length)
    assert code_of(decode(data, to=role)) == 1002


@pytest.mark.parametrize("size", [0, 125, 126, 65535])
def test_sixty_four_bits_where_fewer_would_do(role: Role, size: int) -> None:
    length = b"\x7f" + struct.pack("!Q", size)
    data = frame_from(other(role), BINARY, bytes(size), length=length)
    assert code_of(decode(data, to=role)) == 1002


@pytest.mark.parametrize("size", [1 << 63, (1 << 63) + 5, (1 << 64) - 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_the_top_bit_of_a_length(role: Role, opcode: int, size: int) -> None:
    length = b"\x7f" + struct.pack("!Q", size)
    assert code_of(decode(frame_from(other(role), opcode, length=length), to=role)) == 1002


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
@pytest.mark.parametrize("size", [126, 127, 65535, 65536])
def test_control_frames_are_short(role: Role, opcode: int, size: int) -> None:
    """§5.5: at most 125 bytes, known as soon as the second byte is there."""
    data = frame_from(other(role), opcode, bytes(size))
    assert code_of(decode(data, to=role)) == 1002
    assert code_of(decode(data[:2], to=role)) == 1002


@pytest.mark.parametrize("opcode", [CONT, TEXT, BINARY])
def test_a_message_inside_another(role: Role, opcode: int) -> None:
    """§5.4: fragments of one message are not interleaved with another's."""
    data = sent_to(role, Frame(TEXT, b"a", fin=False), Frame(opcode, b"b"))
    events = decode(data, to=role)
    if opcode == CONT:
        assert events == ["ab"]
    else:
        assert code_of(events) == 1002


@pytest.mark.parametrize("before", [[], [Frame(TEXT, b"a")], [Frame(PING, b"a")]])
def test_a_continuation_of_nothing(role: Role, before: list[Frame]) -> None:
    data = sent_to(role, *before, Frame(CONT, b"b" * 300))
    assert decode(data, to=role)[-1] == Violation(1002, "nothing to continue")
    # The header proves it; wsproto alone would wait for the payload.
    header = sent_to(role, *before, Frame(CONT, b"b" * 300))[:-300]
    assert decode(header, to=role)[-1] == Violation(1002, "nothing to continue")


def test_a_continuation_after_a_fragmented_message_is_not_measured_with_it(role: Role) -> None:
    config = Config(max_message_size=10)
    fragments = [Frame(TEXT, b"a" * 5, fin=False), Frame(CONT, b"b" * 5)]
    data = sent_to(role, *fragments, Frame(CONT, b"c"))
    assert decode(data, to=role, config=config) == [
        "aaaaabbbbb",
        Violation(1002, "nothing to continue"),
    ]
    data = sent_to(role, *fragments, *fragments)
    assert decode(data, to=role, config=config) == ["aaaaabbbbb"] * 2


def valid_close_code(code: int) -> bool:
    return code in {1000, 1001, 1002, 1003, *range(1007, 1014), *range(3000, 5000)}


def test_every_close_code(role: Role) -> None:
    """§7.4: what a peer may send, as a Close frame, and what it may not, as a violation."""
    every = range(65536) if role is Role.CLIENT else [*range(5010), *range(5010, 65536, 101)]
    for code in every:
        engine = FrameEngine(role, Config())
        (event,) = feed_frames(engine, [sent_to(role, Frame(CLOSE, close_payload(code, "why")))])
        if valid_close_code(code):
            assert event == CloseFrame(code, "why")
        else:
            assert isinstance(event, Violation)
            assert event.code == 1002


def test_a_close_frame_of_one_byte(role: Role) -> None:
    assert code_of(decode(sent_to(role, Frame(CLOSE, b"\x03")), to=role)) == 1002


@pytest.mark.parametrize("reason", [b"\xff", b"\xc3", b"\xed\xa0\x80"])
def test_a_close_reason_that_is_no_text(role: Role, reason: bytes) -> None:
    data = sent_to(role, Frame(CLOSE, close_payload(1000) + reason))
    assert code_of(decode(data, to=role)) == 1007


@pytest.mark.parametrize("rsv", [1, 2, 4])
def test_a_close_frame_that_is_wrong_is_a_violation(role: Role, rsv: int) -> None:
    assert code_of(decode(sent_to(role, Frame(CLOSE, b"", rsv=rsv)), to=role)) == 1002
    data = sent_to(role, Frame(CLOSE, close_payload(1000), rsv=rsv))
    assert code_of(decode(data, to=role)) == 1002


def test_close_frames_that_say_what_the_parser_says(role: Role) -> None:
    """A peer's own 1002 is told apart from a violation that happens to read the same."""
    for reason in ("error in extension", "CLOSE with invalid code", "Invalid opcode 0x3"):
        data = sent_to(role, Frame(CLOSE, close_payload(1002, reason)))
        assert decode(data, to=role) == [CloseFrame(1002, reason)]


# Text


VALID_TEXT = "aκ\u07ff\u0800€\ud7ff\ue000\uffff😀\U0010ffff\x00"


def test_text_split_at_every_byte(role: Role) -> None:
    payload = VALID_TEXT.encode()
    for i in range(len(payload) + 1):
        data = sent_to(role, Frame(TEXT, payload[:i], fin=False), Frame(CONT, payload[i:]))
        assert decode(data, to=role) == [VALID_TEXT]
        data = sent_to(
            role, Frame(TEXT, payload[:i], fin=False), Frame(PING), Frame(CONT, payload[i:])
        )
        assert decode(data, to=role) == [Ping(b""), VALID_TEXT]


INVALID_TEXT = [
    b"\x80",
    b"\xff",
    b"\xc0\x80",  # overlong
    b"\xe0\x80\x80",
    b"\xf0\x80\x80\x80",
    b"\xed\xa0\x80",  # a surrogate
    b"\xf4\x90\x80\x80",  # beyond the last code point
    b"\xf5\x80\x80\x80",
    b"\xce",  # cut short
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"\xceA",
]


@pytest.mark.parametrize("wrong", INVALID_TEXT)
def test_invalid_text(role: Role, wrong: bytes) -> None:
    """§8.1, whether in one frame or in two, wherever the cut is."""
    payload = "é".encode() + wrong
    assert code_of(decode(sent_to(role, Frame(TEXT, payload)), to=role)) == 1007
    for i in range(len(payload) + 1):
        frames = [Frame(TEXT, payload[:i], fin=False), Frame(CONT, payload[i:])]
        assert code_of(decode(sent_to(role, *frames), to=role)) == 1007


# A surrogate's second byte would be proof as well; the decoder waits for the third.
@pytest.mark.parametrize("wrong", [b"\x80", b"\xc0", b"\xed\xa0\x80", b"\xf4\x90", b"\xceA"])
def test_invalid_text_is_found_before_the_message_ends(role: Role, wrong: bytes) -> None:
    data = sent_to(role, Frame(TEXT, wrong, fin=False))
    assert code_of(decode(data, to=role)) == 1007
    data = sent_to(role, Frame(TEXT, wrong + bytes(1000)))
    assert code_of(decode(data[:-999], to=role)) == 1007


def test_the_same_bytes_are_fine_in_a_binary_message(role: Role) -> None:
    for wrong in INVALID_TEXT:
        assert decode(sent_to(role, Frame(BINARY, wrong)), to=role) == [wrong]


# Sending


@pytest.mark.parametrize("fast_lane", [True, False])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70000])
def test_messages_out(role: Role, size: int, fast_lane: bool) -> None:
    engine = FrameEngine(role, Config(), fast_lane=fast_lane)
    payload = bytes(i & 0xFF for i in range(size))
    assert parse_frames(engine.encode_message(payload), role) == [Frame(BINARY, payload)]
    text = "é" * (size // 2)
    assert parse_frames(engine.encode_message(text), role) == [Frame(TEXT, text.encode())]


@pytest.mark.parametrize("size", [0, 1, 125])
def test_control_frames_out(role: Role, size: int) -> None:
    engine = FrameEngine(role, Config())
    assert parse_frames(engine.encode_ping(bytes(size)), role) == [Frame(PING, bytes(size))]
    assert parse_frames(engine.encode_pong(bytes(size)), role) == [Frame(PONG, bytes(size))]


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (1000, "", close_payload(1000)),
        (1001, "bye", close_payload(1001, "bye")),
        (4999, "x" * 123, close_payload(4999, "x" * 123)),
        (1005, "", b""),
    ],
)
def test_close_frames_out(role: Role, code: int, reason: str, payload: bytes) -> None:
    engine = FrameEngine(role, Config())
    assert parse_frames(engine.encode_close(code, reason), role) == [Frame(CLOSE, payload)]


def test_a_client_masks_with_a_fresh_key_each_time() -> None:
    engine = FrameEngine(Role.CLIENT, Config())
    sent = [engine.encode_message(b"") for _ in range(50)]
    sent += [engine.encode_ping(b"") for _ in range(50)]
    assert len({data[2:6] for data in sent}) > 95


def test_text_that_is_not_encodable_changes_nothing(role: Role) -> None:
    for fast_lane in (True, False):
        engine = FrameEngine(role, Config(), fast_lane=fast_lane)
        with pytest.raises(UnicodeEncodeError):
            engine.encode_message("\ud800")
        assert parse_frames(engine.encode_message("a"), role) == [Frame(TEXT, b"a")]


@given(
    st.lists(st.one_of(st.text(max_size=300), st.binary(max_size=300)), max_size=5),
    st.sampled_from(Role),
)
def test_what_one_side_encodes_the_other_decodes(messages: list[str | bytes], role: Role) -> None:
    engine = FrameEngine(role, Config())
    data = b"".join(engine.encode_message(message) for message in messages)
    assert decode(data, to=other(role)) == messages


# Bookkeeping


def test_a_message_in_progress(role: Role) -> None:
    engine = FrameEngine(role, Config())
    data = sent_to(role, Frame(TEXT, b"ab", fin=False), Frame(PING), Frame(CONT, b"c"))
    progress = []
    for chunk in byte_by_byte(data):
        engine.receive_data(chunk)
        pull_frames(engine)
        progress.append(engine.message_in_progress)
    header = 1  # its length is in its second byte
    assert progress == [i >= header and i < len(data) - 1 for i in range(len(data))]


def test_the_buffer_forgets_what_was_pulled_before_more_comes(role: Role) -> None:
    engine = FrameEngine(role, Config())
    data = sent_to(role, Frame(BINARY, bytes(1000)))
    engine.receive_data(data * 200)
    for _ in range(100):
        assert engine.next_event() == bytes(1000)
    engine.receive_data(data)
    assert len(engine._buffer) == engine.buffered < 101 * len(data)
    assert pull_frames(engine) == [bytes(1000)] * 101


def test_no_more_is_decoded_ahead_than_was_asked_for(role: Role) -> None:
    engine = FrameEngine(role, Config())
    engine.receive_data(sent_to(role, Frame(BINARY, bytes(1000))) * 20)
    found: deque[bytes] = deque()
    assert engine.take_messages(found, 2000) == 2 * (1000 + MESSAGE_OVERHEAD)
    assert list(found) == [bytes(1000)] * 2
    assert len(pull_frames(engine)) == 18


@pytest.mark.parametrize("end", [Frame(CLOSE), Frame(3)])
def test_nothing_is_kept_after_the_end(role: Role, end: Frame) -> None:
    engine = FrameEngine(role, Config())
    feed_frames(engine, [sent_to(role, end)])
    feed_frames(engine, [bytes(1000)] * 10)
    assert len(engine._buffer) == 0


@pytest.mark.parametrize("fast_lane", [True, False])
def test_the_peers_close_frame_does_not_keep_us_from_sending(role: Role, fast_lane: bool) -> None:
    engine = FrameEngine(role, Config(), fast_lane=fast_lane)
    feed_frames(engine, [sent_to(role, Frame(CLOSE))])
    data = engine.encode_message("late") + engine.encode_ping(b"") + engine.encode_pong(b"")
    data += engine.encode_message(b"later") + engine.encode_close(1000, "")
    assert parse_frames(data, role) == [
        Frame(TEXT, b"late"),
        Frame(PING),
        Frame(PONG),
        Frame(BINARY, b"later"),
        Frame(CLOSE, close_payload(1000)),
    ]


def test_the_buffer_does_not_keep_what_has_been_read(role: Role) -> None:
    """A frame's end never falls on a read's end, and still the buffer does not grow."""
    engine = FrameEngine(role, Config())
    data = sent_to(role, Frame(BINARY, bytes(1000)))
    stream = data * 500
    seen = 0
    for start in range(0, len(stream), 1499):
        engine.receive_data(stream[start : start + 1499])
        seen += len(pull_frames(engine))
        assert engine.buffered < 1100
        assert len(engine._buffer) < 128 * 1024
    assert seen == 500
