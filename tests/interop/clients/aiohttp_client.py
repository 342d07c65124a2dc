"""The client of aiohttp."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

import aiohttp

from tests.interop.places import Place

from .base import AsyncSocket, Close, Compression, Offer, Refused


class _Socket(AsyncSocket):
    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection
        self.subprotocol = connection.protocol
        response = connection.get_extra_info("response")
        assert response is None
        self.headers = {name.lower(): value for name, value in connection._response.headers.items()}

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._connection.send_str(message)
        else:
            await self._connection.send_bytes(message)

    async def send_fragments(self, parts: Sequence[str]) -> None:
        raise NotImplementedError

    async def receive(self) -> str | bytes | Close:
        while True:
            message = await self._connection.receive()
            if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                data: str | bytes = message.data
                return data
            if message.type is aiohttp.WSMsgType.PING:
                await self._connection.pong(message.data)
            elif message.type is aiohttp.WSMsgType.CLOSE:
                return Close(message.data, message.extra or "")
            else:
                raise AssertionError(f"aiohttp received {message}")

    async def ping(self, payload: bytes) -> None:
        await self._connection.ping(payload)
        message = await self._connection.receive()
        assert message.type is aiohttp.WSMsgType.PONG, message
        assert message.data == payload

    async def close(self, code: int, reason: str) -> None:
        await self._connection.close(code=code, message=reason.encode())


@contextlib.asynccontextmanager
async def connect(place: Place, offer: Offer) -> AsyncIterator[AsyncSocket]:
    connector = None if place.unix is None else aiohttp.UnixConnector(place.unix)
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            async with session.ws_connect(
                place.url(offer.target),
                protocols=offer.subprotocols,
                headers=dict(offer.headers),
                ssl=place.tls or True,
                compress=0 if offer.compression is Compression.NONE else 15,
                autoping=False,  # else nobody gets to see a Pong
            ) as connection:
                yield _Socket(connection)
        except aiohttp.WSServerHandshakeError as error:
            raise Refused(error.status, b"") from None
