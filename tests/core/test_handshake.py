"""The opening handshake as pure functions over parsed headers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.helpers import ACCEPT, KEY
from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.errors import LocalProtocolError
from windsock.core.protocol.events import RequestHead
from windsock.core.protocol.handshake import (
    Answer,
    ClientOffer,
    Offer,
    Refusal,
    accept_headers,
    accept_token,
    asks_for_websocket,
    check_answer,
    check_fields,
    check_head,
    check_hosted_request,
    check_request,
    origin_allowed,
    request_headers,
    response_headers,
)
from windsock.core.protocol.headers import Headers


def test_the_example_of_the_rfc() -> None:
    """RFC 6455 §1.3."""
    assert accept_token(KEY) == ACCEPT


def a_head(*lines: tuple[str, str]) -> RequestHead:
    return RequestHead("GET", "/", Headers(lines))


@pytest.mark.parametrize(
    ("lines", "asks"),
    [
        ([], False),
        ([("Upgrade", "websocket")], True),
        ([("Upgrade", "WebSocket")], True),
        ([("Upgrade", "h2c, websocket/13")], True),
        ([("Upgrade", "h2c")], False),
        ([("Upgrade", "h2c"), ("Sec-WebSocket-Key", KEY)], True),
        ([("Sec-WebSocket-Key", KEY)], True),
        ([("Upgrade", "web socket")], False),
        ([("Upgrade", "Websocket; x")], True),
        ([("Connection", "Upgrade")], False),
    ],
)
def test_who_asks_for_a_websocket(lines: list[tuple[str, str]], asks: bool) -> None:
    assert asks_for_websocket(a_head(*lines)) is asks


def test_heads_that_no_application_sees() -> None:
    config = Config(max_header_count=2)
    assert check_head(a_head(("Host", "h"), ("A", "b")), config) is None
    assert check_head(a_head(("A", "\x80\xff\t")), config) is None
    refusal = check_head(a_head(*[("A", "b")] * 3), config)
    assert refusal == Refusal(431, "more than 2 header fields")
    for lines in [("A", "b\x00"), ("Host", "é"), ("Host", "a b"), ("A", "\x1c")]:
        refused = check_head(a_head(lines), config)
        assert refused is not None
        assert refused.status == 400


ORIGINS: list[tuple[list[str], str, tuple[str, ...], bool]] = [
    ([], "h", (), True),  # not a browser
    (["http://h"], "h", (), True),
    (["https://h"], "h", (), True),
    (["http://H"], "h", (), True),
    (["http://h"], "H", (), True),
    (["http://h:80"], "h", (), True),
    (["http://h"], "h:80", (), True),
    (["https://h"], "h:443", (), True),
    (["https://h:443"], "h", (), True),
    (["http://h:8080"], "h:8080", (), True),
    (["http://[::1]:8080"], "[::1]:8080", (), True),
    (["http://h:8080"], "h", (), False),
    (["http://h"], "h:8080", (), False),
    (["https://h"], "h:80", (), False),
    (["http://h"], "h:443", (), False),
    (["http://evil"], "h", (), False),
    (["http://h.evil"], "h", (), False),
    (["http://sub.h"], "h", (), False),
    (["null"], "h", (), False),
    ([""], "h", (), False),
    (["http://"], "h", (), False),
    (["//h"], "h", (), False),
    (["h"], "h", (), False),
    (["file://h"], "h", (), False),
    (["http://h:x"], "h", (), False),
    (["http://[h"], "h", (), False),
    (["http://h"], "h:x", (), False),
    (["http://h", "http://h"], "h", (), False),
    (["http://h, http://evil"], "h", (), False),
    (["https://app.example"], "h", ("https://app.example",), True),
    (["HTTPS://App.Example"], "h", ("https://app.example",), True),
    (["https://app.example"], "h", ("https://App.Example",), True),
    (["https://app.example"], "h", ("https://other.example", "https://app.example"), True),
    (["http://app.example"], "h", ("https://app.example",), False),
    (["https://app.example:444"], "h", ("https://app.example",), False),
    (["http://h"], "h", ("https://app.example",), True),  # its own page always
    (["null"], "h", ("null",), True),
    (["http://evil"], "h", ("*",), True),
    (["null"], "h", ("*",), True),
]


@pytest.mark.parametrize(("sent", "host", "allowed", "passes"), ORIGINS)
def test_origins(sent: list[str], host: str, allowed: tuple[str, ...], passes: bool) -> None:
    """§10.2: cross-site WebSocket hijacking."""
    headers = Headers([("Host", host), *(("Origin", origin) for origin in sent)])
    assert origin_allowed(headers, allowed) is passes


def test_a_request_without_host_has_no_origin_of_its_own() -> None:
    assert not origin_allowed(Headers([("Origin", "http://h")]), ())


BAD_NAMES = ["", "a b", "a:", "a\r\n", "a\n", "a\x00", "é", "(", "\x7f"]
BAD_VALUES = [
    "a\r\nSet-Cookie: b",
    "a\rb",
    "a\nb",
    "a\x00b",
    "a\x0bb",
    "a\x1cb",
    "a\x7f",
    "é",
    "\x85",
    "\u2028",
    " a",
    "a ",
    "\ta",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_cannot_be_sent(name: str) -> None:
    with pytest.raises(LocalProtocolError, match="is not a token"):
        check_fields([(name, "v")], forbidden=frozenset())


@pytest.mark.parametrize("value", BAD_VALUES)
def test_values_that_cannot_be_sent(value: str) -> None:
    with pytest.raises(LocalProtocolError, match="header X must be printable ASCII"):
        check_fields([("X", value)], forbidden=frozenset())


@pytest.mark.parametrize(
    "line",
    [("X", b"v"), (b"X", "v"), ("X", None), ("X",), ("X", "v", "w"), "Xv", ["X", "v"], None],
)
def test_lines_that_are_no_pairs(line: Any) -> None:
    with pytest.raises(LocalProtocolError, match="pairs of str"):
        check_fields([line], forbidden=frozenset())


def test_fields_that_can_be_sent() -> None:
    lines = [("X-A", "a\tb"), ("x-a", ""), ("Set-Cookie", "a=b; Path=/")]
    assert check_fields(lines, forbidden=frozenset({"host"})) == lines
    assert check_fields(Headers(lines), forbidden=frozenset()) == lines
    assert check_fields((line for line in lines), forbidden=frozenset()) == lines
    with pytest.raises(LocalProtocolError, match="header SET-cookie is set by the connection"):
        check_fields([("SET-cookie", "a")], forbidden=frozenset({"set-cookie"}))


OWN_FIELDS = [
    "Connection",
    "Content-Length",
    "Transfer-Encoding",
    "Upgrade",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "sec-websocket-version",
]


@pytest.mark.parametrize("name", OWN_FIELDS)
def test_the_handshake_keeps_its_fields_to_itself(name: str) -> None:
    offer = ClientOffer((), None)
    with pytest.raises(LocalProtocolError, match="set by the connection itself"):
        accept_headers(Offer(KEY, ()), None, [(name, "x")])
    with pytest.raises(LocalProtocolError, match="set by the connection itself"):
        request_headers("h", offer, [(name, "x")])
    with pytest.raises(LocalProtocolError, match="set by the connection itself"):
        request_headers("h", offer, [("host", "x")])


def test_a_101() -> None:
    """§4.2.2, 5."""
    offer = Offer(KEY, ("a", "b"))
    plain = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)]
    extensions = ("Sec-WebSocket-Extensions", "permessage-deflate")
    assert accept_headers(Offer(KEY, ()), None, ()) == plain
    assert accept_headers(offer, "b", [("X", "y")], "permessage-deflate") == [
        *plain,
        ("Sec-WebSocket-Protocol", "b"),
        extensions,
        ("X", "y"),
    ]
    assert accept_headers(offer, None, (), "permessage-deflate") == [*plain, extensions]


def test_only_what_was_offered_can_be_chosen() -> None:
    with pytest.raises(LocalProtocolError, match=r"'c' was not offered .* offered: a, b"):
        accept_headers(Offer(KEY, ("a", "b")), "c", ())
    with pytest.raises(LocalProtocolError, match=r"'A' was not offered .* offered: a"):
        accept_headers(Offer(KEY, ("a",)), "A", ())
    with pytest.raises(LocalProtocolError, match="which offered: none"):
        accept_headers(Offer(KEY, ()), "", ())


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, 1000, -1, True, "200", None, 200.0])
def test_statuses_that_end_no_handshake(status: Any) -> None:
    with pytest.raises(LocalProtocolError, match="status must be from 200 to 599"):
        response_headers(status, (), 0)


def test_other_responses() -> None:
    close = ("Connection", "close")
    assert response_headers(200, (), 5) == [("Content-Length", "5"), close]
    assert response_headers(204, (), 0) == [close]
    assert response_headers(304, [("ETag", '"x"')], 0) == [("ETag", '"x"'), close]
    assert response_headers(426, [("Upgrade", "websocket")], 0) == [
        ("Upgrade", "websocket"),
        ("Content-Length", "0"),
        ("Connection", "close, upgrade"),
    ]
    for name in ("Connection", "content-length", "Transfer-Encoding"):
        with pytest.raises(LocalProtocolError, match="set by the connection itself"):
            response_headers(200, [(name, "1")], 0)


def test_a_request() -> None:
    """§4.1."""
    offer = ClientOffer(("a", "b"), Deflate())
    assert len(offer.key) == 24
    assert ClientOffer((), None).key != ClientOffer((), None).key
    assert request_headers("h:8", offer, [("Origin", "http://h")]) == [
        ("Host", "h:8"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", offer.key),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "a, b"),
        (
            "Sec-WebSocket-Extensions",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        ("Origin", "http://h"),
    ]
    assert len(request_headers("h", ClientOffer((), None), ())) == 5


@pytest.mark.parametrize("subprotocol", ["", "a b", "a,b", "é", "a\r\nb", None, b"a"])
def test_subprotocols_that_cannot_be_offered(subprotocol: Any) -> None:
    with pytest.raises(LocalProtocolError, match="is not a token"):
        request_headers("h", ClientOffer((subprotocol,), None), ())


def test_a_subprotocol_is_offered_once() -> None:
    with pytest.raises(LocalProtocolError, match="offered twice"):
        request_headers("h", ClientOffer(("a", "b", "a"), None), ())


@pytest.mark.parametrize("host", ["h\r\nX: y", "é", " h", "h\x00"])
def test_hosts_that_cannot_be_sent(host: str) -> None:
    with pytest.raises(LocalProtocolError, match="Host"):
        request_headers(host, ClientOffer((), None), ())


def test_a_head_that_somebody_else_parsed() -> None:
    lines = [
        ("Host", "h"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "a, b"),
        ("Sec-WebSocket-Protocol", "c"),
    ]
    assert check_request(a_head(*lines), Config()) == Offer(KEY, ("a", "b", "c"))
    for wrong in (lines[1:], [*lines, ("host", "h")]):
        assert check_request(a_head(*wrong), Config()) == Refusal(400, "one Host is needed")


@pytest.mark.parametrize(
    ("lines", "offered", "found"),
    [
        ([], [], ()),
        ([], ["a", "b"], ("a", "b")),
        ([], ["a, b", "c"], ("a", "b", "c")),
        ([], ["a b"], 400),
        ([], ["a", "a"], 400),
        ([("Host", "é")], [], 400),
        ([("Sec-WebSocket-Key", "\x01")], [], 400),
    ],
)
def test_what_is_left_to_check_behind_a_host_server(
    lines: list[tuple[str, str]], offered: list[str], found: tuple[str, ...] | int
) -> None:
    checked = check_hosted_request(a_head(*lines), offered)
    assert (checked.status if isinstance(checked, Refusal) else checked) == found


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"Upgrade": "h2c"}, "Upgrade must be websocket"),
        ({"Upgrade": "websocket, h2c"}, "Upgrade must be websocket"),
        ({"Upgrade": None}, "Upgrade must be websocket"),
        ({"Upgrade": "web socket"}, "Upgrade must be websocket"),
        ({"Connection": "close"}, "Connection must name Upgrade"),
        ({"Connection": None}, "Connection must name Upgrade"),
        ({"Connection": "a b"}, "Connection must name Upgrade"),
        ({"Sec-WebSocket-Accept": None}, "does not answer our Sec-WebSocket-Key"),
        ({"Sec-WebSocket-Accept": ACCEPT.lower()}, "does not answer our Sec-WebSocket-Key"),
        ({"Sec-WebSocket-Protocol": "c"}, "subprotocol that was not offered: c"),
        ({"Sec-WebSocket-Protocol": "a, b"}, "not offered: a, b"),
        ({"Sec-WebSocket-Protocol": "A"}, "not offered: A"),
        ({"Sec-WebSocket-Protocol": ""}, "not offered"),
        ({"Sec-WebSocket-Extensions": "a;"}, "malformed Sec-WebSocket-Extensions"),
        ({"Sec-WebSocket-Extensions": "x"}, "does not fit our offer"),
        ({"Sec-WebSocket-Extensions": "permessage-deflate, x"}, "extension that was not offered"),
        ({"Sec-WebSocket-Extensions": "permessage-deflate"}, "does not fit our offer"),
    ],
)
def test_answers_that_break_the_rules(changes: dict[str, str | None], problem: str) -> None:
    offer = ClientOffer(("a", "b"), Deflate(), KEY)
    found = check_answer(an_answer(changes), offer)
    assert isinstance(found, str)
    assert problem in found


def an_answer(changes: dict[str, str | None]) -> Headers:
    fields = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": ACCEPT,
    } | changes
    return Headers([(name, value) for name, value in fields.items() if value is not None])


def test_answers_to_other_offers() -> None:
    bare = ClientOffer((), None, KEY)
    found = check_answer(an_answer({"Sec-WebSocket-Extensions": "permessage-deflate"}), bare)
    assert found == "the server chose an extension that was not offered"
    twice = Headers([*an_answer({}).items_as_sent(), ("Sec-WebSocket-Accept", ACCEPT)])
    assert isinstance(check_answer(twice, bare), str)
    two = [("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "b")]
    both = Headers([*an_answer({}).items_as_sent(), *two])
    assert isinstance(check_answer(both, ClientOffer(("a", "b"), None, KEY)), str)


@pytest.mark.parametrize(
    ("changes", "subprotocol"),
    [
        ({}, None),
        ({"Upgrade": "WebSocket"}, None),
        ({"Connection": "keep-alive, UPGRADE"}, None),
        ({"Sec-WebSocket-Protocol": "b"}, "b"),
        ({"Sec-WebSocket-Extensions": " , "}, None),
        ({"X-Other": "anything"}, None),
    ],
)
def test_answers_that_keep_them(changes: dict[str, str | None], subprotocol: str | None) -> None:
    offer = ClientOffer(("a", "b"), Deflate(), KEY)
    assert check_answer(an_answer(changes), offer) == Answer(subprotocol, None)
