"""The one `WebSocket`: what it says about itself, messages, pings, and both handshakes."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import World
from tests.core.helpers import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    close_payload,
    frame,
    frame_from,
    parse_response,
    request,
)
from windsock.core import (
    Capabilities,
    Disconnected,
    Headers,
    LocalProtocolError,
    MessageTypeError,
    Response,
    WebSocket,
)
from windsock.core.protocol.frames import Role

Call = Callable[[WebSocket], Coroutine[Any, Any, Any]]

NEED_OPEN: list[Call] = [
    lambda ws: ws.send("x"),
    lambda ws: ws.send_text("x"),
    lambda ws: ws.send_bytes(b"x"),
    lambda ws: ws.send_json(1),
    lambda ws: ws.receive(),
    lambda ws: ws.receive(None),
    lambda ws: ws.receive_text(),
    lambda ws: ws.receive_bytes(),
    lambda ws: ws.receive_json(),
    lambda ws: anext(ws),
    lambda ws: ws.ping(),
]
DECIDE: list[Call] = [lambda ws: ws.accept(), lambda ws: ws.reject()]


def fails(world: World, coroutine: Coroutine[Any, Any, Any], message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message):
        world.do(coroutine)


def open_server(world: World) -> WebSocket:
    """An open WebSocket whose peer is bytes."""
    world.peer_sends(request())
    ws = world.server_websocket()
    world.do(ws.accept())
    world.peer_got()
    return ws


# What it says about itself


def test_before_anything_is_decided(world: World) -> None:
    world.peer_sends(request(add=[("Sec-WebSocket-Protocol", "chat, other")]))
    ws = world.server_websocket()
    assert ws.request.subprotocols == ("chat", "other")
    assert (ws.url, dict(ws.query_params)) == ("ws://example.com/chat?room=1", {"room": "1"})
    assert (ws.subprotocol, ws.closed, ws.code, ws.reason, ws.latency) == (
        None,
        False,
        None,
        None,
        None,
    )
    assert (ws.path_params, ws.state, ws.response_headers) == ({}, {}, None)
    assert ws.catch_disconnect is True
    assert ws.backlog == 0
    assert ws.capabilities == Capabilities()
    assert repr(ws) == "<WebSocket /chat?room=1 deciding>"


def test_after_the_end(world: World) -> None:
    server, client = world.open()
    closing = world.spawn(client.close(3000, "enough"))
    assert world.do(server.receive(default=None)) is None
    closing.result()
    for ws in (server, client):
        assert (ws.closed, ws.code, ws.reason) == (True, 3000, "enough")
    assert repr(server) == "<WebSocket /chat?room=1 closed>"


# The opening handshake


def test_accept(world: World) -> None:
    world.peer_sends(request(add=[("Sec-WebSocket-Protocol", "chat, other")]))
    ws = world.server_websocket()
    world.do(ws.accept("other", {"X": "1"}))
    status, headers, _ = parse_response(world.peer_got())
    assert (status, headers["X"], headers["Sec-WebSocket-Protocol"]) == (101, "1", "other")
    assert ws.subprotocol == "other"


@pytest.mark.parametrize(
    ("arguments", "status", "body", "field"),
    [
        ((), 403, b"", None),
        ((401,), 401, b"", None),
        ((401, {"X": "1"}), 401, b"", "1"),
        ((401, [("X", "1"), ("X", "2")], "grün"), 401, b"gr\xc3\xbcn", "1, 2"),
        ((401, Headers([("X", "1"), ("X", "2")]), b"\0"), 401, b"\0", "1, 2"),
        ((Response("no", 410, {"X": "1"}),), 410, b"no", "1"),
    ],
)
def test_reject(
    world: World, arguments: tuple[Any, ...], status: int, body: bytes, field: str | None
) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    world.do(ws.reject(*arguments))
    found, headers, found_body = parse_response(world.peer_got())
    assert (found, found_body, headers.get("X")) == (status, body, field)
    assert ws.closed


def test_what_cannot_be_accepted_or_rejected_with_leaves_the_decision_open(world: World) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    fails(world, ws.accept("chat"), "chat")
    fails(world, ws.accept(headers={"X": "a\r\nb"}), "X")
    fails(world, ws.reject(101), "101")
    fails(world, ws.reject(403, {"X": "a\nb"}), "X")
    assert world.peer_got() == b""
    world.do(ws.accept())
    assert world.peer_got().startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("call", DECIDE)
def test_a_second_decision(world: World, call: Call) -> None:
    server, _ = world.open()
    fails(world, call(server), "cannot .* while the connection is open; allowed now: ")


@pytest.mark.parametrize("call", DECIDE)
@pytest.mark.parametrize("first", [lambda ws: ws.reject(), lambda ws: ws.close()])
def test_a_decision_after_a_rejection(world: World, first: Call, call: Call) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    world.do(first(ws))
    fails(world, call(ws), "while the connection is draining")


@pytest.mark.parametrize("call", DECIDE)
def test_a_decision_after_the_client_has_gone(world: World, call: Call) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    world.peer_ends()
    with pytest.raises(Disconnected) as caught:
        world.do(call(ws))
    assert caught.value.code == 1006


@pytest.mark.parametrize("call", NEED_OPEN)
def test_nothing_else_can_be_done_before_the_decision(world: World, call: Call) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    fails(world, call(ws), "while the connection is deciding; allowed now: accept, reject")


@pytest.mark.parametrize("call", DECIDE)
def test_a_client_decides_nothing(world: World, call: Call) -> None:
    _, client = world.open()
    fails(world, call(client), "a client has nothing to accept or reject")


# Messages


@pytest.mark.parametrize("checkpoints", [True, False])
def test_messages_both_ways(world: World, checkpoints: bool) -> None:
    server, client = world.open()
    world.server.checkpoints = checkpoints
    for sender, receiver in ((server, client), (client, server)):
        world.do(sender.send("grün"))
        world.do(sender.send(b"\0\xff"))
        world.do(sender.send(bytearray(b"a")))
        world.do(sender.send(memoryview(b"b")))
        assert [world.do(receiver.receive()) for _ in range(4)] == ["grün", b"\0\xff", b"a", b"b"]


@pytest.mark.parametrize("checkpoints", [True, False])
def test_messages_of_the_wanted_type(world: World, checkpoints: bool) -> None:
    server, client = world.open()
    world.server.checkpoints = checkpoints

    async def receive() -> list[Any]:
        return [
            await server.receive_text(),
            await server.receive_bytes(),
            await server.receive_json(),
            await server.receive_json(),
            await anext(server),
        ]

    receiving = world.blocks(receive())
    world.do(client.send_text("a"))
    world.do(client.send_bytes(b"b"))
    world.do(client.send_json({"ü": [1, None]}))
    world.do(client.send_bytes(b"[2]"))
    world.do(client.send_text("c"))
    assert receiving.result() == ["a", b"b", {"ü": [1, None]}, [2], "c"]


def test_json_is_compact(world: World) -> None:
    server, client = world.open()
    world.do(client.send_json({"ü": [1, 2]}))
    assert world.do(server.receive()) == '{"ü":[1,2]}'


def test_a_message_of_another_type_stays(world: World) -> None:
    server, client = world.open()
    world.do(client.send("text"))
    world.do(client.send(b"bytes"))
    with pytest.raises(MessageTypeError, match="the next message is str, not bytes"):
        world.do(server.receive_bytes())
    assert world.do(server.receive_text()) == "text"
    with pytest.raises(MessageTypeError, match="the next message is bytes, not str"):
        world.do(server.receive_text())
    assert world.do(server.receive_bytes()) == b"bytes"


@pytest.mark.parametrize("message", ["{", b"\xff", b"\xff\xfe\0"])
def test_what_is_not_json_is_taken(world: World, message: str | bytes) -> None:
    server, client = world.open()
    world.do(client.send(message))
    world.do(client.send("1"))
    with pytest.raises(ValueError) as caught:
        world.do(server.receive_json())
    assert isinstance(caught.value, (json.JSONDecodeError, UnicodeDecodeError))
    assert world.do(server.receive_json()) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ws: ws.close("1000"), "a close code is an int, not '1000'"),
        (lambda ws: ws.close(1000, b"why"), "a close reason is a str, not b'why'"),
        (lambda ws: ws.ping("x"), "the payload of a Ping or Pong is bytes"),
    ],
)
def test_commands_with_arguments_of_wrong_types(world: World, call: Call, message: str) -> None:
    server, _ = world.open()
    fails(world, call(server), message)


def test_it_can_be_referred_to_weakly(world: World) -> None:
    server, _ = world.open()
    assert weakref.ref(server)() is server


def test_what_a_subclass_overrides(world: World) -> None:
    """Be it called from outside or by the class itself."""

    class Shouting(WebSocket):
        async def send(self, data: Any) -> None:
            await super().send(data.upper())

        async def send_bytes(self, data: Any) -> None:
            await self.send_text(data.decode())

    server, client = world.open()
    shouting = Shouting(world.server_channel, server.link, server.request)
    world.do(shouting.send("text"))
    assert world.do(client.receive()) == "TEXT"
    shouting.configure(send_type="bytes")
    world.do(WebSocket.send(shouting, b"bytes"))
    assert world.do(client.receive()) == "bytes"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ws: ws.send(1), "a message is str or bytes-like, not int"),
        (lambda ws: ws.send(None), "a message is str or bytes-like, not NoneType"),
        (lambda ws: ws.send_text(b"x"), "send_text takes a str, not bytes"),
        (lambda ws: ws.send_bytes("x"), "send_bytes takes bytes, not str"),
        (lambda ws: ws.send_bytes(1), "a message is str or bytes-like, not int"),
        (lambda ws: ws.send_json({1, 2}), "set is not JSON serializable"),
    ],
)
def test_what_is_no_message(world: World, call: Call, message: str) -> None:
    server, client = world.open()
    with pytest.raises(TypeError, match=message):
        world.do(call(server))
    world.do(server.send("x"))
    assert world.do(client.receive()) == "x"


def test_text_that_utf_8_cannot_encode(world: World) -> None:
    server, client = world.open()
    fails(world, server.send("\ud800"), "not encodable as UTF-8")
    world.do(server.send("x"))
    assert world.do(client.receive()) == "x"


def test_typed_receives_make_room_too(make_world: MakeWorld) -> None:
    world = make_world(inbox_high_water=1)
    server, client = world.open()
    for message in ("a", "b", "c"):
        world.do(client.send(message))
        assert not world.server_channel.wants_data
        assert world.do(server.receive_text()) == message
        assert world.server_channel.wants_data


def test_a_receive_waits_for_a_message(world: World) -> None:
    server, client = world.open()
    receiving = world.blocks(server.receive())
    assert world.server_channel.waiting == 1
    world.do(client.send("x"))
    assert receiving.result() == "x"
    assert world.server_channel.waiting == 0


def test_several_tasks_receive_each_message_once(world: World) -> None:
    server, client = world.open()
    tasks = [world.blocks(server.receive()) for _ in range(3)]
    assert world.server_channel.waiting == 3
    for message in ("a", "b", "c"):
        world.do(client.send(message))
    assert sorted(str(task.result()) for task in tasks) == ["a", "b", "c"]


def test_several_tasks_send(world: World) -> None:
    server, client = world.open()

    async def send(name: str) -> None:
        for number in range(3):
            await server.send(f"{name}{number}")
            await world.sleep(1)

    for name in "ab":
        world.spawn(send(name))
    world.advance(3)
    found = [str(world.do(client.receive())) for _ in range(6)]
    assert sorted(found) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert [message for message in found if message[0] == "a"] == ["a0", "a1", "a2"]


# Flow control


def test_a_send_waits_while_the_peer_takes_nothing(make_world: MakeWorld) -> None:
    world = make_world(write_high_water=1000)
    server, client = world.open()
    world.to_client.capacity = 0
    world.do(server.send(b"x" * 900))
    assert server.backlog == 904
    sending = world.blocks(server.send(b"y" * 900))
    assert server.backlog == 1808
    world.to_client.capacity = 1 << 20
    world.run()
    sending.result()
    assert server.backlog == 0
    assert world.do(client.receive()) == b"x" * 900
    assert world.do(client.receive()) == b"y" * 900


def test_a_send_that_waits_ends_with_the_connection(make_world: MakeWorld) -> None:
    world = make_world(write_high_water=1000, write_timeout=5)
    server, _ = world.open()
    world.to_client.capacity = 0
    sending = world.blocks(server.send(b"x" * 2000))
    world.advance(5)
    sending.result()
    with pytest.raises(Disconnected):
        world.do(server.send("more"))


def test_a_write_that_fails(world: World) -> None:
    server, _ = world.open()
    receiving = world.blocks(server.receive())
    world.server.broken = True
    world.do(server.send("x"))
    assert isinstance(receiving.error, Disconnected)
    assert (server.code, server.reason) == (1006, "")


# Pings


def test_a_ping_takes_as_long_as_its_pong(world: World) -> None:
    server, client = world.open()
    world.to_server.capacity = 0
    pinging = world.blocks(server.ping())
    world.advance(1.5)
    assert not pinging.done
    assert server.latency is None
    world.to_server.capacity = 1 << 20
    world.run()
    assert pinging.result() == 1.5
    assert server.latency == 1.5
    assert not client.closed


def test_pings_of_several_tasks(world: World) -> None:
    server, _ = world.open()
    world.to_server.capacity = 0
    first = world.blocks(server.ping(b"1"))
    fails(world, server.ping(b"1"), "still unanswered")
    second = world.blocks(server.ping(b"2"))
    world.to_server.capacity = 1 << 20
    world.run()
    assert (first.done, second.done) == (True, True)


def test_a_ping_whose_payload_is_too_long(world: World) -> None:
    server, _ = world.open()
    fails(world, server.ping(b"x" * 126), "at most 125")


def test_a_ping_when_the_websocket_ends(world: World) -> None:
    ws = open_server(world)
    pinging = world.blocks(ws.ping())
    world.peer_sends(frame_from(Role.CLIENT, CLOSE, close_payload(3000)))
    error = pinging.error
    assert isinstance(error, Disconnected)
    assert error.code == 3000


def test_a_ping_waits_while_the_inbox_is_full(make_world: MakeWorld) -> None:
    world = make_world(inbox_high_water=1)
    server, client = world.open()
    world.do(client.send("x"))
    pinging = world.blocks(server.ping())
    world.advance(30)
    assert not pinging.done
    assert world.do(server.receive()) == "x"
    assert pinging.result() == 30


@pytest.mark.parametrize("after", [b"", frame_from(Role.CLIENT, TEXT, b"y")])
def test_a_pong_that_comes_to_light_as_a_message_is_taken(
    make_world: MakeWorld, after: bytes
) -> None:
    """Whether the inbox is full again with what comes after it or not."""
    world = make_world(inbox_high_water=1)
    ws = open_server(world)
    pinging = world.blocks(ws.ping(b"1"))
    pong = frame_from(Role.CLIENT, PONG, b"1")
    world.peer_sends(frame_from(Role.CLIENT, TEXT, b"x") + pong + after)
    assert not pinging.done
    assert world.do(ws.receive()) == "x"
    assert pinging.done
    assert world.server_channel.wants_data is (not after)


def test_a_ping_of_the_peers_that_comes_to_light_as_a_message_is_taken(
    make_world: MakeWorld,
) -> None:
    world = make_world(inbox_high_water=1)
    ws = open_server(world)
    one, two = frame_from(Role.CLIENT, TEXT, b"x"), frame_from(Role.CLIENT, TEXT, b"y")
    world.peer_sends(one + frame_from(Role.CLIENT, PING, b"1") + two)
    assert world.peer_got() == b""
    assert world.do(ws.receive()) == "x"
    assert world.peer_got() == frame(PONG, b"1")


# The closing handshake


def test_close_waits_for_the_peer(world: World) -> None:
    server, client = world.open()
    world.blocks(client.wait_closed())
    world.to_server.capacity = 0
    closing = world.blocks(server.close(3000, "enough"))
    assert not server.closed
    world.to_server.capacity = 1 << 20
    world.run()
    closing.result()
    assert (server.code, server.reason) == (3000, "enough")
    assert world.do(client.receive(default=None)) is None
    assert (client.code, client.reason) == (3000, "enough")


def test_close_does_not_wait_for_ever(world: World) -> None:
    ws = open_server(world)
    closing = world.blocks(ws.close())
    world.advance(9.9)
    assert not closing.done
    world.advance(0.2)
    closing.result()
    assert ws.code == 1006


def test_closing_twice(world: World) -> None:
    server, client = world.open()
    world.blocks(client.wait_closed())
    first = world.spawn(server.close(3000))
    second = world.spawn(server.close(3001))
    world.run()
    first.result()
    second.result()
    world.do(server.close(3002))
    assert server.code == client.code == 3000


def test_closing_before_the_decision_rejects(world: World) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    world.do(ws.close(3000))
    assert world.peer_got().startswith(b"HTTP/1.1 403 ")
    assert ws.code == 1006


@pytest.mark.parametrize("arguments", [(1005,), (1006,), (999,), (5000,), (1000, "x" * 124)])
def test_what_cannot_be_in_a_close_frame(world: World, arguments: tuple[Any, ...]) -> None:
    server, client = world.open()
    with pytest.raises(LocalProtocolError):
        world.do(server.close(*arguments))
    world.do(server.send("still here"))
    assert world.do(client.receive()) == "still here"


def test_a_close_lets_go_those_who_receive(world: World) -> None:
    server, _ = world.open()
    world.to_server.capacity = 0
    receiving = world.blocks(server.receive())
    typed = world.blocks(server.receive_text())
    iterating = world.blocks(anext(server))
    world.blocks(server.close(3000, "enough"))
    for error in (receiving.error, typed.error, iterating.error):
        assert isinstance(error, Disconnected)
        assert (error.code, error.reason) == (3000, "enough")


def test_nothing_is_sent_once_closing_has_begun(world: World) -> None:
    server, _ = world.open()
    world.to_server.capacity = 0
    world.blocks(server.close(3000))
    for call in (server.send("x"), server.ping()):
        with pytest.raises(Disconnected) as caught:
            world.do(call)
        assert caught.value.code == 3000


def test_what_is_unread_can_be_received_after_the_peers_end(world: World) -> None:
    server, client = world.open()
    world.do(client.send("1"))
    world.do(client.send("2"))
    world.spawn(client.close())
    world.advance(1)
    assert server.closed
    assert world.do(server.receive()) == "1"
    assert world.do(server.receive_text()) == "2"
    with pytest.raises(Disconnected):
        world.do(server.receive_text())


@pytest.mark.parametrize("who", [0, 1])
def test_wait_closed(world: World, who: int) -> None:
    both = world.open()
    waiting = [world.blocks(ws.wait_closed()) for ws in both]
    world.do(both[who].close())
    for task in waiting:
        task.result()
    world.do(both[0].wait_closed())


def test_wait_closed_waits_for_the_decision_too(world: World) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    waiting = world.blocks(ws.wait_closed())
    world.do(ws.reject())
    waiting.result()


# Iteration


@pytest.mark.parametrize(
    ("code", "silent"),
    [
        (1000, True),
        (1001, True),
        (None, True),
        (1002, False),
        (1003, False),
        (1007, False),
        (1008, False),
        (1009, False),
        (1010, False),
        (1011, False),
        (1012, False),
        (1013, False),
        (3000, False),
        (4999, False),
        ("eof", False),
    ],
)
def test_how_iteration_ends(world: World, code: int | str | None, silent: bool) -> None:
    ws = open_server(world)
    found: list[str | bytes] = []

    async def iterate() -> None:
        async for message in ws:
            found.append(message)

    task = world.blocks(iterate())
    world.peer_sends(frame_from(Role.CLIENT, TEXT, b"1") + frame_from(Role.CLIENT, TEXT, b"2"))
    if code == "eof":
        world.peer_ends()
    else:
        payload = close_payload(code) if isinstance(code, int) else b""
        world.peer_sends(frame_from(Role.CLIENT, CLOSE, payload))
    assert found == ["1", "2"]
    if silent:
        task.result()
    else:
        assert isinstance(task.error, Disconnected)
        assert task.error.code == (1006 if code == "eof" else code)


@pytest.mark.parametrize(("code", "silent"), [(1000, True), (1001, True), (3000, False)])
def test_how_iteration_ends_when_this_side_closes(world: World, code: int, silent: bool) -> None:
    server, client = world.open()
    world.blocks(client.wait_closed())
    iterating = world.blocks(anext(server))
    world.do(server.close(code))
    assert isinstance(iterating.error, StopAsyncIteration if silent else Disconnected)
