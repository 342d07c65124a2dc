"""aiohttp."""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web

from .loops import run
from .options import HOST, MAX_MESSAGE, Options


async def _serve(options: Options) -> None:
    everyone: set[web.WebSocketResponse] = set()

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=options.deflate, max_msg_size=MAX_MESSAGE)
        await ws.prepare(request)
        everyone.add(ws)
        try:
            async for message in ws:
                for peer in list(everyone) if options.fanout else (ws,):
                    if message.type is WSMsgType.TEXT:
                        await peer.send_str(message.data)
                    elif message.type is WSMsgType.BINARY:
                        await peer.send_bytes(message.data)
        finally:
            everyone.remove(ws)
        return ws

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, options.port, ssl_context=options.ssl_context()).start()
    await asyncio.Event().wait()


def serve(options: Options) -> None:
    """aiohttp on any event loop of asyncio."""
    run(_serve(options), options.variant)
