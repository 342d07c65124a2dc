"""The fast lane for compressed messages (RFC 7692): whole frames, inflated and encoded directly.

What was inflated cannot be inflated again, since the window has moved on. So it is judged here what
a payload holds, with wsproto's words and in its order; a frame that is not plainly right is left
alone, as in the lane for plain ones.
"""

from __future__ import annotations

import secrets
from collections import deque
from typing import Any, Final

from .accelerator import apply_mask, decode_messages
from .deflate import BoundedDeflate, InflateError
from .fast_lane import COMPRESSED, MASKED, MESSAGE_OVERHEAD, header, read_header

COMPRESSED_PIECE: Final = 4 * 1024
"""How much of a message is inflated at a time, in bytes: DEFLATE makes up to 1032 bytes of one."""

_TEXT, _BINARY = COMPRESSED


class CompressedLane:
    """Whole messages, compressed and not, in and out of a connection where both may be."""

    __slots__ = ("_deflate", "_masks", "_most", "failure")

    def __init__(self, deflate: BoundedDeflate, *, masks: bool, max_frame_size: int) -> None:
        """`masks`: whether this side does (RFC 6455 §5.1): True for a client."""
        self._deflate = deflate
        self._masks = masks
        self._most = min(max_frame_size, COMPRESSED_PIECE)
        self.failure: InflateError | UnicodeDecodeError | None = None
        """What is wrong with the message after the last one that was taken."""

    def decode_messages(
        self,
        buffer: bytes | bytearray,
        position: int,
        masked: bool,
        max_message_size: int,
        messages: deque[Any],
        room: int,
    ) -> tuple[int, int]:
        """As `fast_lane.decode_messages`; takes nothing any more once there is a `failure`."""
        used = 0
        while used < room and self.failure is None:
            try:
                found = self._decode_message(buffer, position, masked)
            except (InflateError, UnicodeDecodeError) as error:
                self.failure = error
                break
            if found is not None:
                message, position = found
                messages.append(message)
                used += len(message) + MESSAGE_OVERHEAD
                continue
            position, more = decode_messages(
                buffer, position, masked, max_message_size, messages, room - used
            )
            if not more:
                break
            used += more
        return position, used

    def _decode_message(
        self, buffer: bytes | bytearray, position: int, masked: bool
    ) -> tuple[str | bytes, int] | None:
        """The message whose frame begins at `position`, and where that ends.

        None where that is not whole, or none of a compressed message that is inflated at once.
        """
        found = read_header(buffer, position, masked, self._most, COMPRESSED)
        if found is None:
            return None
        size, start = found
        end = start + size
        if end > len(buffer):
            return None
        if masked:
            payload = apply_mask(buffer[start:end], buffer[start - 4 : start])
        else:
            payload = bytes(buffer[start:end])
        self._deflate.start_message()
        inflated = self._deflate.inflate(payload) + self._deflate.finish_message()
        return inflated.decode() if buffer[position] == _TEXT else inflated, end

    def encode_message(self, message: str | bytes) -> bytes:
        """One whole message, compressed, as one frame.

        Raises:
            UnicodeEncodeError: text with surrogates.
        """
        if isinstance(message, str):
            first, payload = _TEXT, message.encode()
        else:
            first, payload = _BINARY, message
        payload = self._deflate.compress(payload)
        if not self._masks:
            return header(first, 0, len(payload)) + payload
        key = secrets.token_bytes(4)
        return b"".join((header(first, MASKED, len(payload)), key, apply_mask(payload, key)))
