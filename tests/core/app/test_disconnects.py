"""`async with ws`: what it does on entry and exit, and which disconnects it swallows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.app.link import Cancelled, World
from tests.core.helpers import CLOSE, close_payload, frame_from, parse_response, request
from windsock.core import Disconnected, State, WebSocket
from windsock.core.protocol.frames import Role


def undecided(world: World) -> WebSocket:
    world.peer_sends(request())
    return world.server_websocket()


def opened(world: World) -> WebSocket:
    """An open WebSocket whose peer is bytes."""
    ws = undecided(world)
    world.do(ws.accept())
    world.peer_got()
    return ws


def closed_with(code: int) -> tuple[World, WebSocket]:
    """A WebSocket whose peer has closed."""
    world = World()
    ws = opened(world)
    world.blocks(ws.wait_closed())
    world.peer_sends(frame_from(Role.CLIENT, CLOSE, close_payload(code)))
    assert ws.closed
    return world, ws


# Entry and exit


def test_entry_accepts(world: World) -> None:
    ws = undecided(world)

    async def handler() -> None:
        async with ws as entered:
            assert entered is ws
            await ws.receive()

    world.blocks(handler())
    assert parse_response(world.peer_got())[0] == 101


def test_entry_does_not_accept_twice(world: World) -> None:
    ws = opened(world)

    async def handler() -> None:
        async with ws:
            async with ws:
                await ws.send("x")

    world.blocks(handler())
    assert world.peer_got().startswith(b"\x81\x01x")


def test_entry_after_a_rejection(world: World) -> None:
    ws = undecided(world)
    world.do(ws.reject())

    async def handler() -> None:
        async with ws:
            with pytest.raises(Disconnected):
                await ws.send("x")
            await ws.send("y")

    world.do(handler())
    assert parse_response(world.peer_got())[0] == 403


@pytest.mark.parametrize(
    ("error", "code"),
    [(None, 1000), (ValueError("x"), 1011), (Cancelled(), 1001), (KeyboardInterrupt(), 1001)],
)
def test_exit_closes(world: World, error: BaseException | None, code: int) -> None:
    ws = opened(world)

    async def handler() -> None:
        async with ws:
            if error is not None:
                raise error

    task = world.spawn(handler())
    assert world.peer_got() == b"\x88\x02" + close_payload(code)
    world.peer_sends(frame_from(Role.CLIENT, CLOSE, close_payload(code)))
    assert task.error is error
    assert ws.code == code


def test_only_the_outermost_exit_closes(world: World) -> None:
    ws = opened(world)
    gate = world.gate()

    async def handler() -> None:
        async with ws:
            async with ws:
                pass
            await ws.send("between")
            with pytest.raises(ValueError, match="x"):
                async with ws:
                    raise ValueError("x")
            await ws.send("still open")
            await gate.wait()

    world.blocks(handler())
    assert world.peer_got() == b"\x81\x07between\x81\x0astill open"
    gate.open()
    assert world.peer_got() == b"\x88\x02\x03\xe8"


def test_exit_after_closing_by_hand(world: World) -> None:
    ws = opened(world)

    async def handler() -> None:
        async with ws:
            await ws.close(3000)

    task = world.blocks(handler())
    world.peer_sends(frame_from(Role.CLIENT, CLOSE, close_payload(3000)))
    task.result()
    assert ws.code == 3000


# Which disconnects are swallowed


@pytest.mark.parametrize(
    ("catch", "code", "swallowed"),
    [
        (True, 1000, True),
        (True, 1011, True),
        (True, 3000, True),
        (False, 1000, False),
        (False, 3000, False),
        ({3000, 1000}, 1000, True),
        ({3000, 1000}, 3000, True),
        ({3000, 1000}, 1001, False),
        (frozenset[int](), 1000, False),
        ([1001], 1001, True),
    ],
)
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("grouped", [0, 1, 2])
def test_which_disconnects_are_swallowed(
    catch: Any, code: int, swallowed: bool, depth: int, grouped: int
) -> None:
    """However deep the block, and however often a nursery has wrapped it."""
    world, ws = closed_with(code)
    ws.catch_disconnect = catch
    steps: list[str] = []

    async def receive() -> None:
        try:
            await ws.receive()
        except Disconnected as error:
            wrapped: Exception = error
            for _ in range(grouped):
                wrapped = ExceptionGroup("nursery", [wrapped])
            raise wrapped from None

    async def nested(levels: int) -> None:
        async with ws:
            if levels:
                await nested(levels - 1)
                steps.append("went on inside")
            else:
                await receive()

    task = world.spawn(nested(depth - 1))
    world.run()
    assert steps == []
    if swallowed:
        task.result()
    else:
        error = task.error
        for _ in range(grouped):
            assert isinstance(error, ExceptionGroup)
            [error] = error.exceptions
        assert isinstance(error, Disconnected)
        assert error.code == code


def test_a_group_of_disconnects_only() -> None:
    world, ws = closed_with(1000)

    async def handler() -> None:
        async with ws:
            gone = Disconnected(1000, "", True)
            raise ExceptionGroup("nursery", [gone, ExceptionGroup("nursery", [gone])])

    world.do(handler())


@pytest.mark.parametrize("group", [ExceptionGroup, BaseExceptionGroup])
def test_a_group_with_anything_else_in_it(group: Any) -> None:
    world, ws = closed_with(1000)
    other: BaseException = ValueError("x") if group is ExceptionGroup else Cancelled()
    error = group("nursery", [Disconnected(1000, "", True), other])

    async def handler() -> None:
        async with ws:
            raise error

    task = world.spawn(handler())
    world.run()
    assert task.error is error


def test_a_disconnect_while_this_side_closes(world: World) -> None:
    ws = opened(world)

    async def handler() -> None:
        async with ws:
            await ws.receive()

    task = world.blocks(handler())
    world.blocks(ws.close(3000))
    task.result()
    assert ws._channel.connection.state is State.CLOSING


def test_the_disconnect_of_another_websocket_is_an_error_like_any(world: World) -> None:
    ws = opened(world)
    gone = Disconnected(1000, "", True)

    async def handler() -> None:
        async with ws:
            raise gone

    task = world.spawn(handler())
    assert world.peer_got() == b"\x88\x02\x03\xf3"
    world.peer_sends(frame_from(Role.CLIENT, CLOSE, close_payload(1011)))
    assert task.error is gone
