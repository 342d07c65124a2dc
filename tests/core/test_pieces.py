"""Messages are put together from pieces, and cost little more than what is in them."""

from __future__ import annotations

import pytest

from windsock.core.protocol.pieces import Pieces


@pytest.mark.parametrize("whole", ["abcdefghi" * 1000, b"abcdefghi" * 1000], ids=["text", "binary"])
@pytest.mark.parametrize("size", [1, 7, 1000, 1024, 1025, 9000])
def test_what_is_cut_is_put_together(whole: str | bytes, size: int) -> None:
    pieces: Pieces[str] = Pieces()
    cut = [whole[start : start + size] for start in range(0, len(whole), size)]
    for number, piece in enumerate(cut[:-1], 1):
        pieces.add(piece)  # type: ignore[arg-type]  # the same for both types
        assert len(pieces) == number * size
    assert pieces.join(cut[-1]) == whole  # type: ignore[arg-type]


def test_the_last_piece_may_be_the_only_one() -> None:
    assert Pieces[bytes]().join(b"all of it") == b"all of it"
    assert Pieces[str]().join("") == ""
