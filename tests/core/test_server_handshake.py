"""Opening handshakes as a server reads them: bytes in, event, response and state out."""

from __future__ import annotations

import pytest

from tests.core.helpers import (
    ACCEPT,
    CUTS,
    KEY,
    TEXT,
    Cut,
    byte_by_byte,
    feed,
    frame_from,
    head,
    parse_response,
    pull,
    request,
    whole,
)
from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.events import (
    NEED_DATA,
    PAUSED,
    Closed,
    HandshakeRequested,
    RequestHead,
    RequestRefused,
)
from windsock.core.protocol.frames import Role
from windsock.core.protocol.headers import Headers
from windsock.core.protocol.server import ServerConnection
from windsock.core.protocol.state import State

ENDED = Closed(1006, "", False, False)
MESSAGE = frame_from(Role.CLIENT, TEXT, b"early")


def refused(data: bytes, status: int, config: Config | None = None) -> Headers:
    """`data` is refused with `status`, however it is cut and whatever follows; the headers."""
    found: list[Headers] = []
    for cut in CUTS:
        for trailing in (b"", MESSAGE):
            server = ServerConnection(config, now=0)
            events = feed(server, cut(data + trailing))
            assert len(events) == 2, events
            event = events[0]
            assert isinstance(event, RequestRefused), events
            assert event.status == status, event
            assert events[1] == ENDED
            assert [server.state, server.half_close] == [State.DRAINING, True]
            assert server.next_event() is NEED_DATA
            answered, headers, body = parse_response(server.data_to_send())
            text = f"{event.message}\n".encode()
            assert (answered, body) == (status, b"" if data.startswith(b"HEAD") else text)
            assert headers["Content-Length"] == str(len(text))
            feed(server, [b""])
            server.unsent(0, 0)
            assert [server.state] == [State.CLOSED]
            found.append(headers)
    return found[0]


def requested(data: bytes, config: Config | None = None) -> tuple[HandshakeRequested, Headers]:
    """`data` is a handshake, however it is cut and whatever follows; and the 101's headers."""
    outcomes: list[tuple[HandshakeRequested, Headers]] = []
    for cut in CUTS:
        for trailing in (b"", MESSAGE):
            server = ServerConnection(config, now=0)
            events = feed(server, cut(data + trailing))
            assert len(events) == 1, events
            event = events[0]
            assert isinstance(event, HandshakeRequested), events
            assert [server.state] == [State.DECIDING]
            assert server.next_event() is PAUSED
            assert server.data_to_send() == b""
            server.accept(now=0)
            assert [server.state] == [State.OPEN]
            status, headers, rest = parse_response(server.data_to_send())
            assert (status, rest) == (101, b"")
            assert pull(server) == (["early"] if trailing else [])
            outcomes.append((event, headers))
    assert all(outcome == outcomes[0] for outcome in outcomes), outcomes
    return outcomes[0]


def test_a_handshake() -> None:
    event, headers = requested(request())
    assert event.subprotocols == ()
    assert event.head.method == "GET"
    assert event.head.target == "/chat?room=1"
    assert event.head.http_version == "1.1"
    assert event.head.headers["host"] == "example.com"
    assert dict(headers) == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": ACCEPT,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upgrade", "WebSocket"),
        ("Upgrade", "WEBSOCKET"),
        ("Upgrade", "h2c, websocket"),
        ("Upgrade", "websocket/13"),
        ("Upgrade", ",,websocket ,"),
        ("Connection", "upgrade"),
        ("Connection", "UPGRADE"),
        ("Connection", "keep-alive, Upgrade"),
        ("Connection", "Upgrade,keep-alive"),
        ("Connection", "\tkeep-alive ,\t upgrade ,,"),
        ("Connection", "Upgrade, close"),
        ("Host", "example.com:8080"),
        ("Host", "[::1]"),
        ("Sec-WebSocket-Version", " 13 "),
    ],
)
def test_spellings_that_are_fine(name: str, value: str) -> None:
    requested(request((name, value)))


@pytest.mark.parametrize(
    "line",
    [
        ("Content-Length", "0"),
        ("Content-Length", "000"),
        ("Connection", "keep-alive"),
        ("Upgrade", "h2c"),
        ("Cookie", "ä=ö"),
        ("Sec-WebSocket-Extensions", ""),
        ("Sec-WebSocket-Protocol", ""),
        ("X-Long", "x" * 2000),
        ("Expect", "100-continue"),
    ],
)
def test_more_lines_that_are_fine(line: tuple[str, str]) -> None:
    requested(request(add=[line]))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ([("Upgrade", "web socket")], 400),
        ([("Upgrade", "websocket;x")], 400),
        ([("Upgrade", "websockets")], 400),
        ([("Upgrade", None)], 400),
        ([("Connection", None)], 400),
        ([("Connection", "close")], 400),
        ([("Connection", "Upgraded")], 400),
        ([("Connection", "keep-alive Upgrade")], 400),
        ([("Connection", '"Upgrade"')], 400),
        ([("Host", None)], 400),
        ([("Sec-WebSocket-Key", None)], 400),
        ([("Sec-WebSocket-Key", "")], 400),
        ([("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAA")], 400),  # 15 bytes
        ([("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAAA=")], 400),  # 17 bytes
        ([("Sec-WebSocket-Key", "A" * 24)], 400),  # 18 bytes
        ([("Sec-WebSocket-Key", KEY[:-2])], 400),  # no padding
        ([("Sec-WebSocket-Key", KEY + "=")], 400),
        ([("Sec-WebSocket-Key", "!" + KEY[1:])], 400),
        ([("Sec-WebSocket-Key", KEY[:10] + " " + KEY[11:])], 400),
        ([("Sec-WebSocket-Key", f"{KEY}, {KEY}")], 400),
        ([("Sec-WebSocket-Version", None)], 426),
        ([("Sec-WebSocket-Version", "12")], 426),
        ([("Sec-WebSocket-Version", "14")], 426),
        ([("Sec-WebSocket-Version", "013")], 426),
        ([("Sec-WebSocket-Version", "8, 13")], 426),
        ([("Sec-WebSocket-Version", "x")], 426),
    ],
)
def test_fields_that_are_not_fine(changes: list[tuple[str, str | None]], status: int) -> None:
    """RFC 6455 §4.2.1."""
    headers = refused(request(*changes), status)
    if status == 426:
        assert headers["Sec-WebSocket-Version"] == "13"
        assert headers["Upgrade"] == "websocket"
        assert headers["Connection"] == "close, upgrade"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (("Sec-WebSocket-Key", KEY), 400),
        (("Sec-WebSocket-Version", "13"), 426),
        (("Sec-WebSocket-Version", "8"), 426),
        (("Host", "example.com"), 400),
        (("Content-Length", "1"), 400),
        (("Content-Length", "x"), 400),
        (("Transfer-Encoding", "chunked"), 400),
        (("Transfer-Encoding", "gzip"), 501),
        (("Sec-WebSocket-Protocol", "a b"), 400),
        (("Sec-WebSocket-Protocol", "a, b, a"), 400),
        (("Sec-WebSocket-Extensions", "a;"), 400),
        (("Sec-WebSocket-Extensions", 'a; b="c d"'), 400),
        (("Origin", "http://evil.example"), 403),
        (("Origin", "null"), 403),
        (("X Y", "z"), 400),
        (("", "z"), 400),
        ((" X", "z"), 501),
    ],
)
def test_lines_that_are_not_fine(line: tuple[str, str], status: int) -> None:
    if line[0] == " X":  # a folded line belongs to the one before it
        data = request(("Sec-WebSocket-Version", None), add=[("Sec-WebSocket-Version", "13"), line])
        refused(data, 426)
    else:
        refused(request(add=[line]), status)


@pytest.mark.parametrize(
    "line",
    [
        "POST / HTTP/1.1",
        "HEAD / HTTP/1.1",
        "get / HTTP/1.1",
        "CONNECT example.com:80 HTTP/1.1",
        "GET / HTTP/1.0",
        "GET / HTTP/0.9",
        "GET / HTTP/2.0",
        "GET /a b HTTP/1.1",
        "GET /é HTTP/1.1",
        "GET /\x01 HTTP/1.1",
        "GET / HTTP/1.11",
        "GET /",
        "GET",
        "",
        "\x16\x03\x01",
    ],
)
def test_request_lines_that_are_not_fine(line: str) -> None:
    """§4.1: GET, and HTTP/1.1."""
    refused(request(line=line), 400)


FIELDS = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Origin",
]


VALUES = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}


# A bare LF may end a line (RFC 9112 §2.2), so it is never within a value.
@pytest.mark.parametrize("byte", sorted({*range(0x20), *range(0x7F, 0x100)} - {0x0A}))
def test_bytes_that_no_field_of_the_handshake_may_hold(byte: int) -> None:
    for name in FIELDS:
        value = VALUES.get(name, "abcd")
        for cut in (0, 1, len(value)):
            if byte == 0x09 and cut != 1:
                continue  # white space around a value is not part of it
            text = value[:cut] + chr(byte) + value[cut:]
            data = request((name, text)) if name in FIELDS[:5] else request(add=[(name, text)])
            server = ServerConnection(now=0)
            server.receive_data(data, 0)
            event = server.next_event()
            assert isinstance(event, RequestRefused), (name, text)
            expected = 426 if name == "Sec-WebSocket-Version" and byte == 0x09 else 400
            assert event.status in {expected, 403 if name == "Origin" else 400}, (name, text)


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\r", "\0"])
def test_nothing_but_crlf_ends_a_line(separator: str) -> None:
    """CVE-2026-44546: Host and Upgrade smuggled in by what only str.splitlines takes for an end."""
    data = request(("Sec-WebSocket-Version", f"13{separator}X: y"))
    refused(data, 400)


def test_subprotocols() -> None:
    lines = [("Sec-WebSocket-Protocol", "chat.v2, chat"), ("Sec-WebSocket-Protocol", "x")]
    event, headers = requested(request(add=lines))
    assert event.subprotocols == ("chat.v2", "chat", "x")
    assert "sec-websocket-protocol" not in headers
    server = ServerConnection(now=0)
    feed(server, [request(add=lines)])
    server.accept("chat", [("X-A", "b")], now=0)
    assert server.subprotocol == "chat"
    _, headers, _ = parse_response(server.data_to_send())
    assert headers["sec-websocket-protocol"] == "chat"
    assert headers["x-a"] == "b"


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        (
            'permessage-deflate; client_max_window_bits="10"',
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=10",
        ),
        ("permessage-deflate; client_max_window_bits=abc", None),
        ("permessage-deflate; client_max_window_bits=7", None),
        ("permessage-deflate; client_max_window_bits=16", None),
        ("permessage-deflate; unknown", None),
        ("x-other", None),
    ],
)
def test_extensions(value: str, answer: str | None) -> None:
    data = request(add=[("Sec-WebSocket-Extensions", value)])
    _, headers = requested(data, Config(compression=Deflate()))
    assert headers.get("sec-websocket-extensions") == answer
    _, headers = requested(data)
    assert "sec-websocket-extensions" not in headers


def test_origins_left_to_the_application() -> None:
    data = request(add=[("Origin", "https://app.example")])
    for origins, allowed in (((), False), (("https://app.example",), True)):
        connection = ServerConnection(Config(origins=origins), now=0.0, leave_origin=True)
        connection.receive_data(data, 0.0)
        event = connection.next_event()
        assert isinstance(event, HandshakeRequested)
        assert event.origin_allowed is allowed


def test_origins_from_the_config() -> None:
    data = request(add=[("Origin", "https://app.example")])
    requested(data, Config(origins=("https://app.example",)))
    requested(data, Config(origins=("*",)))
    refused(data, 403, Config(origins=("https://other.example",)))
    requested(request(add=[("Origin", "http://example.com")]))


# Limits


def sized(size: int) -> bytes:
    """A handshake whose head is `size` bytes long."""
    padding = size - len(request(add=[("X", "")]))
    return request(add=[("X", "x" * padding)])


@pytest.mark.parametrize("excess", [-1, 0, 1, 2, 5000])
def test_the_size_of_a_head(excess: int) -> None:
    """At the limit it passes, one byte over it does not, whatever the chunking."""
    config = Config(max_head_size=1000)
    data = sized(1000 + excess)
    assert len(data) == 1000 + excess
    if excess > 0:
        refused(data, 431, config)
    else:
        requested(data, config)
    for size in (7, 999, 1000, 1001):
        server = ServerConnection(config, now=0)
        events = feed(server, [data[i : i + size] for i in range(0, len(data), size)])
        assert isinstance(events[0], RequestRefused if excess > 0 else HandshakeRequested)


def test_a_head_that_never_ends_is_refused_at_the_limit() -> None:
    config = Config(max_head_size=1000)
    server = ServerConnection(config, now=0)
    data = b"GET / HTTP/1.1\r\nX: " + b"x" * 2000
    assert feed(server, [data[:1000]]) == []
    (event, _) = feed(server, [data[1000:1001]])
    assert event == RequestRefused(431, "head too large")


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_the_number_of_fields(excess: int) -> None:
    config = Config(max_header_count=20)
    data = request(add=[(f"X-{i}", "y") for i in range(15 + excess)])
    if excess > 0:
        refused(data, 431, config)
    else:
        requested(data, config)


def test_ten_thousand_fields() -> None:
    data = head("GET / HTTP/1.1", [("Host", "h"), *[("A", "b")] * 10_000])
    refused(data, 431)


# Ends


def test_the_end_of_the_stream_at_every_byte(cut: Cut) -> None:
    """What is cut short gets no answer; a whole request whose client has gone is told as such."""
    data = request()
    gone = Closed(1006, "", False, True)
    for size in range(len(data)):
        server = ServerConnection(now=0)
        assert feed(server, cut(data[:size]) if size else []) == []
        assert feed(server, [b""]) == [gone]
        assert server.state is State.CLOSED
        assert server.data_to_send() == b""
    server = ServerConnection(now=0)
    assert isinstance(feed(server, cut(data))[0], HandshakeRequested)
    assert feed(server, [b""]) == [gone]


def test_a_bad_request_is_answered_though_the_client_has_half_closed() -> None:
    server = ServerConnection(now=0)
    server.receive_data(b"BAD\r\n\r\n", 0)
    server.receive_data(b"", 0)
    assert isinstance(pull(server)[0], RequestRefused)
    assert [server.state] == [State.DRAINING]
    status, _, _ = parse_response(server.data_to_send())
    assert status == 400
    server.unsent(0, 0)
    assert [server.state] == [State.CLOSED]
    assert server.next_event() is NEED_DATA


# Heads that somebody else has parsed


def parsed_head(**changes: str) -> RequestHead:
    fields = {
        "method": "GET",
        "target": "/",
        "http_version": "1.1",
    } | changes
    lines = [tuple(line.split(": ", 1)) for line in request().decode().split("\r\n")[1:-2]]
    return RequestHead(headers=Headers(lines), **fields)  # type: ignore[arg-type]  # pairs of str


def test_a_parsed_head() -> None:
    server = ServerConnection(now=0)
    server.receive_request(parsed_head(), 0)
    event = server.next_event()
    assert isinstance(event, HandshakeRequested)
    assert event.head == parsed_head()
    server.accept(now=0)
    server.receive_data(MESSAGE, 0)
    assert pull(server) == ["early"]


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "POST"},
        {"http_version": "2"},
        {"http_version": "1.0"},
        {"target": "/ HTTP/1.1\r\nX: y\r\n\r\n"},
        {"target": "/a b"},
        {"target": "/\u2028"},
        {"method": "GET / HTTP/1.1\r\nX:"},
    ],
)
def test_parsed_heads_are_judged_like_others(changes: dict[str, str]) -> None:
    server = ServerConnection(now=0)
    server.receive_request(parsed_head(**changes), 0)
    event = pull(server)[0]
    assert isinstance(event, RequestRefused)
    assert event.status == 400


@pytest.mark.parametrize(
    "line",
    [
        ("X", "a\r\nUpgrade: websocket"),
        ("X", "a\r\n\r\nGET / HTTP/1.1"),
        ("X", "a\nb: c"),
        ("X\r\nUpgrade: websocket\r\nY", "z"),
        ("X: y", "z"),
        ("", "z"),
        ("é", "z"),
    ],
)
def test_parsed_heads_smuggle_nothing_in(line: tuple[str, str]) -> None:
    server = ServerConnection(now=0)
    lines = [*parsed_head().headers.items_as_sent(), line]
    server.receive_request(RequestHead("GET", "/", Headers(lines)), 0)
    assert isinstance(pull(server)[0], RequestRefused)


def test_cuts_are_what_they_say() -> None:
    assert whole(b"ab") == [b"ab"]
    assert byte_by_byte(b"ab") == [b"a", b"b"]
