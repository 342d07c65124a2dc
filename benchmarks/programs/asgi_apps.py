"""ASGI applications: the bare echo, Starlette, and windsock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from .options import Options
from .windsock_servers import application, config

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]


def make(name: str, options: Options) -> AsgiApp:
    """The application: bare, starlette or windsock."""
    if name == "windsock":
        from windsock.asgi import ASGI

        return ASGI(application(options), config=config(options))
    if name == "starlette":
        return _starlette(options)
    return _bare_fanout() if options.fanout else _bare_echo


async def _bare_echo(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "websocket":
        await _decline(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] != "websocket.receive":
            return
        await send(_message(event))


def _bare_fanout() -> AsgiApp:
    everyone: set[Send] = set()

    async def fanout(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await _decline(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        everyone.add(send)
        try:
            while (event := await receive())["type"] == "websocket.receive":
                for peer in list(everyone):
                    await peer(_message(event))
        finally:
            everyone.remove(send)

    return fanout


def _message(event: dict[str, Any]) -> dict[str, Any]:
    """The event that sends back what came: hosts differ in whether the other key is there."""
    text = event.get("text")
    if text is None:
        return {"type": "websocket.send", "bytes": event["bytes"]}
    return {"type": "websocket.send", "text": text}


async def _decline(scope: Scope, receive: Receive, send: Send) -> None:
    """Lifespan and HTTP, which no scenario uses."""
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": f"{event['type']}.complete"})
            if event["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _starlette(options: Options) -> AsgiApp:
    starlette: Any = import_module("starlette.applications")
    routing: Any = import_module("starlette.routing")
    websockets: Any = import_module("starlette.websockets")
    everyone: set[Any] = set()

    async def endpoint(ws: Any) -> None:
        await ws.accept()
        everyone.add(ws)
        try:
            while True:
                message = _message(await ws.receive())
                for peer in list(everyone) if options.fanout else (ws,):
                    await peer.send(message)
        except (websockets.WebSocketDisconnect, KeyError):
            pass  # KeyError: a disconnect has neither text nor bytes
        finally:
            everyone.remove(ws)

    app: AsgiApp = starlette.Starlette(routes=[routing.WebSocketRoute("/", endpoint)])
    return app
