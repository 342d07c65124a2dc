"""The errors: their family, and what they say."""

from __future__ import annotations

import pytest

from windsock.core.protocol.errors import (
    Disconnected,
    HandshakeError,
    LocalProtocolError,
    MessageTypeError,
    ProtocolError,
    RemoteProtocolError,
    WindsockError,
    disconnect_in,
)
from windsock.core.protocol.headers import Headers


def test_the_family() -> None:
    assert issubclass(ProtocolError, WindsockError)
    assert issubclass(LocalProtocolError, ProtocolError)
    assert issubclass(RemoteProtocolError, ProtocolError)
    assert not issubclass(LocalProtocolError, RemoteProtocolError)
    assert issubclass(HandshakeError, WindsockError)
    assert issubclass(Disconnected, WindsockError)
    assert issubclass(MessageTypeError, (WindsockError, TypeError))


def test_a_violation_names_the_close_code() -> None:
    assert RemoteProtocolError("no").code == 1002
    assert RemoteProtocolError("no", 1009).code == 1009


def test_a_failed_handshake_keeps_the_answer() -> None:
    error = HandshakeError("no", 403, Headers([("A", "b")]), b"body")
    assert (error.status, error.headers["a"], error.body) == (403, "b", b"body")
    assert str(error) == "no"


@pytest.mark.parametrize(
    ("reason", "clean", "text"),
    [
        ("", True, "1000 (closing handshake complete)"),
        ("", False, "1000 (no complete closing handshake)"),
        ("bye", True, "1000 'bye' (closing handshake complete)"),
        ("\x1b[0m", False, "1000 '\\x1b[0m' (no complete closing handshake)"),
    ],
)
def test_disconnected_is_readable_and_safe_to_log(reason: str, clean: bool, text: str) -> None:
    error = Disconnected(1000, reason, clean)
    assert (error.code, error.reason, error.clean) == (1000, reason, clean)
    assert str(error) == text


def test_a_group_of_nothing_but_disconnects_counts_as_one() -> None:
    gone = Disconnected(1001, "", True)
    assert disconnect_in(gone) is gone
    assert disconnect_in(ExceptionGroup("", [gone, ExceptionGroup("", [gone])])) is gone
    assert disconnect_in(ExceptionGroup("", [gone, ValueError()])) is None
    assert disconnect_in(ValueError()) is None
