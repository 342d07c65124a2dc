"""The server of trio-websocket."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import trio
import trio_websocket

from tests.certificates import server_context
from tests.interop.loops import event_loop
from tests.interop.places import Directory, listen

from .base import Close, Places, ServerSocket, play


class _Socket(ServerSocket):
    def __init__(self, request: trio_websocket.WebSocketRequest) -> None:
        self._request = request
        self._connection: trio_websocket.WebSocketConnection
        self.path, _, self.query = request.path.partition("?")
        self.headers = {name.decode().lower(): value.decode() for name, value in request.headers}
        self.offered = request.proposed_subprotocols

    async def accept(
        self, subprotocol: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._connection = await self._request.accept(
            subprotocol=subprotocol,
            extra_headers=[(name.lower().encode(), value.encode()) for name, value in headers],
        )

    async def reject(self, status: int, body: bytes) -> None:
        await self._request.reject(
            status,
            extra_headers=[(b"content-length", str(len(body)).encode())],
            body=body,
        )

    async def receive(self) -> str | bytes | Close:
        try:
            return await self._connection.get_message()
        except trio_websocket.ConnectionClosed as end:
            if end.reason is None:
                return Close(1006, "")
            return Close(end.reason.code, end.reason.reason or "")

    async def send(self, message: str | bytes) -> None:
        await self._connection.send_message(message)

    async def ping(self, payload: bytes) -> None:
        await self._connection.ping(payload)

    async def close(self, code: int, reason: str) -> None:
        await self._connection.aclose(code, reason)


async def _play(request: trio_websocket.WebSocketRequest) -> None:
    await play(_Socket(request))


@contextlib.contextmanager
def serve(directory: Directory, ipv6: bool) -> Iterator[Places]:
    sockets = listen(directory, ipv6=ipv6)

    async def run(*, task_status: Any) -> None:
        plain = [
            trio.SocketListener(trio.socket.from_stdlib_socket(sock))
            for sock in (sockets.tcp, sockets.ipv6)
            if sock is not None
        ]
        tcp = trio.SocketListener(trio.socket.from_stdlib_socket(sockets.tls))
        tls = trio.SSLListener(tcp, server_context(), https_compatible=True)
        handle = functools.partial(trio_websocket.WebSocketServer, _play)
        async with trio.open_nursery() as nursery:
            for listeners in (plain, [tls]):
                await nursery.start(handle(listeners).run)
            task_status.started()

    with sockets.unix, event_loop("trio") as portal:
        portal.start_task(run)
        yield sockets.places()
