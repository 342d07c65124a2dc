"""The application behind our servers: one path for each thing that clients try."""

from __future__ import annotations

import queue
from collections import defaultdict
from typing import Any

from windsock.core import App, Disconnected, Response, WebSocket

from .loops import TIMEOUT

app = App()

_reports: defaultdict[str, queue.Queue[Any]] = defaultdict(queue.Queue)


def report_of(case: str) -> Any:
    """What the handler of `/observe/{case}` saw, once it has."""
    return _reports[case].get(timeout=TIMEOUT)


@app.websocket("/echo")
async def echo(ws: WebSocket) -> None:
    async with ws:
        async for message in ws:
            await ws.send(message)


@app.websocket("/observe/{case}")
async def observe(ws: WebSocket, case: str) -> None:
    await ws.accept()
    try:
        while True:
            await ws.receive()
    except Disconnected as end:
        _reports[case].put((end.code, end.reason, end.clean))


@app.websocket("/ping")
async def ping(ws: WebSocket) -> None:
    async with ws:
        seconds = await ws.ping()
        await ws.send(f"answered in {seconds:.6f} s")


@app.websocket("/chosen/{name}")
async def chosen(ws: WebSocket, name: str) -> None:
    await ws.accept(subprotocol=name)
    await ws.send(" ".join(ws.request.subprotocols))
    await ws.wait_closed()


@app.websocket("/headers")
async def headers(ws: WebSocket) -> None:
    question = ws.request.headers["X-Question"]
    await ws.accept(headers=[("X-Answer", question[::-1])])
    await ws.wait_closed()


@app.websocket("/query")
async def query(ws: WebSocket) -> None:
    async with ws:
        await ws.send_json({name: ws.request.query.get_all(name) for name in ws.request.query})


@app.websocket("/close/{code}")
async def close(ws: WebSocket, code: str) -> None:
    await ws.accept()
    await ws.close(int(code), "that is all – ✓")


@app.websocket("/reject")
async def reject(ws: WebSocket) -> None:
    await ws.reject(Response("no tea here", 418, {"X-Why": "teapot"}))


@app.websocket("/greet")
async def greet(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send("first")
    await ws.send(b"second")
    await ws.wait_closed()
