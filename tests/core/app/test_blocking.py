"""`BlockingWebSocket`: all that a `WebSocket` does, in calls that block."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import Task, World
from tests.core.helpers import CLOSE, close_payload, frame_from, parse_response, request
from windsock.core import (
    BlockingWebSocket,
    Disconnected,
    LocalProtocolError,
    MessageTypeError,
    Response,
    WebSocket,
)
from windsock.core.protocol.frames import Role


@pytest.fixture
def pair(world: World) -> tuple[BlockingWebSocket, WebSocket]:
    """The server's WebSocket, which blocks, and the client's, which does not; open."""
    server, client = world.open()
    return BlockingWebSocket(server, server.link), client


@pytest.fixture
def undecided(world: World) -> BlockingWebSocket:
    """A server's WebSocket whose peer is bytes, which it has not answered yet."""
    world.peer_sends(request())
    ws = world.server_websocket()
    return BlockingWebSocket(ws, ws.link)


Pair = tuple[BlockingWebSocket, WebSocket]


def test_what_there_is_to_know(world: World, pair: Pair) -> None:
    server, client = pair
    ws = server._ws
    for name in (
        "request",
        "response_headers",
        "path_params",
        "state",
        "subprotocol",
        "closed",
        "code",
        "reason",
        "latency",
        "backlog",
        "capabilities",
    ):
        assert getattr(server, name) == getattr(ws, name), name
    assert repr(server) == "<BlockingWebSocket /chat?room=1 open>"
    world.spawn(client.close(3000, "enough"))
    with pytest.raises(Disconnected):
        server.receive()
    assert (server.closed, server.code, server.reason) == (True, 3000, "enough")


def test_accept(world: World, undecided: BlockingWebSocket) -> None:
    assert undecided.accept(None, {"X-Mine": "1"}) is undecided
    assert b"X-Mine: 1" in world.peer_got()


@pytest.mark.parametrize(
    ("arguments", "status", "body"),
    [
        ((), 403, b""),
        ((401, {"X": "1"}, "who?"), 401, b"who?"),
        ((Response("tea", 418),), 418, b"tea"),
    ],
)
def test_reject(
    world: World,
    undecided: BlockingWebSocket,
    arguments: tuple[Any, ...],
    status: int,
    body: bytes,
) -> None:
    undecided.reject(*arguments)
    found = parse_response(world.peer_got())
    assert (found[0], found[2]) == (status, body)


def test_messages_of_all_kinds(world: World, pair: Pair) -> None:
    server, client = pair
    server.send("text")
    server.send(memoryview(b"bytes"))
    server.send_text("text")
    server.send_bytes(bytearray(b"bytes"))
    server.send_json({"a": [1]})
    heard = [world.do(client.receive()) for _ in range(5)]
    assert heard == ["text", b"bytes", "text", b"bytes", '{"a":[1]}']
    for message in ("text", b"bytes", "text", b"bytes", '{"a": [1]}'):
        world.do(client.send(message))
    assert server.receive() == "text"
    with pytest.raises(MessageTypeError):
        server.receive_text()
    assert server.receive_bytes() == b"bytes"
    assert server.receive_text() == "text"
    assert next(server) == b"bytes"
    assert server.receive_json() == {"a": [1]}


@pytest.mark.parametrize("not_json", ["{", "", b"\xff"])
def test_what_is_not_json(world: World, pair: Pair, not_json: str | bytes) -> None:
    server, client = pair
    world.do(client.send(not_json))
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        server.receive_json()


def test_ping(pair: Pair) -> None:
    assert pair[0].ping(b"x") == pair[0].latency == 0


def test_close(world: World, pair: Pair) -> None:
    server, client = pair
    receiving = world.blocks(client.receive())
    server.close(3000, "enough")
    assert isinstance(receiving.error, Disconnected)
    assert (client.code, client.reason) == (3000, "enough")
    server.close()
    server.wait_closed()
    assert server.code == 3000


def test_events(world: World, undecided: BlockingWebSocket) -> None:
    assert undecided.receive_event() == {"type": "websocket.connect"}
    undecided.send_event({"type": "websocket.accept"})
    assert world.peer_got().startswith(b"HTTP/1.1 101")


def test_a_block_accepts_and_closes(world: World, undecided: BlockingWebSocket) -> None:
    def closes() -> None:
        with undecided:
            assert world.peer_got().startswith(b"HTTP/1.1 101")
            world.to_server.data += frame_from(Role.CLIENT, CLOSE, close_payload(1000))

    closes()
    assert undecided.code == 1000


def test_a_block_in_a_block(world: World, pair: Pair) -> None:
    server, client = pair
    receiving = world.blocks(client.receive())
    with server:
        with server:
            pass
        assert not server.closed
    assert server.code == 1000
    assert receiving.done


@pytest.mark.parametrize(("error", "code"), [(ValueError, 1011), (KeyboardInterrupt, 1001)])
def test_a_block_that_raises(
    world: World, pair: Pair, error: type[BaseException], code: int
) -> None:
    server, client = pair
    receiving = world.blocks(client.receive())
    with pytest.raises(error), server:
        raise error
    world.run()
    assert receiving.done
    assert client.code == code


def test_a_block_swallows_the_peers_end(world: World, pair: Pair) -> None:
    server, client = pair
    world.spawn(client.close())
    with server:
        server.receive()
        raise AssertionError("it did not end")


def test_iteration_ends_with_the_connection(world: World, pair: Pair) -> None:
    server, client = pair
    world.do(client.send("1"))
    world.spawn(client.close())
    assert list(server) == ["1"]


# Time


@pytest.mark.parametrize(
    "name", ["receive", "receive_text", "receive_bytes", "receive_json", "ping", "wait_closed"]
)
def test_a_timeout(world: World, name: str) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    server = BlockingWebSocket(ws, ws.link).accept()
    with pytest.raises(TimeoutError):
        getattr(server, name)(timeout=5)
    assert world.now == 5
    assert not server.closed


def test_what_comes_after_a_timeout_is_still_received(world: World, pair: Pair) -> None:
    server, client = pair
    with pytest.raises(TimeoutError):
        server.receive(timeout=1)
    world.do(client.send("late"))
    assert server.receive(timeout=1) == "late"


def test_a_default_is_for_the_end_not_for_a_timeout(world: World, pair: Pair) -> None:
    server, client = pair
    with pytest.raises(TimeoutError):
        server.receive(1, default=None)
    world.spawn(client.close())
    assert server.receive(1, default=None) is None


def test_a_send_that_times_out_was_done_in_full(make_world: MakeWorld) -> None:
    world = make_world(write_high_water=10)
    server, client = world.open()
    world.to_client.capacity = 0
    blocking = BlockingWebSocket(server, server.link)
    for send in (blocking.send, blocking.send_text):
        with pytest.raises(TimeoutError):
            send("x" * 20, timeout=1)
    with pytest.raises(TimeoutError):
        blocking.send_bytes(b"x" * 20, timeout=1)
    with pytest.raises(TimeoutError):
        blocking.send_json(1, timeout=1)
    with pytest.raises(TimeoutError):
        blocking.send_event({"type": "websocket.send", "text": "1"}, timeout=1)
    world.to_client.capacity = 1000
    heard = [world.do(client.receive()) for _ in range(5)]
    assert heard == ["x" * 20, "x" * 20, b"x" * 20, "1", "1"]


def test_a_close_that_times_out_has_begun(world: World) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    server = BlockingWebSocket(ws, ws.link).accept()
    with pytest.raises(TimeoutError):
        server.close(3000, timeout=1)
    with pytest.raises(Disconnected):
        server.send("x")


def test_a_closing_thread_tells_one_that_receives(world: World, pair: Pair) -> None:
    server, client = pair
    world.spawn(client.receive())
    task: Task[Any] = world.blocks(server._ws.receive())
    server.close()
    assert isinstance(task.error, Disconnected)


def test_errors_come_out_as_they_are(pair: Pair) -> None:
    with pytest.raises(TypeError, match="send_text takes a str"):
        pair[0].send_text(b"x")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(LocalProtocolError, match="open"):
        pair[0].accept()
