"""`HostedConnection`: (state, input, output) without any event loop."""

from __future__ import annotations

from typing import Any

import pytest

from windsock.asgi._connection import HostedConnection
from windsock.asgi._scope import address, request_head, spec_version
from windsock.core import (
    PAUSED,
    Closed,
    Config,
    Disconnected,
    HandshakeRequested,
    HttpRequested,
    LocalProtocolError,
    RequestRefused,
    State,
    Status,
)
from windsock.core.protocol.state import COMMANDS, SERVER, Input

CONNECT = {"type": "websocket.connect"}
ACCEPT: dict[str, Any] = {"type": "websocket.accept", "subprotocol": None, "headers": []}


def scope(kind: str = "websocket", **more: Any) -> dict[str, Any]:
    headers = more.pop("headers", [(b"host", b"h.example")])
    plain: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "path": "/p",
        "raw_path": b"/p",
        "query_string": b"",
        "headers": headers,
        "extensions": {"websocket.http.response": {}},
    }
    return plain | more


def events_of(connection: HostedConnection) -> list[Any]:
    found: list[Any] = []
    while not isinstance(event := connection.next_event(), Status):
        found.append(event)
    return found


def output_of(connection: HostedConnection) -> list[Any]:
    found: list[Any] = []
    while (event := connection.next_output()) is not None:
        connection.output_sent()
        found.append(event)
    return found


def connected(config: Config | None = None, **more: Any) -> HostedConnection:
    connection = HostedConnection(scope(**more), config or Config(), now=0.0)
    connection.receive_event(CONNECT)
    return connection


def deciding(config: Config | None = None, **more: Any) -> HostedConnection:
    connection = connected(config, **more)
    assert isinstance(events_of(connection)[0], HandshakeRequested)
    return connection


def opened(config: Config | None = None, **more: Any) -> HostedConnection:
    connection = deciding(config, **more)
    connection.accept(now=0.0)
    assert output_of(connection) == [ACCEPT]
    return connection


def in_state(state: State) -> HostedConnection:
    if state is State.AWAITING_REQUEST:
        return HostedConnection(scope(), Config(), now=0.0)
    if state is State.RESPONDING:
        connection = HostedConnection(scope("http", method="GET"), Config(), now=0.0)
        connection.receive_event({"type": "http.request"})
        events_of(connection)
        return connection
    if state is State.DECIDING:
        return deciding()
    connection = opened()
    if state is State.CLOSING:
        connection.close(1000, "", 0.0)
    elif state is State.DRAINING:
        connection.receive_event({"type": "websocket.receive", "bytes": None})
        events_of(connection)
    elif state is State.CLOSED:
        connection.receive_event({"type": "websocket.disconnect", "code": 1000})
        events_of(connection)
    return connection


def command(connection: HostedConnection, given: Input) -> None:
    match given:
        case Input.ACCEPT:
            connection.accept(now=0.0)
        case Input.REJECT:
            connection.reject(now=0.0)
        case Input.RESPOND:
            connection.respond(now=0.0)
        case Input.SEND:
            connection.send("x")
        case Input.CLOSE:
            connection.close(1000, "", 0.0)
        case _:
            connection.ping(None, 0.0)


@pytest.mark.parametrize("state", list(SERVER))
@pytest.mark.parametrize("given", sorted(COMMANDS - {Input.PING, Input.PONG}, key=str))
def test_commands_follow_the_table(state: State, given: Input) -> None:
    connection = in_state(state)
    assert connection.state is state
    target = SERVER[state].get(given)
    if target is not None:
        command(connection, given)
        assert connection.state is target
        return
    with pytest.raises((LocalProtocolError, Disconnected)):
        command(connection, given)
    assert connection.state is state


class TestHandshake:
    def test_a_request_is_an_event(self) -> None:
        connection = connected(subprotocols=["a", "b"], query_string=b"q=1")
        (event,) = events_of(connection)
        assert isinstance(event, HandshakeRequested)
        assert event.subprotocols == ("a", "b")
        assert (event.head.method, event.head.target) == ("GET", "/p?q=1")
        assert connection.next_event() is PAUSED

    def test_accept(self) -> None:
        connection = deciding(subprotocols=["a"])
        connection.accept("a", [("X-Y", "z")], now=0.0)
        assert output_of(connection) == [
            {"type": "websocket.accept", "subprotocol": "a", "headers": [(b"x-y", b"z")]}
        ]
        assert connection.subprotocol == "a"

    @pytest.mark.parametrize(
        ("subprotocol", "headers"),
        [
            ("not offered", ()),
            (None, [("Upgrade", "x")]),
            (None, [("X", "a\r\nb: c")]),
            (None, [("no token", "x")]),
        ],
    )
    def test_a_bad_accept_changes_nothing(self, subprotocol: str | None, headers: Any) -> None:
        connection = deciding()
        with pytest.raises(LocalProtocolError):
            connection.accept(subprotocol, headers, now=0.0)
        assert connection.state is State.DECIDING
        assert not connection.has_output

    def test_rejection_with_the_extension(self) -> None:
        connection = deciding()
        connection.reject(418, [("X-Y", "z")], b"no", now=0.0)
        assert output_of(connection) == [
            {
                "type": "websocket.http.response.start",
                "status": 418,
                "headers": [(b"x-y", b"z"), (b"content-length", b"2")],
            },
            {"type": "websocket.http.response.body", "body": b"no"},
        ]
        assert connection.state is State.CLOSED

    def test_rejection_without_the_extension(self) -> None:
        connection = deciding(extensions={})
        assert not connection.capabilities.rejection_response
        connection.reject(418, (), b"no", now=0.0)
        assert output_of(connection) == [{"type": "websocket.close"}]
        assert connection.state is State.CLOSED

    def test_a_rejection_that_cannot_be_sent_is_refused_all_the_same(self) -> None:
        connection = deciding(extensions={})
        with pytest.raises(LocalProtocolError):
            connection.reject(101, now=0.0)

    def test_close_before_the_decision_rejects(self) -> None:
        connection = deciding()
        connection.close(1000, "", 0.0)
        assert output_of(connection)[0]["status"] == 403

    @pytest.mark.parametrize(("origin", "allowed"), [("http://a", True), ("http://evil", False)])
    def test_origins_are_judged_by_the_session(self, origin: str, allowed: bool) -> None:
        headers = [(b"host", b"a"), (b"origin", origin.encode())]
        event = events_of(connected(headers=headers))[-1]
        assert isinstance(event, HandshakeRequested)
        assert event.origin_allowed is allowed

    def test_other_limits_before_it_is_accepted(self) -> None:
        connection = deciding()
        connection.configure(Config(max_message_size=4))
        connection.accept(now=0.0)
        with pytest.raises(LocalProtocolError, match="open"):
            connection.configure(Config())
        connection.receive_event({"type": "websocket.receive", "text": "12345"})
        event = events_of(connection)[-1]
        assert isinstance(event, Closed)
        assert event.code == 1009

    @pytest.mark.parametrize(
        ("more", "status"),
        [
            ({"headers": [(b"host", b"a"), (b"x", b"a\x00b")]}, 400),
            ({"headers": [(b"host", b"\xe9")]}, 400),
            ({"headers": [(b"x", b"y")] * 101}, 431),
            ({"subprotocols": ["a", "a"]}, 400),
            ({"subprotocols": ["a b"]}, 400),
            ({"raw_path": b"/a b"}, 400),
            ({"raw_path": b"/\xe9"}, 400),
            ({"query_string": b"a\x01"}, 400),
        ],
    )
    def test_bad_requests_reach_no_application(self, more: dict[str, Any], status: int) -> None:
        connection = connected(**more)
        events = events_of(connection)
        assert isinstance(events[-1], RequestRefused)
        assert events[-1].status == status
        assert output_of(connection)[0]["status"] == status
        assert connection.state is State.CLOSED

    def test_no_decision_in_time(self) -> None:
        connection = deciding(Config(open_timeout=3.0))
        assert connection.deadline() == 3.0
        connection.handle_deadline(2.9)
        assert connection.state is State.DECIDING
        connection.handle_deadline(3.0)
        assert output_of(connection)[0]["status"] == 503
        with pytest.raises(Disconnected):
            connection.accept(now=4.0)

    def test_the_client_leaves_before_the_decision(self) -> None:
        connection = deciding()
        connection.receive_event({"type": "websocket.disconnect", "code": 1006})
        assert events_of(connection) == [Closed(1006, "", clean=False, by_peer=True)]
        with pytest.raises(Disconnected):
            connection.accept(now=0.0)


class TestMessages:
    @pytest.mark.parametrize(
        ("event", "message"),
        [
            ({"text": "a"}, "a"),
            ({"text": ""}, ""),
            ({"bytes": b"a"}, b"a"),
            ({"bytes": b""}, b""),
            ({"text": None, "bytes": b"a"}, b"a"),
            ({"text": "a", "bytes": None}, "a"),
        ],
    )
    def test_receive(self, event: dict[str, Any], message: str | bytes) -> None:
        connection = opened()
        connection.receive_event({"type": "websocket.receive", **event})
        assert events_of(connection) == [message]

    @pytest.mark.parametrize("message", ["1234567", "12345678", b"12345678", "éééé"])
    def test_messages_within_the_limit(self, message: str | bytes) -> None:
        connection = opened(Config(max_message_size=8))
        key = "text" if isinstance(message, str) else "bytes"
        connection.receive_event({"type": "websocket.receive", key: message})
        assert events_of(connection) == [message]

    @pytest.mark.parametrize("message", ["123456789", b"123456789", "ééééé"])
    def test_messages_over_the_limit(self, message: str | bytes) -> None:
        connection = opened(Config(max_message_size=8))
        key = "text" if isinstance(message, str) else "bytes"
        connection.receive_event({"type": "websocket.receive", key: message})
        (closed,) = events_of(connection)
        assert (closed.code, closed.clean, closed.by_peer) == (1009, False, False)
        assert output_of(connection)[0]["code"] == 1009
        assert connection.state is State.CLOSED

    @pytest.mark.parametrize(
        ("message", "event"),
        [
            ("é", {"text": "é"}),
            ("", {"text": ""}),
            (b"a", {"bytes": b"a"}),
            (bytearray(b"a"), {"bytes": b"a"}),
            (memoryview(b"a"), {"bytes": b"a"}),
        ],
    )
    def test_send(self, message: Any, event: dict[str, Any]) -> None:
        connection = opened()
        connection.send(message)
        assert connection.backlog == len(message) + 1
        assert output_of(connection) == [{"type": "websocket.send", **event}]
        assert connection.backlog == 0

    @pytest.mark.parametrize(
        ("message", "error"), [(None, TypeError), (1, TypeError), ("\ud800", LocalProtocolError)]
    )
    def test_what_is_no_message(self, message: Any, error: type[Exception]) -> None:
        connection = opened()
        with pytest.raises(error):
            connection.send(message)
        assert not connection.has_output

    def test_no_ping(self) -> None:
        connection = opened()
        with pytest.raises(LocalProtocolError, match="host server"):
            connection.ping(None, 0.0)
        assert not connection.capabilities.ping
        assert not connection.awaits_pong(b"")


class TestClose:
    @pytest.mark.parametrize(
        ("event", "code", "reason", "clean"),
        [
            ({"code": 4010, "reason": "bye"}, 4010, "bye", True),
            ({"code": 1000}, 1000, "", True),
            ({"code": 1005, "reason": ""}, 1005, "", False),
            ({"code": None, "reason": None}, 1005, "", False),
            ({"reason": ""}, 1005, "", False),
            ({"code": 1006}, 1006, "", False),
            ({"code": 1012}, 1012, "", False),
            # A host that passes reasons has none where there was no Close frame.
            ({"code": 1005}, 1006, "", False),
        ],
    )
    def test_the_peer_closes(
        self, event: dict[str, Any], code: int, reason: str, clean: bool
    ) -> None:
        connection = opened()
        connection.receive_event({"type": "websocket.disconnect", **event})
        assert events_of(connection) == [Closed(code, reason, clean, by_peer=True)]
        assert connection.state is State.CLOSED
        with pytest.raises(Disconnected) as caught:
            connection.send("x")
        assert caught.value.code == code

    def test_an_older_host_has_no_reasons(self) -> None:
        connection = opened(asgi={"spec_version": "2.2"})
        assert not connection.capabilities.close_reason
        connection.receive_event({"type": "websocket.disconnect", "code": 1005})
        assert events_of(connection) == [Closed(1005, "", clean=False, by_peer=True)]
        connection = opened(asgi={"version": "3.0"})
        connection.close(4000, "why", 0.0)
        assert output_of(connection) == [{"type": "websocket.close", "code": 4000}]

    def test_we_close(self) -> None:
        connection = opened()
        connection.send("last")
        connection.close(4001, "bye", 5.0)
        connection.close(4002, "again", 5.0)
        assert output_of(connection) == [
            {"type": "websocket.send", "text": "last"},
            {"type": "websocket.close", "code": 4001, "reason": "bye"},
        ]
        connection.receive_event({"type": "websocket.receive", "text": "crossing"})
        assert events_of(connection) == []
        connection.receive_event({"type": "websocket.disconnect", "code": 1000})
        assert events_of(connection) == [Closed(4001, "bye", clean=False, by_peer=False)]

    def test_no_answer_to_our_close(self) -> None:
        connection = opened(Config(close_timeout=2.0))
        connection.close(1000, "", 5.0)
        output_of(connection)
        assert connection.deadline() == 7.0
        connection.handle_deadline(7.0)
        assert events_of(connection) == [Closed(1006, "", clean=False, by_peer=False)]
        assert connection.state is State.CLOSED

    @pytest.mark.parametrize(("code", "reason"), [(1005, ""), (999, ""), (1000, "x" * 124)])
    def test_what_no_close_frame_can_say(self, code: int, reason: str) -> None:
        connection = opened()
        with pytest.raises(LocalProtocolError):
            connection.close(code, reason, 0.0)
        assert connection.state is State.OPEN

    def test_a_host_that_takes_no_more(self) -> None:
        connection = opened()
        connection.send("x")
        connection.write_failed(0.0)
        assert events_of(connection) == [Closed(1006, "", clean=False, by_peer=True)]
        assert connection.backlog == 0

    def test_a_host_that_breaks_the_order_of_events(self) -> None:
        connection = opened()
        connection.receive_event({"type": "http.request"})
        assert events_of(connection)[0].code == 1011
        connection = deciding()
        connection.receive_event({"type": "websocket.receive", "text": "early"})
        assert events_of(connection)[0].code == 1006

    def test_end_of_stream(self) -> None:
        connection = opened()
        connection.receive_data(None, 0.0)
        assert events_of(connection)[0].code == 1006
        with pytest.raises(LocalProtocolError):
            connection.receive_data(b"bytes", 0.0)


class TestHttp:
    def test_a_body_in_pieces(self) -> None:
        connection = HostedConnection(scope("http", method="POST"), Config(), now=0.0)
        connection.receive_event({"type": "http.request", "body": b"a", "more_body": True})
        assert events_of(connection) == []
        connection.receive_event({"type": "http.request", "body": b"b"})
        (event,) = events_of(connection)
        assert isinstance(event, HttpRequested)
        assert event.body == b"ab"
        connection.respond(200, [("X-Y", "z")], b"ok", now=0.0)
        assert output_of(connection) == [
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"x-y", b"z"), (b"content-length", b"2")],
            },
            {"type": "http.response.body", "body": b"ok"},
        ]
        assert connection.state is State.CLOSED

    def test_a_body_over_the_limit(self) -> None:
        config = Config(max_body_size=3)
        connection = HostedConnection(scope("http", method="POST"), config, now=0.0)
        connection.receive_event({"type": "http.request", "body": b"abcd", "more_body": True})
        assert isinstance(events_of(connection)[-1], RequestRefused)
        assert output_of(connection)[0]["status"] == 413

    def test_a_request_that_never_ends(self) -> None:
        connection = HostedConnection(scope("http", method="POST"), Config(), now=0.0)
        connection.handle_deadline(10.0)
        assert output_of(connection)[0]["status"] == 408

    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
    def test_responses_without_content(self, method: str, status: int) -> None:
        connection = HostedConnection(scope("http", method=method), Config(), now=0.0)
        connection.receive_event({"type": "http.request"})
        events_of(connection)
        connection.respond(status, (), b"body", now=0.0)
        start, body = output_of(connection)
        assert body["body"] == b""
        lengths = [value for name, value in start["headers"] if name == b"content-length"]
        assert lengths == ([b"4"] if status == 200 else [])

    def test_gone_before_the_response(self) -> None:
        connection = in_state(State.RESPONDING)
        connection.receive_event({"type": "http.disconnect"})
        assert events_of(connection)[0].code == 1006
        assert connection.state is State.CLOSED


@pytest.mark.parametrize(
    ("more", "target"),
    [
        ({"path": "/a", "raw_path": b"/a"}, "/a"),
        ({"path": "/é", "raw_path": None}, "/%C3%A9"),
        ({"path": "/a b/c", "raw_path": b"/a%20b%2Fc"}, "/a%20b%2Fc"),
        ({"path": "/a", "raw_path": b"/a?x=1", "query_string": b"x=1"}, "/a?x=1"),
        ({"root_path": "/m", "path": "/m/a", "raw_path": b"/m/a"}, "/a"),
        ({"root_path": "/m/", "path": "/m/a", "raw_path": b"/m/a"}, "/a"),
        ({"root_path": "/m", "path": "/m", "raw_path": b"/m"}, "/"),
        ({"root_path": "/m", "path": "/mm/a", "raw_path": b"/mm/a"}, "/mm/a"),
        ({"root_path": "/m", "path": "/a", "raw_path": b"/a"}, "/a"),
        ({"root_path": "/é", "path": "/é/a", "raw_path": b"/%C3%A9/a%20"}, "/a%20"),
        ({"root_path": "/m", "path": "/m/a b", "raw_path": b"/a%20b"}, "/a%20b"),
    ],
)
def test_targets_are_below_the_mount_point(more: dict[str, Any], target: str) -> None:
    assert request_head(scope(**more)).target == target


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (("h", 1), ("h", 1)),
        (["h", 1], ("h", 1)),
        (("h", "1"), ("h", 1)),
        (["/sock", None], "/sock"),
        (None, None),
    ],
)
def test_addresses(value: object, expected: object) -> None:
    assert address(value) == expected


def test_spec_versions() -> None:
    assert spec_version({"asgi": {"spec_version": "2.3"}}) == (2, 3)
    assert spec_version({}) == (2, 0)
