"""Masking (RFC 6455 §5.3), against its definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.helpers import MASK, xor
from windsock.core.protocol.masking import apply_mask


def test_the_example_of_the_rfc() -> None:
    assert apply_mask(b"Hello", MASK) == b"\x7f\x9f\x4d\x51\x58"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 8191, 8192, 8193, 8194, 8195, 70000])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_way_of_computing_it(size: int, kind: type) -> None:
    data = bytes(i * 7 & 0xFF for i in range(size))
    assert apply_mask(kind(data), bytearray(MASK)) == xor(data, MASK)


@given(st.binary(max_size=100), st.binary(min_size=4, max_size=4))
def test_twice_is_nothing(data: bytes, key: bytes) -> None:
    assert apply_mask(apply_mask(data, key), key) == data
