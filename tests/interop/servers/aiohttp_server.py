"""The server of aiohttp."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence

import aiohttp
from aiohttp import web

from tests.certificates import server_context
from tests.interop.loops import event_loop
from tests.interop.places import Directory, Sockets, listen

from .base import Close, Places, ServerSocket, play


class _Socket(ServerSocket):
    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response: web.StreamResponse
        self._connection: web.WebSocketResponse
        self.path = request.path
        self.query = request.rel_url.raw_query_string
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        offered = self.headers.get("sec-websocket-protocol", "")
        self.offered = [name.strip() for name in offered.split(",") if name]

    async def accept(
        self, subprotocol: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.response = self._connection = web.WebSocketResponse(
            protocols=() if subprotocol is None else (subprotocol,),
            compress=not self._request.secure,
            autoping=False,  # else nobody gets to see a Pong
        )
        self._connection.headers.extend(headers)
        await self._connection.prepare(self._request)

    async def reject(self, status: int, body: bytes) -> None:
        self.response = web.Response(status=status, body=body)

    async def receive(self) -> str | bytes | Close:
        while True:
            message = await self._connection.receive()
            if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                data: str | bytes = message.data
                return data
            if message.type is aiohttp.WSMsgType.PING:
                await self._connection.pong(message.data)
            else:
                assert message.type is aiohttp.WSMsgType.CLOSE, message
                return Close(message.data, message.extra)

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._connection.send_str(message)
        else:
            await self._connection.send_bytes(message)

    async def ping(self, payload: bytes) -> None:
        await self._connection.ping(payload)
        message = await self._connection.receive()
        assert message.type is aiohttp.WSMsgType.PONG, message
        assert message.data == payload

    async def close(self, code: int, reason: str) -> None:
        await self._connection.close(code=code, message=reason.encode())


async def _play(request: web.Request) -> web.StreamResponse:
    peer = _Socket(request)
    await play(peer)
    return peer.response


@contextlib.asynccontextmanager
async def _run(sockets: Sockets) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_get("/{path:.*}", _play)
    runner = web.AppRunner(app)
    await runner.setup()
    for sock in sockets.plain():
        await web.SockSite(runner, sock).start()
    await web.SockSite(runner, sockets.tls, ssl_context=server_context()).start()
    yield
    await runner.cleanup()


@contextlib.contextmanager
def serve(directory: Directory, ipv6: bool) -> Iterator[Places]:
    sockets = listen(directory, ipv6=ipv6)
    with event_loop("asyncio") as portal, portal.wrap_async_context_manager(_run(sockets)):
        yield sockets.places()
