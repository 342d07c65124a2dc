"""The fast lane: whole data frames, plainly valid and uncompressed, decoded and encoded directly.

Pure functions over bytes. They judge nothing: at the first frame that is not plainly right, or not
whole, `decode_messages` stops, and wsproto has the word (see `frames`).
"""

from __future__ import annotations

import secrets
from collections import deque
from struct import Struct
from typing import Any, Final

from .masking import apply_mask

MESSAGE_OVERHEAD: Final = 64
"""What a message that waits to be read costs besides its own length, about, in bytes."""

TEXT: Final = 0x81  # FIN and opcode 1 (RFC 6455 §5.2)
BINARY: Final = 0x82
MASKED: Final = 0x80

PLAIN: Final = (TEXT, BINARY)
COMPRESSED: Final = (0xC1, 0xC2)  # with RSV1 (RFC 7692 §6)

MAX_SMALL: Final = 125
"""The longest payload whose length stands in the second byte (§5.2)."""

_SMALL: Final = MAX_SMALL + 1
_from_bytes: Final = int.from_bytes
_unpack_key: Final = Struct("<I").unpack_from
_pack_16: Final = Struct("!BBH").pack
_pack_64: Final = Struct("!BBQ").pack

# A 32-bit key times _REPEAT[size] is the key repeated, and _LIMIT[size] cuts that to `size` bytes.
_REPEAT: Final = [sum(1 << 32 * word for word in range((size + 3) // 4)) for size in range(_SMALL)]
_LIMIT: Final = [(1 << 8 * size) - 1 for size in range(_SMALL)]

_TEXT_HEADERS: Final = [bytes((TEXT, size)) for size in range(_SMALL)]
_BINARY_HEADERS: Final = [bytes((BINARY, size)) for size in range(_SMALL)]


def decode_message(frame: bytes, masked: bool) -> str | bytes | None:
    """The message that `frame` is: one whole frame, of up to MAX_SMALL bytes of payload; else None.

    What is read at once from a peer that waits for the answer. `decode_messages` would give the
    same; this has neither a loop nor a position to keep.

    Args:
        masked: whether the peer must mask (§5.1): True for a server.
    """
    size = len(frame) - (6 if masked else 2)
    if not 0 <= size < _SMALL or frame[1] != (MASKED | size if masked else size):
        return None
    if masked:
        number = _from_bytes(frame, "little")
        key = (number >> 16 & 0xFFFFFFFF) * _REPEAT[size] & _LIMIT[size]
        payload = (number >> 48 ^ key).to_bytes(size, "little")
    else:
        payload = bytes(frame[2:])
    first = frame[0]
    if first == TEXT:
        try:
            return payload.decode()
        except UnicodeDecodeError:
            return None
    return payload if first == BINARY else None


def decode_messages(
    buffer: bytes | bytearray,
    position: int,
    masked: bool,
    max_message_size: int,
    messages: deque[Any],
    room: int,
) -> tuple[int, int]:
    """Append messages from `buffer` to `messages` until `room` is used up or a frame does not fit.

    Args:
        position: where the first frame begins.
        masked: whether the peer must mask (§5.1): True for a server.
        max_message_size: longer frames do not fit, in bytes.
        room: how much may be appended, in lengths of messages plus MESSAGE_OVERHEAD each; the
            last message may exceed it.

    Returns:
        The position behind the last frame taken, and how much room its messages took.
    """
    from_bytes, append = int.from_bytes, messages.append
    available = len(buffer)
    last = available - 2
    used = 0
    while used < room and position <= last:
        first = buffer[position]
        if first != TEXT and first != BINARY:
            break
        size = buffer[position + 1]
        start = position + 2
        if masked:
            size -= MASKED
        if size < 0:
            break
        if size >= _SMALL:
            found = read_size(buffer, start, size)
            if found is None:
                break
            size, start = found
        if size > max_message_size:
            break
        if masked:
            body = start + 4
            end = body + size
            if end > available:
                break
            if size < _SMALL:
                key = _unpack_key(buffer, start)[0] * _REPEAT[size] & _LIMIT[size]
                payload = (from_bytes(buffer[body:end], "little") ^ key).to_bytes(size, "little")
            else:
                payload = apply_mask(buffer[body:end], buffer[start:body])
        else:
            end = start + size
            if end > available:
                break
            payload = bytes(buffer[start:end])
        if first == TEXT:
            try:
                text = payload.decode()
            except UnicodeDecodeError:
                break
            append(text)
            used += len(text) + MESSAGE_OVERHEAD
        else:
            append(payload)
            used += size + MESSAGE_OVERHEAD
        position = end
    return position, used


def read_header(
    buffer: bytes | bytearray, position: int, masked: bool, limit: int, kinds: tuple[int, int]
) -> tuple[int, int] | None:
    """The payload's length and where it begins, in a frame that begins at `position`.

    None where the header is not whole, or plainly none of a frame of these kinds up to `limit`
    bytes. `kinds` are first bytes. A masking key is the 4 bytes before the payload.
    """
    available = len(buffer)
    if available - position < 2 or buffer[position] not in kinds:
        return None
    size = buffer[position + 1] - (MASKED if masked else 0)
    if size < 0:
        return None
    start = position + 2
    if size >= _SMALL:
        found = read_size(buffer, start, size)
        if found is None:
            return None
        size, start = found
    if masked:
        start += 4
    if size > limit or start > available:
        return None
    return size, start


def read_size(buffer: bytes | bytearray, start: int, second: int) -> tuple[int, int] | None:
    """The extended payload length (§5.2) at `start` and its end; None if it does not fit."""
    if second == _SMALL:
        size, end, least = int.from_bytes(buffer[start : start + 2], "big"), start + 2, _SMALL
    elif second == _SMALL + 1:
        size, end, least = int.from_bytes(buffer[start : start + 8], "big"), start + 8, 1 << 16
    else:
        return None  # masked, where it must not be
    if end > len(buffer) or not least <= size < 1 << 63:
        return None
    return size, end


def encode_message(message: str | bytes) -> bytes:
    """One whole message as one unmasked frame: a server's (§5.1).

    Raises:
        UnicodeEncodeError: text with surrogates.
    """
    if isinstance(message, str):
        payload = message.encode()
        size = len(payload)
        if size < _SMALL:
            return _TEXT_HEADERS[size] + payload
        return header(TEXT, 0, size) + payload
    size = len(message)
    if size < _SMALL:
        return _BINARY_HEADERS[size] + message
    return header(BINARY, 0, size) + message


def encode_masked_message(message: str | bytes) -> bytes:
    """One whole message as one frame masked with a fresh key: a client's (§5.3).

    Raises:
        UnicodeEncodeError: text with surrogates.
    """
    first, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
    key = secrets.token_bytes(4)
    return b"".join((header(first, MASKED, len(payload)), key, apply_mask(payload, key)))


def message_header(message: str | bytes, size: int) -> bytes:
    """The header of a server's frame with the whole message, whose payload has `size` bytes."""
    return header(TEXT if isinstance(message, str) else BINARY, 0, size)


def header(first: int, mask_bit: int, size: int) -> bytes:
    """A frame's header but for its masking key (§5.2)."""
    if size < _SMALL:
        return bytes((first, mask_bit | size))
    if size < 1 << 16:
        return _pack_16(first, mask_bit | 126, size)
    return _pack_64(first, mask_bit | 127, size)
