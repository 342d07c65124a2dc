"""What may be said in a Close frame."""

from __future__ import annotations

from typing import Any

import pytest

from windsock.core.protocol.close_codes import check_close
from windsock.core.protocol.errors import LocalProtocolError


def test_every_code() -> None:
    """RFC 6455 §7.4: those in the registry that a frame may hold, and 3000 to 4999."""
    allowed = {1000, 1001, 1002, 1003, *range(1007, 1014), *range(3000, 5000)}
    assert {code for code in range(65536) if may_be_sent(code)} == allowed


def may_be_sent(code: int) -> bool:
    try:
        check_close(code, "")
    except LocalProtocolError:
        return False
    return True


@pytest.mark.parametrize("code", [-1, 65536, 10**9])
def test_codes_that_do_not_fit(code: int) -> None:
    with pytest.raises(LocalProtocolError, match="must not be sent"):
        check_close(code, "")


@pytest.mark.parametrize("code", [True, "1000", None, 1000.0])
def test_codes_of_the_wrong_type(code: Any) -> None:
    with pytest.raises(LocalProtocolError, match="is an int"):
        check_close(code, "")


@pytest.mark.parametrize("reason", ["", "x" * 123, "é" * 61, "é" * 61 + "x"])
def test_reasons_that_fit(reason: str) -> None:
    check_close(1000, reason)


@pytest.mark.parametrize("reason", ["x" * 124, "é" * 62])
def test_reasons_that_do_not_fit(reason: str) -> None:
    with pytest.raises(LocalProtocolError, match="123 bytes in UTF-8, not 124"):
        check_close(1000, reason)


def test_a_reason_that_is_no_text() -> None:
    with pytest.raises(LocalProtocolError, match="encodable"):
        check_close(1000, "\ud800")
    reason: Any = b"bye"
    with pytest.raises(LocalProtocolError, match="is a str"):
        check_close(1000, reason)
