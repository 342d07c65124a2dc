"""Header fields, and the grammar of those that the handshake reads."""

from __future__ import annotations

import pytest

from windsock.core.protocol.headers import (
    ExtensionOffer,
    Headers,
    escape_controls,
    has_control,
    is_token,
    is_visible_ascii,
    parse_extensions,
    parse_tokens,
    parse_upgrade,
)


def test_a_mapping_without_regard_to_case() -> None:
    lines = [("Host", "h"), ("X-Tag", "a"), ("x-tag", "b")]
    headers = Headers(lines)
    assert headers["HOST"] == "h"
    assert headers["X-TAG"] == "a, b"
    assert headers.get("absent") is None
    assert headers.get("absent", "") == ""
    assert headers.get("x-TAG", "") == "a, b"
    assert headers.find("HOST") == "h"
    assert headers.find("X-TAG") == ["a", "b"]
    assert headers.find("absent") is None
    assert headers.get_all("x-Tag") == ["a", "b"]
    assert headers.get_all("absent") == []
    assert list(headers) == ["host", "x-tag"]
    assert len(headers) == 2
    assert "hOST" in headers
    assert "absent" not in headers
    assert 1 not in headers  # type: ignore[comparison-overlap]  # a Mapping may be asked anything
    assert headers.items_as_sent() == tuple(lines)
    assert repr(headers) == f"Headers({lines!r})"
    with pytest.raises(KeyError):
        headers["absent"]


def test_equality_does_not_see_case() -> None:
    assert Headers([("A", "1")]) == Headers([("a", "1")]) == Headers({"A": "1"})
    assert Headers() != Headers([("a", "1")])


def test_tokens() -> None:
    separators = set('()<>@,;:\\"/[]?={} \t')
    for code in range(256):
        expected = 0x20 < code < 0x7F and chr(code) not in separators
        assert is_token(chr(code)) is expected, code
    assert not is_token("")
    assert not is_token("a\n")


def test_visible_ascii_and_controls() -> None:
    for code in range(256):
        assert is_visible_ascii(chr(code)) is (code == 9 or 0x20 <= code <= 0x7E), code
        assert has_control(chr(code)) is ((code < 0x20 and code != 9) or code == 0x7F), code
    assert is_visible_ascii("")
    assert not has_control("")


def test_what_is_safe_in_a_log_line() -> None:
    assert escape_controls("/a\x1b[31m\r\né") == "/a\\x1b[31m\\r\\n\\xe9"


@pytest.mark.parametrize(
    ("values", "tokens"),
    [
        ([], []),
        ([""], []),
        (["Upgrade"], ["Upgrade"]),
        (["keep-alive, Upgrade"], ["keep-alive", "Upgrade"]),
        (["a,b", "c"], ["a", "b", "c"]),
        ([",, a ,\t,b,"], ["a", "b"]),
        (["a b"], None),
        (["a;b"], None),
        (['"a"'], None),
        (["é"], None),
    ],
)
def test_lists_of_tokens(values: list[str], tokens: list[str] | None) -> None:
    assert parse_tokens(values) == tokens


@pytest.mark.parametrize(
    ("values", "protocols"),
    [
        ([], []),
        (["websocket"], ["websocket"]),
        (["WebSocket"], ["websocket"]),
        (["h2c, websocket/13"], ["h2c", "websocket"]),
        (["h2c", "websocket"], ["h2c", "websocket"]),
        ([", ,websocket,"], ["websocket"]),
        (["/13"], None),
        (["web socket"], None),
        (["websocket/1 3"], None),
        (["websocket/1/3"], None),
    ],
)
def test_upgrade(values: list[str], protocols: list[str] | None) -> None:
    assert parse_upgrade(values) == protocols


@pytest.mark.parametrize(
    ("values", "offers"),
    [
        ([], []),
        ([""], []),
        ([" , ,\t"], []),
        (["a"], [("a", ())]),
        (["a; b"], [("a", (("b", None),))]),
        (["a;b=1 ; c = 2"], [("a", (("b", "1"), ("c", "2")))]),
        (['a; b="1"'], [("a", (("b", "1"),))]),
        (['a; b = "1" ; c'], [("a", (("b", "1"), ("c", None)))]),
        (['a; b="\\1\\2"'], [("a", (("b", "12"),))]),
        (["a, b; c,,d,"], [("a", ()), ("b", (("c", None),)), ("d", ())]),
        (["a; b", "c"], [("a", (("b", None),)), ("c", ())]),
        (['a; b="1, c"'], None),  # unquoted, a value must be a token
        (['a; b="1;2"'], None),
        (['a; b=""'], None),
        (['a; b="1'], None),
        (['a; b="1"2'], None),
        (["a; b="], None),
        (["a; =1"], None),
        (["a;"], None),
        (["a; ,b"], None),
        ([";a"], None),
        (["a=1"], None),
        (["a b"], None),
        (["a/b"], None),
        (["é"], None),
        (["a", "b c"], None),
    ],
)
def test_extensions(values: list[str], offers: list[ExtensionOffer] | None) -> None:
    assert parse_extensions(values) == offers


def test_headers_are_made_from_pairs_a_mapping_or_other_headers() -> None:
    lines = (("X-A", "1"), ("x-a", "2"))
    assert Headers(lines).items_as_sent() == lines
    assert Headers(Headers(lines)).items_as_sent() == lines
    assert Headers({"X-A": "1"}).items_as_sent() == (("X-A", "1"),)
