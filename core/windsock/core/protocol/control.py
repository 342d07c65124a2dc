"""The fast lane for control frames (RFC 6455 §5.5): plainly valid ones, read and written directly.

Pure functions over bytes. They judge nothing: what is not plainly right, or not whole, gets None,
and wsproto has the word (see `frames`).
"""

from __future__ import annotations

import secrets
from typing import Final

from .accelerator import apply_mask
from .close_codes import MAX_REASON, NO_STATUS, is_sendable

CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_FIN: Final = 0x80
_FIRST_BYTES: Final = frozenset({_FIN | CLOSE, _FIN | PING, _FIN | PONG})
_MASKED: Final = 0x80
_MAX_PAYLOAD: Final = 125


def decode_control(
    buffer: bytes | bytearray, position: int, masked: bool
) -> tuple[int, bytes, int] | None:
    """The control frame that begins at `position`: its opcode, its payload, and where it ends.

    Args:
        masked: whether the peer must mask (§5.1): True for a server.
    """
    if len(buffer) - position < 2 or buffer[position] not in _FIRST_BYTES:
        return None
    size = buffer[position + 1] - (_MASKED if masked else 0)
    start = position + (6 if masked else 2)
    end = start + size
    if not 0 <= size <= _MAX_PAYLOAD or end > len(buffer):
        return None
    payload = bytes(buffer[start:end])
    if masked:
        payload = apply_mask(payload, buffer[start - 4 : start])
    return buffer[position] & 0x0F, payload, end


def read_close(payload: bytes) -> tuple[int, str] | None:
    """The code and the reason of a Close frame's payload; 1005 where it is empty (§7.1.5)."""
    if not payload:
        return NO_STATUS, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not is_sendable(code):
        return None
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        return None


def write_close(code: int, reason: str) -> bytes | None:
    """The payload of a Close frame: empty for 1005."""
    if code == NO_STATUS and not reason:
        return b""
    text = reason.encode()
    if not is_sendable(code) or len(text) > MAX_REASON:
        return None
    return code.to_bytes(2, "big") + text


def encode_control(opcode: int, payload: bytes, masked: bool) -> bytes:
    """A control frame; `payload` has at most 125 bytes.

    Args:
        masked: whether to mask it with a fresh key (§5.3), as a client must.
    """
    if not masked:
        return bytes((_FIN | opcode, len(payload))) + payload
    key = secrets.token_bytes(4)
    return bytes((_FIN | opcode, _MASKED | len(payload))) + key + apply_mask(payload, key)
