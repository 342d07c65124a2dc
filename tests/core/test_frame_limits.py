"""Limits of messages: each is enforced at the earliest byte that proves it passed."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from tests.core.helpers import (
    BINARY,
    CONT,
    MASK,
    PING,
    TEXT,
    decode,
    feed_frames,
    frame,
    frame_from,
    other,
    pull_frames,
)
from windsock.core.protocol.config import Config
from windsock.core.protocol.events import Ping
from windsock.core.protocol.frames import FrameEngine, Role, Violation

LIMIT = 300
CONFIG = Config(max_message_size=LIMIT, max_fragments=5)
TOO_BIG = Violation(1009, f"message over {LIMIT} bytes")
TOO_MANY = Violation(1009, "message of over 5 frames")


def fragments(role: Role, sizes: list[int]) -> bytes:
    sender = other(role)
    return b"".join(
        frame_from(sender, CONT if i else BINARY, bytes(size), fin=i == len(sizes) - 1)
        for i, size in enumerate(sizes)
    )


@pytest.mark.parametrize("excess", [-1, 0, 1, 2])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_one_frame_at_the_limit(role: Role, opcode: int, excess: int) -> None:
    payload = b"x" * (LIMIT + excess)
    events = decode(frame_from(other(role), opcode, payload), to=role, config=CONFIG)
    if excess > 0:
        assert events == [TOO_BIG]
    else:
        assert events == [payload.decode() if opcode == TEXT else payload]


@pytest.mark.parametrize("excess", [-1, 0, 1, 2])
@pytest.mark.parametrize("sizes", [[LIMIT, 0], [LIMIT - 1, 1], [1, LIMIT - 1], [100, 0, 100, 100]])
def test_fragments_at_the_limit(role: Role, sizes: list[int], excess: int) -> None:
    sizes = [*sizes[:-1], max(0, sizes[-1] + excess)]
    events = decode(fragments(role, sizes), to=role, config=CONFIG)
    assert events == ([TOO_BIG] if sum(sizes) > LIMIT else [bytes(sum(sizes))])


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("count", [4, 5, 6])
def test_fragments_are_counted_empty_ones_included(role: Role, count: int, empty: bool) -> None:
    sizes = [0 if empty else 1] * count
    events = decode(fragments(role, sizes), to=role, config=CONFIG)
    assert events == ([TOO_MANY] if count > 5 else [bytes(sum(sizes))])


def test_each_message_has_limits_of_its_own(role: Role) -> None:
    data = fragments(role, [LIMIT // 5] * 5) * 3
    assert decode(data, to=role, config=CONFIG) == [bytes(LIMIT)] * 3


def test_control_frames_count_towards_nothing(role: Role) -> None:
    ping = frame_from(other(role), PING, bytes(125))
    first = frame_from(other(role), BINARY, bytes(LIMIT), fin=False)
    last = frame_from(other(role), CONT)
    events = decode(first + ping * 20 + last, to=role, config=CONFIG)
    assert events == [Ping(bytes(125))] * 20 + [bytes(LIMIT)]


@pytest.mark.parametrize("size", [LIMIT + 1, 1 << 20, 1 << 40, 1 << 62, (1 << 63) - 1])
def test_a_declared_length_is_refused_at_its_last_byte(role: Role, size: int) -> None:
    """Not even the masking key is waited for, and nothing is allocated."""
    header = bytes([0x80 | BINARY, 126 if size < 1 << 16 else 127])
    header += struct.pack("!H" if size < 1 << 16 else "!Q", size)
    if role is Role.SERVER:
        header = bytes([header[0], header[1] | 0x80]) + header[2:]
    for fast_lane in (True, False):
        engine = FrameEngine(role, CONFIG, fast_lane=fast_lane)
        assert feed_frames(engine, [header[:-1]]) == []
        tracemalloc.start()
        assert feed_frames(engine, [header[-1:]]) == [TOO_BIG]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4096


@pytest.mark.parametrize("rsv", [0, 4])
@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("size", [LIMIT + 1, 1 << 16])
def test_the_outcome_does_not_depend_on_where_the_header_is_cut(
    role: Role, rsv: int, mask: bytes | None, size: int
) -> None:
    """Over the limit, badly masked, with a reserved bit: always the same complaint."""
    bad = frame(BINARY, bytes(size), rsv=rsv, mask=mask)
    assert decode(bad, to=role, config=CONFIG) == [TOO_BIG]


def test_what_comes_in_is_not_copied_over_and_over(role: Role) -> None:
    """A large frame in small reads: the engine holds the message and little else."""
    size = 1 << 20
    config = Config(max_message_size=size)
    data = frame_from(other(role), BINARY, bytes(size))
    engine = FrameEngine(role, config)
    events = []
    tracemalloc.start()
    for start in range(0, len(data), 4096):
        engine.receive_data(data[start : start + 4096])
        events += pull_frames(engine)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert events == [bytes(size)]
    assert peak < 2.2 * size  # the parts as they grow, and the message made of them


def test_a_flood_of_empty_fragments_costs_nothing() -> None:
    config = Config(max_fragments=10**7)
    engine = FrameEngine(Role.CLIENT, config)
    feed_frames(engine, [frame_from(Role.SERVER, BINARY, fin=False)])
    chunk = frame_from(Role.SERVER, CONT, fin=False) * 1000
    tracemalloc.start()
    for _ in range(10):
        assert feed_frames(engine, [chunk]) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 1024
