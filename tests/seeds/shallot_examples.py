"""Async generators: what shallot's guide, tutorial and tests do with WebSockets, in windsock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import anyio

from tests.behaviour.sync import Observed
from windsock.core import (
    App,
    Request,
    Response,
    apply_middleware,
    ws_accept,
    ws_close,
    ws_send,
)

# Theirs is called so; ours besides takes what has no decorator.
from windsock.core import generator_handler as websocket

Scope = dict[str, Any]
Receiver = AsyncIterator[str | bytes]
Events = AsyncGenerator[dict[str, Any], None]
Sleep = Callable[[float], Awaitable[object]]


def make_app(seen: Observed, sleep: Sleep = anyio.sleep) -> App:
    """The application; what its handlers see goes to `seen`, and `sleep` is how it waits."""

    @websocket
    async def echo(scope: Scope, receiver: Receiver) -> Events:
        async for message in receiver:
            yield {"type": "websocket.send", "text": f"echo: {message!s}"}
            if message == "exit":
                yield ws_send("bye")
                yield ws_close(1001)
                seen.put("never")
                yield ws_send("nobody gets this")

    async def repeat(scope: Scope, receiver: Receiver) -> Events:
        async for message in receiver:
            yield ws_send(message)

    async def named(scope: Scope, receiver: Receiver, who: str) -> Events:
        async for message in receiver:
            yield ws_send(f"{who}: {message!s}")

    async def static(scope: Scope, receiver: Receiver) -> Events:
        yield ws_send("the static one")

    async def two(scope: Scope, receiver: Receiver, first: str, second: str) -> Events:
        yield ws_send(f"{first}, then {second}")

    @websocket
    async def fan_in(scope: Scope, receiver: Receiver) -> None:
        async for message in receiver:
            seen.put(message)

    @websocket
    async def fan_out(scope: Scope, receiver: Receiver) -> Events:
        number = 0
        while True:
            yield ws_send(f"time: {number}")
            await sleep(1)
            number += 1

    @websocket
    async def chatbot(scope: Scope, receiver: Receiver) -> Events:
        answers = {"hello": "hello yourself", "i like you": "I like you, too"}
        async for message in receiver:
            if message == "exit":
                yield ws_send("goodbye")
                break
            yield ws_send(answers.get(str(message), "pardon?"))

    async def first_only(scope: Scope, receiver: Receiver) -> dict[str, Any] | None:
        async for message in receiver:
            return ws_send(message)
        return None

    async def nothing(scope: Scope, receiver: Receiver) -> None:
        seen.put("was there")

    async def page(request: Request) -> Response:
        return Response.json({"alive": True})

    return App(
        [
            ("/echo", ["WS"], echo),
            ("/repeat", ["WS"], websocket(repeat)),
            ("/named/{name}", ["WS"], named),
            ("/named/static", ["WS"], static),
            ("/{a}/to/{b}", ["WS"], two),
            ("/fan-in", ["WS"], fan_in),
            ("/fan-out", ["WS"], fan_out),
            ("/chatbot", ["WS"], chatbot),
            ("/first", ["WS"], websocket(first_only)),
            ("/nothing", ["WS"], websocket(nothing)),
            ("/chat/{name}", ["WS"], make_chatroom()),
            ("/", ["GET"], page),
            *callback_routes(seen),
            *wrong_routes(),
        ]
    )


def callback_routes(seen: Observed) -> list[tuple[str, list[str], Any]]:
    """Handlers with something around them."""

    async def connected(scope: Scope) -> dict[str, Any]:
        if b"let-me-in" in scope["query_string"]:
            return ws_accept(subprotocol="sub-123", headers=[("x-room", "1")])
        return ws_close()

    async def disconnected(scope: Scope) -> None:
        seen.put("the client has left")

    async def closed(scope: Scope) -> None:
        seen.put(f"the connection to {scope['path']} is closed")

    async def closed_with_code(scope: Scope, code: int) -> None:
        seen.put(code)

    @websocket(on_connect=connected, on_close=closed)
    async def door(scope: Scope, receiver: Receiver) -> Events:
        yield ws_send("welcome")

    @websocket(on_disconnect=disconnected, on_close=closed)
    async def watched(scope: Scope, receiver: Receiver) -> Events:
        yield ws_send("ready")
        async for message in receiver:
            yield ws_send(message)
            if message == "raise":
                raise RuntimeError("as you say")
            if message == "close":
                return

    @websocket(on_disconnect=disconnected, on_close=closed_with_code)
    async def deaf(scope: Scope, receiver: Receiver) -> Events:
        yield ws_send("I do not listen")
        while True:
            yield ws_send("blah")

    return [("/door", ["WS"], door), ("/watched", ["WS"], watched), ("/deaf", ["WS"], deaf)]


def wrong_routes() -> list[tuple[str, list[str], Any]]:
    """Handlers that yield or return what nobody understands."""

    async def empty(scope: Scope, receiver: Receiver) -> Events:
        yield {"type": "websocket.send"}

    async def unknown(scope: Scope, receiver: Receiver) -> Events:
        yield {"type": "websocket.shout", "text": "hello"}

    async def number(scope: Scope, receiver: Receiver) -> Events:
        yield ws_send(7)  # type: ignore[arg-type]  # which is what it is about

    async def code(scope: Scope, receiver: Receiver) -> Events:
        yield ws_close("1000")  # type: ignore[arg-type]  # as above

    async def neither(scope: Scope) -> dict[str, Any]:
        return {"type": "websocket.send", "text": "too early"}

    @websocket(on_connect=neither)
    async def undecided(scope: Scope, receiver: Receiver) -> Events:
        yield ws_send("never")

    handlers = {"empty": empty, "unknown": unknown, "number": number, "code": code}
    routes: list[tuple[str, list[str], Any]] = [
        (f"/wrong/{name}", ["WS"], handler) for name, handler in handlers.items()
    ]
    return [*routes, ("/undecided", ["WS"], undecided)]


def make_chatroom() -> Any:
    """What one says goes to all the others: two streams in, one out."""
    outboxes: set[Any] = set()

    @websocket
    async def chatroom(scope: Scope, receiver: Receiver, name: str) -> Events:
        outbox, inbox = anyio.create_memory_object_stream[str](100)

        async def listen() -> None:
            async for message in receiver:
                for other in outboxes - {outbox}:
                    other.send_nowait(f"@{name}: {message!s}")
            outboxes.discard(outbox)
            outbox.close()  # which ends the loop below

        outboxes.add(outbox)
        try:
            async with anyio.create_task_group() as group, outbox, inbox:
                group.start_soon(listen)
                yield ws_send(f"{len(outboxes)} here")
                async for line in inbox:
                    yield ws_send(line)
        finally:
            outboxes.discard(outbox)

    return chatroom


def make_failing_group(error: Exception) -> App:
    """A task group around the `yield`, of which one task fails while the other goes on sending."""

    async def handler(scope: Scope, receiver: Receiver) -> Events:
        async def fail() -> None:
            async for _ in receiver:
                raise error

        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            while True:
                yield ws_send("again")

    return App([("/", ["WS"], handler)])


def make_layered_app(seen: Observed) -> App:
    """Three layers around every handler: to look, to answer in its place, to add to the scope."""

    def wrap_log(next_middleware: Any) -> Any:
        async def log(handler: Any, request: Scope) -> Any:
            seen.put(f"in {request['path']}")
            response = await next_middleware(handler, request)
            seen.put("out")
            return response

        return log

    def wrap_guard(next_middleware: Any) -> Any:
        async def guard(handler: Any, request: Scope) -> Any:
            if request["path"] == "/forbidden":
                return {"status": 451, "headers": {"x-why": "law"}, "body": b"no"}
            if request["path"] == "/closed":
                return ws_close()
            return await next_middleware(handler, request)

        return guard

    def wrap_user(next_middleware: Any) -> Any:
        async def user(handler: Any, request: Scope) -> Any:
            request["user"] = "Ada"
            return await next_middleware(handler, request)

        return user

    @websocket
    async def whoami(scope: Scope, receiver: Receiver) -> Events:
        seen.put("handler")
        yield ws_send(scope["user"])

    async def page(request: Request) -> Response:
        return Response(request.scope["user"])

    return App(
        [("/whoami", ["WS"], whoami), ("/page", ["GET"], page)],
        middleware=[apply_middleware(wrap_log, wrap_guard, wrap_user)],
    )
