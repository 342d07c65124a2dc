"""Plain HTTP on the WebSocket's port, and what an application may answer with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.core.helpers import (
    CUTS,
    Cut,
    deciding_server,
    feed,
    head,
    parse_response,
    pull,
    request,
)
from windsock.core.protocol.config import Config
from windsock.core.protocol.errors import Disconnected, LocalProtocolError
from windsock.core.protocol.events import (
    NEED_DATA,
    PAUSED,
    Closed,
    Event,
    HandshakeRequested,
    HttpRequested,
    RequestRefused,
)
from windsock.core.protocol.server import ServerConnection
from windsock.core.protocol.state import State

ENDED = Closed(1006, "", False, False)
HOST = ("Host", "example.com")


def requested(data: bytes, config: Config | None = None) -> HttpRequested:
    """The request in `data`, however it is cut and whatever follows."""
    found: list[HttpRequested] = []
    for cut in CUTS:
        for trailing in (b"", b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n"):
            server = ServerConnection(config, now=0)
            events = feed(server, cut(data + trailing))
            assert len(events) == 1, events
            assert isinstance(events[0], HttpRequested)
            assert server.state is State.RESPONDING
            assert server.next_event() is PAUSED
            found.append(events[0])
    assert all(event == found[0] for event in found)
    return found[0]


def refused(data: bytes, status: int, config: Config | None = None) -> None:
    for cut in CUTS:
        server = ServerConnection(config, now=0)
        events = feed(server, cut(data))
        assert [type(event) for event in events] == [RequestRefused, Closed]
        assert parse_response(server.data_to_send())[0] == status
        assert server.state is State.DRAINING


def responding(line: str = "GET / HTTP/1.1", config: Config | None = None) -> ServerConnection:
    server = ServerConnection(config, now=0)
    (event,) = feed(server, [head(line, [HOST])])
    assert isinstance(event, HttpRequested)
    return server


@pytest.mark.parametrize("line", ["GET /a?b=%20 HTTP/1.1", "DELETE /a?b=%20 HTTP/1.0"])
def test_a_request_without_body(line: str) -> None:
    event = requested(head(line, [HOST, ("Accept", "*/*"), ("Cookie", "ä")]))
    method, target, version = line.split(" ")
    assert (event.head.method, event.head.target) == (method, target)
    assert f"HTTP/{event.head.http_version}" == version
    assert event.head.headers["accept"] == "*/*"
    assert event.head.headers["cookie"] == "ä"
    assert event.body == b""


def test_another_upgrade_is_a_plain_request() -> None:
    event = requested(head("GET / HTTP/1.1", [HOST, ("Upgrade", "h2c"), ("Connection", "upgrade")]))
    assert event.head.headers["upgrade"] == "h2c"


def test_bodies() -> None:
    body = bytes(range(256))
    lengths = [HOST, ("Content-Length", "256")]
    assert requested(head("POST / HTTP/1.1", lengths) + body).body == body
    chunked = [HOST, ("Transfer-Encoding", "chunked")]
    data = head("POST / HTTP/1.1", chunked) + b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nT: x\r\n\r\n"
    assert requested(data).body == b"abcde"


@pytest.mark.parametrize("excess", [-1, 0, 1, 2])
def test_bodies_at_the_limit(excess: int) -> None:
    config = Config(max_body_size=1000)
    size = 1000 + excess
    declared = head("POST / HTTP/1.1", [HOST, ("Content-Length", str(size))])
    chunked = head("POST / HTTP/1.1", [HOST, ("Transfer-Encoding", "chunked")])
    chunks = b"1\r\nx\r\n" * (size - 500) + b"1f4\r\n" + b"x" * 500 + b"\r\n0\r\n\r\n"
    if excess > 0:
        refused(declared, 413, config)  # before a byte of it is there
        refused(chunked + chunks, 413, config)
    else:
        assert requested(declared + b"x" * size, config).body == b"x" * size
        assert requested(chunked + chunks, config).body == b"x" * size


@pytest.mark.parametrize("size", [2**63, 10**19])
def test_enormous_bodies(size: int) -> None:
    refused(head("POST / HTTP/1.1", [HOST, ("Content-Length", str(size))]), 413)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [HOST, HOST],
        [HOST, ("Content-Length", "1"), ("Content-Length", "2")],
        [HOST, ("Content-Length", "-1")],
        [("Host", "é")],
        [HOST, ("X", "a\x1cb")],
    ],
)
def test_requests_that_are_wrong(lines: list[tuple[str, str]]) -> None:
    refused(head("POST / HTTP/1.1", lines), 400)


def test_a_chunk_that_is_wrong() -> None:
    data = head("POST / HTTP/1.1", [HOST, ("Transfer-Encoding", "chunked")])
    refused(data + b"x\r\n", 400)
    refused(data + b"3\r\nabcde", 400)


def test_a_client_that_waits_for_100(cut: Cut) -> None:
    server = ServerConnection(now=0)
    lines = [HOST, ("Content-Length", "2"), ("Expect", "100-continue")]
    assert feed(server, cut(head("POST / HTTP/1.1", lines))) == []
    assert server.data_to_send() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert pull(server) == []
    assert feed(server, [b"a"]) == []
    assert server.data_to_send() == b""
    (event,) = feed(server, [b"b"])
    assert isinstance(event, HttpRequested)
    assert event.body == b"ab"


def test_a_client_that_does_not_wait_for_100_after_all() -> None:
    server = ServerConnection(now=0)
    lines = [HOST, ("Content-Length", "2"), ("Expect", "100-continue")]
    (event,) = feed(server, [head("POST / HTTP/1.1", lines) + b"ab"])
    assert isinstance(event, HttpRequested)
    assert server.data_to_send() == b""


def test_a_client_that_waits_for_100_to_send_too_much() -> None:
    server = ServerConnection(now=0)
    lines = [HOST, ("Content-Length", "100000"), ("Expect", "100-continue")]
    event = feed(server, [head("POST / HTTP/1.1", lines)])[0]
    assert isinstance(event, RequestRefused)
    assert server.data_to_send().startswith(b"HTTP/1.1 413 ")


def test_a_client_that_waited_for_100_and_has_gone() -> None:
    server = ServerConnection(now=0)
    lines = [HOST, ("Content-Length", "2"), ("Expect", "100-continue")]
    server.receive_data(head("POST / HTTP/1.1", lines), 0)
    server.receive_data(b"", 0)
    assert pull(server) == [Closed(1006, "", False, True)]
    assert server.data_to_send() == b""


def test_a_body_that_is_cut_short(cut: Cut) -> None:
    server = ServerConnection(now=0)
    data = head("POST / HTTP/1.1", [HOST, ("Content-Length", "5")]) + b"abc"
    assert feed(server, cut(data)) == []
    assert feed(server, [b""]) == [Closed(1006, "", False, True)]
    assert server.state is State.CLOSED


# Responses


def test_a_response() -> None:
    server = responding()
    server.respond(200, [("Content-Type", "text/plain")], b"ok", now=0)
    assert server.state is State.DRAINING
    assert server.data_to_send() == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
        b"Connection: close\r\n\r\nok"
    )
    assert pull(server) == [ENDED]
    assert server.half_close
    assert feed(server, [b"GET / HTTP/1.1\r\n\r\n"]) == []
    assert feed(server, [b""]) == []
    assert server.state is State.CLOSED  # type: ignore[comparison-overlap]  # it moved on


def test_a_response_to_head_says_how_long_its_body_would_be() -> None:
    server = responding("HEAD / HTTP/1.1")
    server.respond(body=b"12345", now=0)
    status, headers, body = parse_response(server.data_to_send())
    assert (status, headers["content-length"], body) == (200, "5", b"")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_content(status: int) -> None:
    server = responding()
    server.respond(status, body=b"none", now=0)
    found, headers, body = parse_response(server.data_to_send())
    assert (found, body) == (status, b"")
    assert "content-length" not in headers


@pytest.mark.parametrize("status", [200, 205, 418, 599])
def test_any_status(status: int) -> None:
    server = responding()
    server.respond(status, body=b"x", now=0)
    assert parse_response(server.data_to_send())[0] == status


def test_a_response_to_a_client_of_http_1_0() -> None:
    server = responding("GET / HTTP/1.0")
    server.respond(body=b"ok", now=0)
    assert parse_response(server.data_to_send())[2] == b"ok"


def test_a_half_closed_client_still_gets_its_response() -> None:
    server = responding()
    assert feed(server, [b""]) == []
    assert server.next_event() is PAUSED
    server.respond(body=b"ok" * 1000, now=0)
    assert pull(server) == [ENDED]
    assert server.state is State.DRAINING
    assert len(server.data_to_send()) > 2000
    server.unsent(1500, 0)
    assert pull(server) == []
    assert server.state is State.DRAINING
    server.unsent(0, 0)
    assert server.state is State.CLOSED  # type: ignore[comparison-overlap]  # it moved on


def test_what_follows_a_request_is_not_kept() -> None:
    server = responding()
    assert server._handshake is not None
    for _ in range(100):
        feed(server, [bytes(10_000)])
    assert len(server._handshake._reader._held_back) == 0
    server.respond(now=0)
    assert server.data_to_send().startswith(b"HTTP/1.1 200 OK\r\n")


# What an application may not say

Answer = Callable[[ServerConnection, list[tuple[str, str]]], None]


def accept(server: ServerConnection, headers: list[tuple[str, str]]) -> None:
    server.accept(headers=headers, now=0)


def reject(server: ServerConnection, headers: list[tuple[str, str]]) -> None:
    server.reject(headers=headers, now=0)


def respond(server: ServerConnection, headers: list[tuple[str, str]]) -> None:
    server.respond(headers=headers, now=0)


WAYS: list[tuple[Answer, Callable[[], ServerConnection]]] = [
    (accept, deciding_server),
    (reject, deciding_server),
    (respond, responding),
]


@pytest.mark.parametrize(("answer", "make"), WAYS)
@pytest.mark.parametrize(
    "line",
    [
        ("X", "a\r\nSet-Cookie: b=c"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\x00b"),
        ("X\r\nY", "z"),
        ("X: y\r\nZ", "z"),
        ("X\x00", "z"),
        ("X Y", "z"),
        ("", "z"),
        ("X", "é"),
        ("Connection", "keep-alive"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("X", None),
        (b"X", b"y"),
    ],
)
def test_injection(
    answer: Answer, make: Callable[[], ServerConnection], line: tuple[Any, Any]
) -> None:
    """Nothing is sent, and the state is as before: the application can still answer."""
    server = make()
    before = server.state
    with pytest.raises(LocalProtocolError):
        answer(server, [("X-Fine", "y"), line])
    assert server.state is before
    assert server.data_to_send() == b""
    assert server.pending_output == 0
    assert server.closed is None
    assert server.next_event() is PAUSED
    answer(server, [("X-Fine", "y")])
    assert b"\r\nX-Fine: y\r\n" in server.data_to_send()


@pytest.mark.parametrize("subprotocol", ["", "chat\r\nX: y", "chat", "é"])
def test_injection_by_subprotocol(subprotocol: str) -> None:
    server = deciding_server()
    with pytest.raises(LocalProtocolError, match="was not offered"):
        server.accept(subprotocol, now=0)
    assert server.state is State.DECIDING
    assert server.subprotocol is None
    server.accept(now=0)


@pytest.mark.parametrize("status", [100, 101, 199, 600, "200", None, True])
def test_statuses_that_are_none(status: Any) -> None:
    for server, answer in [
        (deciding_server(), ServerConnection.reject),
        (responding(), ServerConnection.respond),
    ]:
        before = server.state
        with pytest.raises(LocalProtocolError, match="status must be"):
            answer(server, status, now=0)
        assert server.state is before
        assert server.data_to_send() == b""


@pytest.mark.parametrize("body", ["text", None, 5, [b"x"]])
def test_bodies_that_are_no_bytes(body: Any) -> None:
    server = responding()
    with pytest.raises(TypeError, match="a body is bytes"):
        server.respond(body=body, now=0)
    assert server.state is State.RESPONDING
    server.respond(body=b"x", now=0)


# Decisions too late, or twice


def test_a_second_decision_is_an_error_that_says_so() -> None:
    server = deciding_server()
    server.accept(now=0)
    for command in (server.accept, server.reject, server.respond):
        with pytest.raises(LocalProtocolError, match="while the connection is open"):
            command(now=0)


@pytest.mark.parametrize("ended", [False, True])
def test_a_second_decision_after_a_response(ended: bool) -> None:
    for server, answer in [
        (deciding_server(), ServerConnection.reject),
        (responding(), ServerConnection.respond),
    ]:
        answer(server, now=0)
        server.data_to_send()
        if ended:
            feed(server, [b""])
        for command in (server.accept, server.reject, server.respond):
            with pytest.raises(LocalProtocolError, match=f"connection is {server.state.value}"):
                command(now=0)
        assert server.data_to_send() == b""


def gone(server: ServerConnection) -> None:
    feed(server, [b""])


def too_late(server: ServerConnection) -> None:
    server.handle_deadline(11)


def torn(server: ServerConnection) -> None:
    server.write_failed(0)


@pytest.mark.parametrize("end", [gone, too_late, torn])
def test_a_decision_on_who_has_gone(end: Callable[[ServerConnection], None]) -> None:
    server = deciding_server()
    end(server)
    for command in (server.accept, server.reject, server.respond):
        with pytest.raises(Disconnected) as caught:
            command(now=11)
        assert caught.value.code == 1006


def test_a_response_to_who_has_gone() -> None:
    server = responding()
    server.write_failed(0)
    with pytest.raises(Disconnected):
        server.respond(now=0)


def test_events_of_requests_in_one_read() -> None:
    """One request to a connection: what follows it is not looked at."""
    server = ServerConnection(now=0)
    events: list[Event] = feed(server, [head("GET / HTTP/1.1", [HOST]) + request()])
    assert [type(event) for event in events] == [HttpRequested]
    server.respond(now=0)
    assert pull(server) == [ENDED]
    assert server.next_event() is NEED_DATA
    other = ServerConnection(now=0)
    events = feed(other, [request() + head("GET / HTTP/1.1", [HOST])])
    assert [type(event) for event in events] == [HandshakeRequested]
