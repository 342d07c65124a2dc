"""The servers of `websockets` on asyncio and on trio."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Iterator, Sequence
from http import HTTPStatus
from typing import Any

import trio
import websockets
import websockets.asyncio.server
import websockets.trio.server
from websockets.http11 import Request, Response

from tests.certificates import server_context
from tests.interop.loops import event_loop
from tests.interop.places import Directory, Sockets, listen

from .base import Close, Places, ServerSocket, answer_headers, choose, play, rejection


class _Socket(ServerSocket):
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        request: Request = connection.request
        self.path, _, self.query = request.path.partition("?")
        self.headers = _headers(request)
        self.offered = ()

    async def accept(
        self, subprotocol: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """`_OPTIONS` have done it."""

    async def reject(self, status: int, body: bytes) -> None:
        raise AssertionError("_process_request has done it")

    async def receive(self) -> str | bytes | Close:
        try:
            message: str | bytes = await self._connection.recv()
        except websockets.ConnectionClosed as end:
            return Close(1006, "") if end.rcvd is None else Close(end.rcvd.code, end.rcvd.reason)
        return message

    async def send(self, message: str | bytes) -> None:
        await self._connection.send(message)

    async def send_fragments(self, parts: Sequence[str]) -> None:
        await self._connection.send(list(parts))

    async def ping(self, payload: bytes) -> None:
        pong = await self._connection.ping(payload)
        await (pong.wait() if isinstance(pong, trio.Event) else pong)

    async def close(self, code: int, reason: str) -> None:
        end = getattr(self._connection, "aclose", None) or self._connection.close
        await end(code, reason)


def _headers(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.raw_items()}


def _process_request(connection: Any, request: Request) -> Response | None:
    refused = rejection(request.path)
    if refused is None:
        return None
    response: Response = connection.respond(HTTPStatus(refused[0]), refused[1].decode())
    return response


def _process_response(_: Any, request: Request, response: Response) -> Response:
    for name, value in answer_headers(request.path, _headers(request)):
        response.headers[name] = value
    return response


def _select_subprotocol(_: Any, offered: Sequence[str]) -> str | None:
    return choose(offered)


async def _play(connection: Any) -> None:
    await play(_Socket(connection))


_OPTIONS: dict[str, Any] = {
    "process_request": _process_request,
    "process_response": _process_response,
    "select_subprotocol": _select_subprotocol,
}


@contextlib.asynccontextmanager
async def _run(sockets: Sockets) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        serve = functools.partial(websockets.asyncio.server.serve, _play, **_OPTIONS)
        for sock in sockets.plain():
            await stack.enter_async_context(serve(sock=sock))
        secure = serve(sock=sockets.tls, ssl=server_context(), compression=None)
        await stack.enter_async_context(secure)
        yield


@contextlib.contextmanager
def on_asyncio(directory: Directory, ipv6: bool) -> Iterator[Places]:
    sockets = listen(directory, ipv6=ipv6)
    with event_loop("asyncio") as portal, portal.wrap_async_context_manager(_run(sockets)):
        yield sockets.places()


@contextlib.contextmanager
def on_trio(directory: Directory, ipv6: bool) -> Iterator[Places]:
    sockets = listen(directory, ipv6=ipv6)

    async def serve(*, task_status: Any, **options: Any) -> None:
        socks = options.pop("socks")
        listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(s)) for s in socks]
        await websockets.trio.server.serve(
            _play, listeners=listeners, task_status=task_status, **_OPTIONS, **options
        )

    with event_loop("trio") as portal:
        secure = {"ssl": server_context(), "compression": None}
        _, plain_server = portal.start_task(functools.partial(serve, socks=sockets.plain()))
        _, tls_server = portal.start_task(functools.partial(serve, socks=[sockets.tls], **secure))
        yield sockets.places()
        portal.call(plain_server.aclose)
        portal.call(tls_server.aclose)
