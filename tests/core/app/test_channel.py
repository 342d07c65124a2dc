"""The inbox: how much is kept for a slow reader, and when the transport is to read on."""

from __future__ import annotations

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
    head,
    request,
)
from tests.core.helpers import open_server as open_server_connection
from windsock.core import App, Config, Request, Response, ServerConnection, State, WebSocket
from windsock.core.app.channel import Channel
from windsock.core.app.session import going_away
from windsock.core.protocol.events import RequestRefused
from windsock.core.protocol.frames import Role

OVERHEAD = 64  # what a message counts in the inbox besides its bytes


def text(payload: bytes) -> bytes:
    return frame_from(Role.CLIENT, TEXT, payload)


def open_server(world: World) -> WebSocket:
    """An open WebSocket whose peer is bytes."""
    world.peer_sends(request())
    ws = world.server_websocket()
    world.do(ws.accept())
    world.peer_got()
    return ws


def receive(world: World, ws: WebSocket) -> str | bytes:
    return world.do(ws.receive())


# The opening handshake


@pytest.mark.parametrize(
    ("data", "state"),
    [(request(), State.DECIDING), (head("GET / HTTP/1.1", [("Host", "x")]), State.RESPONDING)],
)
def test_what_comes_before_a_decision_is_bounded(world: World, data: bytes, state: State) -> None:
    channel = world.server_channel
    world.peer_sends(data)
    assert channel.connection.state is state
    assert channel.wants_data
    world.peer_sends(bytes(64 * 1024 - 1))
    assert channel.wants_data
    world.peer_sends(b"\0")
    assert not channel.wants_data
    world.to_server.data += b"more"
    world.run()
    assert world.to_server.data == b"more"


def test_what_came_before_the_decision_is_received_after_it(world: World) -> None:
    world.peer_sends(request() + text(b"one"))
    world.peer_sends(text(b"x" * 64 * 1024))
    world.to_server.data += text(b"three")
    ws = world.server_websocket()
    assert world.to_server.data, "early data is unbounded"
    world.do(ws.accept())
    assert receive(world, ws) == "one"
    assert receive(world, ws) == "x" * 64 * 1024
    assert receive(world, ws) == "three"


@pytest.mark.parametrize("decide", ["accept", "reject", "close", "going away"])
def test_every_decision_has_the_transport_read_on(world: World, decide: str) -> None:
    """Which the transport may have stopped because of too much early data."""
    world.peer_sends(request() + bytes(64 * 1024))
    world.peer_sends(bytes(64 * 1024))
    ws = world.server_websocket()
    assert not world.server.reading
    match decide:
        case "accept":
            world.do(ws.accept())
        case "reject":
            world.do(ws.reject())
        case "close":
            world.do(ws.close())
        case _:
            going_away(world.server_channel, world.server)
    world.run()
    assert world.server.reading
    assert ws.closed is (decide != "accept")


def test_a_plain_response_has_the_transport_read_on(world: World) -> None:
    app = App()

    @app.http("/")
    async def handler(asked: Request) -> Response:
        await gate.wait()
        return Response("ok")

    gate = world.gate()
    serving = world.serve(app)
    world.peer_sends(head("GET / HTTP/1.1", [("Host", "x")]))
    world.peer_sends(bytes(64 * 1024))
    assert not world.server.reading
    gate.open()
    world.run()
    assert world.server.reading
    world.peer_ends()
    serving.result()


def test_an_early_ping_is_answered_as_soon_as_the_websocket_is_open(world: World) -> None:
    world.peer_sends(request() + frame_from(Role.CLIENT, PING, b"1"))
    world.do(world.server_websocket().accept())
    assert world.peer_got().endswith(b"\r\n\r\n\x8a\x011")


def test_the_greeting_of_a_bad_request(world: World) -> None:
    world.peer_sends(request(("Sec-WebSocket-Version", "8")))
    assert isinstance(world.server_channel.greeting, RequestRefused)
    assert world.server_channel.ended
    assert not world.server_channel.finished
    world.peer_ends()
    assert world.server_channel.finished


# High and low water


def test_reading_stops_when_the_inbox_is_full_and_goes_on_when_half_of_it_was_taken(
    make_world: MakeWorld,
) -> None:
    world = make_world(inbox_high_water=4 * (OVERHEAD + 6))
    ws = open_server(world)
    channel = world.server_channel
    for number in range(4):
        assert channel.wants_data
        world.peer_sends(text(b"text %d" % number))
    assert not channel.wants_data
    assert receive(world, ws) == "text 0"
    assert not channel.wants_data
    assert receive(world, ws) == "text 1"
    assert channel.wants_data
    for number in range(2, 4):
        assert receive(world, ws) == f"text {number}"


def test_a_flood_of_empty_messages_is_bounded(make_world: MakeWorld) -> None:
    world = make_world(inbox_high_water=10 * OVERHEAD)
    ws = open_server(world)
    world.peer_sends(text(b"") * 1000)
    assert len(world.server_channel.inbox) == 10
    assert not world.server_channel.wants_data
    for _ in range(1000):
        assert receive(world, ws) == ""
        assert len(world.server_channel.inbox) <= 10
    assert world.server_channel.wants_data


def test_one_message_may_be_more_than_the_high_water(make_world: MakeWorld) -> None:
    world = make_world(inbox_high_water=1)
    ws = open_server(world)
    for payload in ("x" * 1000, "", "y"):
        world.peer_sends(text(payload.encode()))
        assert not world.server_channel.wants_data
        assert receive(world, ws) == payload
        assert world.server_channel.wants_data


def test_what_was_read_together_is_kept_until_there_is_room(make_world: MakeWorld) -> None:
    world = make_world(inbox_high_water=2 * OVERHEAD)
    ws = open_server(world)
    world.peer_sends(b"".join(text(b"%d" % n) for n in range(7)))
    assert [receive(world, ws) for _ in range(7)] == [str(n) for n in range(7)]
    assert world.server_channel.wants_data


def test_silence_is_not_the_peers_fault_while_nobody_reads(make_world: MakeWorld) -> None:
    world = make_world(inbox_high_water=1, ping_interval=20, ping_timeout=20)
    ws = open_server(world)
    world.peer_sends(text(b"x"))
    world.advance(1000)
    assert not ws.closed
    assert receive(world, ws) == "x"
    world.advance(39)
    assert not ws.closed
    world.advance(2)
    assert ws.closed
    assert ws.code == 1011


@pytest.mark.parametrize("count", [1, 10])
def test_closing_discards_what_was_not_received_and_reads_on(
    make_world: MakeWorld, count: int
) -> None:
    world = make_world(inbox_high_water=5 * OVERHEAD)
    ws = open_server(world)
    world.peer_sends(text(b"") * count)
    closing = world.blocks(ws.close())
    assert not world.server_channel.inbox
    assert world.server_channel.wants_data
    world.peer_sends(text(b"late") + frame_from(Role.CLIENT, CLOSE, close_payload(1000)))
    assert not world.server_channel.inbox
    closing.result()


# Pings


def test_pings_are_answered_though_nobody_receives(world: World) -> None:
    open_server(world)
    world.peer_sends(text(b"x") + frame_from(Role.CLIENT, PING, b"1"))
    assert world.peer_got() == b"\x8a\x011"


def test_an_unsolicited_pong_tells_no_latency(world: World) -> None:
    ws = open_server(world)
    pong = frame_from(Role.CLIENT, PONG, b"x")
    world.peer_sends(pong)
    assert ws.latency is None
    pinging = world.blocks(ws.ping(b"1"))
    world.advance(1)
    world.peer_sends(frame_from(Role.CLIENT, PONG, b"1") + pong)
    pinging.result()
    assert ws.latency == 1


# Turns


def a_channel(messages: int, *, turns: bool, waiting: int) -> Channel[ServerConnection]:
    """A channel of an open server that has been sent so many messages of 100 bytes at once."""
    connection = open_server_connection()
    channel: Channel[ServerConnection] = Channel(connection, Config())
    channel.takes_turns = turns
    channel.waiting = waiting
    channel.receive_data(text(b"x" * 100) * messages, 0.0)
    return channel


def test_a_task_that_waits_gets_one_turn_at_a_time() -> None:
    channel = a_channel(1000, turns=True, waiting=1)
    turns = []
    while channel.more:
        assert not channel.wants_data
        turns.append(len(channel.inbox))
        while channel.inbox:
            channel.take()
        channel.pump()
    turns.append(len(channel.inbox))
    assert sum(turns) == 1000
    assert max(turns) < 200
    assert channel.wants_data


@pytest.mark.parametrize(("turns", "waiting"), [(False, 1), (True, 0)])
def test_no_turns_where_nobody_would_take_the_next_one(turns: bool, waiting: int) -> None:
    channel = a_channel(1000, turns=turns, waiting=waiting)
    assert len(channel.inbox) == 1000
    assert not channel.more


def test_what_is_left_of_a_turn_comes_at_once_when_nobody_waits_any_more() -> None:
    channel = a_channel(1000, turns=True, waiting=1)
    channel.waiting = 0
    channel.pump()
    assert len(channel.inbox) == 1000
    assert not channel.more


def test_a_turn_has_a_few_messages_however_large() -> None:
    connection = open_server_connection()
    channel: Channel[ServerConnection] = Channel(connection, Config(inbox_high_water=1 << 20))
    channel.takes_turns = True
    channel.waiting = 1
    channel.receive_data(text(b"x" * 20_000) * 20, 0.0)
    assert channel.more
    assert len(channel.inbox) == 8


def test_a_full_inbox_is_no_turn() -> None:
    channel = a_channel(10_000, turns=True, waiting=1)
    while channel.more:
        channel.pump()
    assert channel.full
    assert not channel.wants_data


def test_what_somebody_else_has_taken_counts_like_what_came_by_itself() -> None:
    channel = a_channel(1, turns=False, waiting=0)
    assert channel.take() == "x" * 100
    size = channel.config.inbox_high_water - 2 * OVERHEAD
    channel.put(b"x" * size)
    assert channel.wants_data
    channel.put("last")
    assert channel.full
    assert not channel.wants_data
    assert channel.take() == b"x" * size
    assert channel.make_room(0.0)
    assert channel.take() == "last"


# Other connections than ours


class Foreign:
    """What an adapter may put in place of a connection of ours."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_a_connection_of_another_class() -> None:
    connection = open_server_connection()
    channel = Channel(Foreign(connection), Config())
    channel.receive_data(text(b"one") + text(b"two"), 1)
    assert list(channel.inbox) == ["one", "two"]
    assert channel.receive_data(text(b"three"), 2)
    assert [channel.take() for _ in range(3)] == ["one", "two", "three"]
    assert channel.send("hello") == connection.backlog
    assert connection.data_to_send() == frame(TEXT, b"hello")
