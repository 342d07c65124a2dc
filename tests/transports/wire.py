"""The bytes of a WebSocket, for peers that are in control of each of them."""

from __future__ import annotations

import struct
from typing import Final

CONT: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

REQUEST: Final = (
    b"GET / HTTP/1.1\r\n"
    b"Host: test.example\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)
"""An opening handshake."""


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A client's frame (RFC 6455 §5.2), masked with zeros."""
    first = (0x80 if fin else 0) | opcode
    if len(payload) <= 125:
        head = bytes([first, 0x80 | len(payload)])
    elif len(payload) < 2**16:
        head = bytes([first, 0x80 | 126]) + struct.pack("!H", len(payload))
    else:
        head = bytes([first, 0x80 | 127]) + struct.pack("!Q", len(payload))
    return head + bytes(4) + payload


def close_frame(code: int) -> bytes:
    """A client's Close frame."""
    return frame(CLOSE, struct.pack("!H", code))


def split_head(data: bytes) -> tuple[int, bytes]:
    """Status of an HTTP response, and what follows its head."""
    head, end, rest = data.partition(b"\r\n\r\n")
    assert end, f"no complete response head in {data!r}"
    return int(head.split(b" ", 2)[1]), rest


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Opcodes and payloads of a server's frames, which must be short and complete."""
    found = []
    while data:
        assert data[1] <= 125, f"no short frame: {data[:20]!r}"
        size = data[1]
        found.append((data[0] & 0x0F, data[2 : 2 + size]))
        data = data[2 + size :]
    return found


def close_code(payload: bytes) -> int:
    """The code in a Close frame."""
    code: int = struct.unpack("!H", payload[:2])[0]
    return code
