"""What the tests of applications share: one connection to one application, and its outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from tests.core.app.link import CLIENT, SERVER, Task, World
from tests.core.helpers import head, parse_response, request
from windsock.core import Disconnected, HandshakeError, WebSocket, as_app
from windsock.core.app.application import Application
from windsock.core.app.session import serve_connection
from windsock.core.protocol.uri import parse_uri

T = TypeVar("T")
Fields = Iterable[tuple[str, str]]


def dial(
    world: World,
    app: Application,
    body: Callable[[WebSocket], Awaitable[T]],
    target: str = "/chat",
    **options: Any,
) -> Task[T]:
    """Serve `app` and run `body` with the client's WebSocket, to the end of the connection."""
    serving = serve(world, app, client=options.pop("client", CLIENT))
    task = world.connect(body, parse_uri(f"ws://example.com{target}"), **options)
    world.advance(1)
    serving.result()
    return task


def talk(
    world: World,
    app: Application,
    body: Callable[[WebSocket], Awaitable[T]],
    target: str = "/chat",
    **options: Any,
) -> T:
    """The same for a client that gets through; returns what `body` does."""
    return dial(world, app, body, target, **options).result()


def serve(world: World, app: Application, **options: Any) -> Task[None]:
    """Serve the connection as a transport does."""
    options = {"client": CLIENT, "server": SERVER, **options}
    return world.spawn(serve_connection(as_app(app), world.server_channel, world.server, **options))


async def told(ws: WebSocket) -> list[Any]:
    """What a client hears that says nothing: messages, and the close code."""
    heard: list[Any] = []
    try:
        while True:
            heard.append(await ws.receive())
    except Disconnected as gone:
        return [*heard, gone.code]


def hears(world: World, app: Application, target: str = "/chat", **options: Any) -> list[Any]:
    """What a client hears that says nothing, or the status and body that it is refused with."""
    task = dial(world, app, told, target, **options)
    if isinstance(task.error, HandshakeError):
        return [task.error.status, task.error.body]
    return task.result()


def status_of(world: World, app: Application, target: str = "/chat", **options: Any) -> int | None:
    """The status that a client gets which wants a WebSocket."""
    task = dial(world, app, told, target, **options)
    if isinstance(task.error, HandshakeError):
        return task.error.status
    task.result()
    return 101


def answer(
    world: World, app: Application, line: str, fields: Fields = (), **options: Any
) -> tuple[int, dict[str, str], bytes]:
    """What a plain HTTP request gets; without the fields that all responses have."""
    serving = serve(world, app, **options)
    world.peer_sends(head(f"{line} HTTP/1.1", [("Host", "example.com"), *fields]))
    status, headers, body = parse_response(world.peer_got())
    world.peer_ends()
    serving.result()
    kept = {n: v for n, v in headers.items() if n not in {"connection", "content-length"}}
    return status, kept, body


def open_by_hand(world: World, app: Application, **options: Any) -> Task[None]:
    """Serve `app` to a peer that is bytes, which has asked for a WebSocket at /chat."""
    serving = serve(world, app)
    world.peer_sends(request(**options))
    return serving
