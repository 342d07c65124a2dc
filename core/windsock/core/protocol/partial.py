"""A message whose one frame comes in several reads: plainly valid so far, as in the fast lane."""

from __future__ import annotations

import codecs
from typing import Any, Final

from .accelerator import Payload, apply_mask
from .compressed_lane import COMPRESSED_PIECE
from .deflate import BoundedDeflate
from .fast_lane import COMPRESSED, PLAIN, read_header
from .memory import keep_memory
from .payload import AHEAD
from .pieces import Pieces

# How much room is worth while: what is shorter is better received with what follows it.
_ROOM: Final = 64 * 1024

# From such a payload on, in bytes, memory is kept.
_LARGE: Final = 16 * 1024

_new_decoder: Final = codecs.getincrementaldecoder("utf-8")


def start_partial(
    buffer: bytes | bytearray,
    position: int,
    masked: bool,
    max_frame_size: int,
    deflate: BoundedDeflate | None = None,
) -> tuple[PartialMessage, int] | None:
    """The message whose frame begins at `position`, and where its payload does.

    None where the header is not whole, or not that of a data frame within the limit: a compressed
    one with `deflate`, a plain one without.
    """
    kinds = PLAIN if deflate is None else COMPRESSED
    found = read_header(buffer, position, masked, max_frame_size, kinds)
    if found is None:
        return None
    size, start = found
    key = bytes(buffer[start - 4 : start]) if masked else None
    text = buffer[position] == kinds[0]
    return PartialMessage(size, key, text=text, deflate=deflate), start


class PartialMessage:
    """The payload of one unfragmented frame, taken as it comes."""

    __slots__ = ("_decoder", "_deflate", "_key", "_payload", "_pieces", "_size", "remaining")

    def __init__(
        self, size: int, key: bytes | None, *, text: bool, deflate: BoundedDeflate | None = None
    ) -> None:
        if size >= _LARGE:
            keep_memory()
        self.remaining = size
        """How many bytes are still to come."""
        self._size = size
        self._key = key
        self._deflate = deflate
        if deflate is not None:
            deflate.start_message()
        self._decoder = _new_decoder() if text else None
        self._pieces: Pieces[Any] = Pieces()
        # What neither has to be decoded nor inflated is put together where it is to stay.
        self._payload = None if text or deflate is not None else Payload(size, key)

    @property
    def most(self) -> int:
        """How many bytes can be fed next."""
        if self._deflate is None:
            return self.remaining
        return min(self.remaining, COMPRESSED_PIECE)

    def room(self) -> memoryview | None:
        """Where the next bytes of the payload can be received, if not just as well elsewhere."""
        came = self._size - self.remaining
        if self._payload is None or self.remaining < _ROOM or came * AHEAD < _ROOM:
            return None
        return self._payload.room()

    def received(self, count: int) -> bytes | None:
        """So many have been; the message, once it is whole."""
        assert self._payload is not None
        self._payload.received(count)
        self.remaining -= count
        return None if self.remaining else self._payload.finish()

    def feed(self, data: memoryview) -> str | bytes | None:
        """The next bytes of the payload, `most` of them or less; the message, once it is whole.

        Raises:
            InflateError: see there.
            UnicodeDecodeError: text that is not UTF-8, as soon as that is certain (RFC 6455 §8.1).
        """
        self.remaining -= len(data)
        if self._payload is not None:
            self._payload.append(data)
            return None if self.remaining else self._payload.finish()
        if self._key is None:
            piece = bytes(data)
        else:
            piece = apply_mask(data, self._key)
            shift = len(data) % 4
            self._key = self._key[shift:] + self._key[:shift]
        if self._deflate is not None:
            piece = self._deflate.inflate(piece)
            if not self.remaining:
                piece += self._deflate.finish_message()
        if self._decoder is None:
            return self._take(piece)
        return self._take(self._decoder.decode(piece, not self.remaining))

    def _take(self, piece: str | bytes) -> str | bytes | None:
        if self.remaining:
            self._pieces.add(piece)
            return None
        message: str | bytes = self._pieces.join(piece)
        return message
