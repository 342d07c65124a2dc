"""Puts a message together from the pieces in which it comes."""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

# Pieces are put together up to this length, in bytes or characters: an object for every few of
# them would take many times the memory of what is in it.
_SMALL: Final = 1024

PieceT = TypeVar("PieceT", str, bytes)


class Pieces(Generic[PieceT]):
    """The pieces so far, all text or all binary."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[Any] = []

    def __len__(self) -> int:
        """How many bytes or characters they have together."""
        return sum(map(len, self._pieces))

    def add(self, piece: PieceT) -> None:
        """The next one."""
        pieces = self._pieces
        if pieces and len(pieces[-1]) + len(piece) <= _SMALL:
            pieces[-1] += piece
        else:
            pieces.append(piece)

    def join(self, last: PieceT) -> PieceT:
        """All of them with the last."""
        self._pieces.append(last)
        empty: Any = last[:0]
        whole: PieceT = empty.join(self._pieces)
        return whole
