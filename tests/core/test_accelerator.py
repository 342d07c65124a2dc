"""The accelerator: the same results in C as in Python, and Python where there is no C."""

from __future__ import annotations

import importlib.util
import os
from collections import deque
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.helpers import parse_frames
from windsock.core.protocol import fast_lane, masking
from windsock.core.protocol.fast_lane import MAX_SMALL, MESSAGE_OVERHEAD
from windsock.core.protocol.frames import Role

try:
    from windsock.core.protocol import _accelerator as compiled
except ImportError:  # the tests that need it say so
    compiled = None  # type: ignore[assignment]  # which has no such type

needs_c = pytest.mark.skipif(compiled is None, reason="the accelerator is not built here")


def load(monkeypatch: pytest.MonkeyPatch, pure: str | None) -> ModuleType:
    """The module anew, as another process would have it."""
    if pure is None:
        monkeypatch.delenv("WINDSOCK_PURE", raising=False)
    else:
        monkeypatch.setenv("WINDSOCK_PURE", pure)
    spec = importlib.util.find_spec("windsock.core.protocol.accelerator")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_python_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(monkeypatch, "1")
    assert module.ACCELERATED is False
    assert module.decode_message is fast_lane.decode_message
    assert module.decode_messages is fast_lane.decode_messages
    assert module.apply_mask is masking.apply_mask


@needs_c
@pytest.mark.parametrize("pure", [None, "", "0"])
def test_c_by_default(monkeypatch: pytest.MonkeyPatch, pure: str | None) -> None:
    module = load(monkeypatch, pure)
    assert module.ACCELERATED is True
    assert module.decode_message is not fast_lane.decode_message
    assert module.decode_messages is not fast_lane.decode_messages


# The same results

TEXTS = st.text() | st.text("aä€😀", min_size=100, max_size=200)
MESSAGES = (
    TEXTS
    | st.binary()
    | st.sampled_from([125, 126, 127, 4096, 4097, 65535, 65536, 70000]).map(lambda n: b"x" * n)
    | st.sampled_from([125, 126, 4097, 65535, 65536]).map(lambda n: "x" * n)
)


def outcome(module: Any, data: bytes | bytearray, *args: Any) -> tuple[Any, ...]:
    """What a decoder makes of `data`."""
    position, masked, limit, room = args
    messages: deque[Any] = deque(["before"])
    return (*module.decode_messages(data, position, masked, limit, messages, room), list(messages))


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames of both kinds, and then perhaps what is none, or half of one."""
    encode = draw(st.sampled_from([fast_lane.encode_message, fast_lane.encode_masked_message]))
    frames = b"".join(encode(message) for message in draw(st.lists(MESSAGES, max_size=5)))
    frames += draw(st.binary(max_size=20))
    cut = draw(st.integers(0, len(frames)))
    damaged = bytearray(frames[:cut] if draw(st.booleans()) else frames)
    for _ in range(draw(st.integers(0, 2))):
        if damaged:
            damaged[draw(st.integers(0, min(len(damaged), 200) - 1))] = draw(st.integers(0, 255))
    return bytes(damaged)


@needs_c
@given(
    streams(),
    st.sampled_from([0, 1, 7]),
    st.booleans(),
    st.sampled_from([1 << 20, 65536, 65535, 125, 1, 2**62]),
    st.sampled_from([0, 1, 100, 1000, 1 << 30]),
    st.booleans(),
)
@example(b"\x82\x7e\x00\x7d" + bytes(125), 0, False, 1 << 20, 1 << 30, False)  # §5.2: not minimal
@example(b"\x82\x7f" + (65535).to_bytes(8, "big") + bytes(65535), 0, False, 1 << 20, 1 << 30, False)
@example(b"\x82\x7f\x80" + bytes(7), 0, False, 2**62, 1 << 30, False)
def test_decoding(
    data: bytes, before: int, masked: bool, limit: int, room: int, mutable: bool
) -> None:
    data = bytes(before) + data
    buffer = bytearray(data) if mutable else data
    args = (before, masked, limit, room)
    assert outcome(compiled, buffer, *args) == outcome(fast_lane, buffer, *args)
    assert buffer == data


@st.composite
def small_frames(draw: st.DrawFn) -> bytes:
    """One frame, or nearly."""
    encode = draw(st.sampled_from([fast_lane.encode_message, fast_lane.encode_masked_message]))
    small = st.text("aä€😀", max_size=130) | st.binary(max_size=130)
    frame = bytearray(encode(draw(small)))
    if draw(st.booleans()):
        frame[draw(st.integers(0, len(frame) - 1))] = draw(st.integers(0, 255))
    return bytes(frame) + draw(st.sampled_from([b"", b"", b"x"]))


DECODERS = [pytest.param(compiled, marks=needs_c, id="C"), pytest.param(fast_lane, id="Python")]


@pytest.mark.parametrize("module", DECODERS)
@given(small_frames() | streams(), st.booleans(), st.booleans())
@example(b"", True, False)
@example(b"\x81", False, False)
@example(b"\x81\x00", False, True)
@example(b"\x82\x80abcd", True, True)
@example(b"\x81\x02\xff\xff", False, False)
@example(b"\x81\x82\0\0\0\0\xff\xff", True, False)
@example(b"\x88\x80abcd", True, False)
@example(b"\x82\x7d" + bytes(125), False, False)
@example(b"\x82\x7e\x00\x7e" + bytes(126), False, False)
@example(b"\x82\xfe\x00\x7eabcd" + bytes(126), True, False)
def test_one_message_is_the_same_as_all_messages(
    module: Any, data: bytes, masked: bool, mutable: bool
) -> None:
    messages: deque[Any] = deque()
    position, _ = fast_lane.decode_messages(data, 0, masked, 1 << 30, messages, 1 << 30)
    alone = len(messages) == 1 and position == len(data)
    small = len(data) <= MAX_SMALL + (6 if masked else 2)
    found = module.decode_message(bytearray(data) if mutable else data, masked)
    assert found == (messages[0] if alone and small else None)
    assert type(found) in {str, bytes, type(None)}


@needs_c
@given(MESSAGES)
def test_encoding(message: str | bytes) -> None:
    assert compiled.encode_message(message) == fast_lane.encode_message(message)
    (frame,) = parse_frames(compiled.encode_masked_message(message), Role.CLIENT)
    (like,) = parse_frames(fast_lane.encode_masked_message(message), Role.CLIENT)
    assert frame == like


@needs_c
@pytest.mark.parametrize("name", ["encode_message", "encode_masked_message"])
def test_text_that_cannot_be_encoded(name: str) -> None:
    for module in (compiled, fast_lane):
        with pytest.raises(UnicodeEncodeError):
            getattr(module, name)("\ud800")


@needs_c
@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4), st.integers(0, 9))
def test_masking(data: bytes, key: bytes, offset: int) -> None:
    view = memoryview(data)[offset:]
    assert compiled.apply_mask(view, key) == masking.apply_mask(view, key)


@needs_c
def test_keys_differ() -> None:
    """§5.3: from frame to frame; more of them than are drawn at a time."""
    frames = [compiled.encode_masked_message(b"") for _ in range(3000)]
    assert len({frame[2:] for frame in frames}) > 2990


@needs_c
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of fork beside threads
def test_a_forked_process_draws_keys_of_its_own() -> None:
    compiled.encode_masked_message(b"")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, compiled.encode_masked_message(b""))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 6) != compiled.encode_masked_message(b"")
    os.close(reading)
    os.close(writing)


# What Python checks before and C must not crash of


@needs_c
@pytest.mark.parametrize(
    "args",
    [
        (),
        ("text", 0, True, 1, deque(), 1),
        (b"", 0, True, 1 << 70, deque(), 1),
        (b"", 0, True, 1, deque(), 1 << 70),
        (b"\x82\x00", 0, False, 1, None, 1),
        (b"\x82\x00\x82\x00", 0, False, 1, object(), 100),
    ],
)
def test_wrong_arguments_of_decoding(args: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, OverflowError, AttributeError)):
        compiled.decode_messages(*args)


@needs_c
@pytest.mark.parametrize("args", [(), (b"",), (b"", True, 1), ("text", True), (None, False)])
def test_wrong_arguments_of_decoding_one(args: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        compiled.decode_message(*args)


@needs_c
@pytest.mark.parametrize("position", [-1, 3, 1 << 40])
def test_positions_outside_of_the_buffer_find_nothing(position: int) -> None:
    messages: deque[Any] = deque()
    found = compiled.decode_messages(b"\x82\x00", position, False, 1, messages, 1000)
    assert found == (position, 0)
    assert not messages


@needs_c
def test_wrong_arguments_of_encoding_and_masking() -> None:
    for wrong in (None, 1, object()):
        with pytest.raises(TypeError):
            compiled.encode_message(wrong)  # type: ignore[arg-type]  # the point
        with pytest.raises(TypeError):
            compiled.encode_masked_message(wrong)  # type: ignore[arg-type]  # the point
    with pytest.raises(ValueError, match="4 bytes"):
        compiled.apply_mask(b"data", b"key")
    assert compiled.encode_message(memoryview(b"ab")) == b"\x82\x02ab"


@needs_c
def test_what_a_message_costs_besides() -> None:
    messages: deque[Any] = deque()
    data = fast_lane.encode_message("é") + fast_lane.encode_message(b"xy")
    assert compiled.decode_messages(data, 0, False, 10, messages, 1000) == (
        len(data),
        3 + 2 * MESSAGE_OVERHEAD,
    )
