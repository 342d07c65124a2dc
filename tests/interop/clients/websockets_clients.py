"""The three clients of `websockets`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import websockets
import websockets.asyncio.client
import websockets.sync.client
import websockets.trio.client

from tests.interop.loops import TIMEOUT
from tests.interop.places import Place

from .base import AsyncSocket, ClientSocket, Close, Compression, Offer, Refused


def _options(place: Place, offer: Offer) -> dict[str, Any]:
    return {
        "subprotocols": offer.subprotocols or None,
        "additional_headers": list(offer.headers),
        "compression": None if offer.compression is Compression.NONE else "deflate",
        "ssl": place.tls,
    }


def _end(error: websockets.ConnectionClosed) -> Close:
    return Close(1006) if error.rcvd is None else Close(error.rcvd.code, error.rcvd.reason)


def _headers(connection: Any) -> Mapping[str, str]:
    return {name.lower(): value for name, value in connection.response.headers.raw_items()}


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except websockets.InvalidStatus as error:
        raise Refused(error.response.status_code, bytes(error.response.body or b"")) from None


class _Socket(AsyncSocket):
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.subprotocol = connection.subprotocol
        self.headers = _headers(connection)

    async def send(self, message: str | bytes) -> None:
        await self._connection.send(message)

    async def send_fragments(self, parts: Sequence[str]) -> None:
        await self._connection.send(list(parts))

    async def receive(self) -> str | bytes | Close:
        try:
            message: str | bytes = await self._connection.recv()
        except websockets.ConnectionClosed as error:
            return _end(error)
        return message

    async def ping(self, payload: bytes) -> None:
        pong: Any = await self._connection.ping(payload)
        await (pong.wait() if hasattr(pong, "wait") else pong)

    async def close(self, code: int, reason: str) -> None:
        end = getattr(self._connection, "aclose", None) or self._connection.close
        await end(code, reason)


@contextlib.asynccontextmanager
async def on_asyncio(place: Place, offer: Offer) -> AsyncIterator[AsyncSocket]:
    options = {**_options(place, offer), "proxy": None}
    with _refusals():
        if place.unix is not None:
            connecting = websockets.asyncio.client.unix_connect(
                place.unix, place.url(offer.target), **options
            )
        else:
            connecting = websockets.asyncio.client.connect(place.url(offer.target), **options)
        async with connecting as connection:
            yield _Socket(connection)


@contextlib.asynccontextmanager
async def on_trio(place: Place, offer: Offer) -> AsyncIterator[AsyncSocket]:
    options = {**_options(place, offer), "proxy": None}
    with _refusals():
        if place.unix is not None:
            connecting = websockets.trio.client.unix_connect(
                place.unix, place.url(offer.target), **options
            )
        else:
            connecting = websockets.trio.client.connect(place.url(offer.target), **options)
        async with connecting as connection:
            yield _Socket(connection)


class _ThreadSocket(ClientSocket):
    def __init__(self, connection: websockets.sync.client.ClientConnection) -> None:
        self._connection = connection
        self.subprotocol = connection.subprotocol
        self.headers = _headers(connection)

    def send(self, message: str | bytes) -> None:
        self._connection.send(message)

    def send_fragments(self, parts: Sequence[str]) -> None:
        self._connection.send(list(parts))

    def receive(self) -> str | bytes | Close:
        try:
            return self._connection.recv(TIMEOUT)
        except websockets.ConnectionClosed as error:
            return _end(error)

    def ping(self, payload: bytes) -> None:
        assert self._connection.ping(payload).wait(TIMEOUT)

    def close(self, code: int, reason: str) -> None:
        self._connection.close(code, reason)


@contextlib.contextmanager
def on_threads(place: Place, offer: Offer) -> Iterator[ClientSocket]:
    options = {**_options(place, offer), "proxy": None}
    with _refusals():
        if place.unix is not None:
            connection = websockets.sync.client.unix_connect(
                place.unix, place.url(offer.target), **options
            )
        else:
            connection = websockets.sync.client.connect(place.url(offer.target), **options)
    with connection:
        yield _ThreadSocket(connection)
