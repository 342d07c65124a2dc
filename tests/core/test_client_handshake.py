"""The server's answers as a client reads them: bytes in, event and state out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.core.helpers import (
    CUTS,
    TEXT,
    Cut,
    Pair,
    feed,
    frame_from,
    head,
    pull,
    switching,
)
from windsock.core.protocol.client import ClientConnection
from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.errors import LocalProtocolError
from windsock.core.protocol.events import (
    NEED_DATA,
    Closed,
    HandshakeRequested,
    Opened,
    Refused,
)
from windsock.core.protocol.frames import Role
from windsock.core.protocol.headers import Headers
from windsock.core.protocol.server import ServerConnection
from windsock.core.protocol.state import State

ENDED = Closed(1006, "", False, False)
MESSAGE = frame_from(Role.SERVER, TEXT, b"early")


def a_client(config: Config | None = None) -> ClientConnection:
    return ClientConnection("example.com", subprotocols=["a", "b"], config=config, now=0)


def opened(
    *changes: tuple[str, str | None], before: bytes = b"", config: Config | None = None
) -> Opened:
    """The event of an answer that opens the WebSocket, however it is cut and whatever follows."""
    found: list[Opened] = []
    for cut in CUTS:
        for trailing in (b"", MESSAGE):
            client = a_client(config)
            data = before + switching(client, *changes)
            events = feed(client, cut(data + trailing))
            assert events[1:] == (["early"] if trailing else [])
            assert isinstance(events[0], Opened), events
            assert client.state is State.OPEN
            assert client.subprotocol == events[0].subprotocol
            found.append(events[0])
    return found[0]


def refused(answer: bytes, *, ends: bool = False, config: Config | None = None) -> Refused:
    """The event of an answer that does not, however it is cut and whatever follows."""
    found: list[Refused] = []
    for cut in CUTS:
        for trailing in (b"", MESSAGE) if not ends else (b"",):
            client = a_client(config)
            events = feed(client, cut(answer + trailing))
            if ends:
                assert events == []
                events = feed(client, [b""])
            assert events[1:] == [ENDED]
            assert isinstance(events[0], Refused), events
            assert client.state is State.CLOSED
            assert not client.half_close
            found.append(events[0])
    assert all((f.status, f.headers, f.body) == tuple_of(found[0]) for f in found), found
    return found[0]


def tuple_of(event: Refused) -> tuple[int | None, Headers, bytes]:
    return event.status, event.headers, event.body


def test_the_request() -> None:
    """RFC 6455 §4.1."""
    client = ClientConnection(
        "example.com:8080",
        "/chat?x=1",
        subprotocols=["a", "b"],
        headers=[("Origin", "http://o")],
        config=Config(compression=Deflate()),
        now=0,
    )
    key = client.request.headers["Sec-WebSocket-Key"]
    expected = head(
        "GET /chat?x=1 HTTP/1.1",
        [
            ("Host", "example.com:8080"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", "a, b"),
            (
                "Sec-WebSocket-Extensions",
                "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            ),
            ("Origin", "http://o"),
        ],
    )
    assert client.data_to_send() == expected
    assert client.next_event() is NEED_DATA
    assert client.state is State.AWAITING_RESPONSE
    server = ServerConnection(Config(origins=("http://o",)), now=0)
    (event,) = feed(server, [expected])
    assert isinstance(event, HandshakeRequested)
    assert event.subprotocols == ("a", "b")


@pytest.mark.parametrize("target", ["", "/a b", "/\r\n", "/é", "/\x00", None, b"/"])
def test_targets_that_cannot_be_sent(target: Any) -> None:
    with pytest.raises(LocalProtocolError, match="target"):
        ClientConnection("h", target, now=0)


@pytest.mark.parametrize("host", ["a\r\nb", "é", None, "a b"])
def test_hosts_that_cannot_be_sent(host: Any) -> None:
    with pytest.raises(LocalProtocolError):
        ClientConnection(host, now=0)


def test_headers_that_cannot_be_sent() -> None:
    for line in [
        ("X", "a\r\nb"),
        ("Host", "h"),
        ("Sec-WebSocket-Key", "x"),
        ("Content-Length", "1"),
    ]:
        with pytest.raises(LocalProtocolError):
            ClientConnection("h", headers=[line], now=0)


def test_an_answer() -> None:
    event = opened(("X-Tag", "y"))
    assert event.subprotocol is None
    assert event.headers["x-tag"] == "y"
    assert opened(("Sec-WebSocket-Protocol", "b")).subprotocol == "b"
    opened(("Upgrade", "WebSocket"), ("Connection", "keep-alive, upgrade"))


def test_informational_responses_before_the_answer() -> None:
    early = head("HTTP/1.1 103 Early Hints", [("Link", "</a>")])
    opened(before=early)
    opened(before=head("HTTP/1.1 100 Continue", []) + early * 3)


@pytest.mark.parametrize(
    "changes",
    [
        [("Upgrade", None)],
        [("Upgrade", "h2c")],
        [("Connection", None)],
        [("Connection", "close")],
        [("Sec-WebSocket-Accept", None)],
        [("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")],
        [("Sec-WebSocket-Protocol", "c")],
        [("Sec-WebSocket-Protocol", "a, b")],
        [("Sec-WebSocket-Extensions", "permessage-deflate")],
        [("Sec-WebSocket-Extensions", "x-other")],
        [("Sec-WebSocket-Extensions", "a;;b")],
    ],
)
def test_101s_that_break_the_rules(changes: list[tuple[str, str | None]]) -> None:
    for cut in CUTS:
        client = a_client()
        answer = switching(client, *changes)
        (event, ended) = feed(client, cut(answer + MESSAGE))
        assert ended == ENDED
        assert isinstance(event, Refused)
        assert (event.status, event.body) == (101, b"")
        present = [name.lower() for name, value in changes if value is not None]
        assert all(name in event.headers for name in present)
        assert client.state is State.CLOSED
        assert client.data_to_send().startswith(b"GET ")


@pytest.mark.parametrize("count", [10, 11])
def test_the_number_of_fields_of_a_101(count: int) -> None:
    client = a_client(Config(max_header_count=10))
    answer = switching(client, add=[("X", "y")] * (count - 3))
    event = feed(client, [answer])[0]
    assert isinstance(event, Opened if count == 10 else Refused)


@pytest.mark.parametrize("excess", [-1, 0, 1, 2])
def test_the_size_of_a_head(excess: int) -> None:
    config = Config(max_head_size=500)
    for before in (b"", head("HTTP/1.1 103 Early Hints", [("A", "b")])):
        for cut in CUTS:
            client = a_client(config)
            size = len(before) + len(switching(client, add=[("X", "")]))
            padding = "x" * (500 + excess - size)
            answer = before + switching(client, add=[("X", padding)])
            assert len(answer) == 500 + excess
            event = feed(client, cut(answer))[0]
            assert isinstance(event, Refused if excess > 0 else Opened)


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 426, 500, 503, 599])
@pytest.mark.parametrize("body", [b"", b"no", b"x" * 100])
def test_other_statuses(status: int, body: bytes) -> None:
    fields = [("Content-Length", str(len(body))), ("Location", "/x")]
    event = refused(head(f"HTTP/1.1 {status} No", fields) + body)
    assert event.message == f"the server answered {status} instead of 101"
    assert (event.status, event.body) == (status, body)
    assert event.headers["location"] == "/x"


def test_a_chunked_body() -> None:
    start = head("HTTP/1.1 403 Forbidden", [("Transfer-Encoding", "chunked")])
    event = refused(start + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert (event.status, event.body) == (403, b"abcde")


def test_a_body_that_ends_with_the_connection() -> None:
    event = refused(head("HTTP/1.1 403 Forbidden", []) + b"abc", ends=True)
    assert (event.status, event.body) == (403, b"abc")


def test_a_body_that_is_cut_short() -> None:
    start = head("HTTP/1.1 403 Forbidden", [("Content-Length", "10")])
    event = refused(start + b"abc", ends=True)
    assert (event.status, event.body) == (403, b"abc")


@pytest.mark.parametrize("excess", [-1, 0, 1, 5000])
def test_bodies_are_cut_at_the_limit(excess: int) -> None:
    config = Config(max_body_size=1000)
    size = 1000 + excess
    start = head("HTTP/1.1 403 Forbidden", [("Content-Length", str(size))])
    event = refused(start + b"x" * size, config=config)
    assert event.body == b"x" * min(size, 1000)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nA B: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46\r\n\r\n",
    ],
)
def test_answers_that_are_no_http(answer: bytes) -> None:
    event = refused(answer)
    assert event.message.startswith("the server's answer is not valid HTTP/1.1")
    assert (event.status, event.body) == (None, b"")


def test_a_head_that_never_ends() -> None:
    client = a_client(Config(max_head_size=100))
    assert feed(client, [b"HTTP/1.1 200 OK\r\nX: ".ljust(100, b"x")]) == []
    event = feed(client, [b"x"])[0]
    assert isinstance(event, Refused)
    assert "head too large" in event.message


def test_the_end_of_the_stream_at_every_byte(cut: Cut) -> None:
    size = len(switching(a_client()))
    for end in range(size):
        client = a_client()
        answer = switching(client)[:end]
        assert feed(client, cut(answer) if answer else []) == []
        event, ended = feed(client, [b""])
        assert isinstance(event, Refused)
        assert event.message == "the server closed the connection before it had answered"
        assert event.status is None
        assert ended == ENDED
        assert client.state is State.CLOSED


@pytest.mark.parametrize("name", ["Upgrade", "Connection", "Sec-WebSocket-Protocol", "X"])
@pytest.mark.parametrize("byte", [0, 1, 8, 11, 12, 13, 14, 31, 127])
def test_control_characters_in_an_answer(name: str, byte: int) -> None:
    """Whatever field they are in."""
    for cut in CUTS:
        client = a_client()
        value = {"Upgrade": "websocket", "Connection": "Upgrade"}.get(name, "a")
        answer = switching(client, (name, f"{value[:1]}{chr(byte)}{value[1:]}x"))
        event = feed(client, cut(answer))[0]
        assert isinstance(event, Refused)


@pytest.mark.parametrize("byte", [0x80, 0x85, 0xE9, 0xFF])
def test_bytes_beyond_ascii_in_an_answer(byte: int) -> None:
    for name in ("Upgrade", "Connection", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"):
        client = a_client()
        event = feed(client, [switching(client, (name, f"a{chr(byte)}"))])[0]
        assert isinstance(event, Refused)
    assert opened(("X", f"a{chr(byte)}")).headers["X"] == f"a{chr(byte)}"


# Both roles


def test_both_roles_agree(pair: Pair) -> None:
    assert [pair.client.state, pair.server.state] == [State.OPEN, State.OPEN]
    assert pair.client.subprotocol is pair.server.subprotocol is None
    assert [pull(pair.client), pull(pair.server)] == [[], []]


def test_both_roles_agree_on_a_subprotocol() -> None:
    pair = Pair(subprotocols=["a", "b"], accept="b")
    assert pair.client.subprotocol == pair.server.subprotocol == "b"


@pytest.mark.parametrize(("status", "body"), [(403, b""), (404, b"none"), (503, b"x" * 3000)])
def test_a_rejection_from_end_to_end(status: int, body: bytes) -> None:
    for cut in CUTS:
        client = a_client()
        server = ServerConnection(now=0)
        feed(server, [client.data_to_send()])
        server.reject(status, [("X-Why", "because")], body, now=0)
        event, ended = feed(client, cut(server.data_to_send()))
        assert isinstance(event, Refused)
        assert (event.status, event.body) == (status, body)
        assert event.headers["x-why"] == "because"
        assert ended == ENDED
        assert pull(server) == [ENDED]
        assert server.half_close


def test_keys_are_random_and_of_sixteen_bytes() -> None:
    keys = {ClientConnection("h", now=0).request.headers["Sec-WebSocket-Key"] for _ in range(50)}
    assert len(keys) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9+/]{21}[AQgw]==", key) for key in keys)
