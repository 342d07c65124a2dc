"""Views: what bocadillo's guide, tutorial and tests do with WebSockets, in windsock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.behaviour.sync import Observed
from windsock.core import App, Request, Response, Router, WebSocket


def make_app(seen: Observed) -> App:
    """The application; what its views see goes to `seen`."""
    app = App()

    # Accepted before the view begins, and closed after it.
    @app.websocket("/echo", auto_accept=True)
    async def echo(ws: WebSocket) -> None:
        message = await ws.receive()
        await ws.send(f"You said {message}")

    @app.websocket("/ping", value_type="json", auto_accept=True)
    async def ping(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send({"ping": "pong", "pong": "ping"}[message["text"]])

    @app.websocket("/chat/{channel}", value_type="json", auto_accept=True)
    async def channel(ws: WebSocket, channel: str, anonymous: bool = False) -> None:
        user = "Anonymous" if anonymous else ws.headers["user"]
        async for message in ws:
            await ws.send({"user": user, "channel": channel, "message": message})

    @app.websocket("/events", auto_accept=True)
    async def events(ws: WebSocket) -> None:
        event = await ws.receive_event()
        await ws.send_event({"type": "websocket.send", "text": f"You said {event['text']}"})

    @app.websocket("/typed-events", value_type="event", auto_accept=True)
    async def typed_events(ws: WebSocket) -> None:
        seen.put(await ws.receive())
        await ws.send({"type": "websocket.send", "text": "pong"})

    @app.websocket("/manual", auto_accept=False)
    async def manual(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send("hello")
        await ws.close()
        await ws.close()
        seen.put("closed")

    @app.websocket("/nested", auto_accept=True)
    async def nested(ws: WebSocket) -> None:
        async with ws:
            async with ws:
                await ws.send("inside")
            await ws.send("in between")
        await ws.send("outside")

    @app.websocket("/with")
    async def in_with(ws: WebSocket) -> None:
        seen.put("about to accept")
        async with ws:
            await ws.send("hello")
        seen.put("closed normally")

    @app.websocket("/close", auto_accept=True)
    async def close(ws: WebSocket) -> None:
        await ws.close(4242)

    @app.websocket("/close-inside")
    async def close_inside(ws: WebSocket) -> None:
        async with ws:
            await ws.close(4242)

    @app.websocket("/private")
    async def private(ws: WebSocket) -> None:
        if ws.headers.get("api-key") != "s3kr3t":
            await ws.reject()
        async with ws:
            await ws.send("welcome")

    @app.websocket("/close-first")
    async def close_first(ws: WebSocket) -> None:
        await ws.close()

    @app.websocket("/url", auto_accept=True)
    async def url(ws: WebSocket) -> None:
        await ws.send(ws.url)
        await ws.send_json(dict(ws.query_params))
        await ws.send_json(dict(ws.headers))

    @app.http("/page")
    async def page(request: Request) -> Response:
        return Response("a page")

    @app.websocket("/blocking")
    def blocking(request: Any) -> None:
        with request.accept() as websocket:
            websocket.send("no error here")

    app.include_router(todos(), prefix="/todos")
    add_failing(app)
    add_patterns(app)
    return app


def todos() -> Router:
    """Routes that do not know where they will be."""
    router = Router()

    @router.http("/")
    async def index(request: Request) -> Response:
        return Response.json([])

    @router.websocket("/shared", auto_accept=True)
    async def shared(ws: WebSocket) -> None:
        await ws.send("shared")

    return router


class OopsError(Exception):
    """What views raise."""


def add_failing(app: App) -> None:
    """Views that raise."""

    @app.websocket("/fail/at-once", auto_accept=True)
    async def at_once(ws: WebSocket) -> None:
        raise OopsError

    @app.websocket("/fail/after-accept", auto_accept=False)
    async def after_accept(ws: WebSocket) -> None:
        await ws.accept()
        raise OopsError

    @app.websocket("/fail/inside")
    async def inside(ws: WebSocket) -> None:
        async with ws:
            raise OopsError

    @app.websocket("/fail/before-accept", auto_accept=False)
    async def before_accept(ws: WebSocket) -> None:
        raise OopsError


def add_patterns(app: App) -> None:
    """One view for each pattern and each annotation."""

    @app.websocket("/rooms/{room}", auto_accept=True)
    async def room(ws: WebSocket, room: str) -> None:
        await ws.send(room)

    @app.websocket("/room-{room}", auto_accept=True)
    async def dashed(ws: WebSocket, room: str) -> None:
        await ws.send(room)

    @app.websocket("/images/{location:path}", auto_accept=True)
    async def images(ws: WebSocket, location: str) -> None:
        await ws.send(location)

    @app.websocket("/anything/{}", auto_accept=True)
    async def anything(ws: WebSocket) -> None:
        await ws.send("anything")

    @app.websocket("/int/{value}", auto_accept=True)
    async def whole(ws: WebSocket, value: int) -> None:
        await ws.send(repr(value))

    @app.websocket("/float/{value}", auto_accept=True)
    async def real(ws: WebSocket, value: float) -> None:
        await ws.send(repr(value))

    @app.websocket("/bool/{value}", auto_accept=True)
    async def truth(ws: WebSocket, value: bool) -> None:
        await ws.send(repr(value))

    @app.websocket("/decimal/{value}", auto_accept=True)
    async def decimal(ws: WebSocket, value: Decimal) -> None:
        await ws.send(repr(value))

    @app.websocket("/date/{value}", auto_accept=True)
    async def day(ws: WebSocket, value: date) -> None:
        await ws.send(repr(value))

    @app.websocket("/time/{value}", auto_accept=True)
    async def clock(ws: WebSocket, value: time) -> None:
        await ws.send(repr(value))

    @app.websocket("/datetime/{value}", auto_accept=True)
    async def moment(ws: WebSocket, value: datetime) -> None:
        await ws.send(repr(value))

    @app.websocket("/uuid/{value}", auto_accept=True)
    async def identifier(ws: WebSocket, value: UUID) -> None:
        await ws.send(repr(value))

    @app.websocket("/query", auto_accept=True)
    async def query(ws: WebSocket, limit: int = 42, tag: str | None = None) -> None:
        await ws.send(f"{limit!r} {tag!r}")


def make_chat() -> App:
    """The guide's chat room: who comes gets what was said, and hears what is said from then on."""
    app = App(state={"history": [], "clients": set()})

    @app.websocket("/chat", value_type="json", auto_accept=True)
    async def chat(ws: WebSocket) -> None:
        history, clients = ws.state["history"], ws.state["clients"]
        clients.add(ws)
        try:
            for message in history:
                await ws.send(message)
            async for message in ws:
                history.append(message)
                if message["type"] == "message":
                    for client in list(clients):
                        await client.send(message)
        finally:
            clients.remove(ws)

    return app


class Bot:
    """Who answers in the tutorial."""

    def get_response(self, query: str) -> str:
        """Its answer."""
        return f"{query}? Interesting."


def make_chatbot() -> App:
    """The tutorial's chatbot, and a page that says how many talk to it."""
    app = App()

    @app.lifespan
    async def provide() -> Any:
        yield {"bot": Bot(), "clients": set()}

    @contextmanager
    def saved(ws: WebSocket) -> Iterator[None]:
        ws.state["clients"].add(ws)
        try:
            yield
        finally:
            ws.state["clients"].remove(ws)

    @app.websocket("/conversation", auto_accept=True)
    async def converse(ws: WebSocket) -> None:
        with saved(ws):
            async for message in ws:
                await ws.send(ws.state["bot"].get_response(message))

    @app.http("/client-count")
    async def client_count(request: Request) -> Response:
        return Response.json({"count": len(request.state["clients"])})

    return app
