"""The payload of a large binary frame, put together as it comes, in plain Python."""

from __future__ import annotations

from typing import Final

from .masking import apply_mask
from .pieces import Pieces

AHEAD: Final = 16
"""How many times what has come of a payload may be reserved for it."""

# How much is received at once, in bytes.
_MOST: Final = 64 * 1024


class Payload:
    """Bytes of a length that is known before they come.

    In C they are unmasked where they are to stay, in an object that nobody has seen yet. It is
    reserved in steps of AHEAD, so that a length costs nothing which a peer merely announces.
    """

    __slots__ = ("_filled", "_key", "_pieces", "_room", "_size")

    def __init__(self, size: int, key: bytes | None) -> None:
        """`size` bytes are to come, masked with `key` where there is one.

        Raises:
            ValueError: a length or a key that cannot be.
        """
        if size < 0 or (key is not None and len(key) != 4):
            raise ValueError("a payload has a length, and its key 4 bytes")
        self._size = size
        self._key = key
        self._filled = 0
        self._pieces: Pieces[bytes] = Pieces()
        self._room = bytearray()

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes.

        Raises:
            ValueError: those are too many.
        """
        size = len(data)
        if size > self._size - self._filled:
            raise ValueError("more than the frame has")
        if self._key is None:
            self._pieces.add(bytes(data))
        else:
            self._pieces.add(apply_mask(data, self._key))
            shift = size % 4
            self._key = self._key[shift:] + self._key[:shift]
        self._filled += size

    def room(self) -> memoryview:
        """Where the next bytes can be received; not empty before the last has come.

        Nothing may be written there once `received` or `append` was called, and nobody may hold
        on to it when the next room is asked for.
        """
        if not self._room:
            ahead = max(1, self._filled * (AHEAD - 1))
            self._room = bytearray(min(self._size - self._filled, ahead, _MOST))
        return memoryview(self._room)

    def received(self, count: int) -> None:
        """So many have been, at the beginning of the room.

        Raises:
            ValueError: it was smaller.
        """
        if not 0 <= count <= len(self._room):
            raise ValueError("more than there was room for")
        room, self._room = self._room, bytearray()
        with memoryview(room) as data:
            self.append(data[:count])

    def finish(self) -> bytes:
        """All of it.

        Raises:
            ValueError: the last byte has not come.
        """
        if self._filled != self._size:
            raise ValueError("less than the frame has")
        return self._pieces.join(b"")
