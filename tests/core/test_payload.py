"""Payloads that come in pieces: the same bytes in Python and in C, and no more memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from windsock.core.protocol import payload as python
from windsock.core.protocol.masking import apply_mask

try:
    from windsock.core.protocol import _accelerator as compiled
except ImportError:
    compiled = None  # type: ignore[assignment]  # which has no such type

IMPLEMENTATIONS = [python] if compiled is None else [python, compiled]
KEY = b"\x01\x20\x80\xff"


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda module: module.__name__.rpartition(".")[2])
def payload(request: pytest.FixtureRequest) -> Any:
    """The class."""
    return request.param.Payload


# Each piece is appended, or received in as many rooms as it needs.
PIECES = st.lists(st.tuples(st.booleans(), st.binary(max_size=100)), max_size=12)


@given(PIECES, st.none() | st.binary(min_size=4, max_size=4))
@example([(True, b"a" * 7), (False, b"b" * 90), (True, b"c" * 90)], KEY)
def test_the_bytes_that_come(pieces: list[tuple[bool, bytes]], key: bytes | None) -> None:
    data = b"".join(piece for _, piece in pieces)
    for module in IMPLEMENTATIONS:
        payload = module.Payload(len(data), key)
        for by_room, piece in pieces:
            if not by_room:
                payload.append(memoryview(piece))
            while by_room and piece:
                with payload.room() as room:
                    count = min(len(room), len(piece))
                    assert count
                    room[:count] = piece[:count]
                payload.received(count)
                piece = piece[count:]
        assert payload.finish() == (data if key is None else apply_mask(data, key))


def test_nothing_at_all(payload: Any) -> None:
    empty = payload(0, KEY)
    empty.append(b"")
    assert len(empty.room()) == 0
    empty.received(0)
    assert empty.finish() == b""


def test_more_or_less_than_there_is(payload: Any) -> None:
    two = payload(2, None)
    with pytest.raises(ValueError, match="more than the frame has"):
        two.append(b"abc")
    for wrong in (-1, 1, 3):
        with pytest.raises(ValueError, match="more than there was room for"):
            two.received(wrong)
    two.append(b"a")
    with pytest.raises(ValueError, match="less than the frame has"):
        two.finish()
    for _ in range(2):
        with two.room() as room:
            assert len(room) == 1
    with pytest.raises(ValueError, match="more than there was room for"):
        two.received(2)
    two.append(b"b")
    with pytest.raises(ValueError, match="more than the frame has"):
        two.append(b"c")
    assert two.finish() == b"ab"


@pytest.mark.parametrize("arguments", [(-1, None), (1, b""), (1, b"key"), (1, b"a key")])
def test_what_cannot_be(payload: Any, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="4 bytes"):
        payload(*arguments)


@pytest.mark.skipif(compiled is None, reason="the accelerator is not built here")
@pytest.mark.parametrize("arguments", [(), (1,), ("1", None), (1, 5), (1 << 70, None)])
def test_wrong_arguments_in_c(arguments: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, OverflowError)):
        compiled.Payload(*arguments)
    some = compiled.Payload(1, None)
    for wrong in (None, "text", 1.5):
        with pytest.raises(TypeError):
            some.append(wrong)  # type: ignore[arg-type]  # the point
        with pytest.raises(TypeError):
            some.received(wrong)  # type: ignore[arg-type]  # the point


@pytest.mark.skipif(compiled is None, reason="the accelerator is not built here")
def test_a_room_that_is_held_on_to() -> None:
    """Whatever is done with it, it is memory that is still there."""
    payload = compiled.Payload(1000, KEY)
    payload.append(b"a")
    room = payload.room()
    with pytest.raises(BufferError):
        payload.append(bytes(999))
    payload.received(len(room))
    with pytest.raises(BufferError):
        payload.room()
    room.release()
    payload.append(bytes(1000 - 16))
    last = payload.room()
    assert len(last) == 0
    message = payload.finish()
    del payload, message
    assert last.tobytes() == b""


def test_what_is_only_announced_takes_no_memory(payload: Any) -> None:
    tracemalloc.start()
    try:
        many = [payload(1 << 40, KEY) for _ in range(10)]
        for one in many:
            one.append(bytes(1000))
            one.room().release()
        assert tracemalloc.get_traced_memory()[0] < 10 * (python.AHEAD + 1) * 1100
    finally:
        tracemalloc.stop()
