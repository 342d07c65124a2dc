"""The behaviour table: what a handler does, what its client sees of it, and what is logged."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import pytest

from tests.core.app.link import World
from windsock.core import (
    App,
    Disconnected,
    HandshakeError,
    LocalProtocolError,
    Reject,
    Response,
    WebSocket,
)

Handler = Callable[[WebSocket], Awaitable[None]]
Transcript = list[str]

TABLE: dict[str, tuple[Handler, Transcript]] = {}


def row(*transcript: str) -> Callable[[Handler], Handler]:
    """A row of the table: what its handler leads to."""

    def add(handler: Handler) -> Handler:
        TABLE[handler.__name__.replace("_", " ").strip()] = handler, list(transcript)
        return handler

    return add


async def client(ws: WebSocket) -> Transcript:
    """Says hello, and tells all it hears."""
    heard = ["open"]
    try:
        await ws.send("hello")
        while True:
            heard.append(f"message {await ws.receive()!r}")
    except Disconnected as gone:
        return [
            *heard,
            f"closed {gone.code} {gone.reason!r} {'clean' if gone.clean else 'unclean'}",
        ]


def play(world: World, handler: Handler) -> Transcript:
    """What the client hears and what is logged, in this order."""
    app = App()
    app.websocket("/chat")(handler)  # type: ignore[type-var]  # they are async def functions
    serving = world.serve(app)
    task = world.connect(client)
    world.advance(1)
    serving.result()
    assert all(link.channel.finished for link in world.links)
    if isinstance(task.error, HandshakeError):
        return [f"refused {task.error.status} {task.error.body!r}"]
    return task.result()


@row("refused 403 b''", "WARNING")
async def returns_without_deciding(ws: WebSocket) -> None:
    """Nothing."""


@row("refused 500 b''", "ERROR")
async def raises_before_accept(ws: WebSocket) -> None:
    raise ValueError("x")


@row("refused 418 b'tea'")
async def raises_reject_before_accept(ws: WebSocket) -> None:
    raise Reject(418, "tea")


@row("refused 401 b'who?'")
async def rejects(ws: WebSocket) -> None:
    await ws.reject(Response("who?", 401))


@row("refused 403 b''")
async def closes_before_accept(ws: WebSocket) -> None:
    await ws.close(3000, "enough")


@row("open", "closed 1000 '' clean")
async def returns_after_accept(ws: WebSocket) -> None:
    await ws.accept()


@row("open", "closed 1011 '' clean", "ERROR")
async def raises_after_accept(ws: WebSocket) -> None:
    await ws.accept()
    raise ValueError("x")


@row("open", "closed 1011 '' clean", "ERROR")
async def raises_reject_after_accept(ws: WebSocket) -> None:
    await ws.accept()
    raise Reject(401)


@row("open", "message 'hello'", "closed 1011 '' clean", "ERROR")
async def raises_in_a_block(ws: WebSocket) -> None:
    async with ws:
        await ws.send(await ws.receive())
        raise ValueError("x")


@row("open", "closed 3000 'enough' clean")
async def closes(ws: WebSocket) -> None:
    await ws.accept()
    await ws.close(3000, "enough")


@row("open", "closed 3000 '' clean")
async def closes_twice(ws: WebSocket) -> None:
    async with ws:
        await ws.close(3000)
        await ws.close(3001)


@row("open", "closed 3000 '' clean")
async def sends_after_the_end(ws: WebSocket) -> None:
    async with ws:
        await ws.close(3000)
        with pytest.raises(Disconnected):
            await ws.send("too late")
        await ws.send("swallowed, because the block does")


@row("open", "message 'hello'", "closed 1000 '' clean")
async def programming_errors_change_nothing(ws: WebSocket) -> None:
    for too_early in (ws.send("x"), ws.receive(), ws.ping()):
        with pytest.raises(LocalProtocolError, match="deciding"):
            await too_early
    await ws.accept()
    for too_late in (ws.accept(), ws.reject()):
        with pytest.raises(LocalProtocolError, match="open"):
            await too_late
    await ws.send(await ws.receive())


@row("open", "message 'hello'", "message 'round trip'", "closed 1000 '' clean")
async def pings(ws: WebSocket) -> None:
    async with ws:
        await ws.send(await ws.receive())
        assert await ws.ping() == ws.latency == 0
        await ws.send("round trip")


@row("open", "message 'hello'", "closed 4000 '' clean")
async def speaks_asgi(ws: WebSocket) -> None:
    assert (await ws.receive_event())["type"] == "websocket.connect"
    await ws.send_event({"type": "websocket.accept"})
    event = await ws.receive_event()
    await ws.send_event({"type": "websocket.send", "text": event["text"]})
    await ws.send_event({"type": "websocket.close", "code": 4000})


@pytest.mark.parametrize("name", TABLE)
def test_what_a_handler_leads_to(world: World, caplog: pytest.LogCaptureFixture, name: str) -> None:
    caplog.set_level(logging.INFO, "windsock")
    handler, transcript = TABLE[name]
    heard = play(world, handler)
    assert [*heard, *(record.levelname for record in caplog.records)] == transcript


@pytest.mark.parametrize(
    ("catch", "code"), [(True, 1011), (False, 1000), ({1000}, 1000), ({1000}, 3000)]
)
def test_a_client_that_closes_is_never_an_error(
    world: World, caplog: pytest.LogCaptureFixture, catch: bool | set[int], code: int
) -> None:
    """Swallowed or not: what came out of the block was expected."""
    app = App()
    after: list[str] = []

    @app.websocket("/chat", catch_disconnect=catch)
    async def handler(ws: WebSocket) -> None:
        async with ws:
            while True:
                await ws.receive()
        after.append("went on")

    async def body(ws: WebSocket) -> None:
        await ws.close(code)

    serving = world.serve(app)
    task = world.connect(body)
    world.run()
    task.result()
    serving.result()
    assert after == (["went on"] if catch is True or catch == {code} else [])
    assert caplog.records == []


def test_a_handler_that_never_reads(world: World) -> None:
    """Pings are answered for it, and its peer's end is seen at once."""
    gate = world.gate()
    seen: list[bool] = []

    async def handler(ws: WebSocket) -> None:
        async with ws:
            await gate.wait()
            seen.append(ws.closed)

    async def body(ws: WebSocket) -> None:
        assert await ws.ping() == 0
        await ws.send("never read")
        await ws.close()

    serving = world.serve(handler)
    task = world.connect(body)
    world.advance(0.25)
    task.result()
    gate.open()
    world.run()
    assert seen == [True]
    serving.result()


def test_a_handler_that_reads_slowly_holds_its_peer_back(world: World) -> None:
    """And so memory stays bounded on both sides."""
    received: list[str | bytes] = []

    async def handler(ws: WebSocket) -> None:
        async with ws:
            async for message in ws:
                received.append(message)
                await world.sleep(1)

    sent = 0

    async def body(ws: WebSocket) -> None:
        nonlocal sent
        for _ in range(100):
            await ws.send(b"x" * 60_000)
            sent += 1

    world.to_server.capacity = 64 * 1024
    serving = world.serve(handler)
    task = world.connect(body)
    world.run()
    for _ in range(20):
        unread = world.server_channel.inbox
        assert sum(map(len, unread)) <= 256 * 1024 + 60_000
        assert sent <= len(received) + len(unread) + 5
        world.advance(1)
    assert 20 <= len(received) <= 21
    world.advance(100)
    assert len(received) == 100
    task.result()
    serving.result()
