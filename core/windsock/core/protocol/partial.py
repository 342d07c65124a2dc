"""A message whose one frame comes in several reads: plainly valid so far, as in the fast lane."""

from __future__ import annotations

import codecs
from typing import Any, Final

from .accelerator import apply_mask
from .compressed_lane import COMPRESSED_PIECE
from .deflate import BoundedDeflate
from .fast_lane import COMPRESSED, PLAIN, read_header
from .pieces import Pieces

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

    __slots__ = ("_decoder", "_deflate", "_key", "_pieces", "remaining")

    def __init__(
        self, size: int, key: bytes | None, *, text: bool, deflate: BoundedDeflate | None = None
    ) -> None:
        self.remaining = size
        """How many bytes are still to come."""
        self._key = key
        self._deflate = deflate
        if deflate is not None:
            deflate.start_message()
        self._decoder = _new_decoder() if text else None
        self._pieces: Pieces[Any] = Pieces()

    @property
    def most(self) -> int:
        """How many bytes can be fed next."""
        if self._deflate is None:
            return self.remaining
        return min(self.remaining, COMPRESSED_PIECE)

    def feed(self, data: memoryview) -> str | bytes | None:
        """The next bytes of the payload, `most` of them or less; the message, once it is whole.

        Raises:
            InflateError: see there.
            UnicodeDecodeError: text that is not UTF-8, as soon as that is certain (RFC 6455 §8.1).
        """
        self.remaining -= len(data)
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
