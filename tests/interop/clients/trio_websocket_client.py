"""The client of trio-websocket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

import trio
import trio_websocket

from tests.interop.places import Place

from .base import AsyncSocket, Close, Offer, Refused


class _Socket(AsyncSocket):
    def __init__(self, connection: trio_websocket.WebSocketConnection) -> None:
        self._connection = connection
        self.subprotocol = connection.subprotocol
        self.headers = {
            name.decode().lower(): value.decode() for name, value in connection.handshake_headers
        }

    async def send(self, message: str | bytes) -> None:
        await self._connection.send_message(message)

    async def send_fragments(self, parts: Sequence[str]) -> None:
        raise NotImplementedError

    async def receive(self) -> str | bytes | Close:
        try:
            return await self._connection.get_message()
        except trio_websocket.ConnectionClosed as error:
            if error.reason is None:
                return Close(1006)
            return Close(error.reason.code, error.reason.reason or "")

    async def ping(self, payload: bytes) -> None:
        await self._connection.ping(payload)

    async def close(self, code: int, reason: str) -> None:
        await self._connection.aclose(code, reason)


@contextlib.asynccontextmanager
async def connect(place: Place, offer: Offer) -> AsyncIterator[AsyncSocket]:
    stream = await _dial(place)
    try:
        # It leaves a stream open whose WebSocket the server closed: the stream is ours, therefore.
        async with stream, trio.open_nursery() as nursery:
            connection = await trio_websocket.wrap_client_stream(
                nursery,
                stream,
                place.authority,
                offer.target,
                subprotocols=list(offer.subprotocols) or None,
                extra_headers=[(name.encode(), value.encode()) for name, value in offer.headers],
            )
            async with connection:
                yield _Socket(connection)
    except* trio_websocket.ConnectionRejected as group:
        (rejected,) = group.exceptions
        assert isinstance(rejected, trio_websocket.ConnectionRejected)
        refusal = Refused(rejected.status_code, rejected.body or b"")
    else:
        return
    raise refusal


async def _dial(place: Place) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    if place.unix is not None:
        return await trio.open_unix_socket(place.unix)
    host, _, port = place.authority.rpartition(":")
    stream = await trio.open_tcp_stream(host.strip("[]"), int(port))
    if place.tls is None:
        return stream
    return trio.SSLStream(stream, place.tls, server_hostname=host, https_compatible=True)
