"""Graceful shutdown of one connection, wherever it stands."""

from __future__ import annotations

import logging

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import Task, World, unreachable
from tests.core.helpers import CLOSE, TEXT, close_payload, frame, frame_from, head, parse_response
from tests.core.helpers import request as handshake
from windsock.core import App, Reject, Request, Response, WebSocket
from windsock.core.app.session import going_away
from windsock.core.protocol.frames import Role

PLAIN = head("GET / HTTP/1.1", [("Host", "example.com")])
CLOSE_1001 = frame(CLOSE, close_payload(1001))
PEER_CLOSES_1001 = frame_from(Role.CLIENT, CLOSE, close_payload(1001))


def ends(world: World, task: Task[None]) -> None:
    """The peer ends TCP, and then the connection is over."""
    assert not task.done
    world.peer_ends()
    task.result()
    assert world.server_channel.finished


def test_going_away_before_a_request(world: World) -> None:
    task = world.serve(unreachable)
    world.run()
    going_away(world.server_channel, world.server)
    world.run()
    task.result()
    assert world.peer_got() == b""


@pytest.mark.parametrize("how", ["return", "accept", "reject", "close", "Reject"])
def test_going_away_before_the_decision(
    world: World, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """The handler knows nothing of it, so it is not to blame for coming too late."""
    caplog.set_level(logging.DEBUG, "windsock")
    gate = world.gate()

    async def handler(ws: WebSocket) -> None:
        await gate.wait()
        match how:
            case "accept":
                await ws.accept()
            case "reject":
                await ws.reject()
            case "close":
                await ws.close()
            case "Reject":
                raise Reject(401)

    task = world.serve(handler)
    world.peer_sends(handshake())
    going_away(world.server_channel, world.server)
    assert parse_response(world.peer_got())[0] == 503
    gate.open()
    ends(world, task)
    assert all(record.levelno == logging.DEBUG for record in caplog.records)


def test_going_away_while_open(world: World) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            async for message in ws:
                await ws.send(message)

    task = world.serve(handler)
    world.peer_sends(handshake())
    going_away(world.server_channel, world.server)
    going_away(world.server_channel, world.server)
    assert world.peer_got().endswith(b"\r\n\r\n" + CLOSE_1001)
    world.peer_sends(PEER_CLOSES_1001)
    going_away(world.server_channel, world.server)
    assert world.peer_got() == b""
    ends(world, task)
    going_away(world.server_channel, world.server)
    assert world.peer_got() == b""


def test_going_away_while_nobody_reads(make_world: MakeWorld) -> None:
    """The inbox is full and its handler busy: the peer's answer is seen all the same."""
    world = make_world(inbox_high_water=1)
    gate = world.gate()

    async def handler(ws: WebSocket) -> None:
        async with ws:
            await gate.wait()

    task = world.serve(handler)
    world.peer_sends(handshake() + frame_from(Role.CLIENT, TEXT, b"x"))
    going_away(world.server_channel, world.server)
    assert world.server_channel.wants_data
    world.peer_sends(PEER_CLOSES_1001)
    closed = world.server_channel.closed
    assert closed is not None
    assert (closed.code, closed.clean) == (1001, True)
    gate.open()
    ends(world, task)


def test_going_away_leaves_a_plain_request_to_finish(world: World) -> None:
    gate = world.gate()
    app = App()

    @app.http("/")
    async def handler(asked: Request) -> Response:
        await gate.wait()
        return Response("ok")

    task = world.serve(app)
    world.peer_sends(PLAIN)
    going_away(world.server_channel, world.server)
    assert world.peer_got() == b""
    gate.open()
    assert parse_response(world.peer_got())[2] == b"ok"
    ends(world, task)
