"""Input byte by byte costs work in proportion to its size: counted, not timed."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from tests.core.helpers import (
    BINARY,
    TEXT,
    byte_by_byte,
    feed,
    frame_from,
    head,
    open_connection,
    other,
    pull,
    request,
)
from windsock.core.protocol import fast_lane, frames
from windsock.core.protocol.accelerator import COMPILED
from windsock.core.protocol.config import Config
from windsock.core.protocol.frames import FrameEngine, Role
from windsock.core.protocol.headers import parse_extensions, parse_tokens, parse_upgrade
from windsock.core.protocol.server import ServerConnection


class CountingBytes(bytes):
    """Counts the bytes that are copied out of it."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(key, slice):
            CountingBuffer.copied += len(found)
        return found


class CountingBuffer(bytearray):
    """Counts the bytes that are copied out of it or moved within it."""

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(key, slice):
            CountingBuffer.copied += len(found)
        return found

    def __delitem__(self, key: Any) -> None:
        # A bytearray forgets its first bytes in place; anything else would move what is left.
        assert key.start in {None, 0}
        super().__delitem__(key)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every buffer that the frame engine makes counts."""
    if COMPILED:
        pytest.skip("compiled code does not look up what these names stand for")
    monkeypatch.setattr(frames, "bytes", CountingBytes, raising=False)
    monkeypatch.setattr(frames, "bytearray", CountingBuffer, raising=False)
    # In C nothing is counted.
    monkeypatch.setattr(frames, "decode_messages", fast_lane.decode_messages)


def calls(run: Callable[[], object]) -> int:
    """How many functions, of Python and of C, `run` calls."""
    count = 0

    def profile(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_byte_by_byte(role: Role, opcode: int) -> None:
    copied, called = [], []
    for size in (2048, 8192):
        data = frame_from(other(role), opcode, b"x" * size)
        engine = FrameEngine(role, Config())
        CountingBuffer.copied = 0
        found: list[object] = []

        def run(engine: FrameEngine = engine, data: bytes = data, found: list[Any] = found) -> None:
            for byte in byte_by_byte(data):
                engine.receive_data(byte)
                found.append(engine.next_event())

        called.append(calls(run))
        copied.append(CountingBuffer.copied)
        assert found[-1] is not None
        assert CountingBuffer.copied
    assert copied[1] < 4.2 * copied[0]
    assert called[1] < 4.2 * called[0]


@pytest.mark.usefixtures("counted")
def test_small_messages_in_one_large_read(role: Role) -> None:
    copied = []
    for count in (1000, 4000):
        data = frame_from(other(role), BINARY, b"0123456789") * count
        engine = FrameEngine(role, Config())
        CountingBuffer.copied = 0
        engine.receive_data(data)
        for _ in range(count):
            assert engine.next_event() == b"0123456789"
        assert CountingBuffer.copied
        copied.append(CountingBuffer.copied)
    assert copied[1] < 4.2 * copied[0]


def test_a_head_byte_by_byte() -> None:
    config = Config(max_head_size=1 << 20)
    called = []
    for size in (2000, 8000):
        data = request(add=[("X", "x" * size)])
        server = ServerConnection(config, now=0)
        called.append(calls(partial(feed, server, byte_by_byte(data))))
    assert called[1] < 4.2 * called[0]


def test_a_head_in_one_large_read_with_much_behind_it() -> None:
    """What is held back is not copied again for each step."""
    for size in (1 << 16, 1 << 20):
        server = ServerConnection(now=0)
        assert server._handshake is not None
        server._handshake._reader._held_back = CountingBuffer()
        CountingBuffer.copied = 0
        feed(server, [request() + bytes(size)])
        assert CountingBuffer.copied <= 16 * 1024


def test_a_body_byte_by_byte() -> None:
    called = []
    for size in (2000, 8000):
        lines = [("Host", "h"), ("Content-Length", str(size))]
        data = head("POST / HTTP/1.1", lines) + bytes(size)
        server = ServerConnection(now=0)
        called.append(calls(partial(feed, server, byte_by_byte(data))))
    assert called[1] < 4.2 * called[0]


HOSTILE: list[tuple[Callable[[list[str]], object], Callable[[int], str]]] = [
    (parse_extensions, lambda n: "," + " " * n + ","),
    (parse_extensions, lambda n: "a" + " " * n + "="),
    (parse_extensions, lambda n: "a;" + " " * n),
    (parse_extensions, lambda n: "a; b=" + '"\\' * n),
    (parse_extensions, lambda n: 'a; b="' + "c" * n),
    (parse_extensions, lambda n: "a;b," * n),
    (parse_extensions, lambda n: ", \t" * n),
    (parse_tokens, lambda n: ", \t" * n),
    (parse_upgrade, lambda n: "/," * n),
]


@pytest.mark.parametrize(("parse", "make"), HOSTILE)
def test_hostile_fields(parse: Callable[[list[str]], object], make: Callable[[int], str]) -> None:
    """A quadratic parser would need minutes for all of them, which the tests' timeout ends."""
    parse([make(100_000)])


def test_a_connection_full_of_small_messages(role: Role) -> None:
    called = []
    for count in (500, 2000):
        connection = open_connection(role)
        data = frame_from(other(role), TEXT, b"abc") * count
        connection.receive_data(data, 0)
        called.append(calls(partial(pull, connection)))
    assert called[1] < 4.2 * called[0]


def test_reads_that_never_end_with_a_frame_do_not_pile_up(role: Role) -> None:
    """What was decoded is dropped, though there is always a bit of the next frame behind it."""
    message = frame_from(other(role), BINARY, b"x" * 30_000)
    data, size = message * 200, 4 * len(message)
    engine = FrameEngine(role, Config())
    tracemalloc.start()
    try:
        found = 0
        engine.receive_data(data[:1])
        for start in range(1, len(data), size):
            engine.receive_data(data[start : start + size])
            while engine.next_event() is not None:
                found += 1
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == 200
    assert most < 10 * size


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_large_message_in_tiny_pieces_takes_little_more_memory_than_its_size(opcode: int) -> None:
    size = 256 * 1024
    engine = FrameEngine(Role.SERVER, Config())
    stream = frame_from(other(Role.SERVER), opcode, b"x" * size)
    tracemalloc.start()
    try:
        for start in range(0, len(stream) - 3, 3):
            engine.receive_data(stream[start : start + 3])
            assert engine.next_event() is None
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1.5 * size
