"""An end that comes in one read with messages is seen only after they could be answered."""

from __future__ import annotations

import pytest

from tests.core.app.link import World
from tests.core.helpers import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    close_payload,
    frame,
    frame_from,
    parse_frames,
    request,
)
from windsock.core import Config, Disconnected, WebSocket
from windsock.core.protocol.frames import Role

MAX_HOLD = 0.25

BYE = frame_from(Role.CLIENT, CLOSE, close_payload(1000, "bye"))
UNMASKED = frame(TEXT, b"not masked")

ENDS = pytest.mark.parametrize(
    ("end", "code", "clean"), [(BYE, 1000, True), (UNMASKED, 1002, False)], ids=["close", "wrong"]
)


def text(payload: bytes) -> bytes:
    return frame_from(Role.CLIENT, TEXT, payload)


@pytest.fixture
def ws(world: World) -> WebSocket:
    """An open WebSocket of a server whose peer is bytes."""
    world.peer_sends(request())
    opened = world.server_websocket()
    world.do(opened.accept())
    world.peer_got()
    return opened


def frames(world: World) -> list[tuple[int, bytes]]:
    return [(sent.opcode, sent.payload) for sent in parse_frames(world.peer_got(), Role.SERVER)]


def opcodes(world: World) -> list[int]:
    return [opcode for opcode, _ in frames(world)]


@ENDS
def test_every_message_can_be_answered(
    world: World, ws: WebSocket, end: bytes, code: int, clean: bool
) -> None:
    world.peer_sends(text(b"1") + text(b"2") + end)
    for number in ("1", "2"):
        assert not ws.closed
        assert world.do(ws.receive()) == number
        world.do(ws.send(f"answer {number}"))
    with pytest.raises(Disconnected) as caught:
        world.do(ws.receive())
    assert (caught.value.code, caught.value.clean) == (code, clean)
    sent = frames(world)
    assert sent[:2] == [(TEXT, b"answer 1"), (TEXT, b"answer 2")]
    assert sent[2][0] == CLOSE
    assert sent[2][1].startswith(close_payload(code))


@ENDS
def test_an_answer_that_takes_a_moment(
    world: World, ws: WebSocket, end: bytes, code: int, clean: bool
) -> None:
    async def handler() -> None:
        async for message in ws:
            await world.sleep(MAX_HOLD * 0.9)
            await ws.send(message)

    task = world.blocks(handler())
    world.peer_sends(text(b"1") + end)
    assert opcodes(world) == []
    world.advance(MAX_HOLD * 0.9)
    assert opcodes(world) == [TEXT, CLOSE]
    assert task.done


@ENDS
def test_whoever_does_not_come_back_is_not_waited_for(
    world: World, ws: WebSocket, end: bytes, code: int, clean: bool
) -> None:
    world.peer_sends(text(b"1") + text(b"2") + end)
    assert world.do(ws.receive()) == "1"
    world.advance(MAX_HOLD * 0.99)
    assert not ws.closed
    assert opcodes(world) == []
    world.advance(MAX_HOLD * 0.02)
    assert ws.closed
    assert (ws.code, opcodes(world)) == (code, [CLOSE])
    with pytest.raises(Disconnected):
        world.do(ws.send("too late"))
    assert world.do(ws.receive()) == "2"
    with pytest.raises(Disconnected):
        world.do(ws.receive())


@ENDS
def test_nobody_receives_at_all(
    world: World, ws: WebSocket, end: bytes, code: int, clean: bool
) -> None:
    closing = world.blocks(ws.wait_closed())
    world.peer_sends(text(b"1") + end)
    assert not ws.closed
    world.advance(MAX_HOLD)
    assert ws.closed
    assert closing.done
    assert ws.code == code


@ENDS
def test_an_end_that_comes_alone_is_seen_by_whoever_waits(
    world: World, ws: WebSocket, end: bytes, code: int, clean: bool
) -> None:
    waiting = world.blocks(ws.receive())
    world.peer_sends(end)
    assert ws.closed
    assert isinstance(waiting.error, Disconnected)
    assert opcodes(world) == [CLOSE]


@ENDS
def test_an_end_that_comes_while_a_message_is_answered(
    world: World, ws: WebSocket, end: bytes, code: int, clean: bool
) -> None:
    world.peer_sends(text(b"1"))
    assert world.do(ws.receive()) == "1"
    world.peer_sends(end)
    assert not ws.closed
    world.do(ws.send("answer"))
    assert world.do(ws.receive(default=None)) is None
    assert opcodes(world) == [TEXT, CLOSE]


def test_pings_before_the_end_are_answered_at_once(world: World, ws: WebSocket) -> None:
    ping = frame_from(Role.CLIENT, PING, b"x")
    world.peer_sends(text(b"1") + ping + BYE)
    assert frames(world) == [(PONG, b"x")]


def test_the_end_of_the_stream_behind_a_held_close(world: World, ws: WebSocket) -> None:
    world.peer_sends(text(b"1") + BYE)
    world.peer_ends()
    assert not ws.closed
    assert world.do(ws.receive()) == "1"
    world.do(ws.send("answer"))
    assert world.do(ws.receive(default=None)) is None
    assert opcodes(world) == [TEXT, CLOSE]
    assert (ws.code, ws.reason) == (1000, "bye")
    assert world.server_channel.finished


def test_our_own_close_while_the_peers_is_held(world: World, ws: WebSocket) -> None:
    world.peer_sends(text(b"1") + BYE)
    assert world.do(ws.receive()) == "1"
    world.do(ws.close(3000, "enough"))
    assert frames(world) == [(CLOSE, close_payload(3000, "enough"))]
    assert (ws.code, ws.reason) == (3000, "enough")


def test_the_same_for_a_client() -> None:
    world = World(Config())
    server, client = world.open()

    async def say_all() -> None:
        await server.send("1")
        await server.send(b"2")
        await server.close(1001)

    task = world.spawn(say_all())
    world.run()
    assert not client.closed
    assert world.do(client.receive()) == "1"
    world.do(client.send("answer 1"))
    assert world.do(client.receive()) == b"2"
    world.do(client.send(b"answer 2"))
    assert world.do(client.receive(default=None)) is None
    assert client.code == 1001
    task.result()


def test_all_who_wait_see_the_end_together(world: World, ws: WebSocket) -> None:
    """One task sees it come; the others must not wait for the peer's next move."""
    closed = world.blocks(ws.wait_closed())
    pinging = world.blocks(ws.ping())
    world.peer_sends(text(b"1") + BYE)
    assert not ws.closed
    assert not closed.done
    assert world.do(ws.receive()) == "1"
    assert world.do(ws.receive(default=None)) is None
    assert closed.done
    assert isinstance(pinging.error, Disconnected)
