"""trio-websocket."""

from __future__ import annotations

from functools import partial

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from .options import HOST, MAX_MESSAGE, Options

_everyone: set[WebSocketConnection] = set()


async def _echo(request: WebSocketRequest) -> None:
    ws = await request.accept()
    try:
        while True:
            await ws.send_message(await ws.get_message())
    except ConnectionClosed:
        pass


async def _fanout(request: WebSocketRequest) -> None:
    ws = await request.accept()
    _everyone.add(ws)
    try:
        while True:
            message = await ws.get_message()
            for peer in list(_everyone):
                await peer.send_message(message)
    except ConnectionClosed:
        pass
    finally:
        _everyone.remove(ws)


def serve(options: Options) -> None:
    """trio-websocket; it knows no compression."""
    trio.run(
        partial(
            serve_websocket,
            _fanout if options.fanout else _echo,
            HOST,
            options.port,
            options.ssl_context(),
            max_message_size=MAX_MESSAGE,
        )
    )
