"""WebSocket URIs (RFC 6455 §3)."""

from __future__ import annotations

import pytest

from windsock.core.protocol.uri import WebSocketURI, parse_uri


@pytest.mark.parametrize(
    ("uri", "parsed", "host_header"),
    [
        ("ws://h", WebSocketURI(False, "h", 80, "/", None), "h"),
        ("wss://h", WebSocketURI(True, "h", 443, "/", None), "h"),
        ("WS://HOST:80/A", WebSocketURI(False, "host", 80, "/A", None), "host"),
        ("ws://h:443/", WebSocketURI(False, "h", 443, "/", None), "h:443"),
        ("wss://h:80/", WebSocketURI(True, "h", 80, "/", None), "h:80"),
        ("ws://h?q=1&r", WebSocketURI(False, "h", 80, "/?q=1&r", None), "h"),
        ("ws://h/a%20b;c?d=%2F", WebSocketURI(False, "h", 80, "/a%20b;c?d=%2F", None), "h"),
        ("ws://h/a b?c d", WebSocketURI(False, "h", 80, "/a%20b?c%20d", None), "h"),
        ("ws://h/é?ü", WebSocketURI(False, "h", 80, "/%C3%A9?%C3%BC", None), "h"),
        ("ws://[::1]:9/", WebSocketURI(False, "::1", 9, "/", None), "[::1]:9"),
        ("ws://[::1]/", WebSocketURI(False, "::1", 80, "/", None), "[::1]"),
        ("ws://bücher.example", WebSocketURI(False, "xn--bcher-kva.example", 80, "/", None), None),
        ("ws://u:p%40@h", WebSocketURI(False, "h", 80, "/", "Basic dTpwQA=="), "h"),
        ("ws://u@h", WebSocketURI(False, "h", 80, "/", "Basic dTo="), "h"),
        ("ws://é@h", WebSocketURI(False, "h", 80, "/", "Basic w6k6"), "h"),
    ],
)
def test_valid(uri: str, parsed: WebSocketURI, host_header: str | None) -> None:
    assert parse_uri(uri) == parsed
    if host_header is not None:
        assert parsed.host_header == host_header


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("http://h", "must begin with ws:// or wss://"),
        ("h", "must begin with"),
        ("ws://", "names no host"),
        ("ws:///path", "names no host"),
        ("ws://h/#f", "has a fragment"),
        ("ws://h/#", "has a fragment"),
        ("ws://h:x", "is not a WebSocket URI"),
        ("ws://h:65536", "is not a WebSocket URI"),
        ("ws://[::1", "is not a WebSocket URI"),
        ("ws://h/\r\nX: y", "control character"),
        ("ws://h/\x00", "control character"),
        ("ws://h\t/", "control character"),
        ("ws://a b/", "host that is not valid"),
        ('ws://a"b/', "host that is not valid"),
        ("ws://" + "ü" * 64 + "/", "host that is not valid"),
    ],
)
def test_invalid(uri: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_uri(uri)
