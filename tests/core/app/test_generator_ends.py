"""How a generator handler ends, and what it learns of it at its `yield`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import pytest

from tests.core.app.link import Cancelled, World
from windsock.core import (
    LocalProtocolError,
    Request,
    WebSocket,
    generator_handler,
    ws_close,
    ws_send,
)

Events = AsyncGenerator[dict[str, Any], None]
Handler = Callable[[Any, AsyncIterator[str | bytes]], Events]


async def run(ws: WebSocket, handler: Handler) -> None:
    await generator_handler(handler).run(ws, (), {})


def undecided(world: World) -> tuple[WebSocket, WebSocket]:
    """A server's WebSocket that is not accepted yet, and the client's."""
    channel, link = world.add_client()
    link.flush_soon()
    server = world.server_websocket()
    return server, WebSocket(channel, link, Request(channel.connection.request))


def test_the_receiver_can_be_left_early_and_taken_up_again(world: World) -> None:
    server, client = undecided(world)
    received: list[str | bytes] = []

    async def handler(scope: Any, receiver: AsyncIterator[str | bytes]) -> Events:
        async for message in receiver:
            received.append(message)
            break
        received.append(await anext(receiver))
        yield ws_send("enough")

    task = world.spawn(run(server, handler))
    world.run()
    world.do(client.send("one"))
    world.do(client.send("two"))
    assert world.do(client.receive()) == "enough"
    world.do(client.wait_closed())
    task.result()
    assert received == ["one", "two"]


def test_what_is_wrong_is_raised_by_the_yield(world: World) -> None:
    server, client = undecided(world)

    async def handler(scope: Any, receiver: object) -> Events:
        with pytest.raises(LocalProtocolError, match="an event is"):
            yield {"type": "websocket.send"}
        yield ws_send("still here")

    task = world.spawn(run(server, handler))
    world.run()
    assert world.do(client.receive()) == "still here"
    world.do(client.wait_closed())
    task.result()


def test_a_generator_may_end_where_the_yield_raises(world: World) -> None:
    server, client = undecided(world)

    async def handler(scope: Any, receiver: object) -> Events:
        with pytest.raises(LocalProtocolError):
            yield {"type": "websocket.send"}

    task = world.spawn(run(server, handler))
    world.do(client.wait_closed())
    task.result()
    assert client.code == 1000


def test_a_cancellation_goes_through_the_generator(world: World) -> None:
    server, _ = undecided(world)
    seen: list[str] = []

    async def handler(scope: Any, receiver: object) -> Events:
        try:
            while True:
                yield ws_send("again")
        except Cancelled:
            seen.append("cancelled")
            raise

    task = world.spawn(run(server, handler), cancel_at=3)
    world.run()
    assert task.was_cancelled
    assert seen == ["cancelled"]


@pytest.mark.parametrize("own", [None, ValueError("its own")])
def test_a_task_group_in_it_makes_a_group_of_what_closes_it(
    world: World, own: Exception | None
) -> None:
    server, client = undecided(world)

    async def handler(scope: Any, receiver: object) -> Events:
        try:
            yield ws_close(4001)
        except GeneratorExit as error:
            raised = [error, *([own] if own else [])]
            raise BaseExceptionGroup("as a task group does", raised) from None

    task = world.spawn(run(server, handler))
    world.do(client.wait_closed())
    world.run()
    assert client.code == 4001
    if own is None:
        task.result()
    else:
        assert isinstance(task.error, ExceptionGroup)
        assert task.error.exceptions == (own,)
