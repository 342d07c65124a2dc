"""`receive_event` and `send_event`: the same WebSocket in ASGI's words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.app.link import World
from tests.core.helpers import parse_response, request
from windsock.core import Disconnected, LocalProtocolError


def test_a_conversation(world: World) -> None:
    server, client = world.open()
    world.do(client.send("a"))
    world.do(client.send(b"b"))
    assert world.do(server.receive_event()) == {"type": "websocket.receive", "text": "a"}
    assert world.do(server.receive_event()) == {"type": "websocket.receive", "bytes": b"b"}
    world.do(server.send_event({"type": "websocket.send", "text": "c"}))
    world.do(server.send_event({"type": "websocket.send", "bytes": None, "text": "d"}))
    world.do(server.send_event({"type": "websocket.send", "bytes": b"e"}))
    world.do(server.send_event({"type": "websocket.send", "bytes": b"f", "text": None}))
    assert [world.do(client.receive()) for _ in range(4)] == ["c", "d", b"e", b"f"]
    world.spawn(client.close(3000, "enough"))
    gone = {"type": "websocket.disconnect", "code": 3000, "reason": "enough"}
    assert world.do(server.receive_event()) == gone
    assert world.do(server.receive_event()) == gone
    for event in ({"type": "websocket.send", "text": "g"}, {"type": "websocket.accept"}):
        with pytest.raises((Disconnected, LocalProtocolError)):
            world.do(server.send_event(event))


def test_connect_comes_once_and_before_accept(world: World) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    assert world.do(ws.receive_event()) == {"type": "websocket.connect"}
    with pytest.raises(LocalProtocolError, match="deciding"):
        world.do(ws.receive_event())
    world.do(ws.send_event({"type": "websocket.accept"}))
    world.blocks(ws.receive_event())


@pytest.mark.parametrize("fields", [[(b"X", b"\xe9")], ([b"X", bytearray(b"\xe9")],)])
def test_accept(world: World, fields: Any) -> None:
    world.peer_sends(request(add=[("Sec-WebSocket-Protocol", "chat")]))
    ws = world.server_websocket()
    with pytest.raises(LocalProtocolError, match="deciding"):
        world.do(ws.send_event({"type": "websocket.send", "text": "x"}))
    with pytest.raises(LocalProtocolError, match="header"):
        world.do(ws.send_event({"type": "websocket.accept", "headers": fields}))
    event = {"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"X", b"1")]}
    world.do(ws.send_event(event))
    status, headers, _ = parse_response(world.peer_got())
    assert (status, headers["Sec-WebSocket-Protocol"], headers["X"]) == (101, "chat", "1")


@pytest.mark.parametrize("nothing", [{}, {"subprotocol": None, "headers": None}])
def test_accept_with_nothing(world: World, nothing: dict[str, Any]) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    world.do(ws.send_event({"type": "websocket.accept", **nothing}))
    assert parse_response(world.peer_got())[0] == 101


@pytest.mark.parametrize(
    ("event", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": None, "reason": None}, 1000, ""),
        ({"code": 3000}, 3000, ""),
        ({"code": 3000, "reason": "enough"}, 3000, "enough"),
    ],
)
def test_close(world: World, event: dict[str, Any], code: int, reason: str) -> None:
    server, client = world.open()
    world.blocks(client.wait_closed())
    world.do(server.send_event({"type": "websocket.close", **event}))
    assert (client.code, client.reason) == (code, reason)


def test_close_before_accept_rejects(world: World) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    world.do(ws.send_event({"type": "websocket.close"}))
    assert parse_response(world.peer_got())[0] == 403


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "websocket.receive", "text": "x"},
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": None},
        {"type": "websocket.send", "text": b"x"},
        {"type": "websocket.send", "bytes": "x"},
        {"type": "http.response.start", "status": 200},
    ],
)
def test_what_says_nothing(world: World, event: dict[str, Any]) -> None:
    server, client = world.open()
    with pytest.raises(LocalProtocolError, match=r"an event is websocket\.accept"):
        world.do(server.send_event(event))
    world.do(server.send("x"))
    assert world.do(client.receive()) == "x"
