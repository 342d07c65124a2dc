"""A message whose one frame comes in several reads: plainly valid so far, as in the fast lane."""

from __future__ import annotations

import codecs
from typing import Any, Final

from .accelerator import apply_mask
from .fast_lane import read_size

_TEXT: Final = 0x81  # FIN and opcode 1 (RFC 6455 §5.2)
_BINARY: Final = 0x82
_MASKED: Final = 0x80

_new_decoder: Final = codecs.getincrementaldecoder("utf-8")


def start_partial(
    buffer: bytes | bytearray, position: int, masked: bool, max_message_size: int
) -> tuple[PartialMessage, int] | None:
    """The message whose frame begins at `position`, and where its payload does.

    None where the header is not whole, or not that of a plain data frame within the limit.
    """
    available = len(buffer) - position
    if available < 2 or buffer[position] not in (_TEXT, _BINARY):
        return None
    size = buffer[position + 1] - (_MASKED if masked else 0)
    if size < 0:
        return None
    start = position + 2
    if size >= 126:
        found = read_size(buffer, start, size)
        if found is None:
            return None
        size, start = found
    if size > max_message_size:
        return None
    key = None
    if masked:
        key = bytes(buffer[start : start + 4])
        start += 4
        if len(key) < 4:
            return None
    return PartialMessage(size, key, text=buffer[position] == _TEXT), start


class PartialMessage:
    """The payload of one unfragmented frame, taken as it comes."""

    __slots__ = ("_decoder", "_key", "_parts", "remaining")

    def __init__(self, size: int, key: bytes | None, *, text: bool) -> None:
        self.remaining = size
        """How many bytes are still to come."""
        self._key = key
        self._decoder = _new_decoder() if text else None
        self._parts: list[Any] = []

    def feed(self, data: memoryview) -> str | bytes | None:
        """The next bytes of the payload; the message, once it is whole.

        Raises:
            UnicodeDecodeError: text that is not UTF-8, as soon as that is certain (RFC 6455 §8.1).
        """
        self.remaining -= len(data)
        if self._key is None:
            piece = bytes(data)
        else:
            piece = apply_mask(data, self._key)
            shift = len(data) % 4
            self._key = self._key[shift:] + self._key[:shift]
        if self._decoder is None:
            self._parts.append(piece)
            return None if self.remaining else b"".join(self._parts)
        self._parts.append(self._decoder.decode(piece, not self.remaining))
        return None if self.remaining else "".join(self._parts)
