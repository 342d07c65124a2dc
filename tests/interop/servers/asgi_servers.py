"""uvicorn and hypercorn, with a bare ASGI application."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import anyio
import anyio.to_thread
import hypercorn.asyncio
import hypercorn.config
import hypercorn.trio
import uvicorn

from tests.interop.loops import TIMEOUT, event_loop
from tests.interop.places import Directory, listen

from .base import Close, Places, ServerSocket, play


class _Socket(ServerSocket):
    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self._receive = receive
        self._send = send
        self.path = scope["path"]
        self.query = scope["query_string"].decode()
        self.headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.offered = scope["subprotocols"]

    async def accept(
        self, subprotocol: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        fields = [(name.lower().encode(), value.encode()) for name, value in headers]
        await self._send(
            {"type": "websocket.accept", "subprotocol": subprotocol, "headers": fields}
        )

    async def reject(self, status: int, body: bytes) -> None:
        fields = [(b"content-length", str(len(body)).encode())]
        start = {"type": "websocket.http.response.start", "status": status, "headers": fields}
        await self._send(start)
        await self._send({"type": "websocket.http.response.body", "body": body})

    async def receive(self) -> str | bytes | Close:
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            return Close(event["code"], event.get("reason"))
        text: str | None = event.get("text")
        data: bytes = event.get("bytes") or b""
        return data if text is None else text

    async def send(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self._send({"type": "websocket.send", kind: message})

    async def close(self, code: int, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


async def _app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": f"{event['type']}.complete"})
            if event["type"] == "lifespan.shutdown":
                return
    assert scope["type"] == "websocket", scope
    event = await receive()
    assert event["type"] == "websocket.connect"
    await play(_Socket(scope, receive, send))


@contextlib.contextmanager
def on_uvicorn(directory: Directory, ipv6: bool, *, ws: Any) -> Iterator[Places]:
    sockets = listen(directory, ipv6=ipv6)
    tls = {"ssl_certfile": str(directory.certificate), "ws_per_message_deflate": False}
    running = []
    with event_loop("asyncio") as portal:
        for socks, options in ((sockets.plain(), {}), ([sockets.tls], tls)):
            config = uvicorn.Config(_app, ws=ws, log_config=None, access_log=False, **options)  # type: ignore[arg-type]  # options of all kinds
            server = uvicorn.Server(config)
            running.append((server, portal.start_task_soon(server.serve, socks)))
        yield sockets.places()
        for server, done in running:
            server.should_exit = True
            done.result(TIMEOUT)


@contextlib.contextmanager
def on_hypercorn(directory: Directory, ipv6: bool, *, worker: str) -> Iterator[Places]:
    sockets = listen(directory, ipv6=ipv6)
    places = sockets.places()
    config = hypercorn.config.Config()
    config.certfile = config.keyfile = str(directory.certificate)
    config.bind = [f"fd://{sockets.tls.detach()}"]  # from here on they belong to hypercorn
    config.insecure_bind = [f"fd://{sock.detach()}" for sock in sockets.plain()]
    config.errorlog = None
    serve: Any = hypercorn.trio.serve if worker == "trio" else hypercorn.asyncio.serve
    stop = threading.Event()

    async def stopped() -> None:
        await anyio.to_thread.run_sync(stop.wait, abandon_on_cancel=True)

    async def run() -> None:
        await serve(_app, config, shutdown_trigger=stopped)

    with event_loop(worker) as portal:
        done = portal.start_task_soon(run)
        yield places
        stop.set()
        done.result(TIMEOUT)
