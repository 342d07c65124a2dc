"""The fast lane is a shortcut, never a second opinion.

Invariant: for any stream of bytes in any chunking, an engine with the lane and one without it give
equal events, equal output and an equal end; and so does a stream that is cut differently.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.helpers import (
    BINARY,
    CONT,
    MASK,
    TEXT,
    Frame,
    Pair,
    byte_by_byte,
    feed,
    feed_frames,
    frame,
    in_pieces,
    parse_frames,
    pull,
)
from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.connection import Connection
from windsock.core.protocol.deflate import DeflateParameters
from windsock.core.protocol.events import Event, Ping
from windsock.core.protocol.fast_lane import MESSAGE_OVERHEAD
from windsock.core.protocol.frames import (
    CloseFrame,
    FrameEngine,
    FrameEvent,
    PongFrame,
    Role,
    Violation,
)

CONFIG = Config(max_message_size=400, max_fragments=4, compression=Deflate())
PARAMETERS = [None, DeflateParameters(), DeflateParameters(True, True, 9, 9)]

# A block of 4 stored bytes, which are those of the tail (RFC 7692 §7.2.2).
STORED = b"\x00\x04\x00\xfb\xff"

PAYLOADS = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([124, 125, 126, 127, 399, 400, 401, 1000]).map(bytes),
    st.sampled_from(
        [
            b"\xf2\x48\xcd\xc9\xc9\x07\x00",
            b"\xf2\x00\x11\x00\x00",
            b"\x00",
            b"\x03\x00",
            STORED,
        ]
    ),
    st.integers(0, 65535).map(lambda code: code.to_bytes(2, "big") + b"why"),
)
FRAMES = st.builds(
    lambda opcode, payload, fin, rsv, wrong_mask: (opcode, payload, fin, rsv, wrong_mask),
    st.sampled_from([0, 0, 1, 1, 2, 2, 8, 9, 10, 3]),
    PAYLOADS,
    st.sampled_from([True, True, False]),
    st.sampled_from([0, 0, 0, 4, 4, 1]),
    st.sampled_from([False] * 15 + [True]),
)
Structure = tuple[int, bytes, bool, int, bool]


def stream_to(role: Role, structures: list[Structure]) -> bytes:
    data = b""
    for opcode, payload, fin, rsv, wrong_mask in structures:
        masked = (role is Role.SERVER) != wrong_mask
        data += frame(opcode, payload, fin=fin, rsv=rsv, mask=MASK if masked else None)
    return data


def cut_at(data: bytes, cuts: list[int]) -> list[bytes]:
    points = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(points) if a < b]


class Outcome(NamedTuple):
    events: list[FrameEvent]
    in_progress: bool
    sent: list[Frame]


def run(
    role: Role,
    parameters: DeflateParameters | None,
    chunks: list[bytes],
    *,
    fast_lane: bool,
    config: Config = CONFIG,
) -> Outcome:
    """What an engine makes of `chunks`, and how it answers them."""
    engine = FrameEngine(role, config, parameters, fast_lane=fast_lane)
    events = feed_frames(engine, chunks)
    sent = b"".join(answer(engine, event) for event in events)
    return Outcome(events, engine.message_in_progress, parse_frames(sent, role))


def answer(engine: FrameEngine, event: FrameEvent) -> bytes:
    if isinstance(event, (str, bytes)):
        return engine.encode_message(event)
    if isinstance(event, Ping):
        return engine.encode_pong(event.payload)
    if isinstance(event, PongFrame):
        return engine.encode_ping(event.payload)
    return engine.encode_close(event.code, event.reason)


def check(
    role: Role, which: int, data: bytes, cuts: list[int], config: Config = CONFIG
) -> list[FrameEvent]:
    parameters = PARAMETERS[which]
    outcomes = []
    tiny = byte_by_byte(data) if len(data) < 8000 else in_pieces(data)
    for chunks in ([data] if data else [], cut_at(data, cuts), tiny):
        fast, slow = (
            run(role, parameters, chunks, fast_lane=lane, config=config) for lane in (True, False)
        )
        assert fast == slow
        outcomes.append(fast)
    for outcome in outcomes[1:]:
        assert same(outcome, outcomes[0], compressed=parameters is not None), outcomes
    return outcomes[0].events


def same(one: Outcome, other: Outcome, *, compressed: bool) -> bool:
    if not compressed or one == other:
        return one == other
    # Bad text in bad or too much compressed data: what comes to light first depends on the cut.
    first, second = one.events[-1], other.events[-1]
    return (
        but_for_the_end(one) == but_for_the_end(other)
        and isinstance(first, Violation)
        and isinstance(second, Violation)
        and {first.code, second.code} <= {1007, 1009}
    )


def but_for_the_end(outcome: Outcome) -> Outcome:
    return outcome._replace(events=outcome.events[:-1], sent=outcome.sent[:-1])


ROLES = st.sampled_from(Role)
CUTS = st.lists(st.integers(0, 10_000), max_size=12)
WHICH = st.integers(0, len(PARAMETERS) - 1)


@given(ROLES, WHICH, st.lists(FRAMES, max_size=6), CUTS)
@example(Role.CLIENT, 1, [(TEXT, b":\x00\x00\x00", True, 4, False)], [4])
@example(Role.CLIENT, 1, [(BINARY, STORED, True, 4, False)], [3])
@example(Role.CLIENT, 0, [(TEXT, b"a" * 399, False, 0, False), (CONT, b"b", True, 0, False)], [])
def test_streams_of_frames(
    role: Role, which: int, structures: list[Structure], cuts: list[int]
) -> None:
    check(role, which, stream_to(role, structures), cuts)


@given(ROLES, WHICH, st.lists(FRAMES, min_size=1, max_size=5), st.data(), CUTS)
def test_streams_with_a_wrong_byte(
    role: Role, which: int, structures: list[Structure], data: st.DataObject, cuts: list[int]
) -> None:
    stream = bytearray(stream_to(role, structures))
    position = data.draw(st.integers(0, min(len(stream) - 1, 60)))
    stream[position] ^= 1 << data.draw(st.integers(0, 7))
    check(role, which, bytes(stream), cuts)


@given(ROLES, WHICH, st.lists(FRAMES, min_size=1, max_size=5), st.data(), CUTS)
def test_streams_with_bytes_lost_or_doubled(
    role: Role, which: int, structures: list[Structure], data: st.DataObject, cuts: list[int]
) -> None:
    stream = stream_to(role, structures)
    start = data.draw(st.integers(0, len(stream)))
    end = data.draw(st.integers(start, min(start + 5, len(stream))))
    changed = (
        stream[:start] + stream[end:]
        if data.draw(st.booleans())
        else (stream[:end] + stream[start:])
    )
    check(role, which, changed, cuts)


@given(ROLES, WHICH, st.binary(max_size=200), CUTS)
def test_random_bytes(role: Role, which: int, data: bytes, cuts: list[int]) -> None:
    check(role, which, data, cuts)


@given(ROLES, st.booleans(), st.lists(FRAMES, max_size=6), CUTS, st.integers(0, 1000))
@example(Role.SERVER, False, [(TEXT, b"Hello", True, 0, False)], [], 0)
@example(
    Role.SERVER, False, [(TEXT, b"Hello", True, 0, False), (TEXT, b"!", True, 0, False)], [], 1
)
def test_reads_of_messages(
    role: Role, compressed: bool, structures: list[Structure], cuts: list[int], room: int
) -> None:
    """`receive_messages` is a short cut, too: as `receive_data` and `next_event`."""
    config = CONFIG if compressed else Config(max_message_size=16, max_fragments=4)
    short, long = (a_connection(role, config) for _ in range(2))
    stream = stream_to(role, structures)
    for now, chunk in enumerate(cut_at(stream, [*cuts, len(stream)]), start=1):
        messages: deque[Event] = deque()
        used, alone = short.receive_messages(chunk, now, messages, room)
        assert used == sum(
            len(message) + MESSAGE_OVERHEAD
            for message in messages
            if isinstance(message, (str, bytes))
        )
        if not alone:
            while short.take_messages(messages, 1000):
                pass
            messages += pull(short)
        assert list(messages) == feed(long, [chunk], now)
        sent = (parse_frames(each.data_to_send(), role) for each in (short, long))
        assert next(sent) == next(sent)
        assert short.state is long.state
        assert short.deadline() == long.deadline()


def a_connection(role: Role, config: Config) -> Connection:
    """One that is open, and has been read up to there."""
    pair = Pair(config)
    connection = pair.server if role is Role.SERVER else pair.client
    assert not pull(connection)
    return connection


SENT = st.one_of(
    st.text(),
    st.binary(max_size=200_000),
    st.builds(Ping, st.binary(max_size=125)),
    st.builds(PongFrame, st.binary(max_size=125)),
)
# What is answered with a Close frame, and what failing a connection has one say.
CLOSES = st.one_of(
    st.just(CloseFrame(1005, "")),
    st.builds(CloseFrame, st.sampled_from([1000, 1001, 1013, 3000, 4999]), st.text(max_size=60)),
    st.builds(Violation, st.sampled_from([1002, 1007, 1009]), st.text(max_size=130)),
)


@given(ROLES, st.lists(SENT, max_size=4), CLOSES)
@example(Role.SERVER, [], Violation(1002, "é" * 100))
def test_output(role: Role, events: list[FrameEvent], close: FrameEvent) -> None:
    """Compared unmasked."""
    sent = []
    for fast_lane in (True, False):
        engine = FrameEngine(role, Config(), fast_lane=fast_lane)
        data = b"".join(answer(engine, event) for event in [*events, close])
        sent.append(parse_frames(data, role))
    assert sent[0] == sent[1]
