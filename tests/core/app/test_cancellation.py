"""Cancellation at every single await: nothing is lost, doubled, torn, or left behind."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.core.app.link import Cancelled, World, cancelled_everywhere
from tests.core.helpers import CLOSE, PING, TEXT, frame_from, parse_frames, parse_response, request
from windsock.core import Config, State, WebSocket
from windsock.core.protocol.frames import Role

Call = Callable[[WebSocket], Coroutine[Any, Any, Any]]
Scene = tuple[World, Coroutine[Any, Any, Any]]


def opened(world: World) -> WebSocket:
    """An open WebSocket whose peer is bytes."""
    ws = undecided(world)
    world.do(ws.accept())
    world.peer_got()
    return ws


def undecided(world: World) -> WebSocket:
    world.peer_sends(request())
    return world.server_websocket()


@pytest.mark.parametrize("high_water", [1, 1000])
@pytest.mark.parametrize(
    "receive",
    [
        lambda ws: ws.receive(),
        lambda ws: ws.receive(default=None),
        lambda ws: ws.receive_text(),
        lambda ws: anext(ws),
    ],
)
@pytest.mark.parametrize("all_at_once", [True, False])
def test_a_cancelled_receive_loses_and_doubles_nothing(
    receive: Call, high_water: int, all_at_once: bool
) -> None:
    found: list[Any] = []
    servers: list[WebSocket] = []

    def scene() -> Scene:
        world = World(Config(inbox_high_water=high_water))
        server, client = world.open()
        servers.append(server)
        found.clear()

        async def say() -> None:
            for message in ("a", "b", "c"):
                await client.send(message)
                if not all_at_once:
                    await world.sleep(0)

        async def hear() -> None:
            for _ in range(3):
                found.append(await receive(server))

        world.spawn(say())
        return world, hear()

    for world, _ in cancelled_everywhere(scene):
        world.advance(1)
        assert world.server_channel.waiting == 0
        while len(found) < 3:
            found.append(world.do(receive(servers[-1])))
        assert found == ["a", "b", "c"]


def test_a_cancelled_receive_leaves_others_waiting() -> None:
    world = World()
    server, client = world.open()
    first = world.blocks(server.receive())
    second = world.blocks(server.receive())
    assert world.server_channel.waiting == 2
    first.cancel()
    world.run()
    assert world.server_channel.waiting == 1
    world.do(client.send("x"))
    assert second.result() == "x"
    world.dispose()


def test_a_receive_cancelled_with_the_message_on_the_way() -> None:
    """It came in before the task ran: it is still there for the next."""
    world = World()
    server, client = world.open()
    receiving = world.blocks(server.receive())
    world.spawn(client.send("x"))
    receiving.cancel()
    world.run()
    assert receiving.was_cancelled
    assert world.do(server.receive()) == "x"


READY: list[Call] = [
    lambda ws: ws.receive(),
    lambda ws: ws.receive_text(),
    lambda ws: ws.receive_json(),
    lambda ws: anext(ws),
    lambda ws: ws.receive_event(),
    lambda ws: ws.send("x"),
    lambda ws: ws.send_event({"type": "websocket.send", "text": "x"}),
    lambda ws: ws.ping(),
    lambda ws: ws.wait_closed(),
]


@pytest.mark.parametrize("call", READY)
def test_what_need_not_wait_can_be_cancelled_all_the_same(world: World, call: Call) -> None:
    """And has done nothing then."""
    ws = opened(world)
    world.peer_sends(frame_from(Role.CLIENT, TEXT, b"1"))
    task = world.spawn(call(ws), cancel_at=0)
    world.run()
    assert task.was_cancelled
    assert world.peer_got() == b""
    assert world.do(ws.receive()) == "1"


@pytest.mark.parametrize("call", READY[:-2])
def test_nothing_is_awaited_where_the_link_has_no_checkpoints(world: World, call: Call) -> None:
    world.server.checkpoints = False
    ws = opened(world)
    world.peer_sends(frame_from(Role.CLIENT, TEXT, b"1"))
    task = world.spawn(call(ws), cancel_at=0)
    world.run()
    task.result()


@pytest.mark.parametrize("capacity", [0, 150, 1 << 20], ids=["stuck", "slow", "fast"])
def test_a_cancelled_send_goes_out_whole_or_not_at_all(capacity: int) -> None:
    began: list[str] = []
    servers: list[WebSocket] = []

    def scene() -> Scene:
        world = World(Config(write_high_water=100))
        ws = opened(world)
        servers.append(ws)
        began.clear()
        world.to_client.capacity = capacity

        async def say() -> None:
            for letter in "abc":
                began.append(letter * 200)
                await ws.send(letter * 200)

        async def let_it_go() -> None:
            await world.sleep(1)
            world.to_client.capacity = 1 << 20
            world.server.flush_soon()

        world.spawn(let_it_go())
        return world, say()

    times = 0
    for world, _ in cancelled_everywhere(scene, seconds=2):
        times += 1
        world.do(servers[-1].send("next"))
        sent = [frame.payload.decode() for frame in parse_frames(world.peer_got(), Role.SERVER)]
        assert sent in ([*began, "next"], [*began[:-1], "next"])
    assert times >= 4


def test_a_send_that_is_cancelled_while_it_waits_has_sent_its_message() -> None:
    world = World(Config(write_high_water=100))
    ws = opened(world)
    world.to_client.capacity = 0
    sending = world.blocks(ws.send("x" * 200))
    sending.cancel()
    world.run()
    assert sending.was_cancelled
    world.to_client.capacity = 1 << 20
    [sent] = parse_frames(world.peer_got(), Role.SERVER)
    assert sent.payload == b"x" * 200
    world.dispose()


def test_a_cancelled_ping() -> None:
    servers: list[WebSocket] = []

    def scene() -> Scene:
        world = World()
        server, _ = world.open()
        servers.append(server)
        return world, server.ping(b"1")

    times = 0
    for world, _ in cancelled_everywhere(scene):
        times += 1
        assert world.server_channel.waiting == 0
        assert world.do(servers[-1].ping(b"2")) == 0
        assert world.do(servers[-1].ping(b"1")) == 0
    assert times >= 2


def test_a_cancelled_ping_has_been_sent_or_not() -> None:
    for cancel_at, sent in ((0, []), (1, [PING])):
        world = World()
        ws = opened(world)
        world.spawn(ws.ping(), cancel_at=cancel_at)
        assert [frame.opcode for frame in parse_frames(world.peer_got(), Role.SERVER)] == sent
        world.dispose()


def test_a_cancelled_accept_leaves_the_decision_open() -> None:
    worlds: list[WebSocket] = []

    def scene() -> Scene:
        world = World()
        worlds.append(undecided(world))
        return world, worlds[-1].accept()

    for world, _ in cancelled_everywhere(scene):
        assert world.peer_got() == b""
        assert world.server_channel.connection.state is State.DECIDING
        world.do(worlds[-1].accept())
        assert parse_response(world.peer_got())[0] == 101


def test_a_cancelled_reject_leaves_the_decision_open() -> None:
    worlds: list[WebSocket] = []

    def scene() -> Scene:
        world = World()
        worlds.append(undecided(world))
        return world, worlds[-1].reject(404)

    for world, _ in cancelled_everywhere(scene):
        assert world.peer_got() == b""
        world.do(worlds[-1].reject(404))
        assert parse_response(world.peer_got())[0] == 404


def test_a_cancelled_close_has_begun() -> None:
    servers: list[WebSocket] = []

    def scene() -> Scene:
        world = World()
        server, client = world.open()
        servers.append(server)
        world.spawn(client.wait_closed())
        return world, server.close(3000)

    times = 0
    for world, _ in cancelled_everywhere(scene):
        times += 1
        assert world.server_channel.waiting == 0
        assert servers[-1].code == 3000
    assert times >= 2


def test_a_cancelled_wait_for_the_end() -> None:
    def scene() -> Scene:
        world = World()
        server, client = world.open()
        world.spawn(client.close())
        return world, server.wait_closed()

    for world, _ in cancelled_everywhere(scene):
        assert world.server_channel.waiting == 0


def test_a_cancelled_block_says_goodbye_without_awaiting_anything() -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            async for message in ws:
                await ws.send(message)

    servers: list[WebSocket] = []

    def scene() -> Scene:
        world = World()
        _, client = world.add_client()
        client.flush_soon()
        server = world.server_websocket()
        servers.append(server)

        async def say() -> None:
            ws = WebSocket(client.channel, client, server.request)
            while client.channel.connection.state is not State.OPEN:
                await client.wait()
            await ws.send("x")
            assert await ws.receive() == "x"
            await ws.close()

        world.spawn(say())
        return world, handler(server)

    codes: list[Any] = []
    for world, _ in cancelled_everywhere(scene):
        assert world.server_channel.waiting == 0
        world.advance(1)
        codes.append(servers[-1].code)
    # Not accepted yet; then 1001 wherever it was, until the client had closed.
    assert codes[0] is None
    assert set(codes[1:]) == {1001, 1000}
    assert codes[1:] == sorted(codes[1:], reverse=True)


def test_a_cancelled_block_has_sent_a_close_frame() -> None:
    world = World()
    ws = opened(world)

    async def handler() -> None:
        async with ws:
            await ws.receive()

    task = world.blocks(handler())
    task.cancel()
    [sent] = parse_frames(world.peer_got(), Role.SERVER)
    assert (sent.opcode, sent.payload[:2]) == (CLOSE, b"\x03\xe9")
    assert isinstance(task.error, Cancelled)
    world.dispose()
