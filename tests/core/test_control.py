"""Control frames by the lane: what is plainly right is taken, and nothing else."""

from __future__ import annotations

import pytest

from tests.core.helpers import (
    CLOSE,
    MASK,
    PING,
    PONG,
    TEXT,
    Frame,
    close_payload,
    frame,
    parse_frames,
)
from windsock.core.protocol.control import decode_control, encode_control, read_close, write_close
from windsock.core.protocol.frames import Role


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
@pytest.mark.parametrize("payload", [b"", b"p", bytes(range(125))])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_plain_frame(mask: bytes | None, opcode: int, payload: bytes, kind: type[bytes]) -> None:
    data = frame(opcode, payload, mask=mask)
    end = 3 + len(data)
    buffer = kind(b"abc" + data + b"rest")
    assert decode_control(buffer, 3, mask is not None) == (opcode, payload, end)
    for size in range(len(data)):
        assert decode_control(kind(data[:size]), 0, mask is not None) is None


@pytest.mark.parametrize(
    "data",
    [
        frame(PING, b"p"),  # not masked
        frame(TEXT, b"p", mask=MASK),
        frame(11, b"p", mask=MASK),
        frame(PING, b"p", mask=MASK, fin=False),
        frame(PING, b"p", mask=MASK, rsv=4),
        frame(PING, bytes(126), mask=MASK),
        frame(PING, bytes(1 << 16), mask=MASK),
        frame(PING, b"p", mask=MASK, length=b"\x7e\x00\x01"),
    ],
)
def test_anything_else_is_for_wsproto(data: bytes) -> None:
    assert decode_control(data + bytes(200), 0, True) is None


def test_a_frame_masked_where_it_must_not_be_is_for_wsproto() -> None:
    assert decode_control(frame(PING, b"p", mask=MASK), 0, False) is None


def test_the_payload_of_a_close_frame() -> None:
    assert read_close(b"") == (1005, "")
    assert read_close(close_payload(1000)) == (1000, "")
    assert read_close(close_payload(4999, "κόσμε")) == (4999, "κόσμε")
    for doubtful in (b"\x03", close_payload(1005), close_payload(999), b"\x03\xe8\xff"):
        assert read_close(doubtful) is None
    assert write_close(1005, "") == b""
    assert write_close(1000, "κόσμε") == close_payload(1000, "κόσμε")
    assert write_close(3000, "a" * 123) == close_payload(3000, "a" * 123)
    for code, reason in ((1005, "why"), (1006, ""), (1000, "a" * 124), (1000, "é" * 62)):
        assert write_close(code, reason) is None


def test_a_client_masks_with_a_fresh_key() -> None:
    frames = [encode_control(PING, b"payload", True) for _ in range(20)]
    assert all(parse_frames(data, Role.CLIENT) == [Frame(PING, b"payload")] for data in frames)
    assert len({data[2:6] for data in frames}) > 1
    assert encode_control(CLOSE, b"\x03\xe8", False) == b"\x88\x02\x03\xe8"
